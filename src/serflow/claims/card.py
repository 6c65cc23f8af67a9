"""The claims of a paper over the tables of a study: a line a number, and a page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from serflow.claims.ledger import Assertion, Claim, Claims, Number, numbers
from serflow.claims.numbers import Estimate, TableNumbers
from serflow.claims.verdicts import Verdict, judge, of_claim, why_not
from serflow.files import two_digits
from serflow.report.comparison import other_settings
from serflow.report.facts import data_reasons, marks
from serflow.report.headings import Layout, full_name, printed_name
from serflow.report.tables import Published
from serflow.runs.bootstrap import REPLICATES, Clusters
from serflow.runs.provenance import joined
from serflow.runs.scores import Run

COLUMNS = (
    "claim", "section", "sentence", "number", "asserted", "paper", "value", "low", "high", "drawn", "n_runs",
    "n_clusters", "marks", "part", "verdict", "note",
)  # fmt: skip
FEW_CLUSTERS = 20
_STAMP = "**Judged on other data than the paper's**, other columns or settings: {marks}. Each verdict says so."
OTHER_SETTINGS = "other settings"
"""Mark of a number whose cells were not all made with the paper's settings; which they are stands in the notes."""
_HEADING = ("number", "asserted", "paper", "ours", "95 % interval", "runs", "verdict", "note")


class Part(NamedTuple):
    """One number of a claim: what must be so, what the paper printed (NaN for nothing), and how it comes out."""

    name: str
    asserted: str
    paper: float
    found: Estimate | None
    marks: tuple[str, ...]
    verdict: Verdict
    notes: tuple[str, ...]


class Judged(NamedTuple):
    """A claim by its name, with its parts and their verdict; ``why`` of what cannot be told."""

    name: str
    claim: Claim
    parts: Sequence[Part]
    verdict: Verdict
    why: tuple[str, ...]


class Sources(NamedTuple):
    """What claims are judged by: tables as they are configured, what the paper prints in each, runs, clusters."""

    layouts: Mapping[str, Layout]
    published: Mapping[str, Published]
    runs: Sequence[Run]
    clusters: Mapping[str, Clusters]


def judge_all(claims: Claims, sources: Sources, replicates: int = REPLICATES) -> list[Judged]:
    """Return all claims of a paper, judged.

    Raises
    ------
    StoreError
        If a file of the runs is absent or damaged, or the cells of a number have no run in common.
    """
    tables = {
        name: TableNumbers(layout, sources.runs, sources.clusters, replicates)
        for name, layout in sources.layouts.items()
    }
    return [_judged(name, claim, sources, tables) for name, claim in claims.claims.items()]


def _judged(name: str, claim: Claim, sources: Sources, tables: Mapping[str, TableNumbers]) -> Judged:
    if claim.needs is not None:
        return Judged(name, claim, (), Verdict.CANNOT_TELL, (f"needs {claim.needs}",))
    parts = [
        _part(assertion, number, tables.get(assertion.table), sources.published.get(assertion.table, {}))
        for assertion in claim.asserts
        for number in numbers(assertion, sources.layouts.get(assertion.table))
    ]
    verdict = of_claim(part.verdict for part in parts)
    # the first note of a part that cannot be told is why
    why = dict.fromkeys(part.notes[0] for part in parts if part.verdict is Verdict.CANNOT_TELL)
    return Judged(name, claim, parts, verdict, tuple(why) if verdict is Verdict.CANNOT_TELL else ())


def _part(assertion: Assertion, number: Number, table: TableNumbers | None, published: Published) -> Part:
    asserted = assertion.said()
    if number.needs is not None or table is None:
        return Part(number.name, asserted, math.nan, None, (), Verdict.CANNOT_TELL, (f"needs {number.needs}",))
    paper = printed(number, published)
    cells = table.cells(number.terms)
    settings = other_settings(table.layout, cells)
    marked = (*marks(joined(cell.provenance for cell in cells)), *([OTHER_SETTINGS] if settings else []))
    found = table.estimate(number.terms)
    if isinstance(found, str):
        return Part(number.name, asserted, paper, None, marked, Verdict.CANNOT_TELL, (f"needs {found}",))
    named = dict.fromkeys(
        reason for term in number.terms for heading in (term.row, term.column) for reason in heading.reasons
    )
    foreign = [said.removesuffix(": not compared") for said in data_reasons(cells)]
    reason = why_not(assertion, found, [*named, *foreign])
    verdict = Verdict.CANNOT_TELL if reason else judge(assertion, found.low, found.high)
    # what is not the paper's stamps the verdict, as what is not real does
    marked = (*marked, *named)
    notes = [reason] if reason else ["no interval"] if verdict is Verdict.CANNOT_TELL else []
    if not math.isnan(paper) and not _printed_so(assertion, paper):
        notes.append("the paper's own numbers do not say so")
    if found.n_clusters is not None and found.n_clusters < FEW_CLUSTERS:
        notes.append(f"few clusters: {found.n_clusters} in the smallest test set")
    notes += settings
    return Part(number.name, asserted, paper, found, marked, verdict, tuple(notes))


def printed(number: Number, published: Published) -> float:
    """Return a number by what the paper prints in its cells; NaN where it does not print them all."""
    by_name = {(" ".join(row), column): value.mean for (row, column), value in published.items()}
    cells = [(term.sign, (full_name(term.row), printed_name(term.column))) for term in number.terms]
    # the paper has no such row or column where there are reasons, though it may have one of that name
    foreign = any(term.row.reasons or term.column.reasons for term in number.terms)
    if foreign or any(cell not in by_name for _, cell in cells):
        return math.nan
    return math.fsum(sign * by_name[cell] for sign, cell in cells)


def _printed_so(assertion: Assertion, value: float) -> bool:
    # numbers are printed with two digits at most
    return judge(assertion, round(value, 2), round(value, 2)) is Verdict.HOLDS


def lines(judged: Sequence[Judged]) -> list[list[Any]]:
    """Return a line a number of each claim, by `COLUMNS`; a claim that no table can tell has one too."""
    rows: list[list[Any]] = []
    for one in judged:
        about = [one.name, one.claim.section, one.claim.sentence]
        for part in one.parts:
            found = part.found
            values = ("", "", "") if found is None else map(two_digits, (found.value, found.low, found.high))
            drawn = ("", 0, "") if found is None else (found.drawn, found.n_runs, found.n_clusters)
            rows.append([
                *about, part.name, part.asserted, two_digits(part.paper), *values, *drawn, "; ".join(part.marks),
                part.verdict.value, one.verdict.value, "; ".join(part.notes),
            ])  # fmt: skip
        if not one.parts:
            told = one.verdict.value
            rows.append([*about, "", "", "", "", "", "", "", 0, "", "", told, told, "; ".join(one.why)])
    return rows


def page(title: str, judged: Sequence[Judged]) -> str:
    """Return the claims of a paper as Markdown: how many of each verdict, then each with its numbers."""
    counts = {verdict: sum(one.verdict is verdict for one in judged) for verdict in Verdict}
    stamp = list(dict.fromkeys(mark for one in judged for part in one.parts for mark in part.marks))
    text = [
        f"# Claims of the {title} paper",
        "",
        "; ".join(f"{verdict.value}: {count}" for verdict, count in counts.items()) + ".",
        "",
        *([_STAMP.format(marks=", ".join(stamp)), ""] if stamp else []),
        "A claim *holds* where the whole 95 % interval of its number, over test clusters and trainings, is where the "
        "sentence has it. A cluster is what is drawn together: a dialogue, an utterance that is in none, or all that a "
        "speaker says. All numbers are points of percent.",
    ]
    for one in judged:
        marked = list(dict.fromkeys(mark for part in one.parts for mark in part.marks))
        stamped = f" ({', '.join(marked)})" if marked else ""
        why = f": {_cell('; '.join(one.why))}" if one.why else ""
        text += ["", f"## {one.name}", "", f"{one.claim.sentence} ({one.claim.section})", ""]
        text += [f"**{one.verdict.value}**{stamped}{why}"]
        if one.parts:
            text += ["", f"| {' | '.join(_HEADING)} |", "|" + " --- |" * len(_HEADING)]
            text += [f"| {' | '.join(map(_cell, _shown(part)))} |" for part in one.parts]
    return "\n".join(text) + "\n"


def _shown(part: Part) -> list[str]:
    found = part.found
    ours = ("", "", "") if found is None else (two_digits(found.value), _interval(found), str(found.n_runs))
    return [part.name, part.asserted, two_digits(part.paper), *ours, part.verdict.value, "; ".join(part.notes)]


def _interval(found: Estimate) -> str:
    return "" if math.isnan(found.low) else f"{two_digits(found.low)} to {two_digits(found.high)}"


def _cell(text: str) -> str:
    """Return a text as a cell of a Markdown table can hold it."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
