"""A stand-in for the speech of RAVDESS: 24 actors, two statements, eight emotions, two intensities."""

from pathlib import Path

from serflow.synthetic.corpus import Options, Studio, in_rounds, record
from serflow.synthetic.scripts import RAVDESS
from serflow.synthetic.speech import Rendering

ACTORS = 24
EMOTIONS = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
INTENSITIES = {1: 0.9, 2: 1.2}


def _takes(actor: int, n: int) -> list[tuple[int, int, int, int]]:
    """Return emotion, intensity, statement and repetition; neutral has no strong intensity."""
    columns = [
        [
            (emotion, intensity, (statement + actor) % 2 + 1, repetition)
            for repetition in (1, 2)
            for statement in (1, 2)
            for intensity in ((1,) if emotion == 1 else (1, 2))
        ]
        for emotion in range(1, len(EMOTIONS) + 1)
    ]
    return in_rounds(columns, n, rotation=actor)


def write(root: Path, options: Options) -> int:
    """Write the corpus and return its number of utterances."""
    studio = Studio("ravdess", "en", 48000, options)
    utterances: list[tuple[Path, Rendering]] = []
    for actor in range(1, ACTORS + 1):
        speaker = studio.speaker(f"{actor:02d}", "male" if actor % 2 else "female", (actor - 1) // 2)
        for take in _takes(actor, max(1, round(options.utterances / ACTORS))):
            emotion, intensity, statement, _ = take
            name = "03-01-" + "-".join(f"{part:02d}" for part in take) + f"-{actor:02d}"
            path = root / f"Actor_{actor:02d}" / f"{name}.wav"
            rendering = studio.say(name, speaker, EMOTIONS[emotion - 1], RAVDESS[statement], INTENSITIES[intensity])
            utterances.append((path, rendering))
    record(studio, utterances)
    return len(utterances)
