"""The one door to Praat for features. praat-parselmouth is GPL-3 and optional; it is imported when it is first used."""

from typing import Any

import numpy as np
import numpy.typing as npt

from serflow.errors import AudioError, MissingDependencyError
from serflow.features.base import FloatArray

_PERIODS_PER_WINDOW = 3
"""Praat's analysis window is as many periods of the lowest pitch long, and wants a sound of at least that length."""


def load_parselmouth() -> Any:
    """Return the module ``parselmouth``, with ``parselmouth.praat``.

    Raises
    ------
    MissingDependencyError
        If praat-parselmouth is not installed.
    """
    try:
        import parselmouth.praat
    except ImportError as error:
        raise MissingDependencyError(
            "pitch pulses are found by Praat, which is not installed; run `pip install 'serflow[praat]'` "
            "(praat-parselmouth is GPL-3), or take pitch_pulse out of the features in config.yaml"
        ) from error
    return parselmouth


def pitch_pulses(waveform: FloatArray, sample_rate: int, floor_hz: float, ceiling_hz: float) -> npt.NDArray[np.float64]:
    """Return the times of glottal pulses, by Praat's ``To PointProcess (periodic, cc)``.

    Parameters
    ----------
    waveform
        Samples ``(n_samples,)``; sample n is at ``(n + 0.5) / sample_rate``, as Praat has it.
    sample_rate
        Hz.
    floor_hz, ceiling_hz
        Lowest and highest pitch.

    Returns
    -------
    Times (s) in rising order; none for silence, for what is unvoiced, and for a waveform shorter than three periods
    of ``floor_hz``, which Praat refuses to analyse.

    Raises
    ------
    AudioError
        If Praat cannot analyse the waveform.
    MissingDependencyError
        If praat-parselmouth is not installed.
    """
    parselmouth = load_parselmouth()
    if len(waveform) * floor_hz < _PERIODS_PER_WINDOW * sample_rate:
        return np.empty(0)
    call = parselmouth.praat.call
    try:
        sound = parselmouth.Sound(waveform.astype(np.float64), sample_rate)
        points = call(sound, "To PointProcess (periodic, cc)", floor_hz, ceiling_hz)
        if call(points, "Get number of points") == 0:
            return np.empty(0)
        # all times in one call; one call a pulse takes as long as the analysis
        return np.array(call(points, "To Matrix").values[0], dtype=np.float64)
    except parselmouth.PraatError as error:
        raise AudioError(f"Praat could not look for pitch pulses: {' '.join(str(error).split())}") from error
