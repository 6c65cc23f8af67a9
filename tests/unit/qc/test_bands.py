"""Bounds that others published, as they are written down."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from serflow.config import check_config
from serflow.errors import ConfigError
from serflow.qc import bands
from serflow.qc.bands import COLUMNS, read_bands
from serflow.report.headings import printed_name

PLANS = check_config({}).plans()


@pytest.mark.parametrize("study", PLANS)
def test_every_band_is_of_cells_that_there_are(study: str) -> None:
    plan = PLANS[study]
    names = [name for tables in plan.tables for name in tables]
    for band in read_bands(study):
        assert band.table in names
        layout = plan.layout(band.table)
        cells = [(printed_name(row), printed_name(column)) for row in layout.rows for column in layout.columns]
        assert any(band.is_of(band.table, *cell) for cell in cells), band


def test_a_star_is_any_and_brackets_are_brackets() -> None:
    band = bands.Band("t", "SER with MTL [4]", "UA*", 0, 1, "s")
    assert band.is_of("t", "SER with MTL [4]", "UA warped")
    assert not band.is_of("t", "SER with MTL 4", "UA")
    assert not band.is_of("t", "SER with MTL [4]", "WA")
    assert not band.is_of("u", "SER with MTL [4]", "UA")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["t", "r", "c", "1", "2", ""], ":2: needs table, row, column and source"),
        (["t", "", "c", "1", "2", "s"], ":2: needs table, row, column and source"),
        (["t", "r", "c", "1", "2"], ":2: needs table, row, column and source"),
        (["t", "r", "c", "", "", "s"], ":2: bounds none and none"),
        (["t", "r", "c", "3", "2", "s"], ":2: bounds 3 and 2"),
        (["t", "r", "c", "x", "2", "s"], ":2: could not convert"),
    ],
)
def test_what_is_no_band_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: list[str], words: str
) -> None:
    write_bands(tmp_path, monkeypatch, COLUMNS, line)
    with pytest.raises(ConfigError, match=words):
        read_bands("any")


def write_bands(folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: Sequence[str]) -> None:
    (folder / "published").mkdir()
    with open(folder / "published/bands.csv", "w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows(lines)
    monkeypatch.setattr(bands.resources, "files", lambda name: folder)


def test_a_bound_that_nobody_published_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [["t", "r", "c", *ends, "s"] for ends in (("", "60"), ("40", ""), ("40", "60"), ("50", "50"))]
    write_bands(tmp_path, monkeypatch, COLUMNS, *given)
    found = [(band.low, band.high) for band in read_bands("any")]
    assert found == [(-math.inf, 60.0), (40.0, math.inf), (40.0, 60.0), (50.0, 50.0)]


def test_columns_in_another_order_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bands(tmp_path, monkeypatch, ("table", "row", "column", "high", "low", "source"))
    with pytest.raises(ConfigError, match="write table, row, column, low, high, source"):
        read_bands("any")
