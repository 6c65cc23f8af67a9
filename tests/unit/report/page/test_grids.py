"""What stands in a cell of a page is what stands in the CSVs."""

import csv
from pathlib import Path

import pytest

from made_up_page import TITLES, layout, write_study
from serflow.errors import StoreError
from serflow.files import write_csv
from serflow.report.page.grids import MAX_ROWS, Behind, plain_table, score_grid, title_of, words_table
from serflow.stores.parquet import read_metadata


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("study")
    _, files = write_study(folder)
    return folder / "results" / "made_up", [
        Behind(read_metadata(path)["cell"], path.parent.name) for path in files.predictions
    ]


@pytest.fixture
def grid(study):
    own, runs = study
    paths = [own / f"table1{what}.csv" for what in ("", "_vs_paper", "_intervals")]
    return score_grid("table1", layout(), *paths, runs)


def read(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.reader(handle))


def test_ours_are_the_tables_own_in_its_order(study, grid):
    own, _ = study
    heading, *rows = read(own / "table1.csv")
    assert [list(line.names) + [entry.ours for entry in line.entries] for line in grid.lines] == rows
    assert [f"{group.text} {grid.columns[j].text}" for group in grid.groups for j in group.columns] == heading[2:]


def test_the_papers_numbers_and_differences_are_those_of_the_comparison(study, grid):
    own, _ = study
    heading, *rows = read(own / "table1_vs_paper.csv")
    said = {(row[0], row[1], row[2]): dict(zip(heading, row, strict=True)) for row in rows}
    for line, names in zip(grid.lines, [("First", "Others"), *(row.name for row in layout().rows)], strict=True):
        for column, entry in zip(layout().columns, line.entries, strict=True):
            cell = said[(*names, " ".join(column.name))]
            assert entry.paper.split(" ± ")[0] == cell["paper"]
            assert entry.difference.lstrip("+") == cell["difference"]
            assert (entry.tilt > 0) == (cell["difference"] not in ("", "0.00") and float(cell["difference"]) >= 1)
            assert (entry.tilt < 0) == (cell["difference"] != "" and float(cell["difference"]) <= -1)


def test_intervals_stand_where_they_belong_and_in_what_is_said(study, grid):
    own, _ = study
    heading, *rows = read(own / "table1_intervals.csv")
    place = heading.index("low")
    for row in rows:
        i = [r.name for r in layout().rows].index((row[0], row[1])) + 1
        j = [" ".join(c.name) for c in layout().columns].index(row[2])
        entry = grid.lines[i].entries[j]
        assert entry.interval == f"{row[place]} to {row[place + 1]}"
        assert any(f"95 % interval {entry.interval}" in said for said in entry.tip)
    assert all(not entry.interval for entry in grid.lines[0].entries)
    assert any("against Alone" in said for said in grid.lines[2].entries[0].tip)


def test_where_some_are_compared_no_reason_stands_for_all(grid):
    assert grid.why_not == ()


def test_columns_are_grouped_and_rows_span(grid):
    assert [(group.text, group.columns) for group in grid.groups] == [
        (TITLES["near"], (0, 1, 2, 3)),
        (f"{TITLES['far']} (synthetic)", (4, 5, 6, 7)),
    ]
    assert [line.spans for line in grid.lines] == [(3, 1), (0, 1), (0, 1), (2, 1), (0, 1)]
    assert [column.measure for column in grid.columns[:4]] == ["ua", "ua", "wa", "wa"]
    assert [column.condition for column in grid.columns[:4]] == ["clean", "noisy", "clean", "noisy"]
    assert grid.measures == ("ua", "wa")
    assert grid.conditions == ("clean", "noisy")


def test_rows_may_be_clean_and_noisy_too(study):
    own, runs = study
    paths = [own / f"table1{what}.csv" for what in ("", "_vs_paper", "_intervals")]
    heard = [run._replace(condition="clean" if run.cell["method"] == "alone" else "h1") for run in runs]
    grid = score_grid("table1", layout(), *paths, heard)
    assert [line.condition for line in grid.lines] == ["", "clean", "noisy", "clean", "noisy"]
    assert {column.condition for column in grid.columns} == {""}
    assert grid.conditions == ("clean", "noisy")
    one = score_grid("table1", layout(), *paths, [run._replace(condition="h1") for run in runs])
    assert one.conditions == ()


def test_a_cell_knows_the_runs_behind_it(study, grid):
    _, runs = study
    for row, line in zip(layout().rows, grid.lines[1:], strict=True):
        for column, entry in zip(layout().columns, line.entries, strict=True):
            wanted = {name: value for name, value in {**row.where, **column.where}.items() if name != "measure"}
            assert [runs[place].cell for place in entry.runs] == [wanted]
    assert all(entry.runs == () for entry in grid.lines[0].entries)


def test_what_all_cells_have_in_common_is_said_once(grid):
    said = [part for line in grid.lines for entry in line.entries for part in entry.tip]
    assert "small data: 24 utterances in the smallest test set" in grid.notes
    assert not set(grid.notes) & set(said)
    assert "cluster: speaker" in grid.interval_notes
    # a half of the columns is synthetic: that is said of each of them
    assert "synthetic stand-in: not compared" in grid.lines[1].entries[4].tip
    assert "synthetic stand-in: not compared" not in grid.lines[1].entries[0].tip


def test_a_number_of_the_paper_that_is_not_compared_is_shown_without_a_difference(study, tmp_path):
    own, _ = study
    heading, *rows = read(own / "table1_vs_paper.csv")
    for row in rows:
        row[heading.index("paper")], row[heading.index("difference")] = "57.00", ""
    write_csv(tmp_path / "table1_vs_paper.csv", heading, rows)
    grid = score_grid("table1", layout(), own / "table1.csv", tmp_path / "table1_vs_paper.csv", None)
    entries = [entry for line in grid.lines for entry in line.entries]
    assert {entry.paper.split(" ± ")[0] for entry in entries} == {"57.00"}
    assert {(entry.difference, entry.tilt) for entry in entries} == {("", 0)}
    assert all("not compared" in entry.tip for line in grid.lines[1:] for entry in line.entries)
    assert grid.has_paper
    for row in rows:
        row[heading.index("note")] = "synthetic stand-in: not compared; small data"
    write_csv(tmp_path / "table1_vs_paper.csv", heading, rows)
    grid = score_grid("table1", layout(), own / "table1.csv", tmp_path / "table1_vs_paper.csv", None)
    assert grid.why_not == ("synthetic stand-in",)


def test_shades_grow_with_the_number(grid):
    entries = [entry for line in grid.lines[1:] for entry in line.entries if entry.ours != "n/a"]
    numbers = [(float(entry.ours), entry.shade) for entry in entries]
    assert sorted(numbers) == sorted(numbers, key=lambda pair: (pair[0], pair[1]))
    assert [shade for _, shade in sorted(numbers)] == sorted(shade for _, shade in numbers)
    assert {-1} == {entry.shade for entry in grid.lines[0].entries}


def test_another_layout_is_refused(study):
    own, _ = study
    other = layout()._replace(rows=layout().rows[1:])
    with pytest.raises(StoreError, match="not of the rows and columns"):
        score_grid("table1", other, own / "table1.csv", own / "table1_vs_paper.csv", None)


def test_a_damaged_table_is_refused(study, tmp_path):
    own, _ = study
    for name in ("table1.csv", ".table1.csv.sha256"):
        (tmp_path / name).write_bytes((own / name).read_bytes())
    (tmp_path / "table1.csv").write_bytes((own / "table1.csv").read_bytes().replace(b"First", b"Worst"))
    with pytest.raises(StoreError, match="does not match the SHA-256"):
        score_grid("table1", layout(), tmp_path / "table1.csv", own / "table1_vs_paper.csv", None)


def test_words_stand_beside_the_papers(study):
    own, _ = study
    table = words_table("networks", own / "networks.csv", own / "networks_vs_paper.csv")
    assert [(name, word.paper, word.same) for name, (word,) in table.lines] == [
        ("TDNN", "128-5-2", True),
        ("LSTM", "64", False),
    ]


def test_a_long_table_is_cut_and_says_so(tmp_path):
    write_csv(tmp_path / "long.csv", ["n"], [[i] for i in range(MAX_ROWS + 7)])
    table = plain_table("long", tmp_path / "long.csv")
    assert (len(table.rows), table.n_more) == (MAX_ROWS, 7)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("table1", "Table 1"),
        ("table1_gain", "Table 1, gain"),
        ("figure4", "Figure 4"),
        ("noise_classifier", "Noise classifier"),
        ("curves", "Training curves"),
    ],
)
def test_titles(name, title):
    assert title_of(name) == title
