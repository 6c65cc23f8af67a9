"""A paper's table from runs: every cell is a selection of runs, averaged."""

import csv
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

from serflow.errors import ConfigError, StoreError
from serflow.files import check_digest
from serflow.report.facts import marked, marks
from serflow.report.headings import NOT_APPLICABLE, Heading, Layout, full_name, merged, why_absent
from serflow.runs.provenance import joined
from serflow.runs.scores import Run, Value, score_rows, select


class Printed(NamedTuple):
    """What a paper prints in a cell, in percent: a mean, and its standard deviation, None where there is none."""

    mean: float
    std: float | None = None


Published = Mapping[tuple[tuple[str, ...], str], Printed]


class Filled(NamedTuple):
    """A table's cells by row and column, from 0: a value, or why there is none."""

    layout: Layout
    cells: Mapping[tuple[int, int], Value | str]

    def value(self, row: int, column: int) -> Value | None:
        """Return the value of a cell, None where there is none."""
        found = self.cells[row, column]
        return found if isinstance(found, Value) else None


def fill(layout: Layout, runs: Sequence[Run]) -> Filled:
    """Return the values of a table.

    Raises
    ------
    ConfigError
        If two rows or two columns have one name.
    StoreError
        If a run is missing.
    """
    for names in ([full_name(row) for row in layout.rows], [full_name(column) for column in layout.columns]):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"config.yaml: two rows or columns are called {twice!r}; give one corpus another title")
    cells: dict[tuple[int, int], Value | str] = {}
    for i, row in enumerate(layout.rows):
        for j, column in enumerate(layout.columns):
            absent = why_absent(row, column)
            found = absent or select(runs, merged(layout.where, row.where, column.where), layout.over_folds)
            cells[i, j] = found if absent or isinstance(found, Value) else f"{NOT_APPLICABLE}: {found}"
    return Filled(layout, cells)


def four_digits(value: float) -> str:
    """Return a share or a correlation, which two digits would blur; nothing of NaN."""
    return "" if math.isnan(value) else f"{round(value, 4) + 0.0:.4f}"


def taken_in(table: Filled) -> list[Run]:
    """Return the runs that a table's cells are made of, each once."""
    found = (cell for value in table.cells.values() if isinstance(value, Value) for cell in value.cells)
    return list({cell.name: cell for cell in found}.values())


class _Marks(NamedTuple):
    """Marks of columns, of rows, and of single cells."""

    columns: dict[int, list[str]]
    rows: dict[int, list[str]]
    cells: dict[tuple[int, int], list[str]]


def _marks(table: Filled) -> _Marks:
    """Give a mark to the columns that have it in every cell, else to such rows, else to the cell itself."""
    left = {
        place: list(marks(joined(cell.provenance for cell in found.cells)))
        for place, found in table.cells.items()
        if isinstance(found, Value)
    }
    placed = []
    for axis, headings in ((1, table.layout.columns), (0, table.layout.rows)):
        of_axis: dict[int, list[str]] = {}
        for index in range(len(headings)):
            there = [found for place, found in left.items() if place[axis] == index]
            of_axis[index] = [mark for mark in there[0] if all(mark in found for found in there)] if there else []
        left = {place: [mark for mark in found if mark not in of_axis[place[axis]]] for place, found in left.items()}
        placed.append(of_axis)
    return _Marks(placed[0], placed[1], left)


def headings(table: Filled) -> tuple[list[str], list[list[str]]]:
    """Return what is printed above the columns and before the rows: names with the marks of their data."""
    found = _marks(table)
    columns = [
        " ".join([marked(heading.name[0], found.columns[j]), *heading.name[1:]])
        for j, heading in enumerate(table.layout.columns)
    ]
    rows = [
        [*heading.name[:-1], marked(heading.name[-1], found.rows[i])] for i, heading in enumerate(table.layout.rows)
    ]
    return columns, rows


def _show(found: Value | str, show: str) -> str:
    if isinstance(found, str):
        return NOT_APPLICABLE
    with_std = show == "mean_std" and found.n_runs > 1
    return f"{found.mean:.2f} ± {found.std:.2f}" if with_std else f"{found.mean:.2f}"


class Words(NamedTuple):
    """Columns of words beside the scores: their headings, and the words by the row's name, in one piece."""

    headings: Sequence[str]
    of_rows: Mapping[str, Sequence[str]]


NO_WORDS = Words((), {})


def in_shape(table: Filled, published: Published, words: Words = NO_WORDS) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows of the table in the paper's own shape, in percent.

    Names say ``(synthetic)`` and the like; a cell that cannot be had says ``n/a``. Rows that the paper quotes from
    others come first, with its numbers, and say ``(published)``. ``words`` stand behind the names, those of
    `Layout.beside`.
    """
    columns, rows = headings(table)
    of_cells = _marks(table).cells
    absent = [NOT_APPLICABLE] * len(words.headings)
    lines = [
        [
            *name,
            *words.of_rows.get(full_name(table.layout.rows[i]), absent),
            *(
                marked(_show(table.cells[i, j], table.layout.show), of_cells.get((i, j), ()))
                for j in range(len(columns))
            ),
        ]
        for i, name in enumerate(rows)
    ]
    names = [full_name(column) for column in table.layout.columns]
    quoted = [
        [
            *row[:-1],
            marked(row[-1], ["published"]),
            *absent,
            *(_quoted(published.get((row, name)), table.layout.show) for name in names),
        ]
        for row in table.layout.quoted
    ]
    return [*table.layout.corner, *words.headings, *columns], [*quoted, *lines]


def _quoted(found: Printed | None, show: str) -> str:
    if found is None:
        return NOT_APPLICABLE
    with_std = show == "mean_std" and found.std is not None
    return f"{found.mean:.2f} ± {found.std:.2f}" if with_std else f"{found.mean:.2f}"


def read_published(study: str, table: str, n_corner: int) -> Published:
    """Return what a paper printed: ``published/{table}.csv`` of the study, in the paper's own shape, ``57.0 ± 1.0``.

    Parameters
    ----------
    study, table
        Names.
    n_corner
        Columns that name the rows.

    Returns
    -------
    mapping
        By the row's name, in parts, and the column's; what the paper left empty is not there. Of a table that the paper
        does not have, nothing.
    """
    heading, *lines = _published_lines(study, table) or [[]]
    return {
        (tuple(line[:n_corner]), column): _printed(value)
        for line in lines
        for column, value in zip(heading[n_corner:], line[n_corner:], strict=True)
        if value
    }


def published_tables(study: str, layouts: Mapping[str, Layout]) -> dict[str, Published]:
    """Return what a paper printed of tables, by their names; see `read_published`."""
    return {name: read_published(study, layout.printed or name, len(layout.corner)) for name, layout in layouts.items()}


def _printed(cell: str) -> Printed:
    mean, _, std = cell.partition(" ± ")
    return Printed(float(mean), float(std) if std else None)


def read_published_words(study: str, table: str) -> dict[tuple[str, str], str]:
    """Return what a paper printed in a table that is not of scores, by row and column; see `read_published`."""
    heading, *lines = _published_lines(study, table) or [[]]
    return {(line[0], column): word for line in lines for column, word in zip(heading[1:], line[1:], strict=True)}


def _published_lines(study: str, table: str) -> list[list[str]]:
    path = resources.files(f"serflow.studies.{study}").joinpath("published", f"{table}.csv")
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines())) if path.is_file() else []


def read_words(path: str | os.PathLike[str], rows: Sequence[Heading]) -> Words:
    """Read a table of words, a CSV whose first column names rows as `facts.marked` has them, for ``rows``.

    Raises
    ------
    StoreError
        If it is not what was written, or has not one row for each of ``rows``.
    """
    check_digest(path)
    with open(path, encoding="utf-8", newline="") as file:
        heading, *lines = csv.reader(file)
    of_rows = {}
    for name in map(full_name, rows):
        found = [words for said, *words in lines if said == name or said.startswith(f"{name} (")]
        if len(found) != 1:
            raise StoreError(f"{path}: has {len(found)} rows {name!r} where a table needs one; delete it and run again")
        of_rows[name] = found[0]
    return Words(heading[1:], of_rows)


def fit_rows(runs: Sequence[Run]) -> tuple[list[str], Iterator[list[Any]]]:
    """Return heading and rows of every fit's scores: cell, run, fold, role, what was predicted, utterances, UA, WA.

    Shares are in percent. Of words (WER), the share of edits stands under ``wer``.
    """
    fields = list(dict.fromkeys(name for run in runs for name in run.cell))
    heading = [*fields, "run", "fold", "role", "predicted", "n", "ua", "wa", "wer"]
    return heading, ([*(run.cell.get(name, "") for name in fields), *row] for run in runs for row in score_rows(run))
