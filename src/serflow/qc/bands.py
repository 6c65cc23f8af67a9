"""What others published of the same corpora: ``published/bands.csv`` of a study, with the source of each bound.

A bound is a ceiling or a floor of what a sound protocol has given so far; a score beyond it is to be looked into, and
may still be right. Rows and columns are named as the paper prints them; ``*`` stands for any.
"""

import csv
import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib import resources
from typing import NamedTuple

from serflow.errors import ConfigError

COLUMNS = ("table", "row", "column", "low", "high", "source")


class Band(NamedTuple):
    """Bounds of the cells of a table, in percent; a bound that nobody published is infinite."""

    table: str
    row: str
    column: str
    low: float
    high: float
    source: str

    def is_of(self, table: str, row: str, column: str) -> bool:
        """Say whether a cell is meant; names of a cell are the paper's."""
        return self.table == table and _fits(row, self.row) and _fits(column, self.column)


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def read_bands(study: str) -> list[Band]:
    """Return the bands of a study; none where nothing was published that compares.

    Raises
    ------
    ConfigError
        If a line is not as `COLUMNS` says; names the line.
    """
    path = resources.files(f"serflow.studies.{study}").joinpath("published", "bands.csv")
    if not path.is_file():
        return []
    heading, *lines = csv.reader(path.read_text(encoding="utf-8").splitlines())
    if tuple(heading) != COLUMNS:
        raise ConfigError(f"{path}: columns {', '.join(heading)}; write {', '.join(COLUMNS)}")
    return [_band(f"{path}:{place}", line) for place, line in enumerate(lines, 2)]


def _band(where: str, line: Sequence[str]) -> Band:
    if len(line) != len(COLUMNS) or not all(line[:3]) or not line[5]:
        raise ConfigError(f"{where}: needs table, row, column and source, and one of low and high; fill them in")
    table, row, column, low, high, source = line
    try:
        band = Band(table, row, column, float(low or -math.inf), float(high or math.inf), source)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}; write a bound in percent") from error
    if not (low or high) or band.low > band.high:
        raise ConfigError(f"{where}: bounds {low or 'none'} and {high or 'none'}; give one at least, the lower first")
    return band
