"""A stand-in for MSP-Improv: six sessions of a woman and a man, four kinds of recordings, crowd ratings."""

from collections import Counter
from pathlib import Path

import numpy as np

from serflow.files import write_text
from serflow.synthetic.corpus import Options, Studio, dialogue_size, episodes, record
from serflow.synthetic.scripts import ENGLISH
from serflow.synthetic.speech import Rendering

SESSIONS = 6
TURNS = 8
SENTENCES = 20
RATERS = 5
# Turns of a scenario by kind of recording; what is left over are other improvised turns (S).
_TURNS_OF = {"P": 2, "T": 1}
# Low (anger, sadness), mid and high valence are dealt equally often.
_DECK = ("anger", "neutral", "happiness", "sadness", "neutral", "happiness")
_WORDS = {"anger": "Angry", "happiness": "Happy", "neutral": "Neutral", "sadness": "Sad"}
_LETTERS = {"Angry": "A", "Happy": "H", "Neutral": "N", "Sad": "S", "Other": "O"}
# Activation, valence, dominance on the scale of the corpus (1 to 5).
_ATTRIBUTES = {
    "anger": (4.0, 1.8, 3.8),
    "happiness": (3.7, 4.2, 3.3),
    "neutral": (2.8, 3.0, 3.0),
    "sadness": (2.0, 1.9, 2.3),
}
_AGREEMENT = 0.8
_MISSING_SHARE = 0.03
_DUPLICATE_SHARE = 0.05


def _utterance_names(session: int, scenario: str, turns: int) -> list[str]:
    """Return names in order: both speakers in turn, within each kind of recording."""
    kinds = ["S"] * (turns - sum(_TURNS_OF.values())) + [kind for kind, n in _TURNS_OF.items() for _ in range(n)]
    names = []
    for i, kind in enumerate(kinds):
        number = kinds[:i].count(kind) + 1
        speaker, partner = ("F", "M") if i % 2 == 0 else ("M", "F")
        names.append(f"{scenario}-{speaker}{session:02d}-{kind}-{speaker}{partner}{number:02d}")
    return names


def _number(value: float) -> str:
    return "NaN" if np.isnan(value) else f"{value:.6f}"


def _evaluation(name: str, emotion: str, rng: np.random.Generator) -> str:
    """Return one block: the consensus line, then a line per rater."""
    ratings = np.clip(np.round(np.array(_ATTRIBUTES[emotion]) + rng.normal(0.0, 0.45, (RATERS, 3))), 1, 5)
    ratings = np.column_stack([ratings, rng.integers(3, 6, RATERS)])
    ratings[rng.random(ratings.shape) < _MISSING_SHARE] = np.nan
    others = [word for word in _LETTERS if word != _WORDS[emotion]]
    votes = [_WORDS[emotion] if rng.random() < _AGREEMENT else str(rng.choice(others)) for _ in range(RATERS)]
    raters = [f"WORKER{number:05d}" for number in rng.choice(500, RATERS, replace=False)]
    lines = []
    for rater, vote, row in zip(raters, votes, ratings, strict=True):
        a, v, d, n = (_number(value) for value in row)
        lines.append(f"{rater}; {vote}; {vote}; A:{a}; V:{v}; D:{d}; N:{n};")
    if rng.random() < _DUPLICATE_SHARE:
        lines.append(lines[0])
    (first, most), *rest = Counter(votes).most_common()
    consensus = "X" if rest and rest[0][1] == most else _LETTERS[first]
    present = ~np.isnan(ratings)
    means = np.where(present, ratings, 0.0).sum(axis=0) / np.where(present.any(axis=0), present.sum(axis=0), np.nan)
    a, v, d, n = (_number(value) for value in means)
    head = f"UTD-IMPROV-{name}.avi; {consensus}; A:{a}; V:{v}; D:{d} ; N:{n};"
    return "\n".join([head, *lines, ""])


def write(root: Path, options: Options) -> int:
    """Write the corpus and return its number of utterances."""
    studio = Studio("msp_improv", "en", 44100, options)
    scenarios = [f"S{sentence:02d}{target}" for sentence in range(1, SENTENCES + 1) for target in "AHNS"]
    per_session, turns = dialogue_size(options.utterances, SESSIONS, TURNS, most=len(scenarios))
    utterances: list[tuple[Path, Rendering]] = []
    blocks = []
    for session in range(1, SESSIONS + 1):
        speakers = {
            letter: studio.speaker(f"{letter}{session:02d}", gender, session - 1)
            for letter, gender in (("F", "female"), ("M", "male"))
        }
        courses = episodes(_DECK, per_session, turns, studio.random("episodes", session))
        for scenario, course in zip(scenarios, courses, strict=False):
            texts = studio.random("texts", session, scenario).permutation(ENGLISH).tolist()
            for i, (name, emotion) in enumerate(zip(_utterance_names(session, scenario, turns), course, strict=True)):
                kind = name.split("-")[2]
                read = ENGLISH[int(scenario[1:3]) - 1]
                text = read if kind == "T" else studio.words(name, emotion, texts[i % len(texts)])
                path = root / "Audio" / f"session{session}" / scenario / kind / f"MSP-IMPROV-{name}.wav"
                utterances.append((path, studio.say(name, speakers[name.split("-")[1][0]], emotion, text)))
                blocks.append(_evaluation(name, emotion, studio.random("ratings", name)))
    record(studio, utterances)
    write_text(root / "Evalution.txt", "\n".join(blocks) + "\n")
    return len(utterances)
