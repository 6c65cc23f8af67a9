"""Kaldi's framing, log energy, mel bands, cepstra and deltas, shared by the features that are built on them.

Formulas and constants are those of Kaldi's ``feat/feature-window.cc``, ``feat/mel-computations.cc``,
``feat/feature-mfcc.cc`` and ``feat/feature-functions.cc``, without dither. Samples have the scale of 16-bit integers.
"""

import math

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.fftpack
import scipy.ndimage

from serflow.audio.mel import SAMPLE_RATE, check_range
from serflow.audio.waveform import check_waveform
from serflow.errors import ConfigError
from serflow.features.base import FloatArray
from serflow.rounding import rounding

Float64Array = npt.NDArray[np.float64]

FULL_SCALE = np.float32(32768)
"""Kaldi's value of a sample that is 1 here."""

LOWEST_ENERGY = np.float32(np.finfo(np.float32).eps)
"""Energies, of a frame or of a mel band, are raised to this before the logarithm."""

_INEXACT_ENERGY = 1e-9
"""Below this share of the power of its samples, a frame's energy about its mean is lost in the difference of sums."""

_SINGLE_PRECISION_RANGE = 1e-5
"""In a band this far below the mean power of its frame (-50 dB) the rounding of a float32 FFT shows."""

_BLOCK_SAMPLES = 1 << 17
"""Samples transformed at once: enough to hide the cost of a call, few enough for work space of 0.5 MB."""

_LONGEST_FRAME_MS = 1000.0


class Framing:
    """Frames of a waveform as Kaldi cuts them: all lie inside it, the first starts at its first sample.

    A waveform shorter than a frame is continued by zeros to one frame (Kaldi gives none).

    Parameters
    ----------
    feature
        Name of the feature that errors name.
    frame_length_ms
        Length of a frame (ms).
    frame_shift_ms
        Time from one frame to the next (ms), at most a frame's length.

    Raises
    ------
    ConfigError
        If a length is out of its range.
    """

    def __init__(self, feature: str, frame_length_ms: float, frame_shift_ms: float) -> None:
        check_range(feature, "frame_length_ms", frame_length_ms, 1, _LONGEST_FRAME_MS)
        check_range(feature, "frame_shift_ms", frame_shift_ms, 1, frame_length_ms)
        self.length = int(SAMPLE_RATE * frame_length_ms / 1000)
        self.shift = int(SAMPLE_RATE * frame_shift_ms / 1000)
        self.hop_s = self.shift / SAMPLE_RATE

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of a waveform of ``n_samples``."""
        return 1 + max(0, n_samples - self.length) // self.shift

    def samples(self, waveform: FloatArray) -> Float64Array:
        """Return the samples ``(at least one frame,)`` in Kaldi's scale.

        Raises
        ------
        AudioError
            If the waveform is not one channel of float32, or is empty.
        """
        check_waveform(waveform)
        scaled = np.zeros(max(len(waveform), self.length))
        np.multiply(waveform, FULL_SCALE, out=scaled[: len(waveform)], dtype=np.float64)
        return scaled

    def frames(self, samples: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return overlapping frames ``(n_frames, length)``, a view of the samples."""
        step = samples.itemsize
        shape = (self.n_frames(len(samples)), self.length)
        return np.ndarray(shape, samples.dtype, samples, strides=(self.shift * step, step))

    def means_and_log_energies(self, samples: Float64Array) -> tuple[Float64Array, FloatArray]:
        """Return each frame's mean ``(n_frames,)``, and the logarithm of its energy about the mean ``(n_frames,)``.

        This is Kaldi's raw log energy: without the constant part, before pre-emphasis and window.
        """
        means = self._sums(samples) / self.length
        powers = self._sums(np.square(samples))
        energies = powers - self.length * np.square(means)
        inexact = np.flatnonzero(energies < _INEXACT_ENERGY * powers)
        if len(inexact):
            deviations = self.frames(samples)[inexact] - means[inexact, np.newaxis]
            energies[inexact] = np.square(deviations).sum(axis=1)
        return means, np.log(np.maximum(energies.astype(np.float32), LOWEST_ENERGY))

    def _sums(self, values: Float64Array) -> Float64Array:
        """Return the sum of each frame, from the sums of the pieces that neighbouring frames share."""
        piece = math.gcd(self.length, self.shift)
        pieces = values[: len(values) // piece * piece].reshape(-1, piece) @ np.ones(piece)
        windows = np.lib.stride_tricks.sliding_window_view(pieces, self.length // piece)
        sums: Float64Array = windows[:: self.shift // piece].sum(axis=1)
        return sums


def povey_window(length: int) -> Float64Array:
    """Return Povey's window ``(length,)``: a symmetric Hann window to the power of 0.85, zero at both ends."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))
    window: Float64Array = np.maximum(hann, 0) ** 0.85
    return window


def hz_to_mel(hz: npt.ArrayLike) -> Float64Array:
    """Return HTK's mel of a frequency, ``1127 ln(1 + f / 700)``."""
    return 1127 * np.log1p(np.asarray(hz, np.float64) / 700)


def mel_filters(n_mels: int, n_fft: int, low_hz: float, high_hz: float) -> Float64Array:
    """Return bands that are triangles of height 1 over mel.

    Returns
    -------
    Weights ``(n_mels, n_fft // 2 + 1)``; that of the Nyquist frequency is 0, as Kaldi leaves it out.
    """
    edges = np.linspace(hz_to_mel(low_hz), hz_to_mel(high_hz), n_mels + 2)
    mels = hz_to_mel(np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE))
    low, centre, high = (edges[start : n_mels + start, np.newaxis] for start in range(3))
    filters = np.maximum(0, np.minimum((mels - low) / (centre - low), (high - mels) / (high - centre)))
    filters[:, -1] = 0
    return filters


def cepstral_matrix(n_mfcc: int, n_mels: int, lifter: float) -> Float64Array:
    """Return the orthonormal DCT-II and the lifter ``1 + Q/2 sin(pi k / Q)`` as one matrix ``(n_mels, n_mfcc)``.

    ``lifter`` is Q; 0 lifts nothing.
    """
    order = np.arange(n_mfcc)
    position = (np.arange(n_mels)[:, np.newaxis] + 0.5) / n_mels
    matrix = math.sqrt(2 / n_mels) * np.cos(np.pi * position * order)
    matrix[:, 0] /= math.sqrt(2)
    if lifter:
        matrix *= 1 + lifter / 2 * np.sin(np.pi * order / lifter)
    return matrix


class Cepstra:
    """Mel-frequency cepstral coefficients, the first replaced by the raw log energy.

    An object keeps its work space between calls, so threads must not share one.

    Parameters
    ----------
    feature
        Name of the feature that errors name.
    framing
        How the waveform is cut; the Fourier transform is as long as the next power of two.
    n_mfcc, n_mels
        Number of coefficients, at most that of mel bands.
    low_hz, high_hz
        Lower edge of the first band and upper edge of the last (Hz).
    lifter
        Q of the lifter; 0 for none.
    preemphasis
        Coefficient of the first-order high-pass filter; 0 for none.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.
    """

    def __init__(
        self,
        *,
        feature: str,
        framing: Framing,
        n_mfcc: int,
        n_mels: int,
        low_hz: float,
        high_hz: float,
        lifter: float,
        preemphasis: float,
    ) -> None:
        check_range(feature, "n_mels", n_mels, 3, 1024)
        check_range(feature, "n_mfcc", n_mfcc, 1, n_mels)
        check_range(feature, "high_hz", high_hz, 1, SAMPLE_RATE / 2)
        check_range(feature, "low_hz", low_hz, 0, high_hz - 1)
        check_range(feature, "lifter", lifter, 0, 1000)
        check_range(feature, "preemphasis", preemphasis, 0, 1)
        self.framing = framing
        self.preemphasis = preemphasis
        self.n_fft = 1 << (framing.length - 1).bit_length()
        self.window = povey_window(framing.length)
        self.filters = mel_filters(n_mels, self.n_fft, low_hz, high_hz)
        if not self.filters.any(axis=1).all():
            raise ConfigError(
                f"feature {feature}: n_mels {n_mels} leaves bands without a bin of a transform of {self.n_fft} "
                "samples; lower n_mels or raise frame_length_ms"
            )
        self.cepstral = cepstral_matrix(n_mfcc, n_mels, lifter).astype(np.float32)
        self._block = max(1, _BLOCK_SAMPLES // self.n_fft)
        self._window32 = self.window.astype(np.float32)
        # for the squares of real 0, real 1, imaginary 1, real 2, ..., real n_fft / 2
        self._filters32 = np.ascontiguousarray(np.repeat(self.filters, 2, axis=1)[:, 1:-1].T, np.float32)
        self._work = np.empty((self._block, self.n_fft), np.float32)

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return cepstra ``(n_frames, n_mfcc)`` float32 of a waveform.

        Raises
        ------
        AudioError
            If the waveform is not one channel of float32, or is empty.
        """
        samples = self.framing.samples(waveform)
        means, log_energies = self.framing.means_and_log_energies(samples)
        mel = self._mel(samples, means)
        silent = mel.max() == LOWEST_ENERGY
        cepstra: FloatArray = np.log(mel, out=mel) @ self.cepstral
        if silent:  # the same in every band, so that all functions but the first cancel
            cepstra[:] = 0
        cepstra[:, 0] = log_energies
        return cepstra

    def _mel(self, samples: Float64Array, means: Float64Array) -> FloatArray:
        """Return the power in mel bands ``(n_frames, n_mels)``, at least `LOWEST_ENERGY`."""
        # Pre-emphasis comes before the frames are cut and their means are taken away: the constant part of a frame is
        # then the difference of two equal numbers. Only a frame's first sample differs, and the window is 0 there.
        emphasised = samples.copy()
        emphasised[1:] -= self.preemphasis * samples[:-1]
        offsets = (means - self.preemphasis * means)[:, np.newaxis]
        frames = self.framing.frames(emphasised.astype(np.float32))
        mel = np.empty((len(frames), self.filters.shape[0]), np.float32)
        total = np.empty(len(frames), np.float32)
        offsets32 = offsets.astype(np.float32)
        for start in range(0, len(frames), self._block):
            block = slice(start, start + self._block)
            windowed = self._work[: len(frames[block])]
            inside = windowed[:, : self.framing.length]
            np.subtract(frames[block], offsets32[block], out=inside)
            inside *= self._window32
            windowed[:, self.framing.length :] = 0
            parts = scipy.fftpack.rfft(windowed, overwrite_x=True)
            np.square(parts, out=parts)
            np.matmul(parts, self._filters32, out=mel[block])
            np.sum(parts, axis=1, out=total[block])
        inexact = np.flatnonzero(mel.min(axis=1) < _SINGLE_PRECISION_RANGE * total / self.n_fft)
        for start in range(0, len(inexact), self._block):
            rows = inexact[start : start + self._block]
            windowed64 = (self.framing.frames(emphasised)[rows] - offsets[rows]) * self.window
            mel[rows] = np.square(np.abs(scipy.fft.rfft(windowed64, self.n_fft))) @ self.filters.T
        return np.maximum(mel, LOWEST_ENERGY, out=mel)


def delta_filters(order: int, window: int) -> list[Float64Array]:
    """Return the filters of Kaldi's deltas of order 0 to ``order``, each centred on its frame.

    That of order 1 is the regression ``j / sum(j^2)`` over ``-window..window``; each further one is the one before
    it convolved with that of order 1, so order 2 of window 2 has 9 taps.
    """
    slope = np.arange(-window, window + 1) / np.sum(np.square(np.arange(-window, window + 1)))
    filters = [np.ones(1)]
    for _ in range(order):
        filters.append(np.convolve(filters[-1], slope))
    return filters


def add_deltas(frames: FloatArray, order: int, window: int) -> FloatArray:
    """Append deltas of order 1 to ``order`` to frames.

    Each order is filtered from the frames themselves, the first and the last repeated beyond the ends. At the
    ends that differs from deltas of deltas.

    Parameters
    ----------
    frames
        ``(n_frames, dim)``.
    order
        How many times the frames are differentiated; 0 returns them as they are.
    window
        Frames to each side that a slope is fitted to.

    Returns
    -------
    ``(n_frames, (order + 1) * dim)`` float32: the frames, their deltas, the deltas of those. Those of what does not
    change are 0.
    """
    constant = np.ptp(frames, axis=0) <= rounding(np.abs(frames).max())
    filtered = [
        scipy.ndimage.correlate1d(frames, taps, axis=0, mode="nearest") for taps in delta_filters(order, window)[1:]
    ]
    for deltas in filtered:
        deltas[:, constant] = 0
    return np.concatenate([frames, *filtered], axis=1)
