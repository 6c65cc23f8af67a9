"""A stand-in for CREMA-D: sixteen actors, twelve sentences, six emotions."""

import csv
import io
from pathlib import Path

from serflow.files import write_text
from serflow.synthetic.corpus import Options, Studio, in_rounds, record
from serflow.synthetic.scripts import CREMA_D
from serflow.synthetic.speech import Rendering

ACTORS = tuple(range(1001, 1017))
EMOTIONS = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness",
}  # fmt: skip
LEVELS = {"LO": 0.7, "MD": 1.0, "HI": 1.25, "XX": 1.0}


def _takes(index: int, n: int) -> list[tuple[str, str, str]]:
    """Return sentence, emotion and level; only the first sentence has levels, and not when it is neutral."""
    codes = list(CREMA_D)
    codes = codes[index % len(codes) :] + codes[: index % len(codes)]
    columns = [
        [
            (sentence, emotion, level)
            for sentence in codes
            for level in (("LO", "MD", "HI") if sentence == "IEO" and emotion != "NEU" else ("XX",))
        ]
        for emotion in EMOTIONS
    ]
    return in_rounds(columns, n, rotation=index)


def _write_demographics(studio: Studio, path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["ActorID", "Age", "Sex", "Race", "Ethnicity"])
    for actor in ACTORS:
        age = int(studio.random("age", actor).integers(20, 75))
        writer.writerow([actor, age, "Male" if actor % 2 else "Female", "Unknown", "Not Hispanic"])
    write_text(path, text.getvalue())


def write(root: Path, options: Options) -> int:
    """Write the corpus and return its number of utterances."""
    studio = Studio("crema_d", "en", 16000, options)
    utterances: list[tuple[Path, Rendering]] = []
    for index, actor in enumerate(ACTORS):
        speaker = studio.speaker(str(actor), "male" if actor % 2 else "female", index // 2)
        for sentence, emotion, level in _takes(index, max(1, round(options.utterances / len(ACTORS)))):
            name = f"{actor}_{sentence}_{emotion}_{level}"
            rendering = studio.say(name, speaker, EMOTIONS[emotion], CREMA_D[sentence], LEVELS[level])
            utterances.append((root / "AudioWAV" / f"{name}.wav", rendering))
    record(studio, utterances)
    _write_demographics(studio, root / "VideoDemographics.csv")
    return len(utterances)
