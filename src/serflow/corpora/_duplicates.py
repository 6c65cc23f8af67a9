"""Utterances of one corpus whose audio is the same, whatever they are called.

The same means equal 16-bit samples at 16 kHz. Digital silence is no audio and rejected, and so no duplicate.
"""

import os
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from serflow.files import write_csv

_TOLD = (
    "emotion", "intensity", "valence", "activation", "dominance", "sentiment", "speaker", "gender", "session",
    "language", "style", "sentence", "text",
)  # fmt: skip


class Duplicate(NamedTuple):
    """An utterance, the first one with the same audio, and the columns in which the two differ, labels first."""

    utterance: str
    path: str
    duplicate_of: str
    duplicate_path: str
    differs: tuple[str, ...]


def find_duplicates(utterances: pa.Table) -> list[Duplicate]:
    """Return the utterances that have a ``duplicate_of``, in their order."""
    names, first_of = (utterances.column(name).to_pylist() for name in ("utterance", "duplicate_of"))
    concerned = {*(name for name, first in zip(names, first_of, strict=True) if first is not None), *first_of}
    some = utterances.filter(pa.array([name in concerned for name in names], pa.bool_()))
    rows = {row["utterance"]: row for row in some.select(["utterance", "path", "duplicate_of", *_TOLD]).to_pylist()}
    pairs = [(row, rows[row["duplicate_of"]]) for row in rows.values() if row["duplicate_of"] is not None]
    return [
        Duplicate(
            row["utterance"],
            row["path"],
            first["utterance"],
            first["path"],
            tuple(column for column in _TOLD if row[column] != first[column]),
        )
        for row, first in pairs
    ]


def write_duplicates(path: str | os.PathLike[str], duplicates: Sequence[Duplicate]) -> None:
    """Write duplicates as CSV, a line each."""
    write_csv(path, Duplicate._fields, ((*entry[:-1], "; ".join(entry.differs)) for entry in duplicates))


def duplicates_note(duplicates: Sequence[Duplicate], n_accepted: int) -> str | None:
    """Say how many there are, and how many differ from the first of the same audio; None where there is none."""
    if not duplicates:
        return None
    counted = Counter(column for entry in duplicates for column in entry.differs)
    differing = ", ".join(f"{count:,} with another {column}" for column, count in counted.items())
    return (
        f"{len(duplicates):,} of {n_accepted:,} utterances repeat the audio of another "
        f"({differing or 'all with the same labels'})"
    )
