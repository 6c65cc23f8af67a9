"""Logarithm of mel power, shared by the features that are that."""

from typing import Any, Literal

import numpy as np

from serflow.audio.mel import SAMPLE_RATE, MelSpectrogram, check_range
from serflow.features.base import FeatureInfo, FloatArray


class LogMel:
    """Natural logarithm of `MelSpectrogram`, as a feature.

    Parameters
    ----------
    feature
        Name of the feature.
    window
        ``hann`` or ``hamming``.
    parameters
        Those of `MelSpectrogram`; ``floor`` is above 0, so that silence has a logarithm.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.
    """

    def __init__(
        self, feature: str, window: Literal["hann", "hamming"], *, floor: float, hop_length: int, **parameters: Any
    ) -> None:
        check_range(feature, "floor", floor, 1e-30, 1)
        self.mel = MelSpectrogram(feature=feature, window=window, floor=floor, hop_length=hop_length, **parameters)
        self.info = FeatureInfo(feature, SAMPLE_RATE, self.mel.n_mels, hop_length / SAMPLE_RATE, "frames", "ln power")

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return log-mel frames ``(1 + n_samples // hop_length, n_mels)``; see `Feature`."""
        mel = self.mel(waveform)
        return np.log(mel, out=mel)
