"""A description of an artefact: facts, tables and warnings, for a terminal or as JSON."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

_UNITS = ("B", "KB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing known of an artefact: ``value`` for programs, ``text`` for people."""

    label: str
    value: Any
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(slots=True)
class Description:
    """What there is to say of an artefact; ``warnings`` are what a reader must not overlook."""

    path: Path
    kind: str
    heading: str
    warnings: list[str] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def add(self, label: str, value: Any, text: str | None = None) -> None:
        """Add a fact; ``text`` is made from ``value`` if not given."""
        self.facts.append(Fact(label, value, show(value) if text is None else text))

    def add_table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Add a table, unless it has no rows."""
        listed = [list(row) for row in rows]
        if listed:
            self.tables.append(Table(title, list(columns), listed))

    def as_json(self) -> dict[str, Any]:
        """Return it for ``json.dumps``; facts are keyed by their labels with underscores."""
        content = {
            "path": str(self.path),
            "kind": self.kind,
            "heading": self.heading,
            "warnings": self.warnings,
            "facts": {fact.label.replace(" ", "_"): fact.value for fact in self.facts},
            "tables": [{"title": t.title, "columns": t.columns, "rows": t.rows} for t in self.tables],
        }
        plain: dict[str, Any] = _plain(content)
        return plain

    def print(self, console: Console) -> None:
        """Write it to a terminal."""
        # a path that does not fit beside the heading has a line of its own, to be copied whole
        between = "  " if len(self.heading) + 2 + len(str(self.path)) <= console.width else "\n"
        heading, path = escape(self.heading), escape(str(self.path))
        console.print(f"[bold]{heading}[/bold]{between}[dim]{path}[/dim]", soft_wrap=True)
        for warning in self.warnings:
            console.print(f"[bold yellow]{escape(warning)}[/bold yellow]")
        if self.facts:
            grid = RichTable.grid(padding=(0, 2))
            grid.add_column(style="cyan", no_wrap=True)
            grid.add_column(overflow="fold")
            for fact in self.facts:
                grid.add_row(escape(fact.label), escape(fact.text))
            console.print(grid)
        for table in self.tables:
            console.print()
            print_table(console, table)


def print_table(console: Console, table: Table) -> None:
    """Write a table to a terminal, numbers to the right, in as many blocks as its width asks for.

    What is the same in all rows is said once, and long remarks stand below the table under their numbers. Blocks repeat
    the columns that name the rows.
    """
    console.print(f"[bold]{escape(table.title)}[/bold]", soft_wrap=True)
    columns = [
        _Column(name, [show(row[place]) for row in table.rows], all(_is_number(row[place]) for row in table.rows))
        for place, name in enumerate(table.columns)
    ]
    wide = _width(columns) > console.width
    alike = [column for column in columns if wide and len(table.rows) > 1 and len(set(column.cells)) == 1]
    columns = [column for column in columns if column not in alike]
    remarks: dict[str, int] = {}
    if _width(columns) > console.width:
        columns = [_numbered(column, remarks) if column.longest() > _LONG else column for column in columns]
    for number, block in enumerate(_blocks(columns, console.width)):
        if number:
            console.print()
        drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for column in block:
            heading = column.name.replace("_", "_\n") if column.broken() else column.name
            drawn.add_column(
                escape(heading), justify="right" if column.looks_like_numbers() else "left", overflow="fold",
                width=min(column.width(), console.width // 2) if wide else None,
            )  # fmt: skip
        for cells in zip(*(column.cells for column in block), strict=True):
            drawn.add_row(*map(escape, cells))
        console.print(drawn)
    for remark, number in remarks.items():
        console.print(f"[{number}] {remark}", markup=False)
    if alike:
        said = ", ".join(f"{column.name} {column.cells[0] or '(empty)'}" for column in alike)
        console.print(f"In all rows: {said}", markup=False)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as it is shown."""

    name: str
    cells: list[str]
    numbers: bool

    def looks_like_numbers(self) -> bool:
        """Tell whether all cells are numbers as people write them; those of a CSV are texts."""
        return self.numbers or all(_NUMBER.fullmatch(cell) for cell in self.cells)

    def longest(self) -> int:
        return max(map(len, self.cells), default=0)

    def broken(self) -> bool:
        """Tell whether the heading is broken at its underscores: where it is much wider than what is below it."""
        return len(self.name) > max(self.longest(), _SHORT)

    def width(self) -> int:
        """Return the least width that breaks no word."""
        words = self.name.replace("_", "_ ").split() if self.broken() else self.name.split()
        return max(self.longest(), *map(len, words), 1)


_LONG, _SHORT, _GAP = 40, 8, 3
_NUMBER = re.compile(r"[-+]?[0-9.,]+(e[-+]?[0-9]+)?|-|n/a|")


def _width(columns: Sequence[_Column]) -> int:
    return sum(column.width() + _GAP for column in columns) - _GAP


def _numbered(column: _Column, remarks: dict[str, int]) -> _Column:
    """Return a column with numbers for its texts, which are added to the remarks."""
    cells = [str(remarks.setdefault(cell, len(remarks) + 1)) if cell else "" for cell in column.cells]
    return _Column(column.name, [f"[{cell}]" if cell else "" for cell in cells], False)


def _blocks(columns: Sequence[_Column], width: int) -> Iterator[list[_Column]]:
    """Part columns into blocks that fit; each begins with the columns that name the rows, in half of the width."""
    n_names = 0
    # the first may be a number, such as that of an experiment
    while n_names < len(columns) and (not n_names or not columns[n_names].looks_like_numbers()):
        if _width(columns[: n_names + 1]) > width / 2:
            break
        n_names += 1
    names, block = list(columns[:n_names]), list(columns[:n_names])
    for column in columns[n_names:]:
        if len(block) > n_names and _width([*block, column]) > width:
            yield block
            block = list(names)
        block.append(column)
    if block:
        yield block


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float | np.number) and not isinstance(value, bool))


def show(value: Any) -> str:
    """Return a value as people write it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {show(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(show(item) for item in value) or "none"
    return str(value)


def show_bytes(size: int) -> str:
    """Return a number of bytes with a decimal unit."""
    step = min(len(_UNITS) - 1, int(math.log(size, 1000)) if size else 0)
    return f"{size:,} B" if step == 0 else f"{size / 1000**step:.1f} {_UNITS[step]}"


def show_seconds(seconds: float) -> str:
    """Return a duration in the largest unit that is not below one."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.2f} h"


def some(names: Sequence[str], shown: int = 5) -> str:
    """Return the first few of many names."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown:,} more" if len(names) > shown else "")


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: no NumPy types, no NaN."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
