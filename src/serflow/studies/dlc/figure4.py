"""Figure 4 of the DLC paper: what each method gains over its baseline, by corpus, beside the paper's gain.

A gain is the mean over noise profiles of a method's UA minus its baseline's (Single, or HFFN-Single for multimodal
methods), its deviation the standard deviation over profiles (ddof 1; the paper does not say which). The paper printed
no numbers: its gains are computed from its Table I.

Bars are of methods, as in the paper. Controls (clean audio, chance, a plain classifier, a wider Single) answer other
questions, and a bar of what clean audio gains would set the scale of all others: they are rows of Table I, and how far
each is from Single stands in ``table1_intervals.csv``.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from serflow.errors import StoreError
from serflow.report.bars import Series, draw_bars
from serflow.report.comparison import reasons
from serflow.report.facts import Stamped, stamped
from serflow.report.headings import Heading, Layout, printed_name
from serflow.report.style import method_looks
from serflow.report.tables import Filled, Published, fill, read_published
from serflow.runs.provenance import joined
from serflow.runs.scores import Run, Value, mean, read_runs

PANELS = {"1": "a", "2": "b"}
COLUMNS = ["panel", "method", "corpus", "gain", "std", "n_profiles", "n_runs", "paper_gain", "paper_std", "note"]
_HEADINGS = {
    "a": "(a) Experiment 1: noise conditions known from training",
    "b": "(b) Experiment 2: a noise condition that training did not hear",
}
_PAPER_PROFILES = {"h1", "h2", "h3"}
_MULTIMODAL = "HFFN-"
_NOTE = (
    "Bar: mean over noise profiles of a method's UA minus its baseline's, which is Single or, for multimodal methods "
    "(striped), HFFN-Single. Black line: one standard deviation over the profiles (ddof 1); none where there is one "
    "profile. n/a: the method was not run on that corpus."
)
_PAPER_NOTE = (
    " Mark: the paper's gain, computed from its Table I; only beside corpora and noise that are the paper's own."
)


class Files(NamedTuple):
    """``metrics.json`` of each cell of Table I, without its controls."""

    cells: tuple[Path, ...]


class _Gains(NamedTuple):
    """Gains (points) of a method on a corpus, one a profile, and what they come from."""

    row: Heading
    columns: list[Heading]
    gains: list[float]
    values: list[Value]

    @property
    def cells(self) -> list[Run]:
        """The cells of the method."""
        return [cell for value in self.values for cell in value.cells]


def by_corpus(layout: Layout) -> dict[str, list[int]]:
    """Return the columns of each corpus, one a profile; the overall columns are of none."""
    found: dict[str, list[int]] = {}
    for place, column in enumerate(layout.columns):
        corpus = column.where["corpus"]
        if isinstance(corpus, str):
            found.setdefault(corpus, []).append(place)
    return found


def _check_runs(value: Value, baseline: Value) -> None:
    """Refuse a gain over runs that the baseline was not trained in."""
    for cell, other in zip(value.cells, baseline.cells, strict=True):
        if cell.runs() != other.runs():
            raise StoreError(
                f"cells {cell.name} and {other.name}, its baseline, have other runs; delete both and run the same "
                "command again"
            )


def _gains(table: Filled, row: int, columns: Sequence[int]) -> _Gains | None:
    """Return a row's gains in some columns; None where it has no baseline or they are not built."""
    layout = table.layout
    heading = layout.rows[row]
    baselines = [place for place, other in enumerate(layout.rows) if other.name == heading.baseline]
    if not baselines:
        return None
    built = [
        (layout.columns[column], value, other)
        for column in columns
        if (value := table.value(row, column)) and (other := table.value(baselines[0], column))
    ]
    if not built:
        return None
    for _, value, other in built:
        _check_runs(value, other)
    gains = [value.mean - other.mean for _, value, other in built]
    return _Gains(heading, [column for column, _, _ in built], gains, [value for _, value, _ in built])


def _std(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else math.nan


def paper_gains(row: Heading, columns: Sequence[Heading], published: Published) -> tuple[float, float] | None:
    """Return mean and deviation of the paper's gains in some columns, None where its Table I lacks one of them."""
    if row.baseline is None:
        return None
    names = [printed_name(column) for column in columns]
    if any((name, column) not in published for name in (row.name, row.baseline) for column in names):
        return None
    gains = [published[row.name, column].mean - published[row.baseline, column].mean for column in names]
    return mean(gains), _std(gains)


def _line(found: _Gains, layout: Layout, columns: Sequence[int], published: Published) -> dict[str, Any]:
    corpus = str(found.columns[0].where["corpus"])
    profiles = {str(column.where["profile"]) for column in found.columns}
    why_not = list(dict.fromkeys(said for column in found.columns for said in reasons(found.row, column, found.cells)))
    if profiles != _PAPER_PROFILES:
        why_not.append("not the paper's three profiles")
    paper = None if why_not else paper_gains(found.row, found.columns, published)
    if not why_not and paper is None:
        why_not.append("not a bar of the paper")
    asked = [str(layout.columns[column].where["profile"]) for column in columns]
    without = [profile for profile in asked if profile not in profiles]
    remarks = [f"no cell of the method or its baseline in {', '.join(without)}"] if without else []
    remarks += ["one profile: no deviation"] if len(found.gains) == 1 else []
    remarks += [*layout.departures.get(corpus, ()), *joined(cell.provenance for cell in found.cells).remarks]
    return {
        "panel": PANELS[found.row.name[0]],
        "method": found.row.name[-1],
        "corpus": corpus,
        "gain": mean(found.gains),
        "std": _std(found.gains),
        "n_profiles": len(found.gains),
        "n_runs": min(value.n_runs for value in found.values),
        "paper_gain": paper[0] if paper else math.nan,
        "paper_std": paper[1] if paper else math.nan,
        "note": "; ".join([*why_not, *remarks]),
    }


def figure4_table(table: Filled, published: Published) -> pd.DataFrame:
    """Return the bars of Figure 4; a method without cells on a corpus, or without its baseline there, has none.

    Returns
    -------
    pandas.DataFrame
        panel (``a``, ``b``), method, corpus, gain, std (points of UA in percent; NaN for one profile), n_profiles,
        n_runs, paper_gain, paper_std (NaN where the data are not the paper's), note.
    """
    lines = [
        _line(found, table.layout, columns, published)
        for row in range(len(table.layout.rows))
        for columns in by_corpus(table.layout).values()
        if (found := _gains(table, row, columns)) is not None
    ]
    return pd.DataFrame(lines, columns=COLUMNS)


def corpus_labels(table: Filled) -> Stamped:
    """Return the heading of each corpus, and the stamp of all their data."""
    names, provenances = {}, {}
    for corpus, columns in by_corpus(table.layout).items():
        values = [
            found for row in range(len(table.layout.rows)) for column in columns if (found := table.value(row, column))
        ]
        names[corpus] = table.layout.columns[columns[0]].name[0]
        provenances[corpus] = joined(cell.provenance for value in values for cell in value.cells)
    return stamped(names, provenances)


def draw_figure4(bars: pd.DataFrame, corpora: Stamped) -> Figure:
    """Draw `figure4_table` in the paper's form; ``corpora`` say where they are synthetic or partial."""
    looks = method_looks(bars["method"])
    drawn = bars.rename(
        columns={"corpus": "group", "method": "series", "gain": "value", "std": "spread", "paper_gain": "reference"}
    )
    compared = bool(bars["paper_gain"].notna().any())
    return draw_bars(
        drawn,
        panels={panel: _HEADINGS[panel] for panel in sorted(set(bars["panel"])) or ["a"]},
        groups={name: label.replace(" (", "\n(") for name, label in corpora.names.items()},
        series={name: Series(name, look, striped=name.startswith(_MULTIMODAL)) for name, look in looks.items()},
        title="Gain over the baseline",
        quantity="gain in UA (points)",
        note=_NOTE + (_PAPER_NOTE if compared else ""),
        reference="the paper",
        marks=corpora.stamp,
    )


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and its bars, with the corpora as Table I prints them; ``facts`` hold the bars' ``layout``."""
    layout = Layout.from_json(facts["layout"])
    table = fill(layout, read_runs(files.cells))
    bars = figure4_table(table, read_published("dlc", "table1", len(layout.corner)))
    printed = {corpus: layout.columns[columns[0]].name[0] for corpus, columns in by_corpus(layout).items()}
    return draw_figure4(bars, corpus_labels(table)), bars.assign(corpus=bars["corpus"].map(printed))
