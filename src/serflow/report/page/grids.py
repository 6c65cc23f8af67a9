"""Tables as a page shows them: ours, the paper's, their difference and the interval of each cell, read from the CSVs.

Nothing is computed anew but how strongly a cell is shaded: what stands in a cell is what stands in a file.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from serflow.errors import StoreError
from serflow.files import check_digest
from serflow.report.headings import Heading, Layout, full_name, merged
from serflow.runs.scores import measure_of, parse_measure

CLEAN, NOISY = "clean", "noisy"
SHADES = 6
"""Shades of cells are numbers from 0 to this."""
MAX_ROWS = 400
_NOT_COMPARED = ": not compared"
_STEPS = (1.0, 2.5, 5.0)
_NUMBERED = re.compile(r"(table|figure)(\d+)(?:_(.+))?")
_TITLES = {"wer": "Word error rates", "curves": "Training curves"}


class Behind(NamedTuple):
    """A cell of runs behind a number: its names, and what its utterances sound like, clean or a noise profile."""

    cell: Mapping[str, str]
    condition: str


class Column(NamedTuple):
    """A column: its name below that of its group, how it is scored (``ua``, ``wa``, ``wer``), and clean or noisy.

    The last is empty where it is both.
    """

    text: str
    measure: str
    condition: str


class Group(NamedTuple):
    """Columns under one name; ``is_alone`` where the column has no name of its own below."""

    text: str
    columns: tuple[int, ...]
    is_alone: bool


class Entry(NamedTuple):
    """A cell. Shades are 0 to `SHADES`, -1 where there is no number; ``tilt`` is -3 to 3, the sign of the difference.

    ``tip`` are the lines of what is said of it; ``runs`` are places of the cells of runs that it is made of.
    """

    ours: str
    paper: str
    difference: str
    interval: str
    tip: tuple[str, ...]
    shade: int
    paper_shade: int
    tilt: int
    runs: tuple[int, ...] = ()


class Line(NamedTuple):
    """A row: its names, each with the number of rows that it spans (0: named above), words, and its cells.

    ``condition`` is clean or noisy, empty where it is both.
    """

    names: tuple[str, ...]
    spans: tuple[int, ...]
    words: tuple[str, ...]
    entries: tuple[Entry, ...]
    condition: str


class Grid(NamedTuple):
    """A table of scores."""

    name: str
    title: str
    corner: tuple[str, ...]
    words: tuple[str, ...]
    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    """What is true of every cell: why it is not compared, where settings are not the paper's."""
    interval_notes: tuple[str, ...]
    has_paper: bool
    why_not: tuple[str, ...]
    """Why no number of the paper is compared with ours; empty where some are."""
    measures: tuple[str, ...]
    """UA and WA where columns have both, for a switch; nothing else."""
    conditions: tuple[str, ...]
    """Clean and noisy where columns have both, or rows."""


class Word(NamedTuple):
    """A cell of words; ``same`` is None where the paper has none."""

    ours: str
    paper: str
    same: bool | None


class Words(NamedTuple):
    """A table of words beside the paper's."""

    name: str
    title: str
    heading: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Word, ...]], ...]


class Plain(NamedTuple):
    """A table as its file has it; ``n_more`` rows of it are left out."""

    name: str
    title: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_more: int


def title_of(name: str) -> str:
    """Return what people call a table or figure: ``Table 1``, ``Figure 4``, ``Noise classifier``."""
    if found := _NUMBERED.fullmatch(name):
        kind, number, more = found.groups()
        return f"{kind.capitalize()} {number}" + (f", {more.replace('_', ' ')}" if more else "")
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows of a table that `serflow.files.write_csv` wrote.

    Raises
    ------
    StoreError
        If it is absent, or not what was written.
    """
    check_digest(path)
    with open(path, encoding="utf-8", newline="") as handle:
        heading, *rows = csv.reader(handle)
    return heading, rows


def score_grid(
    name: str,
    layout: Layout,
    table: Path,
    comparison: Path,
    intervals: Path | None,
    runs: Sequence[Behind] = (),
) -> Grid:
    """Return a table of scores with what stands beside it.

    Parameters
    ----------
    name
        Of the table.
    layout
        Its rows and columns.
    table, comparison, intervals
        The table in the paper's shape, beside the paper's, and its intervals where there are any.
    runs
        Cells of runs; a table's cell names those of them that it is made of.

    Raises
    ------
    StoreError
        If a file is damaged, or is not of this layout.
    """
    heading, rows = read_csv(table)
    n_corner, n_columns = len(layout.corner), len(layout.columns)
    n_words = len(heading) - n_corner - n_columns
    if n_words < 0 or len(rows) != len(layout.quoted) + len(layout.rows):
        raise StoreError(f"{table}: is not of the rows and columns that are asked for; delete it and run again")
    beside = _by_cell(comparison, n_corner)
    sure = {} if intervals is None else _by_cell(intervals, n_corner)
    common = _common(cell["note"] for cell in beside.values() if cell["n_runs"] != "0")
    sure_common = _common(cell["note"] for cell in sure.values())
    names = [*((quoted, None) for quoted in layout.quoted), *((row.name, row) for row in layout.rows)]
    shades = _shades(layout, beside)
    lines = []
    for (row_name, row), shown in zip(names, rows, strict=True):
        entries = []
        for j, column in enumerate(layout.columns):
            key = (tuple(row_name), full_name(column))
            entries.append(
                _entry(
                    shown[n_corner + n_words + j],
                    beside.get(key, {}),
                    sure.get(key, {}),
                    (" · ".join([*row_name, full_name(column)]), common, sure_common),
                    shades.get((_measure(layout, row, column) if row else ""), (0.0, 0.0)),
                    _taken_in(layout, row, column, runs) if row else (),
                )
            )
        lines.append((shown[:n_corner], shown[n_corner : n_corner + n_words], entries))
    marked = heading[n_corner + n_words :]
    conditions = [_condition([entries[j] for _, _, entries in lines], runs) for j in range(n_columns)]
    columns = [
        Column(" ".join(column.name[1:]) or text, _measure(layout, None, column), condition)
        for column, text, condition in zip(layout.columns, marked, conditions, strict=True)
    ]
    rows_shown = _spanned(lines, [_condition(entries, runs) for _, _, entries in lines])
    return Grid(
        name=name,
        title=title_of(name),
        corner=layout.corner,
        words=tuple(heading[n_corner : n_corner + n_words]),
        groups=_groups(layout.columns, marked),
        columns=tuple(columns),
        lines=rows_shown,
        notes=common,
        interval_notes=sure_common,
        has_paper=any(cell["paper"] for cell in beside.values()),
        why_not=() if any(cell["difference"] for cell in beside.values()) else _reasons(common),
        measures=_both(("ua", "wa"), {column.measure for column in columns}),
        conditions=_both((CLEAN, NOISY), set(conditions))
        or _both((CLEAN, NOISY), {row.condition for row in rows_shown}),
    )


def _both(values: tuple[str, ...], found: set[str]) -> tuple[str, ...]:
    return values if found.issuperset(values) else ()


def _by_cell(path: Path, n_corner: int) -> dict[tuple[tuple[str, ...], str], dict[str, str]]:
    """Return the lines of a comparison, or of intervals, by the names of the row and of the column."""
    heading, rows = read_csv(path)
    return {(tuple(row[:n_corner]), row[n_corner]): dict(zip(heading, row, strict=True)) for row in rows}


def _common(notes: Iterable[str]) -> tuple[str, ...]:
    """Return the parts of notes that all of them have, in order."""
    parts = [note.split("; ") for note in notes]
    return tuple(part for part in parts[0] if part and all(part in other for other in parts)) if parts else ()


def _reasons(notes: Sequence[str]) -> tuple[str, ...]:
    return tuple(note.removesuffix(_NOT_COMPARED) for note in notes if note.endswith(_NOT_COMPARED))


def _own(note: str, common: Sequence[str]) -> list[str]:
    return [part for part in note.split("; ") if part and part not in common]


def _measure(layout: Layout, row: Heading | None, column: Heading) -> str:
    """Return how a cell is scored: ``ua``, ``wa`` or ``wer``; of no row, what the column says of it, or nothing."""
    where = merged(layout.where, row.where if row else {}, column.where)
    return parse_measure(measure_of(where))[1] if "measure" in where else ""


def _condition(entries: Sequence[Entry], runs: Sequence[Behind]) -> str:
    """Return whether all runs behind some numbers hear clean or noisy speech; nothing if they do not agree."""
    found = {CLEAN if runs[place].condition == CLEAN else NOISY for entry in entries for place in entry.runs}
    return found.pop() if len(found) == 1 else ""


def _groups(columns: Sequence[Heading], marked: Sequence[str]) -> tuple[Group, ...]:
    """Return the first names of columns, with their marks, each over the columns that have it side by side."""
    firsts = []
    for place, (column, text) in enumerate(zip(columns, marked, strict=True)):
        below = " ".join(column.name[1:])
        firsts.append((text[: len(text) - len(below)].rstrip() if below else text, bool(below), place))
    groups: list[Group] = []
    for (text, has_more), found in groupby(firsts, lambda first: first[:2]):
        places = tuple(place for _, _, place in found)
        groups += [Group(text, places, False)] if has_more else [Group(text, (place,), True) for place in places]
    return tuple(groups)


def _spanned(lines: Sequence[tuple[list[str], list[str], list[Entry]]], conditions: Sequence[str]) -> tuple[Line, ...]:
    """Merge what rows below each other are called alike, but for the last name."""
    spans = [[1] * len(names) for names, _, _ in lines]
    for i in range(len(lines) - 1, 0, -1):
        names, above = lines[i][0], lines[i - 1][0]
        for depth in range(len(names) - 1):
            if names[: depth + 1] != above[: depth + 1]:
                break
            spans[i - 1][depth] += spans[i][depth]
            spans[i][depth] = 0
    return tuple(
        Line(tuple(names), tuple(span), tuple(words), tuple(entries), condition)
        for (names, words, entries), span, condition in zip(lines, spans, conditions, strict=True)
    )


def _taken_in(layout: Layout, row: Heading, column: Heading, runs: Sequence[Behind]) -> tuple[int, ...]:
    """Return the places of the cells of runs that a table's cell is made of."""
    wanted = merged(layout.where, row.where, column.where)
    return tuple(
        place
        for place, run in enumerate(runs)
        if all(run.cell[name] in values for name, values in wanted.items() if name in run.cell)
    )


def _shades(layout: Layout, beside: Mapping[Any, Mapping[str, str]]) -> dict[str, tuple[float, float]]:
    """Return the least and the greatest number of each measure, ours and the paper's."""
    found: dict[str, list[float]] = {}
    for row in layout.rows:
        for column in layout.columns:
            cell = beside.get((row.name, full_name(column)), {})
            numbers = [float(cell[name]) for name in ("ours_mean", "paper") if cell.get(name)]
            found.setdefault(_measure(layout, row, column), []).extend(numbers)
    return {measure: (min(numbers), max(numbers)) for measure, numbers in found.items() if numbers}


def _shade(number: str, ends: tuple[float, float]) -> int:
    low, high = ends
    if not number:
        return -1
    share = (float(number) - low) / (high - low) if high > low else 0.0
    return round(SHADES * min(max(share, 0.0), 1.0))


def _signed(number: str) -> str:
    return f"+{number}" if number and not number.startswith("-") and float(number) else number


def _tilt(difference: str) -> int:
    size = sum(abs(float(difference)) >= step for step in _STEPS) if difference else 0
    return -size if difference.startswith("-") else size


def _entry(
    shown: str,
    beside: Mapping[str, str],
    sure: Mapping[str, str],
    said: tuple[str, Sequence[str], Sequence[str]],
    ends: tuple[float, float],
    runs: tuple[int, ...],
) -> Entry:
    name, common, sure_common = said
    mean, std = beside.get("ours_mean", ""), beside.get("ours_std", "")
    paper, difference = beside.get("paper", ""), beside.get("difference", "")
    printed = f"{paper} ± {beside['paper_std']}" if beside.get("paper_std") else paper
    interval = f"{sure['low']} to {sure['high']}" if sure.get("low") else ""
    tip = [name]
    if mean:
        n_runs = beside["n_runs"]
        tip.append(f"ours {mean}{f' ± {std}' if std else ''}, {n_runs} run{'' if n_runs == '1' else 's'}")
    if interval:
        tip.append(f"95 % interval {interval}: {sure['n_utterances']} utterances in {sure['n_clusters']} clusters")
    if sure.get("difference"):
        against = f"against {sure['baseline']}: {_signed(sure['difference'])}"
        tip.append(f"{against} ({sure['difference_low']} to {sure['difference_high']})" if interval else against)
    if printed:
        tip.append(f"paper {printed}")
    if printed and mean and not difference:
        tip.append("not compared")
    if difference:
        tip.append(f"ours minus the paper's {_signed(difference)}")
    tip += _own(beside.get("note", ""), common) + [
        f"interval: {part}" for part in _own(sure.get("note", ""), sure_common)
    ]
    return Entry(
        ours=shown,
        paper=printed,
        difference=_signed(difference),
        interval=interval,
        tip=tuple(tip),
        shade=_shade(mean, ends),
        paper_shade=_shade(paper, ends),
        tilt=_tilt(difference),
        runs=runs,
    )


def words_table(name: str, table: Path, comparison: Path) -> Words:
    """Return a table of words with those of the paper.

    Raises
    ------
    StoreError
        If a file is absent or damaged.
    """
    heading, rows = read_csv(table)
    _, beside = read_csv(comparison)
    of_cell = {(row, column): (paper, same) for row, column, _, paper, same in beside}

    def word(row: str, column: str, ours: str) -> Word:
        paper, same = of_cell.get((row, column), ("", ""))
        return Word(ours, paper, None if not same else same == "True")

    lines = (
        (first, tuple(word(first, column, ours) for column, ours in zip(heading[1:], cells, strict=True)))
        for first, *cells in rows
    )
    return Words(name, title_of(name), tuple(heading), tuple(lines))


def plain_table(name: str, table: Path) -> Plain:
    """Return a table as it is, at most `MAX_ROWS` of it.

    Raises
    ------
    StoreError
        If it is absent or damaged.
    """
    heading, rows = read_csv(table)
    kept = tuple(map(tuple, rows[:MAX_ROWS]))
    return Plain(name, title_of(name), tuple(heading), kept, len(rows) - len(kept))
