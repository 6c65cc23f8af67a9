"""Counting what was left out by its reason, in a line that a terminal can show."""

import re
from collections.abc import Iterable

_SHOWN = 5
_PLACE = re.compile(r"^[^\s:][^:]*:\d+: ")
_HEADLINE_END = re.compile(r": |; | \(")
# what differs from one file or row to the next: quoted words, names of files, numbers
_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|[^\s,;]+[/.\\][^\s,;]+|-?\d+")


def _headline(reason: str) -> str:
    """Return what a reason opens with, without the line of a label file: ``too short``, ``no speaker``."""
    return _HEADLINE_END.split(_PLACE.sub("", reason), maxsplit=1)[0]


def by_reason(reasons: Iterable[str]) -> str:
    """Return reasons with their counts, the most frequent first: ``9 too short, 3 cannot be read``.

    Reasons that differ only in a name or number are one, with ``…`` in its place; so are those that open alike, up to a
    colon, semicolon or bracket.
    """
    groups: dict[str, list[str]] = {}
    for headline in map(_headline, reasons):
        groups.setdefault(_PARTICULAR.sub("…", headline), []).append(headline)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    counted = [
        f"{len(headlines):,} {headlines[0] if len(set(headlines)) == 1 else general}" for general, headlines in ordered
    ]
    left = sum(len(headlines) for _, headlines in ordered[_SHOWN:])
    return ", ".join([*counted[:_SHOWN], *([f"{left:,} for other reasons"] if left else [])])
