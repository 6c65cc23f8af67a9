"""Targets as people type them: found in whatever form, and the nearest offered where there is none."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path, PurePosixPath

_WILDCARD = re.compile(r"\{(\w+)\}")
_NEAR = 0.6
# what a folder is asked for by, where it has one of these
_FIRST = ("metrics.json", "utterances.parquet", "index.html", "table1.csv", "wer.csv", "clean")


def as_in_rules(target: str) -> str:
    """Return a path as rules have it: relative to the working folder, without ``./`` and without a slash at its end."""
    if not target or "://" in target:
        return target
    path = os.path.normpath(target)
    # the working folder under both of its names, where a link leads to it
    for folder in (str(Path.cwd()), os.environ.get("PWD", "")):
        if folder and path.startswith(folder.rstrip("/") + "/"):
            return os.path.relpath(path, folder)
    return path


def nearest(target: str, patterns: Iterable[str], values: Mapping[str, Sequence[str]]) -> str | None:
    """Return the name of a rule or the file that was probably meant, or None if none is near.

    A folder stands for the rule of its name, or for the file of it that is asked for first; a word for the file or the
    rule that it names. Letter case is overlooked.

    Parameters
    ----------
    target
        What was asked for.
    patterns
        Names of rules, and files that rules make, with wildcards in braces.
    values
        What each wildcard may be; patterns with others are passed over.
    """
    known = [pattern for pattern in patterns if values.keys() >= set(_WILDCARD.findall(pattern))]
    return _of_folder(target, known, values) or _of_word(target, known) or _by_likeness(target, known, values)


def _of_folder(target: str, patterns: Sequence[str], values: Mapping[str, Sequence[str]]) -> str | None:
    """Return what is asked for where a folder is named that rules write into."""
    if "/" not in target:
        return None
    depth = target.count("/") + 1
    longer = (pattern.split("/") for pattern in patterns if pattern.count("/") >= depth)
    inner = {_fill(parts, [*target.split("/"), *[""] * (len(parts) - depth)], values) for parts in longer}
    inner = {path for path in inner if path.startswith(f"{target}/")}
    rule = target.rpartition("/")[2]
    if inner and rule in patterns:
        return rule
    return min(inner, key=lambda path: (path.rpartition("/")[2] not in _FIRST, path.count("/"), path), default=None)


def _of_word(target: str, patterns: Sequence[str]) -> str | None:
    """Return the file or rule of a name that is near a single word; ``table1`` is ``results/table1.csv``."""
    if "/" in target or "." in target:
        return None
    named: dict[str, str] = {}
    for pattern in sorted(patterns, key=lambda pattern: (pattern.count("/"), pattern)):
        if "{" not in pattern:
            named.setdefault(PurePosixPath(pattern).stem.casefold(), pattern)
    near = difflib.get_close_matches(target.casefold(), named, n=1, cutoff=_NEAR)
    return named[near[0]] if near else None


def _by_likeness(target: str, patterns: Sequence[str], values: Mapping[str, Sequence[str]]) -> str | None:
    """Return the file or rule whose name is most like a target, part by part, counted from their ends."""
    filled = set()
    for pattern in patterns:
        parts, wanted = pattern.split("/"), target.split("/")
        filled.add(_fill(parts, [*[""] * (len(parts) - len(wanted)), *wanted[-len(parts) :]], values))
    folded = {path.casefold(): path for path in sorted(filled)}
    near = difflib.get_close_matches(target.casefold(), folded, n=1, cutoff=_NEAR)
    return folded[near[0]] if near else None


def _fill(parts: Sequence[str], wanted: Sequence[str], values: Mapping[str, Sequence[str]]) -> str:
    """Return a path with wildcards in the values that are most like what is wanted in their places."""
    return "/".join(_fill_part(part, like, values) for part, like in zip(parts, wanted, strict=True))


def _fill_part(part: str, like: str, values: Mapping[str, Sequence[str]]) -> str:
    names = _WILDCARD.findall(part)
    choices = [
        part.format(**dict(zip(names, chosen, strict=True))) for chosen in product(*(values[name] for name in names))
    ]
    # of those that are as near as each other, the first: `clean` before the noise profiles
    likeness = [difflib.SequenceMatcher(None, choice.casefold(), like.casefold()).ratio() for choice in choices]
    return choices[likeness.index(max(likeness))]
