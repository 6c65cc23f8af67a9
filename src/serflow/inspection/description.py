"""A description of an artefact: facts, tables and warnings, for a terminal or as JSON."""

import math
from collections.abc import Iterable, Sequence
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
        console.print(f"[bold]{escape(self.heading)}[/bold]  [dim]{escape(str(self.path))}[/dim]", soft_wrap=True)
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
    """Write a table to a terminal, numbers to the right."""
    console.print(f"[bold]{escape(table.title)}[/bold]", soft_wrap=True)
    drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for position, column in enumerate(table.columns):
        numbers = all(_is_number(row[position]) for row in table.rows)
        drawn.add_column(escape(column), justify="right" if numbers else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(escape(show(value)) for value in row))
    console.print(drawn)


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
