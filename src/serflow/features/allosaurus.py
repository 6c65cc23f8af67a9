"""States of Allosaurus's last BLSTM layer, or its logits of phones, every 30 ms (Li et al., ICASSP 2020).

``output``
    ``blstm``: 640 columns in the release; ``phones``: a column a phone.

Audio is brought to the model's sampling rate with soxr (HQ); the package allosaurus does so with resampy, which is
slower by far, so values differ a little. What is shorter than three frames is continued by zeros.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import soxr

from serflow.audio.waveform import check_waveform
from serflow.backbones.base import Backbone
from serflow.features._network import NetworkOutput
from serflow.features.base import FloatArray, merge_parameters

SAMPLE_RATE = 16_000
DEFAULTS = {"output": "blstm"}


class Allosaurus:
    """An output of Allosaurus of 16 kHz audio; see `BatchFeature`."""

    def __init__(self, backbone: Backbone, output: str) -> None:
        self._network = NetworkOutput("allosaurus", backbone, output)
        self._rate = backbone.sample_rate
        self.info = replace(self._network.info, sample_rate=SAMPLE_RATE)

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return the output ``(n_frames, dim)`` for one utterance; see `Feature`."""
        return self.batch([waveform])[0]

    def batch(self, waveforms: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the output for each of several utterances; see `BatchFeature`."""
        return self._network.batch([self._resample(waveform) for waveform in waveforms])

    def _resample(self, waveform: FloatArray) -> FloatArray:
        check_waveform(waveform)
        resampled: FloatArray = soxr.resample(waveform, SAMPLE_RATE, self._rate)
        return resampled if len(resampled) else np.zeros(1, np.float32)


def build(parameters: Mapping[str, Any], backbone: Backbone) -> Allosaurus:
    """Return the output of Allosaurus that ``parameters`` name.

    Raises
    ------
    ConfigError
        If a parameter is unknown or of the wrong type, or the network has no such output.
    """
    return Allosaurus(backbone, **merge_parameters("allosaurus", DEFAULTS, parameters))
