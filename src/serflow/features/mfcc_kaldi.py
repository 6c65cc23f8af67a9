"""Kaldi's MFCCs: 13 with deltas and delta-deltas, 25 ms every 10 ms (Tu et al., adversarial training, 2019).

The values are those of ``compute-mfcc-feats`` and ``add-deltas`` with ``--dither=0``, to within single precision. The
paper says "Kaldi" and no more: framing, 23 bands, lifter and log energy in place of C0 are Kaldi's defaults. Silent
frames are still there; `energy_vad` tells which they are.
"""

from collections.abc import Mapping
from typing import Any

from serflow.audio.mel import SAMPLE_RATE, check_range
from serflow.features._kaldi import Cepstra, Framing, add_deltas
from serflow.features.base import FeatureInfo, FloatArray, merge_parameters

DEFAULTS = {
    "n_mfcc": 13,
    "n_mels": 23,
    "frame_length_ms": 25.0,
    "frame_shift_ms": 10.0,
    "low_hz": 20.0,
    "high_hz": 8000.0,
    "lifter": 22.0,
    "preemphasis": 0.97,
    "delta_order": 2,
    "delta_window": 2,
}


class MfccKaldi:
    """Kaldi's MFCCs of a waveform, with deltas.

    Parameters
    ----------
    frame_length_ms, frame_shift_ms
        Length of a frame and time from one to the next (ms).
    delta_order
        How many times the coefficients are differentiated; 0 for no deltas.
    delta_window
        Frames to each side that a slope is fitted to.
    cepstra
        The other parameters, those of ``serflow.features._kaldi.Cepstra``.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.
    """

    def __init__(
        self, *, frame_length_ms: float, frame_shift_ms: float, delta_order: int, delta_window: int, **cepstra: Any
    ) -> None:
        check_range("mfcc_kaldi", "delta_order", delta_order, 0, 10)
        check_range("mfcc_kaldi", "delta_window", delta_window, 1, 100)
        framing = Framing("mfcc_kaldi", frame_length_ms, frame_shift_ms)
        self.cepstra = Cepstra(feature="mfcc_kaldi", framing=framing, **cepstra)
        self.delta_order = delta_order
        self.delta_window = delta_window
        dim = cepstra["n_mfcc"] * (delta_order + 1)
        self.info = FeatureInfo("mfcc_kaldi", SAMPLE_RATE, dim, framing.hop_s, "frames", "cepstrum of ln power")

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return coefficients, deltas and delta-deltas ``(n_frames, dim)``; see `Feature`.

        There are ``1 + (n_samples - 400) // 160`` frames with the default framing: they lie inside the waveform. One
        shorter than a frame is continued by zeros to one frame.
        """
        return add_deltas(self.cepstra(waveform), self.delta_order, self.delta_window)


def build(parameters: Mapping[str, Any]) -> MfccKaldi:
    """Return Kaldi's MFCCs with ``parameters`` in place of `DEFAULTS`.

    Raises
    ------
    ConfigError
        If a parameter is unknown, of the wrong type or out of its range.
    """
    return MfccKaldi(**merge_parameters("mfcc_kaldi", DEFAULTS, parameters))
