"""The network on engineered features: receptive fields, residual CNN, GRU, self-attention, MLP (section 2.2).

Its parts are those of STRFNet (Vuong, Xia and Stern, Interspeech 2020). A frame that is padding changes nothing, in
training neither: it is zero before each convolution, no batch is normalised by it, the GRU comes to it after the
utterance in both directions, and attention does not weigh it.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from serflow.nn.normalisation import MaskedBatchNorm2d
from serflow.nn.pooling import frame_mask, pooled_lengths, valid_places
from serflow.nn.recurrent import Bidirectional
from serflow.studies.temporal.catalog import Stream
from serflow.studies.temporal.options import StrfNetOptions
from serflow.studies.temporal.strf import GaborStrf, odd_taps

STRIDES = (1, 1, 2, 1, 2, 1)
"""Of the residual blocks, over frames and bands alike."""
_BANDS = 3


def _convolution(in_maps: int, maps: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_maps, maps, 3, stride, padding=1, bias=False)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, each normalised, a leaky ReLU between them, beside a skip, and a ReLU of the sum.

    Where frames or maps become others, the skip is a normalised 3 x 3 convolution, else the identity.

    Parameters
    ----------
    in_maps, maps
        Feature maps in and out.
    stride
        Frames and bands are ``ceil(n / stride)`` after it.
    """

    def __init__(self, in_maps: int, maps: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.first, self.first_norm = _convolution(in_maps, maps, stride), MaskedBatchNorm2d(maps)
        self.second, self.second_norm = _convolution(maps, maps, 1), MaskedBatchNorm2d(maps)
        self.skip = self.skip_norm = None
        if stride != 1 or in_maps != maps:
            self.skip, self.skip_norm = _convolution(in_maps, maps, stride), MaskedBatchNorm2d(maps)

    def forward(self, maps: Tensor, places: Tensor) -> Tensor:
        """Return ``(batch, maps, frames, bands)`` of ``(batch, in_maps, ...)``, both zero on padded frames.

        ``places`` are those of the valid frames of the result, see `serflow.nn.pooling.valid_places`.
        """
        hidden = nn.functional.leaky_relu(self.first_norm(self.first(maps), places))
        hidden = self.second_norm(self.second(hidden), places)
        if self.skip is not None and self.skip_norm is not None:
            maps = self.skip_norm(self.skip(maps), places)
        summed: Tensor = hidden + maps
        return summed.relu()


class SelfAttention(nn.Module):
    """Weighted mean of frames: weights are the softmax over an utterance of ``v tanh(W x + b)``.

    Parameters
    ----------
    dim, units
        Values of a frame, and rows of W. A bias beside v would leave the softmax as it is.
    """

    def __init__(self, dim: int, units: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(dim, units)
        self.score = nn.Linear(units, 1, bias=False)

    def weights(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the weight of each frame, ``(batch, frames, 1)``, 0 on padded ones; those of an utterance sum to 1."""
        padded = ~frame_mask(lengths, frames.shape[1])
        scores: Tensor = self.score(self.hidden(frames).tanh())
        return scores.masked_fill(padded, -torch.inf).softmax(1)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return ``(batch, dim)`` of ``(batch, frames, dim)``."""
        return (self.weights(frames, lengths) * frames).sum(1)


class StrfNet(nn.Module):
    """Spectrograms to emotions.

    Parameters
    ----------
    streams
        Branches of the first layer; each gives 2K maps.
    options
        Sizes.
    n_bands, hop_ms
        Bands of a frame, and the time from one to the next (ms).
    kernel
        Frames of a convolution of the first layer; it spans 3 bands.
    n_classes
        Emotions.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        options: StrfNetOptions,
        n_bands: int,
        hop_ms: float,
        kernel: int,
        n_classes: int,
    ) -> None:
        super().__init__()
        self.reads = tuple(stream.of for stream in streams)
        n_maps = 2 * options.kernels
        self.streams = nn.ModuleList(
            nn.Conv2d(1, n_maps, (kernel, _BANDS), padding=(kernel // 2, _BANDS // 2))
            if stream.layer == "conv"
            else GaborStrf(options.kernels, odd_taps(options.support_ms / hop_ms), odd_taps(options.support_bands))
            for stream in streams
        )
        widths = [n_maps * len(streams), *(options.channels for _ in STRIDES)]
        self.blocks = nn.ModuleList(
            ResidualBlock(before, maps, stride)
            for before, maps, stride in zip(widths, widths[1:], STRIDES, strict=False)
        )
        for stride in STRIDES:
            n_bands = -(-n_bands // stride)
        self.embedding = nn.Linear(options.channels * n_bands, options.embedding)
        self.gru = Bidirectional("gru", options.embedding, options.embedding)
        self.attention = SelfAttention(2 * options.embedding, options.attention)
        self.mlp = nn.Sequential(
            nn.Linear(2 * options.embedding, options.hidden),
            nn.BatchNorm1d(options.hidden),
            nn.LeakyReLU(),
            nn.Linear(options.hidden, n_classes),
        )

    def forward(self, inputs: Mapping[str, Tensor], lengths: Tensor, counted: Sequence[int] | None = None) -> Tensor:
        """Return logits ``(batch, n_classes)``.

        Parameters
        ----------
        inputs
            ``(batch, frames, n_bands)`` each, by what the streams read; what stands on padded frames does not matter.
        lengths
            Frames of each utterance, ``(batch,)``.
        counted
            The same as the host has them; None to ask for them, which waits for a GPU.
        """
        counted = lengths.tolist() if counted is None else counted
        n_frames = inputs[self.reads[0]].shape[1]
        padded = ~frame_mask(lengths, n_frames)[:, None]
        read = {name: inputs[name][:, None].masked_fill(padded, 0.0) for name in sorted(set(self.reads))}
        maps = torch.cat([layer(read[name]) for layer, name in zip(self.streams, self.reads, strict=True)], dim=1)
        # frame by frame in memory, as batch normalisation takes the valid ones out
        maps = maps.masked_fill(padded, 0.0).contiguous(memory_format=torch.channels_last)
        places = valid_places(lengths, n_frames, sum(counted))
        for block, stride in zip(self.blocks, STRIDES, strict=True):
            if stride != 1:
                lengths, n_frames = pooled_lengths(lengths, stride), -(-n_frames // stride)
                counted = [-(-n // stride) for n in counted]
                places = valid_places(lengths, n_frames, sum(counted))
            maps = block(maps, places)
        frames = self.embedding(maps.transpose(1, 2).flatten(2))
        logits: Tensor = self.mlp(self.attention(self.gru(frames, lengths), lengths))
        return logits

    def contexts(self, window_ms: float, hop_ms: float) -> list[float]:
        """Return the time (ms) that each stream sees, of frames of ``window_ms`` every ``hop_ms``.

        A convolution sees the samples of its frames. Of a receptive field it is the support, from the middle of the
        first frame to that of the last one (section 2.1).
        """
        spans = []
        for layer in self.streams:
            if isinstance(layer, GaborStrf):
                spans.append((layer.taps - 1) * hop_ms)
            else:
                assert isinstance(layer, nn.Conv2d)
                spans.append(window_ms + (layer.kernel_size[0] - 1) * hop_ms)
        return spans

    def receptive_fields(self) -> list[nn.Parameter]:
        """Return rates and scales."""
        return [p for layer in self.streams if isinstance(layer, GaborStrf) for p in (layer.rates, layer.scales)]
