"""Choosing a few utterances to show: one of each emotion, of a usual length."""

import statistics
from collections.abc import Container
from pathlib import Path
from typing import Any, NamedTuple

from serflow.corpora._tables import read_utterances
from serflow.corpora.base import EMOTIONS


class Labelled(NamedTuple):
    """An utterance with what a heading says of it."""

    utterance: str
    emotion: str | None
    speaker: str
    duration_s: float
    shard: str


def read_labels(table: Path) -> list[Labelled]:
    """Read the utterances of a corpus.

    Raises
    ------
    StoreError
        If the table is damaged.
    """
    rows = read_utterances(table, columns=["utterance", "emotion", "speaker", "duration_s", "shard"]).to_pylist()
    return [Labelled(row["utterance"], row["emotion"], row["speaker"], row["duration_s"], row["shard"]) for row in rows]


def emotion_rank(emotion: Any) -> tuple[int, str]:
    """Return the place of an emotion among the others; what has none comes last."""
    return (EMOTIONS.index(emotion) if emotion in EMOTIONS else len(EMOTIONS), str(emotion))


def choose(labels: list[Labelled], n: int, among: Container[str] | None = None) -> list[Labelled]:
    """Return ``n`` utterances: of the emotions in turn, those nearest to the median length first.

    Parameters
    ----------
    labels
        The corpus.
    n
        How many; fewer where there are no more.
    among
        Names to choose from; all by default.
    """
    allowed = [entry for entry in labels if among is None or entry.utterance in among]
    if not allowed:
        return []
    usual = statistics.median(entry.duration_s for entry in allowed)
    of_emotion: dict[str | None, list[Labelled]] = {}
    for entry in sorted(allowed, key=lambda entry: (abs(entry.duration_s - usual), entry.utterance)):
        of_emotion.setdefault(entry.emotion, []).append(entry)
    queues = [of_emotion[emotion] for emotion in sorted(of_emotion, key=emotion_rank)]
    chosen = [queue[turn] for turn in range(max(map(len, queues))) for queue in queues if turn < len(queue)]
    kept = chosen[:n]
    return sorted(kept, key=lambda entry: emotion_rank(entry.emotion))
