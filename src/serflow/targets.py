"""Targets as people type them: found in whatever form, and the nearest offered where there is none."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

_WILDCARD = re.compile(r"\{(\w+)\}")
_NEAR = 0.6


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

    Parameters
    ----------
    target
        What was asked for.
    patterns
        Names of rules, and files that rules make, with wildcards in braces.
    values
        What each wildcard may be; patterns with others are passed over.
    """
    filled = (_fill(pattern, target, values) for pattern in patterns)
    near = difflib.get_close_matches(target, sorted({path for path in filled if path is not None}), n=1, cutoff=_NEAR)
    return near[0] if near else None


def _fill(pattern: str, target: str, values: Mapping[str, Sequence[str]]) -> str | None:
    """Return the path of a pattern that is nearest to a target, part by part, counted from their ends."""
    if not values.keys() >= set(_WILDCARD.findall(pattern)):
        return None
    parts, wanted = pattern.split("/"), target.split("/")
    wanted = [""] * (len(parts) - len(wanted)) + wanted[-len(parts) :]
    return "/".join(_fill_part(part, like, values) for part, like in zip(parts, wanted, strict=True))


def _fill_part(part: str, like: str, values: Mapping[str, Sequence[str]]) -> str:
    names = _WILDCARD.findall(part)
    choices = [
        part.format(**dict(zip(names, chosen, strict=True))) for chosen in product(*(values[name] for name in names))
    ]
    return max(choices, key=lambda choice: difflib.SequenceMatcher(None, choice, like).ratio())
