"""Kaldi's energy-based voice activity detection: 1 where a frame is speech, 0 where it is silence.

The decisions are those of ``compute-vad`` (Kaldi's ``ivector/voice-activity-detection.cc``) on the raw log energy of
the frames of `mfcc_kaldi`, with the settings of Kaldi's x-vector recipes. With the same ``frame_length_ms`` and
``frame_shift_ms`` the two stores line up frame by frame; `select_voiced` drops the silent ones, after deltas
(Tu et al., adversarial training, 2019).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serflow.audio.mel import SAMPLE_RATE, check_range
from serflow.errors import ConfigError, StoreError
from serflow.features._kaldi import Framing
from serflow.features.base import FeatureInfo, FloatArray, merge_parameters

DEFAULTS = {
    "threshold": 5.5,
    "mean_scale": 0.5,
    "context": 2,
    "proportion": 0.12,
    "frame_length_ms": 25.0,
    "frame_shift_ms": 10.0,
}


def decide(
    log_energies: FloatArray, threshold: float, mean_scale: float, context: int, proportion: float
) -> npt.NDArray[np.bool_]:
    """Return which frames are speech.

    A frame is loud where its log energy is above ``threshold + mean_scale * mean``, the mean taken over the
    utterance. It is speech where at least the ``proportion`` of the frames around it are loud.

    Parameters
    ----------
    log_energies
        Natural logarithm of the energy of each frame ``(n_frames,)``, samples in the scale of 16-bit integers.
    threshold
        Lowest log energy of speech, but for the part that follows the mean.
    mean_scale
        Share of the utterance's mean that is added to the threshold.
    context
        Frames to each side that count, as far as there are any.
    proportion
        Share of loud frames among them that makes the frame speech.

    Returns
    -------
    Decisions ``(n_frames,)``.
    """
    loud = log_energies > threshold + mean_scale * log_energies.mean(dtype=np.float64)
    n_loud_before = np.concatenate([[0], np.cumsum(loud)])
    frame = np.arange(len(loud))
    first = np.maximum(frame - context, 0)
    end = np.minimum(frame + context + 1, len(loud))
    decisions: npt.NDArray[np.bool_] = n_loud_before[end] - n_loud_before[first] >= proportion * (end - first)
    return decisions


def select_voiced(frames: FloatArray, decisions: FloatArray) -> FloatArray:
    """Return the frames that are speech; all frames where none is.

    Kaldi leaves an utterance without speech out. Here it stays as it is, so that every utterance has a prediction.

    Parameters
    ----------
    frames
        ``(n_frames, dim)``, with deltas.
    decisions
        ``(n_frames, 1)`` or ``(n_frames,)`` of the feature ``energy_vad``: 1 for speech, 0 for silence.

    Returns
    -------
    ``(n_voiced, dim)``, at least one frame if ``frames`` has one.

    Raises
    ------
    StoreError
        If there are not as many decisions as frames.
    """
    if decisions.size != len(frames):
        raise StoreError(
            f"{decisions.size} voice activity decisions for {len(frames)} frames; give features.energy_vad the "
            "frame_length_ms and frame_shift_ms of features.mfcc_kaldi and make both stores again"
        )
    voiced = decisions.reshape(-1) > 0
    return frames[voiced] if voiced.any() else frames


class EnergyVad:
    """Voice activity of the frames of a waveform.

    Parameters
    ----------
    threshold, mean_scale, context, proportion
        See `decide`.
    frame_length_ms, frame_shift_ms
        Length of a frame and time from one to the next (ms).

    Raises
    ------
    ConfigError
        If a parameter is out of its range.
    """

    def __init__(
        self,
        *,
        threshold: float,
        mean_scale: float,
        context: int,
        proportion: float,
        frame_length_ms: float,
        frame_shift_ms: float,
    ) -> None:
        check_range("energy_vad", "threshold", threshold, -100, 100)
        check_range("energy_vad", "mean_scale", mean_scale, 0, 10)
        check_range("energy_vad", "context", context, 0, 1000)
        if not 0 < proportion < 1:
            raise ConfigError(f"feature energy_vad: proportion is {proportion}, not between 0 and 1 (both excluded)")
        self.threshold = threshold
        self.mean_scale = mean_scale
        self.context = context
        self.proportion = proportion
        self.framing = Framing("energy_vad", frame_length_ms, frame_shift_ms)
        self.info = FeatureInfo("energy_vad", SAMPLE_RATE, 1, self.framing.hop_s, "frames", "1 speech, 0 silence")

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return decisions ``(n_frames, 1)``, 1 for speech and 0 for silence; see `Feature`.

        There are as many frames as `mfcc_kaldi` gives.
        """
        _, log_energies = self.framing.means_and_log_energies(self.framing.samples(waveform))
        decisions = decide(log_energies, self.threshold, self.mean_scale, self.context, self.proportion)
        return decisions.astype(np.float32)[:, np.newaxis]


def build(parameters: Mapping[str, Any]) -> EnergyVad:
    """Return Kaldi's energy VAD with ``parameters`` in place of `DEFAULTS`.

    Raises
    ------
    ConfigError
        If a parameter is unknown, of the wrong type or out of its range.
    """
    return EnergyVad(**merge_parameters("energy_vad", DEFAULTS, parameters))
