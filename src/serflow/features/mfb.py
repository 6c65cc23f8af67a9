"""Log-mel filter banks: 40 bands, 0-8 kHz, every 10 ms (Wilf & Mower Provost, dynamic layer customisation).

The values are those of ``librosa.effects.preemphasis``, ``librosa.feature.melspectrogram`` and ``ln(mel + floor)``,
without librosa's import time and several times faster. Mean and variance are left as they are: they are
normalised in training, from the training part of a split.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.fft

from serflow.errors import ConfigError
from serflow.features.base import FeatureInfo, FloatArray, check_waveform, merge_parameters

SAMPLE_RATE = 16_000
DEFAULTS = {
    "n_mels": 40,
    "n_fft": 2048,
    "hop_length": 160,
    "preemphasis": 0.97,
    "fmin": 0.0,
    "fmax": 8000.0,
    "floor": 1e-6,
}

_BLOCK = 256
"""Frames transformed at once: enough to hide the cost of a call, few enough for work space of 3 MB."""

_BAND_GROUPS = 4
"""Bands are weighted in groups of neighbours, each from the bins that it touches."""

_SINGLE_PRECISION_RANGE = 3e-7
"""In a band this far below the mean power of its frame (-65 dB) the rounding of a float32 FFT shows."""

_MEL_BREAK_HZ = 1000.0
_MELS_PER_HZ = 3 / 200
_MELS_PER_LOG_HZ = 27 / math.log(6.4)


def hz_to_mel(hz: float) -> float:
    """Return Slaney's mel of a frequency: linear up to 1 kHz, logarithmic above (Auditory Toolbox, 1998)."""
    if hz < _MEL_BREAK_HZ:
        return hz * _MELS_PER_HZ
    return _MEL_BREAK_HZ * _MELS_PER_HZ + math.log(hz / _MEL_BREAK_HZ) * _MELS_PER_LOG_HZ


def mel_to_hz(mel: float) -> float:
    """Return the frequency (Hz) of Slaney's mel; the inverse of `hz_to_mel`."""
    break_mel = _MEL_BREAK_HZ * _MELS_PER_HZ
    if mel < break_mel:
        return mel / _MELS_PER_HZ
    return _MEL_BREAK_HZ * math.exp((mel - break_mel) / _MELS_PER_LOG_HZ)


def mel_filters(n_mels: int, n_fft: int, fmin: float, fmax: float) -> FloatArray:
    """Return triangular mel filters of unit area (Slaney, Auditory Toolbox, Interval report 1998-010).

    Parameters
    ----------
    n_mels
        Number of bands.
    n_fft
        Length of the Fourier transform in samples at 16 kHz.
    fmin, fmax
        Lower edge of the first band and upper edge of the last (Hz).

    Returns
    -------
    Weights ``(n_mels, 1 + n_fft // 2)``.

    Raises
    ------
    ConfigError
        If a band is so narrow that no bin of the transform lies in it.
    """
    edges = np.array([mel_to_hz(mel) for mel in np.linspace(hz_to_mel(fmin), hz_to_mel(fmax), n_mels + 2)])
    bins = np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE)
    low, centre, high = (edges[start : start + n_mels, np.newaxis] for start in range(3))
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    filters: FloatArray = (np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)).astype(np.float32)
    if not filters.any(axis=1).all():
        raise ConfigError(
            f"feature mfb: n_mels {n_mels} leaves bands without a bin of n_fft {n_fft}; lower n_mels or raise n_fft"
        )
    return filters


def pre_emphasise(waveform: FloatArray, coefficient: float, out: FloatArray) -> None:
    """Write ``y[n] = x[n] - coefficient * x[n-1]`` to ``out``, as ``librosa.effects.preemphasis`` does.

    Its filter starts from the state ``2 x[0] - x[1]``; a single sample counts as followed by its like.
    """
    np.multiply(waveform[:-1], np.float32(-coefficient), out=out[1:])
    out[1:] += waveform[1:]
    out[0] = waveform[0] + (2 * waveform[0] - waveform[min(1, len(waveform) - 1)])


class LogMel:
    """Log-mel frames of a waveform: pre-emphasis, Hann window, power spectrum, mel bands, natural logarithm.

    Frames are centred every ``hop_length`` samples, the waveform continued by zeros. An object keeps its work
    space between calls, so threads must not share one.

    Parameters
    ----------
    n_mels
        Number of bands.
    n_fft
        Length of window and Fourier transform (samples at 16 kHz).
    hop_length
        Samples from one frame to the next.
    preemphasis
        Coefficient of the first-order high-pass filter before the transform.
    fmin, fmax
        Lower edge of the first band and upper edge of the last (Hz).
    floor
        Power added to every band before the logarithm.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.
    """

    def __init__(
        self, n_mels: int, n_fft: int, hop_length: int, preemphasis: float, fmin: float, fmax: float, floor: float
    ) -> None:
        _check_range("n_fft", n_fft, 16, 1 << 16)
        _check_range("n_mels", n_mels, 1, n_fft // 2)
        if n_fft % 2:
            raise ConfigError(f"feature mfb: n_fft is {n_fft}, not an even number")
        _check_range("hop_length", hop_length, 1, n_fft)
        _check_range("preemphasis", preemphasis, 0, 1)
        _check_range("fmax", fmax, 1, SAMPLE_RATE / 2)
        _check_range("fmin", fmin, 0, fmax - 1)
        _check_range("floor", floor, 1e-30, 1)
        self.info = FeatureInfo("mfb", SAMPLE_RATE, n_mels, hop_length / SAMPLE_RATE, "frames", "ln power")
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.preemphasis = preemphasis
        self.floor = np.float32(floor)
        self.filters = mel_filters(n_mels, n_fft, fmin, fmax)
        self.window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
        self._groups = _band_groups(self.filters)
        self._window32 = self.window.astype(np.float32)
        self._mean = np.full(1 + n_fft // 2, 1 / (1 + n_fft // 2), np.float32)
        self._windowed = np.empty((_BLOCK, n_fft), np.float32)
        self._power = np.empty((_BLOCK, 1 + n_fft // 2), np.float32)

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return log-mel frames ``(1 + n_samples // hop_length, n_mels)``; see `Feature`."""
        check_waveform(waveform)
        margin = self.n_fft // 2
        padded = np.zeros(len(waveform) + 2 * margin, np.float32)
        pre_emphasise(waveform, self.preemphasis, padded[margin : margin + len(waveform)])
        shape = (1 + len(waveform) // self.hop_length, self.n_fft)
        frames = np.ndarray(shape, np.float32, padded, strides=(self.hop_length * padded.itemsize, padded.itemsize))
        mel = np.empty((len(frames), self.info.dim), np.float32)
        for start in range(0, len(frames), _BLOCK):
            block = slice(start, start + _BLOCK)
            self._mel(frames[block], mel[block])
        return np.log(mel, out=mel)

    def _mel(self, frames: FloatArray, mel: FloatArray) -> None:
        """Write mel power plus floor of ``frames`` ``(n_frames, n_fft)`` to ``mel``.

        Frames in which a band lies too far below the rest for single precision are computed again in double.
        """
        windowed = np.multiply(frames, self._window32, out=self._windowed[: len(frames)])
        power = np.abs(scipy.fft.rfft(windowed), out=self._power[: len(frames)])
        np.square(power, out=power)
        for bands, bins, weights in self._groups:
            np.matmul(power[:, bins], weights, out=mel[:, bands])
        mel += self.floor
        inexact = mel.min(axis=1) < _SINGLE_PRECISION_RANGE * (power @ self._mean)
        if inexact.any():
            spectrum = scipy.fft.rfft(frames[inexact] * self.window)
            mel[inexact] = np.square(np.abs(spectrum)).astype(np.float32) @ self.filters.T + self.floor


def _band_groups(filters: FloatArray) -> list[tuple[slice, slice, FloatArray]]:
    """Return bands, bins and weights ``(n_bins, n_bands)`` of groups of neighbouring bands."""
    groups = []
    for bands in np.array_split(np.arange(len(filters)), min(_BAND_GROUPS, len(filters))):
        touched = np.flatnonzero(filters[bands].any(axis=0))
        bins = slice(int(touched[0]), int(touched[-1]) + 1)
        weights = np.ascontiguousarray(filters[bands, bins].T)
        groups.append((slice(int(bands[0]), int(bands[-1]) + 1), bins, weights))
    return groups


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise ConfigError(f"feature mfb: {name} is {value}, not between {lowest:g} and {highest:g}")


def build(parameters: Mapping[str, Any]) -> LogMel:
    """Return log-mel bands with ``parameters`` in place of `DEFAULTS`.

    Raises
    ------
    ConfigError
        If a parameter is unknown, of the wrong type or out of its range.
    """
    return LogMel(**merge_parameters("mfb", DEFAULTS, parameters))
