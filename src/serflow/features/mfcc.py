"""Mel-frequency cepstral coefficients: 40 of them, 25 ms every 10 ms, normalised per utterance (Wang et al. 2022).

The coefficients are those of ``librosa.feature.mfcc``: a Hann window, power in 128 mel bands in dB, at most 80 dB
below the loudest band of the utterance, and an orthonormal DCT-II. The paper says "librosa" and no more; normalising
each coefficient over the utterance (CMVN) is our reading.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from serflow.audio.mel import SAMPLE_RATE, MelSpectrogram, check_range
from serflow.features.base import FeatureInfo, FloatArray, merge_parameters
from serflow.rounding import rounding

DEFAULTS = {
    "n_mfcc": 40,
    "n_mels": 128,
    "n_fft": 512,
    "win_length": 400,
    "hop_length": 160,
    "fmin": 0.0,
    "fmax": 8000.0,
    "cmvn": True,
}

_TOP_DB = 80.0
"""What lies further below the loudest band of the utterance is raised to it; above it single precision suffices."""

_LOWEST_POWER = 1e-10
_DB_PER_NEPER = 10 / math.log(10)
"""dB of a power whose natural logarithm is 1."""

_TRANSFORM_ROUNDING_DB = 1e-2
"""What the rounding of a float32 transform moves coefficients by (dB), ten times what was seen (1e-3)."""


def dct_matrix(n_mfcc: int, n_mels: int) -> FloatArray:
    """Return the first ``n_mfcc`` functions of the orthonormal DCT-II as columns ``(n_mels, n_mfcc)``."""
    position = (np.arange(n_mels)[:, np.newaxis] + 0.5) / n_mels
    matrix = math.sqrt(2 / n_mels) * np.cos(np.pi * position * np.arange(n_mfcc))
    matrix[:, 0] /= math.sqrt(2)
    return matrix.astype(np.float32)


def normalise(frames: FloatArray, least: FloatArray) -> FloatArray:
    """Return ``frames`` with zero mean and unit variance in every column.

    Parameters
    ----------
    frames
        ``(n_frames, dim)``.
    least
        Deviations that are rounding, ``(dim,)``: a column that has no larger one becomes 0.
    """
    centred = frames.astype(np.float64)
    centred -= centred.mean(axis=0)
    deviation = np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(centred))
    centred *= np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > least)
    return centred.astype(np.float32)


class Mfcc:
    """Mel-frequency cepstral coefficients of a waveform.

    Parameters
    ----------
    n_mfcc
        Number of coefficients, from the zeroth on; at most ``n_mels``.
    n_mels, n_fft, win_length, hop_length, fmin, fmax
        Bands, transform, window and hop; see `MelSpectrogram`.
    cmvn
        Whether each coefficient is given zero mean and unit variance over the utterance.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.
    """

    def __init__(
        self,
        *,
        n_mfcc: int,
        n_mels: int,
        n_fft: int,
        win_length: int,
        hop_length: int,
        fmin: float,
        fmax: float,
        cmvn: bool,
    ) -> None:
        self.mel = MelSpectrogram(
            feature="mfcc",
            n_mels=n_mels,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            fmin=fmin,
            fmax=fmax,
            exact=False,
        )
        check_range("mfcc", "n_mfcc", n_mfcc, 1, n_mels)
        self.cmvn = cmvn
        units = "standard deviations" if cmvn else "dB"
        self.info = FeatureInfo("mfcc", SAMPLE_RATE, n_mfcc, hop_length / SAMPLE_RATE, "frames", units)
        self._dct = dct_matrix(n_mfcc, n_mels) * np.float32(_DB_PER_NEPER)
        # the logarithms lie within half the dynamic range about 0
        magnitudes = np.abs(self._dct).sum(axis=0) * np.float32(_TOP_DB / 2 / _DB_PER_NEPER)
        self._least = np.maximum(_TRANSFORM_ROUNDING_DB, rounding(magnitudes, n_mels))

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return coefficients ``(1 + n_samples // hop_length, n_mfcc)``; see `Feature`."""
        mel = self.mel(waveform)
        highest = max(float(mel.max()), _LOWEST_POWER)
        lowest = max(highest * 10 ** (-_TOP_DB / 10), _LOWEST_POWER)
        # logarithms about 0 keep the digits of the zeroth coefficient, their sum
        middle = math.sqrt(lowest * highest)
        np.maximum(mel, np.float32(lowest), out=mel)
        mel *= np.float32(1 / middle)
        frames: FloatArray = np.log(mel, out=mel) @ self._dct
        frames[:, 0] += np.float32(10 * math.log10(middle) * math.sqrt(self.mel.n_mels))
        return normalise(frames, self._least) if self.cmvn else frames


def build(parameters: Mapping[str, Any]) -> Mfcc:
    """Return MFCCs with ``parameters`` in place of `DEFAULTS`.

    Raises
    ------
    ConfigError
        If a parameter is unknown, of the wrong type or out of its range.
    """
    return Mfcc(**merge_parameters("mfcc", DEFAULTS, parameters))
