"""Encoder of a feature's frames: convolution, BiLSTM, attention (section 4.1, Eq. 1 and 2).

A frame that is padding changes nothing, in training neither: it is zero before and after each convolution, the LSTM
comes to it after the utterance in both directions, and attention does not weigh it.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.nn.convolution import Convolution
from serflow.nn.pooling import frame_mask
from serflow.nn.recurrent import Bidirectional
from serflow.studies.multigating.batch import Sequences
from serflow.studies.multigating.options import EncoderOptions


class PlaneConvolution(nn.Module):
    """Convolution over frames and columns, ReLU, and a weighted sum over the columns of each map.

    It reads the paper's "3x3" as it stands. The paper's z' has one axis beside time, so the columns have to go: their
    mean would forget which is which, and maps and columns end to end are 82 thousand values a frame of Allosaurus.
    Each map has a weight for each column instead; they are drawn as those of a linear layer are.

    Parameters
    ----------
    columns
        Values of a frame.
    maps
        Feature maps.
    kernel
        In frames, and in columns.
    """

    def __init__(self, columns: int, maps: int, kernel: int) -> None:
        super().__init__()
        self.sides = ((kernel - 1) // 2, kernel // 2)
        self.convolution = nn.Conv2d(1, maps, kernel)
        self.weight = nn.Parameter(torch.empty(maps, columns).uniform_(-1, 1) / math.sqrt(columns))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return ``(batch, frames, maps)`` of ``(batch, frames, columns)``, both zero where ``mask`` is false."""
        planes = self.convolution(F.pad(frames[:, None], (*self.sides, *self.sides))).relu()
        return torch.matmul(planes, self.weight[:, :, None]).squeeze(3).transpose(1, 2) * mask


class TimeConvolution(nn.Module):
    """Convolution over frames, whose values are its channels, and ReLU."""

    def __init__(self, in_dim: int, maps: int, kernel: int) -> None:
        super().__init__()
        self.convolution = Convolution(in_dim, maps, kernel)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return ``(batch, frames, maps)`` of ``(batch, frames, in_dim)``, both zero where ``mask`` is false."""
        hidden: Tensor = self.convolution(frames, mask)
        return hidden.relu()


class LastStateAttention(nn.Module):
    """Scaled dot-product attention of an utterance's last state over its frames (Eq. 1 and 2).

    ``softmax(z W_Q (H W_K)^T / sqrt(k)) H W_V`` is computed as ``(softmax((z W_Q W_K^T) H^T / sqrt(k)) H) W_V``: with
    one query, no frame has to be projected.

    Parameters
    ----------
    dim
        k: values of a state, and of what comes out.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)

    def weights(self, last: Tensor, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the weight of each frame, ``(batch, frames)``, 0 on padded ones; those of an utterance sum to 1."""
        looked_for = self.query(last) @ self.key.weight
        scores = torch.einsum("btd,bd->bt", states, looked_for) / math.sqrt(states.shape[2])
        padded = ~frame_mask(lengths, states.shape[1]).squeeze(2)
        return scores.masked_fill(padded, -torch.inf).softmax(1)

    def forward(self, last: Tensor, states: Tensor, lengths: Tensor) -> Tensor:
        """Return ``(batch, dim)``.

        Parameters
        ----------
        last
            z of each utterance, ``(batch, dim)``.
        states
            H, ``(batch, frames, dim)``; what stands on padded frames is finite and does not matter.
        lengths
            Frames of each utterance, ``(batch,)``.
        """
        pooled = torch.einsum("bt,btd->bd", self.weights(last, states, lengths), states)
        found: Tensor = self.value(pooled)
        return found


def last_states(states: Tensor, lengths: Tensor) -> Tensor:
    """Return the last state of each direction, ``(batch, 2 * units)``.

    Of ``states`` ``(batch, frames, 2 * units)`` it is that of the last frame forwards, and of the first one backwards.
    """
    units = states.shape[2] // 2
    ends = (lengths - 1)[:, None, None].expand(-1, 1, units)
    return torch.cat([states[:, :, :units].gather(1, ends).squeeze(1), states[:, 0, units:]], dim=1)


class SequenceEncoder(nn.Module):
    """Frames to a vector of ``dim`` values: s(z') of Eq. 1.

    Parameters
    ----------
    in_dim
        Values of a frame.
    kernels
        Of convolutions beside each other, in frames.
    plane
        Convolve over frames and columns, not over frames alone.
    maps
        Of each convolution.
    lstm, layers
        Units a direction, and layers.
    dropout
        After the convolutions.
    """

    def __init__(
        self, in_dim: int, kernels: Sequence[int], plane: bool, maps: int, lstm: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        convolution = PlaneConvolution if plane else TimeConvolution
        self.convolutions = nn.ModuleList(convolution(in_dim, maps, kernel) for kernel in kernels)
        self.dropout = nn.Dropout(dropout)
        widths = [len(kernels) * maps, *(2 * lstm for _ in range(layers - 1))]
        self.lstm = nn.ModuleList(Bidirectional("lstm", width, lstm) for width in widths)
        self.attention = LastStateAttention(2 * lstm)
        self.dim = 2 * lstm

    def forward(self, read: Sequences) -> Tensor:
        """Return ``(batch, dim)``; what stands on padded frames does not matter."""
        mask = frame_mask(read.lengths, read.frames.shape[1])
        frames = read.frames.masked_fill(~mask, 0.0)
        states = self.dropout(torch.cat([convolution(frames, mask) for convolution in self.convolutions], dim=2))
        for layer in self.lstm:
            states = layer(states, read.lengths)
        found: Tensor = self.attention(last_states(states, read.lengths), states, read.lengths)
        return found


def sequence_encoder(feature: str, in_dim: int, options: EncoderOptions) -> SequenceEncoder:
    """Return the encoder of a feature whose frames have ``in_dim`` values (section 5.1).

    MFCC has kernels of the first size alone. Of Allosaurus and wav2vec, with ``cnn: respective``, each has one size.
    """
    first, second = options.kernels
    respective, plane = options.cnn == "respective", options.cnn == "conv2d"
    if feature == "mfcc":
        sizes = (options.mfcc_maps, options.mfcc_lstm, options.mfcc_layers)
        return SequenceEncoder(in_dim, [first], plane, *sizes, options.dropout)
    kernels = [first if feature == "allosaurus" else second] if respective else [first, second]
    return SequenceEncoder(in_dim, kernels, plane, options.maps, options.lstm, 1, options.dropout)
