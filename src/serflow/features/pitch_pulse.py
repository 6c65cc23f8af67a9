"""Log-mel spectrogram of pitch pulses: what is left of speech at its glottal pulses (Xia et al., Interspeech 2021).

Praat finds the pulses; the pulse train has the waveform's value at the sample nearest to each and zero elsewhere. Its
spectrogram is framed like `spectrogram`. Floor and ceiling of the pitch are Praat's defaults, which the paper leaves
open. Pulses depend on the whole utterance: a training loop that cuts utterances cuts these frames, or the train by the
places that `serflow.stages.find_pulses` keeps.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serflow.audio.mel import SAMPLE_RATE, check_range
from serflow.audio.waveform import check_waveform
from serflow.features._log_mel import LogMel
from serflow.features._praat import load_parselmouth, pitch_pulses
from serflow.features.base import FeatureInfo, FloatArray, merge_parameters

DEFAULTS = {
    "floor_hz": 75.0,
    "ceiling_hz": 600.0,
    "n_mels": 30,
    "n_fft": 1024,
    "win_length": 800,
    "hop_length": 200,
    "fmin": 0.0,
    "fmax": 8000.0,
    "floor": 1e-6,
}


class PitchPulse:
    """Log-mel spectrogram of the pulse train of a waveform.

    Parameters
    ----------
    floor_hz, ceiling_hz
        Lowest and highest pitch that Praat looks for (Hz).
    log_mel
        Parameters of the spectrogram, those of ``serflow.audio.mel.LogMel``.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.
    MissingDependencyError
        If praat-parselmouth is not installed.
    """

    def __init__(self, *, floor_hz: float, ceiling_hz: float, **log_mel: Any) -> None:
        check_range("pitch_pulse", "ceiling_hz", ceiling_hz, 20, SAMPLE_RATE / 2)
        check_range("pitch_pulse", "floor_hz", floor_hz, 10, ceiling_hz - 1)
        self.floor_hz = floor_hz
        self.ceiling_hz = ceiling_hz
        self.log_mel = LogMel("pitch_pulse", "hamming", **log_mel)
        self.info: FeatureInfo = self.log_mel.info
        load_parselmouth()

    def nearest_samples(self, waveform: FloatArray) -> npt.NDArray[np.int64]:
        """Return the samples nearest to the pitch pulses, ``(n_pulses,)`` in rising order; see `pitch_pulses`.

        Raises
        ------
        AudioError
            If the waveform is not one channel of float32, or is empty, or Praat cannot analyse it.
        """
        check_waveform(waveform)
        times = pitch_pulses(waveform, SAMPLE_RATE, self.floor_hz, self.ceiling_hz)
        # sample n stands in the middle of n..n + 1
        return np.unique(np.clip(np.floor(times * SAMPLE_RATE).astype(np.int64), 0, len(waveform) - 1))

    def pulse_train(self, waveform: FloatArray) -> FloatArray:
        """Return the waveform's values at its pitch pulses ``(n_samples,)``, zero elsewhere.

        All zero where Praat finds no pulse.

        Raises
        ------
        AudioError
            As `nearest_samples`.
        """
        nearest = self.nearest_samples(waveform)
        train = np.zeros_like(waveform)
        train[nearest] = waveform[nearest]
        return train

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Return log-mel frames ``(1 + n_samples // hop_length, n_mels)`` of the pulse train; see `Feature`.

        Every value is ``ln(floor)`` where there are no pulses.
        """
        return self.log_mel(self.pulse_train(waveform))


def build(parameters: Mapping[str, Any]) -> PitchPulse:
    """Return the pitch pulses' spectrogram with ``parameters`` in place of `DEFAULTS`.

    Raises
    ------
    ConfigError
        If a parameter is unknown, of the wrong type or out of its range.
    MissingDependencyError
        If praat-parselmouth is not installed.
    """
    return PitchPulse(**merge_parameters("pitch_pulse", DEFAULTS, parameters))
