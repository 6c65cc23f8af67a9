"""A stand-in for CaFE: twelve French-speaking actors, six sentences, seven emotions, two intensities."""

from pathlib import Path

from serflow.synthetic.corpus import Options, Studio, in_rounds, record
from serflow.synthetic.scripts import CAFE
from serflow.synthetic.speech import Rendering

ACTORS = 12
EMOTIONS = {
    "C": ("Colère", "anger"), "D": ("Dégoût", "disgust"), "J": ("Joie", "happiness"), "N": ("Neutre", "neutral"),
    "P": ("Peur", "fear"), "S": ("Surprise", "surprise"), "T": ("Tristesse", "sadness"),
}  # fmt: skip
INTENSITIES = {1: ("Faible", 0.75), 2: ("Fort", 1.15)}


def _takes(actor: int, n: int) -> list[tuple[str, int, int]]:
    """Return letter of the emotion, intensity and sentence."""
    sentences = [(actor + i) % len(CAFE) + 1 for i in range(len(CAFE))]
    columns = [
        [(letter, intensity, sentence) for sentence in sentences for intensity in ((1,) if letter == "N" else (2, 1))]
        for letter in EMOTIONS
    ]
    return in_rounds(columns, n, rotation=actor)


def write(root: Path, options: Options) -> int:
    """Write the corpus and return its number of utterances."""
    studio = Studio("cafe", "fr", 48000, options)
    utterances: list[tuple[Path, Rendering]] = []
    for actor in range(1, ACTORS + 1):
        speaker = studio.speaker(f"{actor:02d}", "male" if actor % 2 else "female", (actor - 1) // 2)
        for letter, intensity, sentence in _takes(actor, max(1, round(options.utterances / ACTORS))):
            name = f"{actor:02d}-{letter}-{intensity}-{sentence}"
            folder, emotion = EMOTIONS[letter]
            subfolder, strength = INTENSITIES[intensity]
            path = root / folder / f"{name}.wav" if letter == "N" else root / folder / subfolder / f"{name}.wav"
            utterances.append((path, studio.say(name, speaker, emotion, CAFE[sentence], strength)))
    record(studio, utterances)
    return len(utterances)
