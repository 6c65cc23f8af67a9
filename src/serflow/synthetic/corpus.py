"""What the writers of stand-in corpora share: options, speakers, the course of a dialogue, and WAV files."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from serflow.progress import progress
from serflow.synthetic.options import check_options
from serflow.synthetic.scripts import TELLING
from serflow.synthetic.speech import Rendering, Speaker, draw_prosody, generator, make_speaker, render

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a stand-in corpus.

    ``utterances`` is a rough number (dialogues stay whole). ``emotion_strength`` 0 takes the emotion out of the
    voices; ``speaker_bias`` and ``scatter`` scale the differences between speakers and between utterances.
    ``emotion_in_text`` is the share of what is said of one's own accord in an emotion whose words tell it.
    """

    utterances: int = 200
    seed: int = 0
    emotion_strength: float = 1.5
    speaker_bias: float = 0.7
    scatter: float = 0.7
    emotion_in_text: float = 0.9

    @classmethod
    def parse(cls, values: Any) -> "Options":
        """Check options as they stand in the configuration; raises `ConfigError`."""
        return cls(**check_options(asdict(cls()), values, "a synthetic corpus", positive=("utterances",)))


@dataclass(frozen=True, slots=True)
class Studio:
    """Speakers and utterances of one stand-in corpus; every draw is seeded by the seed, the corpus and its name."""

    corpus: str
    language: str
    sample_rate: int
    options: Options

    def random(self, *key: str | int) -> np.random.Generator:
        """Return the generator of one named draw."""
        return generator("stand-in", self.options.seed, self.corpus, *key)

    def speaker(self, name: str, gender: str, index: int) -> Speaker:
        """Return the speaker of that name."""
        return make_speaker(name, gender, index, self.random("speaker", name), self.options.speaker_bias)

    def say(self, utterance: str, speaker: Speaker, emotion: str, text: str, intensity: float = 1.0) -> Rendering:
        """Return how ``speaker`` says ``text`` in ``emotion``; ``intensity`` scales the emotion."""
        prosody = draw_prosody(
            speaker,
            emotion,
            self.random("prosody", utterance),
            strength=self.options.emotion_strength * intensity,
            scatter=self.options.scatter,
        )
        key = f"{self.options.seed}/{self.corpus}/{utterance}"
        return Rendering(text, self.language, speaker, prosody, self.sample_rate, key)

    def words(self, utterance: str, emotion: str, neutral: str) -> str:
        """Return what is said of one's own accord in ``emotion``: words that tell it, or ``neutral`` ones."""
        told, rng = TELLING.get(emotion), self.random("words", utterance)
        return neutral if told is None or rng.random() >= self.options.emotion_in_text else str(rng.choice(told))

    def speak(self, renderings: Sequence[Rendering]) -> Iterator[NDArray[np.int16]]:
        """Yield the samples of ``renderings`` one by one, with progress."""
        return progress(render(renderings), len(renderings), f"speaking {self.corpus} (synthetic)")


def write_wav(path: Path, samples: NDArray[np.int16], sample_rate: int) -> None:
    """Write 16-bit mono PCM."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, sample_rate, subtype="PCM_16")


def record(studio: Studio, utterances: Sequence[tuple[Path, Rendering]]) -> list[float]:
    """Speak utterances into a WAV file each.

    Returns
    -------
    list of float
        Their durations in s.
    """
    durations = []
    samples_of_all = studio.speak([rendering for _, rendering in utterances])
    for (path, rendering), samples in zip(utterances, samples_of_all, strict=True):
        write_wav(path, samples, rendering.sample_rate)
        durations.append(samples.size / rendering.sample_rate)
    return durations


def dialogue_size(utterances: int, groups: int, turns: int, most: int) -> tuple[int, int]:
    """Return dialogues per group (at least 1, at most ``most``) and turns per dialogue for about ``utterances``."""
    per_group = min(max(1, round(utterances / (groups * turns))), most)
    return per_group, max(turns, round(utterances / (groups * per_group)))


def episodes(emotions: Sequence[str], dialogues: int, turns: int, rng: np.random.Generator) -> list[list[str]]:
    """Return the emotion of each turn of each dialogue.

    A dialogue is a series of episodes of two turns that share an emotion, so that both partners express it; the last
    episode has three where the number of turns is odd.
    Emotions are dealt to the episodes from shuffled decks: they are balanced over a group of dialogues.
    """
    deck: list[str] = []
    courses = []
    for _ in range(dialogues):
        course: list[str] = []
        while len(course) < turns:
            deck = deck or rng.permutation(emotions).tolist()
            left = turns - len(course)
            course += [deck.pop()] * (left if left <= 3 else 2)
        courses.append(course)
    return courses


def in_rounds(columns: Sequence[Sequence[Item]], n: int, rotation: int) -> list[Item]:
    """Take ``n`` items from ``columns`` in turn, starting at column ``rotation``, until all are used up."""
    order = [columns[(rotation + i) % len(columns)] for i in range(len(columns))]
    deepest = max(len(column) for column in columns)
    return [column[depth] for depth in range(deepest) for column in order if depth < len(column)][:n]
