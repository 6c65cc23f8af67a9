"""What the study's networks are asked to predict: a class distribution per utterance, by corpus.

Paper: section III-A; IEMOCAP has four classes as in the prior work that the paper follows.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from serflow.errors import TrainingError

Row = Mapping[str, Any]
COLUMNS = ("id", "emotion", "sentiment", "valence_ratings")
_NEUTRAL_VALENCE = 3.0
_NO_CLASS = (None, "other", "undecided")


class Labels(NamedTuple):
    """Classes, the target of each labelled utterance, and how many utterances have no label of the study."""

    classes: tuple[str, ...]
    targets: dict[str, tuple[float, ...]]
    excluded: int


def _one_hot(classes: Sequence[str], name: str | None) -> tuple[float, ...] | None:
    return tuple(float(name == other) for other in classes) if name in classes else None


def _iemocap(row: Row, merged: bool) -> str | None:
    emotion: str | None = row["emotion"]
    return "happiness" if merged and emotion == "excitement" else emotion


def _valence(row: Row) -> tuple[float, ...] | None:
    """Return the shares of evaluators who rated valence below, at and above 3 (of 1 to 5)."""
    ratings = [rating for rating in row["valence_ratings"] or () if rating is not None and not math.isnan(rating)]
    if not ratings:
        return None
    low = sum(rating < _NEUTRAL_VALENCE for rating in ratings)
    high = sum(rating > _NEUTRAL_VALENCE for rating in ratings)
    return low / len(ratings), (len(ratings) - low - high) / len(ratings), high / len(ratings)


def _sentiment(row: Row) -> str | None:
    sentiment: float | None = row["sentiment"]
    if sentiment is None or math.isnan(sentiment):
        return None
    return "negative" if sentiment < 0 else "positive" if sentiment > 0 else "neutral"


def emotion_labels(corpus: str, rows: Sequence[Row], labels: str) -> Labels:
    """Return the targets of a corpus.

    ``iemocap``: anger, happiness (with excitement, unless ``labels`` is ``hap_only``), neutral, sadness.
    ``msp_improv``: low, mid, high valence, a soft target from the evaluators' ratings. ``mosei``: negative,
    neutral, positive sentiment. Any other corpus: its emotion words, but for other and undecided.

    Parameters
    ----------
    corpus
        Name of the corpus layout.
    rows
        Utterances, with the columns in ``COLUMNS``.
    labels
        ``merged`` or ``hap_only``.

    Raises
    ------
    TrainingError
        If fewer than two classes are left.
    """
    classes: tuple[str, ...]
    target_of: Callable[[Row], tuple[float, ...] | None]
    if corpus == "iemocap":
        classes = ("anger", "happiness", "neutral", "sadness")
        target_of = lambda row: _one_hot(classes, _iemocap(row, labels == "merged"))  # noqa: E731
    elif corpus == "msp_improv":
        classes, target_of = ("low", "mid", "high"), _valence
    elif corpus == "mosei":
        classes = ("negative", "neutral", "positive")
        target_of = lambda row: _one_hot(classes, _sentiment(row))  # noqa: E731
    else:
        classes = tuple(sorted({row["emotion"] for row in rows if row["emotion"] not in _NO_CLASS}))
        target_of = lambda row: _one_hot(classes, row["emotion"])  # noqa: E731
    targets = {row["id"]: target for row in rows if (target := target_of(row)) is not None}
    present = {max(range(len(target)), key=target.__getitem__) for target in targets.values()}
    if len(present) < 2:
        raise TrainingError(
            f"{corpus}: a classifier needs utterances of two classes at least; of {len(rows)} utterances "
            f"{len(targets)} have a label, of the classes {', '.join(classes[i] for i in sorted(present)) or 'none'}"
        )
    return Labels(classes, targets, len(rows) - len(targets))
