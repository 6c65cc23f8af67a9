"""What the study's networks are asked to predict: a class distribution per utterance, by corpus.

Paper: section III-A; IEMOCAP has four classes as in the prior work that the paper follows.
"""

import math
from collections.abc import Sequence

from serflow.protocols.labels import Labels, Row, Target, iemocap_four, one_hot, own_words

VALENCE = ("low", "mid", "high")
SENTIMENT = ("negative", "neutral", "positive")
_NEUTRAL_VALENCE = 3.0


def _valence(row: Row) -> Target | None:
    """Return the shares of evaluators who rated valence below, at and above 3 (of 1 to 5)."""
    ratings = [rating for rating in row["valence_ratings"] or () if rating is not None and not math.isnan(rating)]
    if not ratings:
        return None
    low = sum(rating < _NEUTRAL_VALENCE for rating in ratings)
    high = sum(rating > _NEUTRAL_VALENCE for rating in ratings)
    return low / len(ratings), (len(ratings) - low - high) / len(ratings), high / len(ratings)


def _sentiment(row: Row) -> Target | None:
    sentiment: float | None = row["sentiment"]
    if sentiment is None or math.isnan(sentiment):
        return None
    return one_hot(SENTIMENT, "negative" if sentiment < 0 else "positive" if sentiment > 0 else "neutral")


def emotion_labels(layout: str, rows: Sequence[Row], iemocap: str) -> Labels:
    """Return classes and targets of a corpus.

    ``iemocap``: anger, happiness (with excitement, unless ``iemocap`` is ``hap_only``), neutral, sadness.
    ``msp_improv``: low, mid, high valence, a soft target from the evaluators' ratings. ``mosei``: negative,
    neutral, positive sentiment. Any other corpus: its emotion words, but for other and undecided.

    Parameters
    ----------
    layout
        Name of the corpus layout.
    rows
        Utterances.
    iemocap
        ``merged`` or ``hap_only``.
    """
    if layout == "iemocap":
        return iemocap_four(excitement=iemocap == "merged")
    if layout == "msp_improv":
        return Labels(VALENCE, _valence)
    if layout == "mosei":
        return Labels(SENTIMENT, _sentiment)
    return own_words(rows)
