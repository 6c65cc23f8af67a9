"""The rows of the study: what is done to the speaker, and how strongly."""

from typing import Literal, NamedTuple

BASELINE = "baseline"
Direction = Literal["reverse", "forward"]
DIRECTIONS: tuple[Direction, ...] = ("reverse", "forward")
FOLDS = ("dialogue_fold", "speaker_fold", "session_fold", "utterance_fold")
SHARED = ("dialogue_fold", "utterance_fold")
"""Folds whose test speakers are in training too."""


class Cell(NamedTuple):
    """A training job: a case on a corpus, by one kind of folds.

    ``case`` is ``baseline`` (beta 0: there is no speaker head), ``reverse-0.1`` or ``forward-1``; ``folds`` is a
    protocol of `FOLDS`.
    """

    case: str
    corpus: str
    folds: str


def case_name(direction: Direction, beta: float) -> str:
    """Return the name of a case."""
    return f"{direction}-{beta:g}"


def title_of(direction: Direction, beta: float) -> str:
    """Return the name of a case in Table III, ``Reverse (0.1)``."""
    return f"{direction.capitalize()} ({beta:g})"
