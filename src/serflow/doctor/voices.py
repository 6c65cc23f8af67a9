"""Whether speakers sound as their gender is labelled: the pitch of what they say calmly."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from serflow.audio.decode import SAMPLE_RATE
from serflow.audio.prepared import prepare
from serflow.config import Config
from serflow.corpora.base import Utterance
from serflow.errors import AudioError
from serflow.features._praat import pitch_pulses
from serflow.progress import progress

PITCH_HZ = (60.0, 500.0)
LOWEST_HZ, HIGHEST_HZ = {"female": 140.0}, {"male": 180.0}
"""Pitch that is odd for a gender. Of 25 speakers of EmoDB, RAVDESS and nEMO, the men speak calmly at a median of 93 to
150 Hz and the women at 167 to 231 Hz; in anger, all of them may double it."""
_CALM = ("neutral", "calm")
_PER_SPEAKER = 5
_FEWEST_PULSES = 20


class Voice(NamedTuple):
    """A speaker, the gender that labels give, and the median pitch (Hz) of a few calm utterances."""

    speaker: str
    gender: str
    pitch_hz: float

    def is_odd(self) -> bool:
        """Say whether the pitch is one that speakers of the other gender have."""
        low, high = LOWEST_HZ.get(self.gender, 0.0), HIGHEST_HZ.get(self.gender, np.inf)
        return not low <= self.pitch_hz <= high


def hear(config: Config, corpus: str, utterances: Sequence[Utterance]) -> list[Voice]:
    """Return the pitch of each speaker who has one gender and some neutral or calm utterance that is voiced.

    Parameters
    ----------
    config
        Says where the corpus lies.
    corpus
        Its name.
    utterances
        Those that can be decoded; what cannot be is passed over.

    Raises
    ------
    MissingDependencyError
        If Praat is not installed.
    """
    of: dict[str, list[Utterance]] = defaultdict(list)
    genders: dict[str, set[str]] = defaultdict(set)
    for entry in utterances:
        if entry.gender is not None:
            genders[entry.speaker].add(entry.gender)
            if entry.emotion in _CALM:
                of[entry.speaker].append(entry)
    chosen = {speaker: of[speaker][:_PER_SPEAKER] for speaker in sorted(of) if len(genders[speaker]) == 1}
    voices = []
    for speaker, calm in progress(chosen.items(), len(chosen), f"{corpus}: voices", unit="speaker"):
        pitches = [pitch for entry in calm if (pitch := _pitch_hz(config, corpus, entry)) is not None]
        if pitches:
            (gender,) = genders[speaker]
            voices.append(Voice(speaker, gender, float(np.median(pitches))))
    return voices


def _pitch_hz(config: Config, corpus: str, entry: Utterance) -> float | None:
    """Return the median pitch of an utterance, None where hardly anything of it is voiced."""
    limits = config.audio.model_dump(include={"min_duration_s", "max_duration_s"})
    try:
        waveform = prepare(entry.id, config.root(corpus) / entry.path, entry.start, entry.end, **limits).waveform
        periods = np.diff(pitch_pulses(waveform, SAMPLE_RATE, *PITCH_HZ))
    except AudioError:
        return None
    voiced = periods[periods < 1 / PITCH_HZ[0]]
    return float(1 / np.median(voiced)) if len(voiced) >= _FEWEST_PULSES else None
