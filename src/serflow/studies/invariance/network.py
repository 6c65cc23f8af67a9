"""Embedding network with its emotion and its speaker classifier (section 2.1, Table 1).

A frame that is padding changes nothing: layers that mix frames see those of the utterance alone, and all others work on
the valid frames of a batch laid end to end, ``(valid frames, dim)``, so that batch normalisation, dropout and its
random numbers are the same however far a batch is padded.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.nn.adversarial import GradientReversal
from serflow.nn.pooling import valid_places
from serflow.nn.recurrent import run_both_ways
from serflow.studies.invariance.options import ModelOptions

POOL_EPS = 1e-5


class Flat(NamedTuple):
    """The valid frames of a batch, end to end.

    ``frames`` are ``(valid, dim)``, ``places`` where each stands in the padded batch laid end to end, ``(valid,)``;
    ``lengths`` are the frames of each utterance, ``(batch,)``, and ``n_frames`` those of the padded batch.
    """

    frames: Tensor
    places: Tensor
    lengths: Tensor
    n_frames: int

    def padded(self) -> Tensor:
        """Return ``(batch, n_frames, dim)``, zero on padded frames."""
        batch, dim = len(self.lengths), self.frames.shape[1]
        whole = self.frames.new_zeros(batch * self.n_frames, dim)
        return whole.index_copy(0, self.places, self.frames).reshape(batch, self.n_frames, dim)

    def replaced(self, padded: Tensor) -> "Flat":
        """Return the valid frames of ``padded`` ``(batch, n_frames, dim)``."""
        return self._replace(frames=padded.reshape(-1, padded.shape[2]).index_select(0, self.places))


def flatten(padded: Tensor, lengths: Tensor, n_valid: int | None = None) -> Flat:
    """Lay the valid frames of ``padded`` ``(batch, frames, dim)`` end to end; ``n_valid`` as in `valid_places`."""
    n_frames = padded.shape[1]
    places = valid_places(lengths, n_frames, n_valid)
    return Flat(padded.reshape(-1, padded.shape[2]).index_select(0, places), places, lengths, n_frames)


class FrameDropout(nn.Module):
    """Dropout of the values of frames: all frames of an utterance lose the same ones, or each loses its own.

    With masks of their own, frames scatter more in training than in evaluation. Statistics pooling takes that scatter
    for a deviation, which in evaluation is not there, and what comes after the pooling fails: see docs/invariance.md.

    Parameters
    ----------
    p
        Share of values that are dropped in training; the others are divided by ``1 - p``.
    mask
        ``utterance`` (Gal and Ghahramani, NeurIPS 2016) or ``frame``.
    """

    def __init__(self, p: float, mask: str) -> None:
        super().__init__()
        self.p = p
        self.mask = mask

    def forward(self, flat: Flat) -> Flat:
        """Return the frames with values dropped, in training."""
        if self.mask == "frame":
            return flat._replace(frames=F.dropout(flat.frames, self.p, self.training))
        kept = F.dropout(flat.frames.new_ones(len(flat.lengths), flat.frames.shape[1]), self.p, self.training)
        return flat._replace(frames=flat.frames * kept.index_select(0, flat.places // flat.n_frames))


class Tdnn(nn.Module):
    """A time-delay layer: dilated convolution without padding, ReLU, batch normalisation, dropout.

    Parameters
    ----------
    in_dim, units
        Values of a frame, before and after.
    kernel, dilation
        In frames; an utterance loses ``(kernel - 1) * dilation`` frames.
    dropout
        Of frames.
    """

    def __init__(self, in_dim: int, units: int, kernel: int, dilation: int, dropout: FrameDropout) -> None:
        super().__init__()
        self.reach = (kernel - 1) * dilation
        self.convolution = nn.Conv1d(in_dim, units, kernel, dilation=dilation)
        self.norm = nn.BatchNorm1d(units)
        self.dropout = dropout

    def forward(self, flat: Flat) -> Flat:
        """Return the frames that see as much context as the kernel reaches."""
        hidden = self.convolution(flat.padded().transpose(1, 2)).transpose(1, 2)
        n_valid = len(flat.frames) - len(flat.lengths) * self.reach
        shorter = flatten(hidden, flat.lengths - self.reach, n_valid)
        dropped: Flat = self.dropout(shorter._replace(frames=self.norm(shorter.frames.relu())))
        return dropped


class BiLstm(nn.Module):
    """Bidirectional LSTM over the frames of each utterance, batch normalisation, dropout."""

    def __init__(self, in_dim: int, units: int, dropout: FrameDropout) -> None:
        super().__init__()
        self.forwards = nn.LSTM(in_dim, units, batch_first=True)
        self.backwards = nn.LSTM(in_dim, units, batch_first=True)
        self.norm = nn.BatchNorm1d(2 * units)
        self.dropout = dropout

    def forward(self, flat: Flat) -> Flat:
        """Return the states of both directions, ``(valid, 2 * units)``."""
        states = flat.replaced(run_both_ways(self.forwards, self.backwards, flat.padded(), flat.lengths))
        dropped: Flat = self.dropout(states._replace(frames=self.norm(states.frames)))
        return dropped


class FrameDense(nn.Module):
    """A dense layer on each frame: ReLU, batch normalisation, dropout."""

    def __init__(self, in_dim: int, units: int, dropout: FrameDropout) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, units)
        self.norm = nn.BatchNorm1d(units)
        self.dropout = dropout

    def forward(self, flat: Flat) -> Flat:
        """Return frames of ``units`` values."""
        dropped: Flat = self.dropout(flat._replace(frames=self.norm(self.linear(flat.frames).relu())))
        return dropped


class Dense(nn.Module):
    """A dense layer on rows: ReLU, batch normalisation, dropout."""

    def __init__(self, in_dim: int, units: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, units)
        self.norm = nn.BatchNorm1d(units)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """Return ``(n, units)`` of ``(n, in_dim)``."""
        dropped: Tensor = self.dropout(self.norm(self.linear(rows).relu()))
        return dropped


def statistics_pooling(flat: Flat) -> Tensor:
    """Return mean and standard deviation over the frames of each utterance, ``(batch, 2 * dim)``.

    The deviation is that of all frames (biased), of a variance to which 1e-5 is added.
    """
    count = flat.lengths.to(flat.frames.dtype)[:, None]
    mean = flat.padded().sum(1) / count
    utterance = flat.places // flat.n_frames
    deviations = flat._replace(frames=(flat.frames - mean.index_select(0, utterance)).square())
    return torch.cat([mean, (deviations.padded().sum(1) / count + POOL_EPS).sqrt()], dim=1)


class Classifier(nn.Module):
    """Two dense layers and an output layer on embeddings."""

    def __init__(self, in_dim: int, units: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Sequential(Dense(in_dim, units, dropout), Dense(units, units, dropout))
        self.output = nn.Linear(units, n_classes)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return logits ``(batch, n_classes)``."""
        logits: Tensor = self.output(self.hidden(embeddings))
        return logits


class SpeakerNetwork(nn.Module):
    """The three parts of Figure 1: embedding network, emotion classifier, and speaker classifier where there is one.

    Parameters
    ----------
    options
        Sizes.
    in_dim
        Values of a frame.
    n_classes, n_speakers
        Emotions, and speakers of training; None for a network without speaker classifier.
    """

    def __init__(self, options: ModelOptions, in_dim: int, n_classes: int, n_speakers: int | None) -> None:
        super().__init__()
        dims = [in_dim, *(units for units, _, _ in options.tdnn)]
        dropout = FrameDropout(options.dropout, options.dropout_mask)
        self.tdnn = nn.Sequential(
            *(
                Tdnn(before, units, kernel, dilation, dropout)
                for before, (units, kernel, dilation) in zip(dims, options.tdnn, strict=False)
            )
        )
        self.lstm = BiLstm(dims[-1], options.lstm, dropout)
        self.fc = FrameDense(2 * options.lstm, options.fc, dropout)
        self.emotion = Classifier(2 * options.fc, options.head, n_classes, options.dropout)
        self.reversal = GradientReversal()
        self.speaker = (
            None if n_speakers is None else Classifier(2 * options.fc, options.head, n_speakers, options.dropout)
        )

    def embed(self, frames: Tensor, lengths: Tensor, n_valid: int | None = None) -> Tensor:
        """Return embeddings ``(batch, 2 * fc)``.

        Parameters
        ----------
        frames
            ``(batch, frames, in_dim)``; what stands on padded frames does not matter.
        lengths
            Frames of each utterance, ``(batch,)``; at least `context` of the sizes.
        n_valid
            Their sum, where the host knows it; None to ask for it, which waits for a GPU.
        """
        return statistics_pooling(self.fc(self.lstm(self.tdnn(flatten(frames, lengths, n_valid)))))

    def name_speaker(self, embeddings: Tensor, reverse: bool = False) -> Tensor:
        """Return speaker logits ``(batch, speakers)``, of embeddings behind the gradient reversal if ``reverse``."""
        if self.speaker is None:
            raise ValueError("this network has no speaker classifier")
        logits: Tensor = self.speaker(self.reversal(embeddings) if reverse else embeddings)
        return logits


def context(tdnn: Sequence[Sequence[int]]) -> int:
    """Return the frames that an utterance must have: those that the first frame after the TDNN sees."""
    return 1 + sum((kernel - 1) * dilation for _, kernel, dilation in tdnn)


@contextmanager
def kept_statistics(network: nn.Module) -> Iterator[None]:
    """Normalise batches by their own statistics, as training does, and leave the running ones as they are."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
