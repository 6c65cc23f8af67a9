"""The checks of a study as rows, and on one screen."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from serflow.files import in_two_digits, two_digits
from serflow.qc.checks import DOUBTFUL, FINE, LOOK, WRONG, Check

_WORDS = {WRONG: "wrong", DOUBTFUL: "doubtful", LOOK: "to look at", FINE: "fine"}
_SHOWN = 3
_EXPLAINED = {
    "missing cells": "cells of a table without a value",
    "failed fits": "fits without a score of their test",
    "left chance": "runs whose interval lies above chance (of WA, the largest class)",
    "controls": "scores between chance and what can be reached; with shuffled labels, at chance",
    "plain baseline": "points that a row is better by than a plain classifier on the same test",
    "published": "scores within what others found on the same corpus",
    "size": "tests large enough to tell the difference that the paper prints",
}
CHECKS = tuple(_EXPLAINED)
"""All checks, in order."""


def rows(checks: Sequence[Check]) -> list[list[Any]]:
    """Return a row a check, by `serflow.qc.checks.COLUMNS`."""
    return [in_two_digits(check._replace(scaled=round(check.scaled, 2))) for check in checks]


def page(title: str, marks: Sequence[str], checks: Sequence[Check]) -> str:
    """Return what is to be known before the tables are read, as Markdown: counts, and the worst findings."""
    stamp = f" ({', '.join(marks)})" if marks else ""
    counts = Counter(check.severity for check in checks)
    said = ", ".join(f"{counts[severity]} {word}" for severity, word in _WORDS.items())
    text = [f"# Checks of {title}{stamp}", "", f"{len(checks)} checks: {said}.", ""]
    text += ["| check | what is counted | fine | of | lowest | highest |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for name, what in _EXPLAINED.items():
        of = [check for check in checks if check.check == name]
        if of:
            values = [check.value for check in of if check.value == check.value]
            ends = [two_digits(end(values)) if values else "" for end in (min, max)]
            fine = sum(check.severity == FINE for check in of)
            text.append(f"| {name} | {what} | {fine} | {len(of)} | {' | '.join(ends)} |")
    worst = sorted((check for check in checks if check.severity), key=lambda check: -check.severity)
    shown = [check for name in CHECKS for check in [one for one in worst if one.check == name][:_SHOWN]]
    if worst:
        text += ["", f"The worst of each kind; all {len(worst)} are in the CSV beside this page.", ""]
        shown.sort(key=lambda check: -check.severity)
        text += [f"- {_WORDS[check.severity]}: {_where(check)}: {check.says}" for check in shown]
    return "\n".join(text) + "\n"


def _where(check: Check) -> str:
    place = ", ".join(part for part in (check.table, check.row, check.column) if part)
    return f"{check.check}{f' of {place}' if place else ''}"
