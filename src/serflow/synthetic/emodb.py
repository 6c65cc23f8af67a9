"""A stand-in for EmoDB: ten German speakers, ten texts, seven emotions."""

from pathlib import Path

from serflow.synthetic.corpus import Options, Studio, in_rounds, record
from serflow.synthetic.scripts import EMODB
from serflow.synthetic.speech import Rendering

MALE = ("03", "10", "11", "12", "15")
SPEAKERS = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "anxiety", "F": "happiness", "T": "sadness", "N": "neutral",
}  # fmt: skip
VERSIONS = "abcdef"


def _names(speaker: str, index: int, n: int) -> list[str]:
    texts = list(EMODB)
    columns = [
        [
            f"{speaker}{texts[(text + index + offset) % len(texts)]}{letter}{version}"
            for version in VERSIONS
            for text in range(len(texts))
        ]
        for offset, letter in enumerate(EMOTIONS)
    ]
    return in_rounds(columns, n, rotation=index)


def _write_listening_test(studio: Studio, path: Path, names: list[str]) -> None:
    """Write the recognition and naturalness table, with decimal commas as in the original."""
    rows = ["Nr.\tSatz\terkannt\tnatuerlich"]
    for number, name in enumerate(sorted(names), start=1):
        recognised, natural = studio.random("listeners", name).integers(16, 21, 2) * 5
        rows.append(f"{number}\t{name}.wav\t{recognised},00\t{natural},00")
    path.write_text("\n".join(rows) + "\n", encoding="iso-8859-1", newline="\r\n")


def write(root: Path, options: Options) -> int:
    """Write the corpus and return its number of utterances."""
    studio = Studio("emodb", "de", 16000, options)
    utterances: list[tuple[Path, Rendering]] = []
    for index, number in enumerate(SPEAKERS):
        speaker = studio.speaker(number, "male" if number in MALE else "female", index // 2)
        for name in _names(number, index, max(1, round(options.utterances / len(SPEAKERS)))):
            path = root / "wav" / f"{name}.wav"
            utterances.append((path, studio.say(name, speaker, EMOTIONS[name[5]], EMODB[name[2:5]])))
    record(studio, utterances)
    _write_listening_test(studio, root / "erkennung.txt", [path.stem for path, _ in utterances])
    return len(utterances)
