"""Allosaurus's input: Kaldi-like MFCCs normalised per utterance, three frames side by side, every third kept.

Formulas and constants as allosaurus 1.0.2 computes them (its ``pm`` package, after Kaldi): samples at the scale of
16-bit integers, offset removed and pre-emphasis per frame, Povey window, power spectrum, triangular bands evenly
spaced in 1127 ln(1 + f / 700), logarithm, orthonormal DCT, lifter of 22. Two things are defined here that are not
there: no dither (allosaurus has switched its own off), and results where it gives NaN.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from serflow.audio.waveform import FloatArray, is_constant
from serflow.backbones._checkpoint import weights_error
from serflow.rounding import rounding

Float64Array = npt.NDArray[np.float64]

_FULL_SCALE = 32768.0
_PREEMPHASIS = 0.97
_LIFTER = 22
_LOWEST_POWER = float(np.finfo(np.float64).eps)
_STACK = 3
_INEXACT_VARIANCE = 1e-4
"""Below this share of the mean square, the difference of both that is the variance has lost too many digits."""


@dataclass(frozen=True, slots=True)
class FrontEndOptions:
    """``pm_config.json``: lengths in s, frequencies in Hz."""

    sample_rate: int
    window_size: float
    window_shift: float
    feature_window: int
    cmvn: str
    cep_size: int
    bank_size: int
    low_freq: float
    high_freq: float
    use_energy: bool

    @classmethod
    def read(cls, path: Path, content: Mapping[str, Any]) -> "FrontEndOptions":
        """Take the options from a model's configuration.

        Raises
        ------
        WeightsError
            If one is missing, or the front end is another than ``mfcc_hires``.
        """
        if content.get("model") != "mfcc_hires":
            raise weights_error(path, "allosaurus", f"is for {content.get('model')}; only mfcc_hires is read")
        missing = [name for name in cls.__dataclass_fields__ if name not in content]
        if missing:
            raise weights_error(path, "allosaurus", f"has no entry {missing[0]}")
        options = cls(**{name: content[name] for name in cls.__dataclass_fields__})
        if options.feature_window not in (1, _STACK) or options.cep_size > options.bank_size:
            raise weights_error(
                path, "allosaurus", "asks for feature_window other than 1 or 3, or cep_size > bank_size"
            )
        return options


class FrontEnd:
    """Waveforms to the frames that the network takes.

    Parameters
    ----------
    options
        Those of the model.
    """

    def __init__(self, options: FrontEndOptions) -> None:
        self.options = options
        self.length = round(options.window_size * options.sample_rate)
        self.shift = round(options.window_shift * options.sample_rate)
        self.dim = options.cep_size * options.feature_window
        self.hop_s = options.window_shift * options.feature_window
        self._n_fft = 1 << (self.length - 1).bit_length()
        angle = 2 * np.pi / (self.length - 1) * np.arange(self.length)
        self._window = ((0.5 - 0.5 * np.cos(angle)) ** 0.85).astype(np.float32)
        self._bands = self._mel_bands().astype(np.float32)
        coefficient = np.arange(options.cep_size)
        lifter = 1 + _LIFTER / 2 * np.sin(np.pi * coefficient / _LIFTER)
        cosines = scipy.fft.dct(np.eye(options.bank_size), axis=1, norm="ortho")[:, : options.cep_size]
        self._cepstra = (cosines * lifter).astype(np.float32)
        self._magnitudes = np.abs(self._cepstra).sum(axis=0)

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return the network's input.

        Parameters
        ----------
        waveform
            Samples ``(n_samples,)`` in -1..1 at the model's rate; what is shorter than three frames is continued by
            zeros.

        Returns
        -------
        Frames ``(n_frames, dim)`` float32. A coefficient that does not vary in the utterance but for rounding is 0, so
        all of a constant waveform are.
        """
        shortest = self.length + (self.options.feature_window - 1) * self.shift
        samples = np.pad(waveform, (0, max(0, shortest - len(waveform)))) * np.float32(_FULL_SCALE)
        if is_constant(waveform):
            samples[:] = 0
        log_mel, log_energies = self._log_powers(samples)
        cepstra = log_mel @ self._cepstra
        scale = np.abs(log_mel).max() * self._magnitudes
        if log_energies is not None:
            cepstra[:, 0] = log_energies
            scale[0] = np.abs(log_energies).max()
        if self.options.cmvn == "speaker":
            cepstra = normalise(cepstra, rounding(scale, self.options.bank_size))
        return _stack(cepstra) if self.options.feature_window == _STACK else cepstra

    def _log_powers(self, samples: FloatArray) -> tuple[FloatArray, FloatArray | None]:
        """Return the logarithms of mel powers ``(n_frames, bank_size)`` and, where they are asked for, of energies.

        ``samples`` are at the scale of 16-bit integers.
        """
        n_frames = 1 + (len(samples) - self.length) // self.shift
        strides = (self.shift * samples.itemsize, samples.itemsize)
        frames = np.array(np.ndarray((n_frames, self.length), np.float32, samples, strides=strides))
        frames -= frames.mean(axis=1, keepdims=True)
        padded = np.zeros((n_frames, self._n_fft), np.float32)
        emphasised = padded[:, : self.length]
        np.multiply(frames[:, :-1], np.float32(-_PREEMPHASIS), out=emphasised[:, 1:])
        emphasised[:, 1:] += frames[:, 1:]
        np.multiply(frames[:, 0], np.float32(1 - _PREEMPHASIS), out=emphasised[:, 0])
        emphasised *= self._window
        power = np.square(np.abs(scipy.fft.rfft(padded, overwrite_x=True)))
        log_mel = np.log(_above_zero(power @ self._bands))
        if not self.options.use_energy:
            return log_mel, None
        return log_mel, np.log(_above_zero(np.square(frames, dtype=np.float64).sum(axis=1))).astype(np.float32)

    def _mel_bands(self) -> Float64Array:
        """Return triangular bands ``(1 + n_fft // 2, bank_size)``; the bin at the Nyquist frequency is in none."""
        options = self.options
        high = options.high_freq or options.sample_rate / 2
        high = options.sample_rate / 2 + high if high < 0 else high
        edges = np.linspace(_mel(options.low_freq), _mel(high), options.bank_size + 2)
        bins = _mel(np.arange(self._n_fft // 2) * options.sample_rate / self._n_fft)[:, np.newaxis]
        low, centre, top = edges[:-2], edges[1:-1], edges[2:]
        bands = np.maximum(0, np.minimum((bins - low) / (centre - low), (top - bins) / (top - centre)))
        return np.concatenate([bands, np.zeros((1, options.bank_size))])


def _mel(hz: Any) -> Any:
    return 1127 * np.log(1 + hz / 700)


def _above_zero(power: Float64Array) -> Float64Array:
    return np.where(power == 0, _LOWEST_POWER, power)


def normalise(cepstra: FloatArray, least: FloatArray) -> FloatArray:
    """Return each coefficient with mean 0 and deviation 1 over the utterance.

    Parameters
    ----------
    cepstra
        ``(n_frames, cep_size)``.
    least
        Differences that are rounding, ``(cep_size,)``: a coefficient that varies by no more becomes 0.
    """
    varies = np.ptp(cepstra, axis=0) > least
    mean = cepstra.sum(axis=0) / len(cepstra)
    mean_square = (cepstra * cepstra).sum(axis=0) / len(cepstra)
    variance = mean_square - mean * mean
    clear = varies & (variance > _INEXACT_VARIANCE * mean_square)
    normalised = np.where(clear, (cepstra - mean) / np.sqrt(np.where(clear, variance, 1)), 0).astype(np.float32)
    faint = varies & ~clear
    values = cepstra[:, faint].astype(np.float64)
    normalised[:, faint] = (values - values.mean(axis=0)) / values.std(axis=0)
    return normalised


def _stack(frames: FloatArray) -> FloatArray:
    """Return every third frame between its neighbours ``(ceil(n / 3), 3 * dim)``; the ends are each other's neighbours.

    The network was trained with that wrapping.
    """
    places = np.arange(0, len(frames), _STACK)
    around = (places[:, np.newaxis] + np.array([-1, 0, 1])) % len(frames)
    stacked: FloatArray = frames[around].reshape(math.ceil(len(frames) / _STACK), -1)
    return stacked
