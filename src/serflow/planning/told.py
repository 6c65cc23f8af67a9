"""A forecast for people: a row a rule, the sum, and what the numbers rest on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from serflow.inspection.description import Table, print_table
from serflow.planning.forecast import OfRule, total
from serflow.planning.remaining import in_words
from serflow.planning.work import Amount

if TYPE_CHECKING:
    from rich.console import Console

_S_PER_H = 3600.0
_HEADINGS = ["rule", "jobs", "core time", "GPU time", "asks MB", "had MB", "disk MB"]


def _time(seconds: Amount) -> str:
    """Return a time, or the least and the most of it."""
    if not seconds.most:
        return ""
    least, most = in_words(seconds.least), in_words(seconds.most)
    return most if least == most else f"{least} to {most}"


def _hours(seconds: Amount) -> str:
    least, most = (f"{part / _S_PER_H:,.3g}" for part in seconds)
    return most if least == most else f"{least} to {most}"


def _row(rule: OfRule) -> list[str | int | float | None]:
    known = rule.known > 0
    return [
        rule.rule,
        rule.jobs,
        _time(rule.core_s) if known else "?",
        _time(rule.gpu_s),
        f"{rule.asked_mb:,}",
        "" if rule.peak_mb is None else f"{rule.peak_mb:,.0f}",
        f"{rule.disk_mb:,.0f}" if known else "?",
    ]


def tell(rules: Sequence[OfRule], target: str, hours: Sequence[str], console: "Console") -> None:
    """Print a forecast; ``hours`` say how long the corpora are."""
    if not rules:
        console.print(f"nothing to do: {target} is up to date", markup=False, soft_wrap=True)
        return
    whole = total(rules)
    rows = [*map(_row, rules), _row(whole)]
    shown = [i for i, name in enumerate(_HEADINGS) if name != "GPU time" or any(row[i] for row in rows)]
    table = [[row[i] for i in shown] for row in rows]
    print_table(console, Table(f"Left to do for {target}", [_HEADINGS[i] for i in shown], table))
    for line in remarks(rules, whole, hours):
        console.print(line, markup=False, soft_wrap=True)


def remarks(rules: Sequence[OfRule], whole: OfRule, hours: Sequence[str]) -> list[str]:
    """Return what a reader has to know of the numbers, a line each."""
    said = [f"In all {_hours(whole.core_s)} core-hours and {_hours(whole.gpu_s)} GPU-hours."]
    if whole.core_s.least != whole.core_s.most or whole.gpu_s.least != whole.gpu_s.most:
        said.append(
            "Where trainings stop early nobody knows when: the least is one epoch more than the patience, the most all "
            "epochs of the configuration."
        )
    if whole.on_cpu:
        said.append(
            f"{whole.on_cpu} jobs ask for a GPU and were recorded without one: their time is that of a CPU core."
        )
    if hours:
        said.append(f"Corpora: {'; '.join(hours)}.")
    if whole.unknown:
        said.append(f"Not in these numbers, {sum(whole.unknown.values())} of {whole.jobs} jobs:")
        for why in whole.unknown:
            of_rules = ", ".join(f"{rule.unknown[why]} {rule.rule}" for rule in rules if why in rule.unknown)
            said.append(f"  {why}: {of_rules}")
    said += [f"Costs: {source}" for source in sorted(whole.sources)]
    return said
