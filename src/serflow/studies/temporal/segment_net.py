"""The network on learned features: CNN block, BiLSTM block, average over time, segment classifiers (Figure 1).

A frame that is padding changes nothing, in training neither: convolutions have no padding, no batch is normalised by
it, the backward LSTM comes to it after the utterance, and it is in no average.
"""

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from serflow.nn.normalisation import MaskedBatchNorm
from serflow.nn.pooling import frame_mask
from serflow.nn.recurrent import Bidirectional
from serflow.studies.temporal.options import SegmentNetOptions


class Found(NamedTuple):
    """What is made of a batch.

    Parameters
    ----------
    utterance
        Logits ``(batch, classes)``.
    segments
        Those of each segment classifier, ``(batch, frames, classes)``.
    lengths
        Frames of each utterance in ``segments``, ``(batch,)``.
    """

    utterance: Tensor
    segments: list[Tensor]
    lengths: Tensor


class ConvolutionBlock(nn.Module):
    """Convolutions over frames without padding, each followed by batch normalisation and ReLU.

    Parameters
    ----------
    in_dim
        Values of a frame.
    options
        Maps, kernels and strides.
    """

    def __init__(self, in_dim: int, options: SegmentNetOptions) -> None:
        super().__init__()
        self.kernels, self.strides = options.kernels, options.strides
        widths = [in_dim, *(options.maps for _ in options.kernels)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, options.maps, kernel, stride)
            for before, kernel, stride in zip(widths, options.kernels, options.strides, strict=False)
        )
        self.norms = nn.ModuleList(MaskedBatchNorm(options.maps) for _ in options.kernels)

    @property
    def field(self) -> int:
        """Frames that one frame of the result sees."""
        field = 1
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            field = (field - 1) * stride + kernel
        return field

    @property
    def hop(self) -> int:
        """Frames from one of the result to the next."""
        return math.prod(self.strides)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(batch, fewer frames, maps)``, zero on padded frames, and the frames of each utterance in it.

        An utterance that is shorter than `field` is continued by zeros. ``frames`` are ``(batch, frames, in_dim)``;
        what stands on padded frames does not matter.
        """
        frames = frames.masked_fill(~frame_mask(lengths, frames.shape[1]), 0.0)
        frames = F.pad(frames, (0, 0, 0, max(0, self.field - frames.shape[1])))
        lengths = lengths.clamp(min=self.field)
        for convolution, norm, kernel, stride in zip(
            self.convolutions, self.norms, self.kernels, self.strides, strict=True
        ):
            hidden = convolution(frames.transpose(1, 2)).transpose(1, 2)
            lengths = (lengths - kernel) // stride + 1
            frames = norm(hidden, frame_mask(lengths, hidden.shape[1])).relu()
        return frames, lengths


def _classifier(in_dim: int, hidden: int, n_classes: int) -> nn.Sequential:
    """Return a hidden layer with ReLU and an output layer: a linear layer by position, on frames."""
    return nn.Sequential(nn.Linear(in_dim, hidden), nn.ReLU(), nn.Linear(hidden, n_classes))


class SegmentNet(nn.Module):
    """Frames to emotions, of the utterance and of each segment.

    Parameters
    ----------
    in_dim
        Values of a frame.
    options
        Sizes, and N_s.
    n_classes
        Emotions.
    """

    def __init__(self, in_dim: int, options: SegmentNetOptions, n_classes: int) -> None:
        super().__init__()
        self.segment_weight = options.segment_weight
        self.cnn = ConvolutionBlock(in_dim, options)
        widths = [options.maps, *(2 * options.lstm for _ in range(options.lstm_layers - 1))]
        self.lstm = nn.ModuleList(Bidirectional("lstm", width, options.lstm) for width in widths)
        self.emotion = _classifier(2 * options.lstm, options.hidden, n_classes)
        self.segments = nn.ModuleList(
            _classifier(options.maps, options.hidden, n_classes) for _ in range(options.segments)
        )

    def forward(self, frames: Tensor, lengths: Tensor) -> Found:
        """Classify utterances and their segments.

        Parameters
        ----------
        frames
            ``(batch, frames, in_dim)``; what stands on padded frames does not matter.
        lengths
            Frames of each utterance, ``(batch,)``.
        """
        segments, lengths = self.cnn(frames, lengths)
        return Found(self._utterance(segments, lengths), [head(segments) for head in self.segments], lengths)

    def classify(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits of utterances alone, ``(batch, n_classes)``: at test time segments are not classified."""
        return self._utterance(*self.cnn(frames, lengths))

    def _utterance(self, segments: Tensor, lengths: Tensor) -> Tensor:
        states = segments
        for layer in self.lstm:
            states = layer(states, lengths)
        total = states.masked_fill(~frame_mask(lengths, states.shape[1]), 0.0).sum(1)
        logits: Tensor = self.emotion(total / lengths[:, None])
        return logits
