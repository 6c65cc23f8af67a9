"""One table of several labs' runs."""

import csv
from pathlib import Path

import pytest
from made_up_lab import write_lab
from typer.testing import CliRunner

from serflow.cli import app
from serflow.errors import StoreError
from serflow.exchange.merge import merge
from serflow.report.headings import Heading, Layout

LAYOUT = Layout(
    ("System",),
    [Heading((name.title(),), {"system": name}) for name in ("alone", "adversary")],
    [
        *(Heading((name,), {"corpus": name, "measure": "wa"}) for name in ("toy", "other")),
        Heading(("Overall",), {"corpus": ["toy", "other"], "measure": "wa"}),
    ],
)


def merged(into: Path, *trees: Path) -> dict[tuple[str, str], dict[str, str]]:
    merge(trees, {"dlc": {"table1": LAYOUT}}, into)
    with open(into / "dlc/table1.csv", encoding="utf-8", newline="") as handle:
        return {(row["system"], row["column"]): row for row in csv.DictReader(handle)}


def test_each_cell_says_whose_it_is(tmp_path: Path) -> None:
    one = write_lab(tmp_path / "a", corpus="toy", wrong=3)
    other = write_lab(tmp_path / "b", corpus="other", wrong=6)
    table = merged(tmp_path / "merged", one, other)
    assert [table["Alone", name]["mean"] for name in ("toy", "other", "Overall")] == ["75.00", "50.00", "62.50"]
    assert [table["Alone", name]["origin"] for name in ("toy", "other")] == [str(one), str(other)]
    assert table["Alone", "Overall"]["origin"] == f"alone/toy: {one}; alone/other: {other}"
    assert table["Alone", "Overall"]["n_runs"] == "2"
    missing = table["Adversary", "toy"]
    assert (missing["mean"], missing["note"]) == ("", "in no tree: system adversary, corpus toy")


def test_of_what_both_have_the_first_counts_and_another_result_is_said(tmp_path: Path) -> None:
    one, same, other = (write_lab(tmp_path / name, wrong=wrong) for name, wrong in (("a", 3), ("b", 3), ("c", 6)))
    row = merged(tmp_path / "merged", one, same, other)["Alone", "toy"]
    assert (row["mean"], row["origin"], row["note"]) == ("75.00", str(one), f"other predictions in {other}")
    with open(tmp_path / "merged/cells.csv", encoding="utf-8", newline="") as handle:
        (cell,) = csv.DictReader(handle)
    assert (cell["cell"], cell["origin"], cell["also_in"]) == ("alone/toy", str(one), f"{same}; {other}")
    assert cell["note"] == f"other predictions in {other}"


def test_labs_without_a_run_in_common_have_no_mean(tmp_path: Path) -> None:
    one = write_lab(tmp_path / "a", corpus="toy")
    other = write_lab(tmp_path / "b", corpus="other", runs=(2, 3))
    table = merged(tmp_path / "merged", one, other)
    assert (table["Alone", "Overall"]["mean"], table["Alone", "other"]["mean"]) == ("", "75.00")
    assert table["Alone", "Overall"]["note"] == "no run in common: alone/toy has 0 and 1, alone/other has 2 and 3"


def test_what_was_not_trained_alike_is_said_where_it_is_averaged(tmp_path: Path) -> None:
    one = write_lab(tmp_path / "a", corpus="toy")
    other = write_lab(tmp_path / "b", corpus="other", options={"training": {"learning_rate": 9}})
    table = merged(tmp_path / "merged", one, other)
    assert table["Alone", "Overall"]["note"] == "trained with several settings"
    assert table["Alone", "other"]["note"] == ""


def test_a_tree_is_given_once(tmp_path: Path) -> None:
    one = write_lab(tmp_path / "a")
    with pytest.raises(StoreError, match="given twice"):
        merged(tmp_path / "merged", one, one.parent)


def test_the_command_needs_runs_of_a_study(tmp_path: Path) -> None:
    (tmp_path / "a/results/runs").mkdir(parents=True)
    done = CliRunner().invoke(app, ["merge", str(tmp_path / "a"), "--into", str(tmp_path / "merged")])
    assert done.exit_code == 1
    assert "no runs of a study" in " ".join(done.stderr.split())
    assert not (tmp_path / "merged").exists()


def test_runs_of_another_configuration_fill_no_table_and_the_command_says_so(tmp_path: Path) -> None:
    """Toy is no corpus of the default configuration; a table that an earlier merge left there is not of these runs."""
    one, into = write_lab(tmp_path / "a", corpus="toy"), tmp_path / "merged"
    left = into / "dlc/table1.csv"
    merged(into, one)
    assert left.is_file()
    done = CliRunner().invoke(app, ["merge", str(one), "--into", str(into)])
    assert done.exit_code == 1
    assert "give the configuration that they were made with: --configfile" in " ".join(done.stderr.split())
    assert not left.exists()
    assert (into / "cells.csv").is_file()
