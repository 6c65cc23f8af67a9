"""Speech as a speaker encoder takes it: level raised, long silences cut, and where its partials of 1.6 s start.

Constants and order of the steps are those of Resemblyzer 0.1.4 (``audio.py``, ``voice_encoder.py``, ``hparams.py``).
Where it has no answer (silence, no speech found, peaks that would overflow) ours is told below.
"""

import numpy as np
import numpy.typing as npt

from serflow.audio.waveform import FloatArray
from serflow.errors import MissingDependencyError
from serflow.rounding import rounding

SAMPLE_RATE = 16_000
HOP_LENGTH = 160
N_MELS = 40
PARTIAL_FRAMES = 160
PARTIAL_STEP = 77
"""Frames from one partial to the next: 1.3 partials a second."""

LEVEL_DB = -30.0
_FULL_SCALE = np.float32(32_767)
_WINDOW = 480
_AGGRESSIVENESS = 3
_AVERAGED_WINDOWS = 8
_SILENCE_KEPT = 6
_MIN_COVERAGE = 0.75


def raise_level(waveform: FloatArray) -> FloatArray:
    """Return the waveform raised to an RMS of -30 dB of full scale; louder ones, and silence, as they are.

    What is no louder than rounding at full scale (-120 dB at its peak) is silence.
    """
    if np.abs(waveform).max() <= rounding(1.0):
        return waveform
    rms = np.sqrt(np.mean(np.square(waveform * _FULL_SCALE))) / _FULL_SCALE
    gain_db = LEVEL_DB - 20 * np.log10(rms)
    raised: FloatArray = waveform * np.float32(10 ** (gain_db / 20)) if gain_db > 0 else waveform
    return raised


def find_speech(waveform: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which windows of 30 ms the WebRTC detector takes for speech, at its strictest setting.

    Windows do not overlap, and a rest shorter than a window has no entry. What lies beyond full scale is clipped
    (in Resemblyzer it wraps around).

    Raises
    ------
    MissingDependencyError
        If webrtcvad is not installed.
    """
    try:
        import webrtcvad
    except ImportError as error:
        raise MissingDependencyError(
            "GE2E cuts silences with webrtcvad, which is not installed; run `pip install webrtcvad-wheels`"
        ) from error
    pcm = np.clip(np.rint(waveform * _FULL_SCALE), -32_768, 32_767).astype("<i2").tobytes()
    detector = webrtcvad.Vad(_AGGRESSIVENESS)
    starts = range(0, 2 * (len(waveform) // _WINDOW * _WINDOW), 2 * _WINDOW)
    speech = (detector.is_speech(pcm[start : start + 2 * _WINDOW], SAMPLE_RATE) for start in starts)
    return np.fromiter(speech, bool, len(starts))


def keep_windows(speech: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which windows to keep: where most of 8 are speech, and up to 3 windows to each side of those.

    The 8 windows are the window itself, 3 before and 4 after it; those beyond the ends are not speech.
    """
    if not len(speech):
        return speech
    before = (_AVERAGED_WINDOWS - 1) // 2
    counts = np.convolve(speech.astype(int), np.ones(_AVERAGED_WINDOWS, int))
    most = counts[_AVERAGED_WINDOWS - 1 - before :][: len(speech)] > _AVERAGED_WINDOWS // 2
    reach = _SILENCE_KEPT // 2
    near = np.convolve(most.astype(int), np.ones(_SILENCE_KEPT + 1, int))[reach : reach + len(speech)]
    return near > 0


def cut_silences(waveform: FloatArray) -> FloatArray:
    """Return the waveform without its long silences, and without the rest shorter than a window of 30 ms.

    A waveform in which no speech is found is returned whole.
    """
    kept = keep_windows(find_speech(waveform))
    if not kept.any():
        return waveform
    return waveform[: len(kept) * _WINDOW].reshape(-1, _WINDOW)[kept].ravel()


def partial_starts(n_samples: int) -> range:
    """Return the frames at which partials start: every 0.77 s, the last at least three quarters full.

    There is always one; what it covers beyond the waveform is silence.
    """
    n_frames = n_samples // HOP_LENGTH + 1
    starts = range(0, max(1, n_frames - PARTIAL_FRAMES + PARTIAL_STEP + 1), PARTIAL_STEP)
    covered = (n_samples - starts[-1] * HOP_LENGTH) / (PARTIAL_FRAMES * HOP_LENGTH)
    return starts[:-1] if covered < _MIN_COVERAGE and len(starts) > 1 else starts
