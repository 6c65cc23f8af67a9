"""Mel power of framed audio, shared by the features that are built on it.

The values are those of ``librosa.feature.melspectrogram`` (Slaney's mel scale, filters of unit area, frames centred
and continued by zeros), without librosa's import time and several times faster.
"""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from serflow.audio.waveform import FloatArray, check_waveform
from serflow.errors import ConfigError

SAMPLE_RATE = 16_000

_BLOCK_SAMPLES = 1 << 19
"""Samples transformed at once: enough to hide the cost of a call, few enough for work space of 2 MB."""

_GROUPED_BANDS = 8
"""Bands are weighted in groups of so many neighbours, each from the columns that it touches: a vector of AVX2."""

_SINGLE_PRECISION_RANGE = 3e-7
"""In a band this far below the mean power of its frame (-65 dB) the rounding of a float32 FFT shows."""

_MEL_BREAK_HZ = 1000.0
_MELS_PER_HZ = 3 / 200
_MELS_PER_LOG_HZ = 27 / math.log(6.4)

_WINDOWS = {"hann": 0.5, "hamming": 0.54}
"""First coefficient a of the periodic window a - (1 - a) cos(2 pi n / length)."""


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


def mel_edges(n_mels: int, fmin: float, fmax: float) -> npt.NDArray[np.float64]:
    """Return the edges (Hz) ``(n_mels + 2,)`` of mel bands from ``fmin`` to ``fmax``, evenly spaced in mel.

    Band i rises from edge i to its centre, edge i + 1, and falls to edge i + 2.
    """
    return np.array([mel_to_hz(mel) for mel in np.linspace(hz_to_mel(fmin), hz_to_mel(fmax), n_mels + 2)])


def warped_edges(edges_hz: npt.NDArray[np.float64], warp: float) -> npt.NDArray[np.float64]:
    """Return frequencies moved by the bilinear warping of the vocal tract's length.

    A frequency w (rad) goes to ``w + 2 atan(a sin w / (1 - a cos w))``. 0 Hz and 8 kHz stay where they are; those
    between rise where a is positive and fall where it is negative, and their order is kept.

    Parameters
    ----------
    edges_hz
        Frequencies (Hz) in 0..8000.
    warp
        a, between -1 and 1 (not included); 0 returns the frequencies as they are.

    Raises
    ------
    ValueError
        If ``warp`` is out of its range.
    """
    if not -1 < warp < 1:
        raise ValueError(f"warp is {warp}, not between -1 and 1")
    if warp == 0:
        return edges_hz.copy()
    nyquist = SAMPLE_RATE / 2
    angle = np.pi * edges_hz / nyquist
    moved: npt.NDArray[np.float64] = edges_hz + 2 * nyquist / np.pi * np.arctan(
        warp * np.sin(angle) / (1 - warp * np.cos(angle))
    )
    return np.clip(moved, 0, nyquist)


def mel_filters(edges_hz: npt.NDArray[np.float64], n_fft: int) -> FloatArray:
    """Return triangular filters of unit area (Slaney, Auditory Toolbox, Interval report 1998-010).

    Parameters
    ----------
    edges_hz
        Edges ``(n_mels + 2,)`` in rising order, of `mel_edges` or `warped_edges`.
    n_fft
        Length of the Fourier transform in samples at 16 kHz.

    Returns
    -------
    Weights ``(n_mels, 1 + n_fft // 2)``; all zero for a band so narrow that no bin of the transform lies in it.
    """
    bins = np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE)
    low, centre, high = (edges_hz[start : len(edges_hz) - 2 + start, np.newaxis] for start in range(3))
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    filters: FloatArray = (np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)).astype(np.float32)
    return filters


def pre_emphasise(waveform: FloatArray, coefficient: float, out: FloatArray) -> None:
    """Write ``y[n] = x[n] - coefficient * x[n-1]`` to ``out``, as ``librosa.effects.preemphasis`` does.

    Its filter starts from the state ``2 x[0] - x[1]``; a single sample counts as followed by its like.
    """
    np.multiply(waveform[:-1], np.float32(-coefficient), out=out[1:])
    out[1:] += waveform[1:]
    out[0] = waveform[0] + (2 * waveform[0] - waveform[min(1, len(waveform) - 1)])


def check_range(feature: str, key: str, value: float, lowest: float, highest: float) -> None:
    """Refuse a parameter that is not between ``lowest`` and ``highest`` (both included).

    Raises
    ------
    ConfigError
        Naming the feature and the parameter.
    """
    if not lowest <= value <= highest:
        raise ConfigError(f"feature {feature}: {key} is {value}, not between {lowest:g} and {highest:g}")


class MelSpectrogram:
    """Mel power of a waveform: pre-emphasis, window, power spectrum, triangular bands.

    Frames are centred every ``hop_length`` samples, the waveform continued by zeros. An object keeps its work
    space between calls, so threads must not share one.

    Parameters
    ----------
    feature
        Name of the feature that errors name.
    n_mels
        Number of bands.
    n_fft
        Length of the Fourier transform (samples at 16 kHz).
    win_length
        Length of the window (samples), at most ``n_fft``; it lies in the middle of the transform.
    hop_length
        Samples from one frame to the next.
    fmin, fmax
        Lower edge of the first band and upper edge of the last (Hz).
    window
        ``hann`` or ``hamming``, periodic.
    preemphasis
        Coefficient of the first-order high-pass filter before the transform; 0 for none.
    floor
        Power added to every band.
    warp
        Warping of the bands' edges; see `warped_edges`.
    exact
        Whether frames in which a band lies too far below the rest for single precision (a relative error of 1e-4)
        are computed again in double. A feature that clips its dynamic range has no need of it.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.
    """

    def __init__(
        self,
        *,
        feature: str,
        n_mels: int,
        n_fft: int,
        win_length: int,
        hop_length: int,
        fmin: float,
        fmax: float,
        window: Literal["hann", "hamming"] = "hann",
        preemphasis: float = 0.0,
        floor: float = 0.0,
        warp: float = 0.0,
        exact: bool = True,
    ) -> None:
        check_range(feature, "n_fft", n_fft, 16, 1 << 16)
        check_range(feature, "n_mels", n_mels, 1, n_fft // 2)
        if n_fft % 2:
            raise ConfigError(f"feature {feature}: n_fft is {n_fft}, not an even number")
        check_range(feature, "win_length", win_length, 2, n_fft)
        check_range(feature, "hop_length", hop_length, 1, win_length)
        check_range(feature, "preemphasis", preemphasis, 0, 1)
        check_range(feature, "fmax", fmax, 1, SAMPLE_RATE / 2)
        check_range(feature, "fmin", fmin, 0, fmax - 1)
        check_range(feature, "floor", floor, 0, 1)
        if not -1 < warp < 1:
            raise ConfigError(f"feature {feature}: warp is {warp}, not between -1 and 1")
        self.n_mels = n_mels
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.preemphasis = preemphasis
        self.floor = np.float32(floor)
        self.filters = mel_filters(warped_edges(mel_edges(n_mels, fmin, fmax), warp), n_fft)
        if not self.filters.any(axis=1).all():
            raise ConfigError(
                f"feature {feature}: n_mels {n_mels} leaves bands without a bin of n_fft {n_fft}; "
                "lower n_mels or raise n_fft"
            )
        constant = _WINDOWS[window]
        self.window = constant - (1 - constant) * np.cos(2 * np.pi * np.arange(win_length) / win_length)
        self._exact = exact
        self._block = max(1, _BLOCK_SAMPLES // n_fft)
        self._groups = _band_groups(_half_complex(self.filters))
        self._window32 = self.window.astype(np.float32)
        self._mean = np.full(n_fft, 1 / (1 + n_fft // 2), np.float32)
        self._work = np.empty((self._block, n_fft), np.float32)

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return mel power plus floor of a waveform.

        Parameters
        ----------
        waveform
            Samples ``(n_samples,)``, float32 in -1..1, at 16 kHz.

        Returns
        -------
        Frames ``(1 + n_samples // hop_length, n_mels)`` float32.

        Raises
        ------
        AudioError
            If the waveform is not one channel of float32, or is empty.
        """
        check_waveform(waveform)
        frames = self._frames(waveform)
        mel = np.empty((len(frames), self.n_mels), np.float32)
        for start in range(0, len(frames), self._block):
            block = slice(start, start + self._block)
            self._transform(frames[block], mel[block])
        return mel

    def _frames(self, waveform: FloatArray) -> FloatArray:
        """Return the overlapping frames ``(n_frames, win_length)`` of the waveform with zeros at both ends."""
        margin = self.n_fft // 2 - (self.n_fft - self.win_length) // 2
        padded = np.zeros(len(waveform) + self.win_length, np.float32)
        inside = padded[margin : margin + len(waveform)]
        if self.preemphasis:
            pre_emphasise(waveform, self.preemphasis, inside)
        else:
            inside[:] = waveform
        shape = (1 + len(waveform) // self.hop_length, self.win_length)
        return np.ndarray(shape, np.float32, padded, strides=(self.hop_length * padded.itemsize, padded.itemsize))

    def _transform(self, frames: FloatArray, mel: FloatArray) -> None:
        """Write mel power plus floor of ``frames`` ``(n_frames, win_length)`` to ``mel``."""
        # trainings read filters and constants here, and have no need of it
        import scipy.fftpack

        # scipy.fftpack transforms in place, and squares of real and imaginary parts are weighted as they lie: a tenth
        # less time than scipy.fft, abs and square. A shift does not change the power: the window stands at the start.
        windowed = self._work[: len(frames)]
        np.einsum("ij,j->ij", frames, self._window32, out=windowed[:, : self.win_length])
        windowed[:, self.win_length :] = 0
        parts = scipy.fftpack.rfft(windowed, overwrite_x=True)
        np.square(parts, out=parts)
        self._weigh(parts, mel)
        if self._exact:
            too_low = mel < (_SINGLE_PRECISION_RANGE * (parts @ self._mean))[:, np.newaxis]
            if too_low.any():
                inexact = too_low.any(axis=1)
                exact_parts = scipy.fftpack.rfft(frames[inexact] * self.window, self.n_fft)
                exact_mel = np.empty((len(exact_parts), self.n_mels), np.float32)
                self._weigh(np.square(exact_parts).astype(np.float32), exact_mel)
                mel[inexact] = exact_mel

    def _weigh(self, parts: FloatArray, mel: FloatArray) -> None:
        """Write the bands of the squares of real and imaginary parts, plus floor, to ``mel``."""
        for bands, columns, weights in self._groups:
            np.matmul(parts[:, columns], weights, out=mel[:, bands])
        mel += self.floor


def _half_complex(filters: FloatArray) -> FloatArray:
    """Return ``filters`` for the squares of real 0, real 1, imaginary 1, real 2, ..., real ``n_fft // 2``."""
    return np.repeat(filters, 2, axis=1)[:, 1:-1]


def _band_groups(filters: FloatArray) -> list[tuple[slice, slice, FloatArray]]:
    """Return bands, columns and weights ``(n_columns, n_bands)`` of groups of neighbouring bands."""
    groups = []
    for start in range(0, len(filters), _GROUPED_BANDS):
        bands = slice(start, start + _GROUPED_BANDS)
        touched = np.flatnonzero(filters[bands].any(axis=0))
        columns = slice(int(touched[0]), int(touched[-1]) + 1)
        groups.append((bands, columns, np.ascontiguousarray(filters[bands, columns].T)))
    return groups
