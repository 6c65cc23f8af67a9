"""A stand-in for SpeechOcean's Mandarin set: sixty speakers, ten sentences, four emotions, and a table of them.

The set has 250 speakers and 53,803 utterances of 2.80 s in four balanced emotions, read and recorded by phones (Tu et
al., speaker-invariance paper, section 3.1). How its files are laid out is not known: the stand-in has a table with our
columns. Its sentences are shorter, about 1.6 s, as those of the other stand-ins.
"""

import csv
import io
from pathlib import Path

from serflow.files import write_text
from serflow.synthetic.corpus import Options, Studio, record
from serflow.synthetic.scripts import MANDARIN
from serflow.synthetic.speech import Rendering

SPEAKERS = 60
EMOTIONS = {"happy": "happiness", "sad": "sadness", "angry": "anger", "surprise": "surprise"}
TABLE = "utterances.csv"
COLUMNS = ("utterance", "path", "speaker", "gender", "style", "emotion", "sentence", "text")
_AS_MANY_AS = 24
"""A speaker says as much as if the corpus had this many speakers, as RAVDESS has."""


def _takes_per_emotion(utterances: int) -> int:
    """Return how often a speaker shows each emotion; once at least."""
    return max(1, round(utterances / (_AS_MANY_AS * len(EMOTIONS))))


def _sentence(speaker: int, emotion: int, take: int) -> int:
    """Return the number of a sentence: women say each of them equally often in each emotion, and so do men."""
    return (speaker // 2 + len(MANDARIN) // len(EMOTIONS) * emotion + take) % len(MANDARIN) + 1


def _write_table(path: Path, rows: list[tuple[str, ...]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    write_text(path, text.getvalue())


def write(root: Path, options: Options) -> int:
    """Write the corpus and return its number of utterances: at least one a speaker and emotion, as many of each."""
    studio = Studio("mandarin", "zh", 16000, options)
    utterances: list[tuple[Path, Rendering]] = []
    rows: list[tuple[str, ...]] = []
    for index in range(SPEAKERS):
        gender = "male" if index % 2 else "female"
        speaker = studio.speaker(f"S{index + 1:02d}", gender, index // 2)
        for number, (word, emotion) in enumerate(EMOTIONS.items()):
            for take in range(_takes_per_emotion(options.utterances)):
                sentence = _sentence(index, number, take)
                name = f"{speaker.name}-{word}-{take + 1:02d}"
                file = Path("wav", speaker.name, f"{name}.wav")
                text = MANDARIN[sentence]
                utterances.append((root / file, studio.say(name, speaker, emotion, text)))
                rows.append((name, file.as_posix(), speaker.name, gender, "read", word, f"{sentence:02d}", text))
    record(studio, utterances)
    _write_table(root / TABLE, rows)
    return len(utterances)
