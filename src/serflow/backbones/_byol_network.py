"""Encoder of BYOL-A (Niizumi et al., IJCNN 2021) and BYOL-S (Scheidwasser-Clow et al., ICASSP 2022).

Three convolutions over a log-mel picture, two fully connected layers a frame, mean plus maximum over time.
The picture is that of SERAB, the repository of BYOL-S: power spectrum, HTK's mel scale, triangles of height 1, the
waveform mirrored at its ends, ``ln(power + 2**-23)``.
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.fft
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from serflow.audio.waveform import FloatArray, check_waveform
from serflow.backbones._checkpoint import Checkpoint
from serflow.backbones._pretrained import PretrainedNetwork
from serflow.backbones.base import Output
from serflow.devices import autocast

SAMPLE_RATE = 16_000
HOP_LENGTH = 160
N_MELS = 64
POOLING = 8
"""Mel frames to a frame of the encoder: three poolings of 2."""

_N_FFT = 1024
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 7800.0
_FLOOR = np.finfo(np.float32).eps
_BLOCK = 256
_ONEDNN_FRAMES = 321
_LEAST_SAMPLES = (POOLING - 1) * HOP_LENGTH
_LEAST_DEVIATION = 1e-3
"""Of a picture (ln power): the rounding of samples near full scale moves ``ln(power + 2**-23)`` by about 1e-4."""


def mel_filters() -> FloatArray:
    """Return weights ``(513, 64)``: triangles of height 1, evenly spaced in mel = 2595 log10(1 + Hz / 700)."""
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges = 700 * (10 ** (np.linspace(lowest, highest, N_MELS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE)[:, np.newaxis]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    filters: FloatArray = np.maximum(
        0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    ).astype(np.float32)
    return filters


class LogMelPicture:
    """Log-mel picture of a waveform, as the encoder was trained on; keeps its work space between calls.

    Parameters
    ----------
    win_length
        Length of the periodic Hann window (samples): 400 for BYOL-S, 1024 for BYOL-A.
    """

    def __init__(self, win_length: int) -> None:
        self.win_length = win_length
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)).astype(np.float32)
        self._filters = mel_filters()
        # a shift in time does not change the power, so the window stands at the start of the transform
        self._windowed = np.zeros((_BLOCK, _N_FFT), np.float32)
        self._power = np.empty((_BLOCK, 1 + _N_FFT // 2), np.float32)

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return ln power ``(64, 1 + n_samples // 160)``; what is shorter than 70 ms is continued by zeros."""
        check_waveform(waveform)
        waveform = np.pad(waveform, (0, max(0, _LEAST_SAMPLES - len(waveform))))
        mirrored = np.pad(waveform, self.win_length // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(mirrored, self.win_length)[::HOP_LENGTH]
        mel = np.empty((len(frames), N_MELS), np.float32)
        for start in range(0, len(frames), _BLOCK):
            block = frames[start : start + _BLOCK]
            windowed = self._windowed[: len(block)]
            np.multiply(block, self._window, out=windowed[:, : self.win_length])
            power = np.abs(scipy.fft.rfft(windowed), out=self._power[: len(block)])
            np.matmul(np.square(power, out=power), self._filters, out=mel[start : start + _BLOCK])
        mel += _FLOOR
        return np.log(mel, out=mel).T


class PictureStatistics(NamedTuple):
    """Mean and standard deviation over all bands and frames of a picture (ln power), or their averages over several."""

    mean: float
    deviation: float


def picture_statistics(picture: FloatArray) -> PictureStatistics:
    """Return those of one picture."""
    return PictureStatistics(float(picture.mean(dtype=np.float64)), float(picture.std(dtype=np.float64, ddof=1)))


def standardise(picture: FloatArray, statistics: PictureStatistics | None = None) -> FloatArray:
    """Return the picture less a mean, over a deviation: those of all its bands and frames, or the ``statistics`` given.

    A picture that is constant but for rounding, that of silence, becomes 0 by its own.
    """
    mean, deviation = picture_statistics(picture) if statistics is None else statistics
    if deviation <= _LEAST_DEVIATION:
        return np.zeros_like(picture)
    return (picture - np.float32(mean)) * np.float32(1 / deviation)


class Encoder(PretrainedNetwork):
    """The network called AudioNTT2020 in the weights' file names.

    Parameters
    ----------
    dim
        Columns of the output.
    channels
        Maps of each convolution.
    """

    def __init__(self, dim: int = 512, channels: int = 64) -> None:
        super().__init__()
        self.dim = dim
        self.channels = channels
        self.features = nn.Sequential()
        for n_in in (1, channels, channels):
            self.features.extend([nn.Conv2d(n_in, channels, 3, padding=1), nn.BatchNorm2d(channels)])
            self.features.extend([nn.ReLU(), nn.MaxPool2d(2)])
        self.fc = nn.Sequential(
            nn.Linear(channels * N_MELS // POOLING, dim), nn.ReLU(), nn.Dropout(0.3), nn.Linear(dim, dim), nn.ReLU()
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Return frames ``(batch, n_frames // 8, dim)`` of standardised pictures ``(batch, 1, 64, n_frames)``."""
        maps = self.features(pictures)
        frames: Tensor = self.fc(maps.permute(0, 3, 2, 1).flatten(start_dim=2))
        return frames


def pool_frames(frames: Tensor) -> Tensor:
    """Return the mean plus the maximum over time ``(batch, dim)`` of frames ``(batch, n_frames, dim)``."""
    return frames.mean(dim=1) + frames.amax(dim=1)


def network_from(checkpoint: Checkpoint) -> Encoder:
    """Return the network of a checkpoint, its sizes read from the tensors, in evaluation mode.

    Raises
    ------
    WeightsError
        If a tensor is absent or has a shape that does not fit.
    """
    dim = checkpoint.shape("fc.0.weight", 2)[0]
    channels = checkpoint.shape("features.0.weight", 4)[0]
    network = Encoder(dim, channels)
    checkpoint.load_into(network)
    return network.eval()


class FirstLayer(nn.Module):
    """Convolution and pooling of a picture that is continued by zeros to 321 frames and cut again afterwards.

    A convolution takes what lies beyond its picture for zeros, so the maps are the same; but torch 2.13 leaves
    pictures of up to 20480 values to a convolution that is eight times slower than that of oneDNN.
    """

    def __init__(self, convolution: nn.Module, pool: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution
        self.pool = pool

    def forward(self, pictures: Tensor) -> Tensor:
        """Return maps ``(batch, channels, 32, n_frames // 2)`` of pictures ``(batch, 1, 64, n_frames)``."""
        n_frames = pictures.shape[3]
        maps: Tensor = self.pool(self.convolution(F.pad(pictures, (0, max(0, _ONEDNN_FRAMES - n_frames)))))
        return maps[..., : n_frames // 2]


def folded(network: Encoder) -> Encoder:
    """Return the same function for extraction alone, several times faster on a CPU; frozen.

    Batch normalisation is folded into the convolutions, maps are pooled before ReLU (both orders give the same),
    and a pixel's channels lie side by side in memory.
    """
    fast = Encoder(network.dim, network.channels)
    layers = []
    for conv, norm, activation, pool in zip(*[iter(network.features)] * 4, strict=True):
        layers += [fuse_conv_bn_eval(conv, norm), pool, activation]
    fast.features = nn.Sequential(FirstLayer(*layers[:2]), *layers[2:])
    fast.fc = network.fc
    for parameter in fast.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    return fast.eval().requires_grad_(False)


class ByolBackbone:
    """BYOL-S or BYOL-A over utterances, one at a time, so that none feels another's length; see `Backbone`.

    Outputs: ``frames``, every 80 ms, and ``vector``, their mean plus their maximum.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, network: Encoder, win_length: int, device: torch.device, precision: str) -> None:
        self.network = folded(network).to(device)
        self.device = device
        self.outputs = {
            "vector": Output("vector", network.dim, None, "activation"),
            "frames": Output("frames", network.dim, POOLING * HOP_LENGTH / SAMPLE_RATE, "activation"),
        }
        self.description = {
            "network": "AudioNTT2020",
            "n_mels": N_MELS,
            "win_length": win_length,
            "channels": network.channels,
            "dim": network.dim,
            "normalisation": "utterance",
        }
        self._autocast = autocast(device, precision)
        self._picture = LogMelPicture(win_length)
        self._statistics: PictureStatistics | None = None

    def measure(self, waveform: FloatArray) -> tuple[float, float]:
        """Return mean and deviation of an utterance's picture (ln power); see `StandardisedBackbone`."""
        return picture_statistics(self._picture(waveform))

    def standardised_by(self, mean: float, deviation: float) -> "ByolBackbone":
        """Return the same network, which standardises all pictures by these and not each by its own."""
        other = copy.copy(self)
        other._statistics = PictureStatistics(mean, deviation)
        other.description = {**self.description, "normalisation": "corpus"}
        return other

    @torch.inference_mode()
    def __call__(self, waveforms: Sequence[FloatArray], output: str) -> list[FloatArray]:
        """Return the vector ``(1, dim)`` or the frames ``(n_frames, dim)`` of each; see `Backbone`."""
        results = []
        for waveform in waveforms:
            picture = torch.from_numpy(standardise(self._picture(waveform), self._statistics))[None, None]
            with self._autocast():
                frames = self.network(picture.to(self.device)).float()
            results.append((frames[0] if output == "frames" else pool_frames(frames)).cpu().numpy())
        return results
