"""Log-mel filter banks: 40 bands, 0-8 kHz, every 10 ms (Wilf & Mower Provost, dynamic layer customisation).

The values are those of ``librosa.effects.preemphasis``, ``librosa.feature.melspectrogram`` and ``ln(mel + floor)``,
without librosa's import time and several times faster. Mean and variance are left as they are: they are
normalised in training, from the training part of a split.
"""

from collections.abc import Mapping
from typing import Any

from serflow.audio.mel import SAMPLE_RATE
from serflow.features._log_mel import LogMel
from serflow.features.base import merge_parameters

__all__ = ["DEFAULTS", "SAMPLE_RATE", "build"]

DEFAULTS = {
    "n_mels": 40,
    "n_fft": 2048,
    "hop_length": 160,
    "preemphasis": 0.97,
    "fmin": 0.0,
    "fmax": 8000.0,
    "floor": 1e-6,
}


def build(parameters: Mapping[str, Any]) -> LogMel:
    """Return log-mel bands with ``parameters`` in place of `DEFAULTS`; the window is as long as the transform.

    Raises
    ------
    ConfigError
        If a parameter is unknown, of the wrong type or out of its range.
    """
    merged = merge_parameters("mfb", DEFAULTS, parameters)
    return LogMel("mfb", "hann", win_length=merged["n_fft"], **merged)
