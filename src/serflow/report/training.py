"""Figure: how the fits of a study went, by period: a panel per corpus and group of rows, a line per row of a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from serflow.errors import StoreError
from serflow.report.curves import draw_multiples
from serflow.report.facts import Stamped, stamped
from serflow.report.headings import Heading, Layout, Where, merged
from serflow.report.style import method_looks
from serflow.runs.histories import read_history
from serflow.runs.provenance import Provenance, joined
from serflow.runs.scores import SELECTORS
from serflow.stores import parquet

_NOTE = (
    "Line: mean over all fits of a row on the corpus (runs, folds, noise profiles). Band: one standard deviation. "
    "Grey: the other rows. Dashed: chance, a uniform guess among the classes. A line ends where fewer than half of its "
    "fits are still training (early stopping)."
)


def _takes_in(where: Where, cell: Mapping[str, str]) -> bool:
    return all(cell.get(name) in values for name, values in merged(where).items() if name not in SELECTORS)


def _row_of(layout: Layout, cell: Mapping[str, str], path: Path) -> Heading:
    """Return the first row of the table that takes a cell in."""
    for row in layout.rows:
        if _takes_in(layout.where, cell) and _takes_in(row.where, cell):
            return row
    raise StoreError(f"{path}: no row of the table takes this cell in; leave it out")


def _panel(layout: Layout, row: Heading) -> str:
    """Return the heading of a group of rows: all names of a row but the last, ``Experiment 1``."""
    names = zip(layout.corner[:-1], row.name[:-1], strict=True)
    return ", ".join(f"{corner} {name}" for corner, name in names)


def training_curves(layout: Layout, histories: Sequence[Path], value: str) -> pd.DataFrame:
    """Return the curves of all cells: row (group of rows), column (corpus), line, fit, period, value (percent)."""
    parts = []
    for path in histories:
        cell: dict[str, Any] = parquet.read_metadata(path)["cell"]
        row = _row_of(layout, cell, path)
        found = read_history(path, value)
        parts.append(found.assign(row=_panel(layout, row), column=cell.get("corpus", ""), line=row.name[-1]))
    curves = pd.concat(parts, ignore_index=True)
    if curves.empty:
        raise StoreError(f"{histories[0]}: nothing of what is given was trained by periods; give the runs of networks")
    return curves


def _labels(histories: Sequence[Path], titles: Mapping[str, str]) -> Stamped:
    """Return the headings of the corpora that there are, in the order of ``titles``, and the stamp of their data."""
    found: dict[str, list[Provenance]] = {}
    for path in histories:
        metadata = parquet.read_metadata(path)
        found.setdefault(metadata["cell"].get("corpus", ""), []).append(Provenance.from_json(metadata["provenance"]))
    unknown = sorted(found.keys() - titles.keys() - {""})
    if unknown:
        raise StoreError(f"a history of corpus {unknown[0]!r} is given, but no title of it; give one")
    names = {name: titles.get(name, "") for name in [*titles, ""] if name in found}
    return stamped(names, {name: joined(found[name]) for name in names})


def _chance(layout: Layout, histories: Sequence[Path]) -> dict[tuple[str, str], float]:
    """Return what a uniform guess scores (percent), UA and accuracy alike, by group of rows and corpus."""
    found = {}
    for path in histories:
        metadata = parquet.read_metadata(path)
        cell: dict[str, Any] = metadata["cell"]
        found[_panel(layout, _row_of(layout, cell, path)), cell.get("corpus", "")] = 100 / len(metadata["classes"])
    return found


def draw_training(
    layout: Layout, histories: Sequence[Path], value: str, quantity: str, titles: Mapping[str, str]
) -> Figure:
    """Draw the training of a study.

    Parameters
    ----------
    layout
        A table of the study, whose rows are the lines.
    histories
        ``history.parquet`` of its cells.
    value, quantity
        Column of the histories, and what people call it.
    titles
        Of the corpora by name, in order.

    Raises
    ------
    StoreError
        If a file is damaged, or a cell is in no row or has no title.
    """
    curves = training_curves(layout, histories, value)
    drawn = set(curves["line"])
    lines = {name: name for name in dict.fromkeys(row.name[-1] for row in layout.rows) if name in drawn}
    corpora = _labels(histories, titles)
    return draw_multiples(
        curves,
        rows={
            name: name
            for name in dict.fromkeys(_panel(layout, row) for row in layout.rows)
            if name in set(curves["row"])
        },
        columns=corpora.names,
        lines=lines,
        looks=method_looks(lines),
        title="Training",
        quantity=quantity,
        note=_NOTE,
        levels=_chance(layout, histories),
        marks=corpora.stamp,
    )
