"""Counting what was left out by its reason, in a line that a terminal can show."""

import re
from collections.abc import Iterable

_SHOWN = 5
_PLACE = re.compile(r"^[^\s:][^:]*:\d+: ")
_HEADLINE_END = re.compile(r": |; | \(")
# whose it is: quoted words, which may hold anything; paths of a machine with all that follows them, names of files
_QUOTED = re.compile(r"(?<!\w)(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")
_NAMED = re.compile(r"(?<!\S)~?/.*|(?![\d.]+(?:[\s,;]|$))[^\s,;]+[/.\\][^\s,;]+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def _headline(reason: str) -> str:
    """Return what a reason opens with, without names and the line of a label file: ``too short``, ``no speaker``."""
    said = _PLACE.sub("", _QUOTED.sub("…", reason))
    return _NAMED.sub("…", _HEADLINE_END.split(said, maxsplit=1)[0])


def by_reason(reasons: Iterable[str]) -> str:
    """Return reasons with their counts, the most frequent first: ``9 too short, 3 cannot be read``.

    Reasons that open alike, up to a colon, semicolon or bracket, are one; so are those that differ only in a number,
    with ``…`` in its place. Names and quoted words are ``…`` always: tables and what is exported repeat what is said.
    """
    groups: dict[str, list[str]] = {}
    for headline in map(_headline, reasons):
        groups.setdefault(_NUMBER.sub("…", headline), []).append(headline)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    counted = [
        f"{len(headlines):,} {headlines[0] if len(set(headlines)) == 1 else general}" for general, headlines in ordered
    ]
    left = sum(len(headlines) for _, headlines in ordered[_SHOWN:])
    return ", ".join([*counted[:_SHOWN], *([f"{left:,} for other reasons"] if left else [])])
