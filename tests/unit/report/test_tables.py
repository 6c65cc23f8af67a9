import csv
import json
import subprocess
import sys
from itertools import product

import pytest

from made_up_runs import (
    PARTIAL,
    STAND_IN_WEIGHTS,
    SYNTHETIC,
    SYNTHETIC_NOISE,
    fit,
    share,
    words,
    write_cell,
    write_scores,
)
from serflow.errors import ConfigError, StoreError
from serflow.files import write_csv
from serflow.report.headings import Heading, Layout
from serflow.report.tables import (
    Printed,
    Words,
    fill,
    fit_rows,
    headings,
    in_shape,
    read_published,
    read_words,
    taken_in,
)
from serflow.runs.scores import read_runs

SYSTEMS, CORPORA = ("alone", "adversary"), ("near", "far")


def layout(**changed):
    """Two systems on two corpora, their mean, and the chance that was counted along with the first."""
    rows = [
        Heading(("Alone",), {"system": "alone", "measure": "ua"}),
        Heading(("Adversary",), {"system": "adversary", "measure": "ua"}, ("Alone",)),
        Heading(("Chance",), {"system": "alone", "measure": "chance_ua"}, reasons=("not a row of the paper",)),
    ]
    columns = [
        Heading(("Near", "test"), {"corpus": "near"}),
        Heading(("Far", "test"), {"corpus": "far"}),
        Heading(("Both",), {"corpus": CORPORA}),
    ]
    return Layout(**{"corner": ("System",), "rows": rows, "columns": columns, **changed})


def write(folder, provenance=None, runs=(0, 1), study="made_up"):
    """UA is 40 % and 10 points more for each cell, and 2 more in the second run; chance is a third."""
    return [
        write_scores(
            folder,
            {"system": system, "corpus": corpus},
            {run: {"s1": 0.35 + 0.1 * k + 0.02 * run, "s2": 0.45 + 0.1 * k + 0.02 * run} for run in runs},
            measures={"chance": 1 / 3},
            study=study,
            provenance=(provenance or {}).get((system, corpus)),
        )
        for k, (system, corpus) in enumerate(product(SYSTEMS, CORPORA))
    ]


def shown(paths, published=None, **changed):
    return in_shape(fill(layout(**changed), read_runs(paths)), published or {})


def test_a_table_of_a_study_of_other_cells_than_dlcs(tmp_path):
    assert shown(write(tmp_path)) == (
        ["System", "Near test", "Far test", "Both"],
        [
            ["Alone", "41.00", "51.00", "46.00"],
            ["Adversary", "61.00", "71.00", "66.00"],
            ["Chance", "33.33", "33.33", "33.33"],
        ],
    )


def test_mean_and_deviation_over_runs(tmp_path):
    _, lines = shown(write(tmp_path), show="mean_std")
    assert lines[0] == ["Alone", "41.00 ± 1.41", "51.00 ± 1.41", "46.00 ± 1.41"]
    _, lines = shown(write(tmp_path / "one", runs=(0,)), show="mean_std")
    assert lines[0] == ["Alone", "40.00", "50.00", "45.00"]


def test_folds_pooled_or_averaged(tmp_path):
    """A fold of 300 utterances and one of 30 weigh as they are long only where they are taken together."""
    cell = {"system": "alone", "corpus": "near"}
    results = [
        fit(0, "s1", {"prediction": share(0.8, 300), "words": words(10, 40)}),
        fit(0, "s2", {"prediction": share(0.2, 30), "words": words(90, 10)}),
    ]
    path = write_cell(tmp_path, cell, results, study="made_up").metrics
    rows = [Heading((measure,), {"measure": measure}) for measure in ("ua", "wa", "wer")]
    columns = [Heading(("Near",), cell)]
    tables = {
        over_folds: [line[1] for line in shown([path], rows=rows, columns=columns, over_folds=over_folds)[1]]
        for over_folds in ("mean", "pooled")
    }
    # a WER above 100 % is one
    assert tables == {"mean": ["50.00", "50.00", "462.50"], "pooled": ["74.55", "74.55", "200.00"]}


def test_a_hole_names_the_missing_cell(tmp_path):
    with pytest.raises(StoreError, match="a cell of system adversary, corpus far is missing; build its metrics"):
        shown(write(tmp_path)[:-1])


def test_cells_of_other_runs_are_averaged_over_those_in_common(tmp_path):
    """A real corpus with three runs beside a stand-in with one."""
    paths = write(tmp_path, runs=(0, 1, 2))
    for path in paths:
        if "far" in path.parts:
            system = path.parts[-3]
            write_scores(
                tmp_path, {"system": system, "corpus": "far"}, {0: {"s1": 0.1, "s2": 0.1}}, study="made_up",
                measures={"chance": 1 / 3},
            )  # fmt: skip
    table = fill(layout(), read_runs(paths))
    assert [table.value(0, column).n_runs for column in range(3)] == [3, 1, 1]
    # the first run alone of Near
    assert in_shape(table, {})[1][0] == ["Alone", "42.00", "10.00", "25.00"]


def test_what_a_table_takes_in(tmp_path):
    runs = read_runs(write(tmp_path))
    narrow = layout(columns=layout().columns[:1])
    assert [run.name for run in taken_in(fill(narrow, runs))] == ["alone/near", "adversary/near"]
    assert [run.name for run in taken_in(fill(layout(), runs))] == [
        "alone/near", "alone/far", "adversary/near", "adversary/far",
    ]  # fmt: skip


def without(rows):
    return [rows[0], rows[1]._replace(without={"far": "no speaker labels"}), *rows[2:]]


def test_a_cell_that_cannot_be_had_is_not_applicable_nor_is_a_mean_with_it(tmp_path):
    paths = [path for path in write(tmp_path) if path.parts[-3:-1] != ("adversary", "far")]
    _, lines = shown(paths, rows=without(layout().rows))
    assert lines[1] == ["Adversary", "61.00", "n/a", "n/a"]
    assert lines[0] == ["Alone", "41.00", "51.00", "46.00"]
    table = fill(layout(rows=without(layout().rows)), read_runs(paths))
    assert table.cells[1, 2] == "n/a: no speaker labels"
    assert table.value(1, 2) is None


def test_two_headings_of_one_name_are_refused(tmp_path):
    columns = [Heading(("Mine",), {"corpus": corpus}) for corpus in CORPORA]
    with pytest.raises(ConfigError, match="two rows or columns are called 'Mine'"):
        shown(write(tmp_path), columns=columns)
    rows = [Heading(("Alone",), row.where) for row in layout().rows]
    with pytest.raises(ConfigError, match="called 'Alone'"):
        shown(write(tmp_path), rows=rows)


# Marks of the data


def test_what_a_whole_column_is_made_from_stands_in_its_heading(tmp_path):
    provenance = {(system, "far"): SYNTHETIC for system in SYSTEMS}
    heading, lines = shown(write(tmp_path, provenance))
    # the mark stands behind the corpus; a mean with a stand-in in it is synthetic too
    assert heading == ["System", "Near test", "Far (synthetic) test", "Both (synthetic)"]
    assert [line[0] for line in lines] == ["Alone", "Adversary", "Chance"]
    assert lines[0][1:] == ["41.00", "51.00", "46.00"]


def test_what_is_in_some_rows_stands_behind_their_names(tmp_path):
    provenance = {("adversary", corpus): STAND_IN_WEIGHTS for corpus in CORPORA}
    heading, lines = shown(write(tmp_path, provenance))
    assert heading == ["System", "Near test", "Far test", "Both"]
    assert [line[0] for line in lines] == ["Alone", "Adversary (stand-in weights)", "Chance"]
    assert lines[1][1:] == ["61.00", "71.00", "66.00"]


def test_what_is_in_one_cell_stands_behind_its_number(tmp_path):
    heading, lines = shown(write(tmp_path, {("adversary", "far"): PARTIAL}))
    assert heading == ["System", "Near test", "Far test", "Both"]
    assert lines[0] == ["Alone", "41.00", "51.00", "46.00"]
    assert lines[1] == ["Adversary", "61.00", "71.00 (partial)", "66.00 (partial)"]


def test_marks_of_column_row_and_cell_together(tmp_path):
    def all_of(*parts):
        return parts[0]._replace(
            stand_ins={kind: names for part in parts for kind, names in part.stand_ins.items()},
            partial=tuple(name for part in parts for name in part.partial),
        )

    provenance = {
        ("alone", "near"): SYNTHETIC_NOISE,
        ("alone", "far"): all_of(SYNTHETIC_NOISE, PARTIAL),
        ("adversary", "near"): all_of(SYNTHETIC_NOISE, STAND_IN_WEIGHTS),
        ("adversary", "far"): all_of(SYNTHETIC_NOISE, STAND_IN_WEIGHTS),
    }
    heading, lines = shown(write(tmp_path, provenance), rows=layout().rows[:2])
    assert heading[1:] == ["Near (synthetic noise) test", "Far (synthetic noise) test", "Both (synthetic noise)"]
    assert lines == [
        ["Alone", "41.00", "51.00 (partial)", "46.00 (partial)"],
        ["Adversary (stand-in weights)", "61.00", "71.00", "66.00"],
    ]


def test_a_cell_that_is_not_there_takes_no_mark_and_hides_none(tmp_path):
    paths = write(tmp_path, {("alone", "far"): SYNTHETIC})
    heading, _ = shown(paths[:3], rows=without(layout().rows))
    assert heading == ["System", "Near test", "Far (synthetic) test", "Both (synthetic)"]


def test_a_mark_stands_behind_the_last_of_a_rows_names(tmp_path):
    rows = [row._replace(name=("1", *row.name)) for row in layout().rows]
    provenance = {("adversary", corpus): STAND_IN_WEIGHTS for corpus in CORPORA}
    table = fill(layout(rows=rows, corner=("Experiment", "System")), read_runs(write(tmp_path, provenance)))
    assert headings(table)[1][1] == ["1", "Adversary (stand-in weights)"]


# Words beside the scores


def test_words_stand_between_a_rows_name_and_its_scores(tmp_path):
    words = Words(["Reads", "Span"], {"Adversary": ["both", "75"], "Alone": ["near", "200"], "Chance": ["-", "-"]})
    table = fill(layout(quoted=[("Others",)]), read_runs(write(tmp_path)))
    heading, lines = in_shape(table, {(("Others",), "Both"): Printed(50.0)}, words)
    assert heading == ["System", "Reads", "Span", "Near test", "Far test", "Both"]
    assert lines[:3] == [
        ["Others (published)", "n/a", "n/a", "n/a", "n/a", "50.00"],
        ["Alone", "near", "200", "41.00", "51.00", "46.00"],
        ["Adversary", "both", "75", "61.00", "71.00", "66.00"],
    ]


def test_words_are_joined_by_the_name_of_the_row_whatever_its_marks(tmp_path):
    path = tmp_path / "spans.csv"
    rows = layout().rows

    def write_words(*lines):
        write_csv(path, ["System", "Span"], lines)

    write_words(("Adversary (stand-in weights)", "75"), ("Alone too", "300"), ("Alone", "200"), ("Chance", "-"))
    assert read_words(path, rows) == Words(["Span"], {"Alone": ["200"], "Adversary": ["75"], "Chance": ["-"]})
    write_words(("Alone", "200"), ("Alone (partial)", "200"))
    with pytest.raises(StoreError, match=r"spans\.csv: has 2 rows 'Alone' where a table needs one"):
        read_words(path, rows)
    write_words(("Alone", "200"))
    with pytest.raises(StoreError, match=r"spans\.csv: has 0 rows 'Adversary'"):
        read_words(path, rows)
    path.write_text("System,Span\nAlone,75\nAdversary,75\nChance,-\n")
    with pytest.raises(StoreError, match=r"spans\.csv: does not match the SHA-256"):
        read_words(path, rows)


# Files


def test_every_fit_has_a_line(tmp_path):
    heading, lines = fit_rows(read_runs(write(tmp_path, runs=(0,))[:2]))
    assert heading == ["system", "corpus", "run", "fold", "role", "predicted", "n", "ua", "wa", "wer"]
    found = list(lines)
    assert found[0] == ["alone", "near", 0, "s1", "test", "prediction", 200, "35.00", "35.00", ""]
    assert [line[5] for line in found] == ["prediction", "chance"] * 4
    assert [line[1] for line in found] == ["near"] * 4 + ["far"] * 4


def run_stage(folder, paths, tables, study="dlc", more=()):
    outputs = {kind: [folder / f"{name}_{kind}.csv" for name in tables] for kind in ("csv", "comparison", "fits")}
    command = [
        sys.executable, "-m", "serflow.stages.tabulate", "--study", study,
        "--layouts", json.dumps({name: table.to_json() for name, table in tables.items()}),
        "--cells", *paths, *more, "--code", "f" * 16,
        *(part for kind, files in outputs.items() for part in (f"--{kind}", *files)),
    ]  # fmt: skip
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    rows = {
        (name, kind): list(csv.reader(path.read_text().splitlines()))
        for kind, files in outputs.items()
        for name, path in zip(tables, files, strict=True)
        if path.is_file()
    }
    return result, rows


DLC_TABLES = {
    "table1": Layout(
        ("Experiment", "Method"),
        [Heading(("1", "Single"), {"experiment": "exp1", "method": "single", "measure": "ua"})],
        [Heading(("IEMOCAP", "h1"), {"corpus": "iemocap", "profile": "h1"})],
    ),
    "noise_classifier": Layout(
        ("Experiment",),
        [Heading(("1",), {"experiment": "exp1"})],
        [Heading(("Overall",), {"corpus": ["iemocap"], "profile": ["h1"]})],
        {"method": "noise_classifier", "measure": "wa"},
    ),
}


def dlc_cells(folder, methods=("single", "noise_classifier")):
    names = ("experiment", "method", "corpus", "profile")
    return [
        write_scores(folder, dict(zip(names, ("exp1", method, "iemocap", "h1"), strict=True)), {0: 0.5})
        for method in methods
    ]


def test_the_stage_writes_tables_beside_the_papers(tmp_path):
    result, rows = run_stage(tmp_path, dlc_cells(tmp_path), DLC_TABLES)
    assert result.returncode == 0, result.stderr
    assert rows["table1", "csv"] == [["Experiment", "Method", "IEMOCAP h1"], ["1", "Single", "50.00"]]
    assert rows["noise_classifier", "csv"] == [["Experiment", "Overall"], ["1", "50.00"]]
    assert rows["table1", "comparison"][1] == ["1", "Single", "IEMOCAP h1", "50.00", "", "1", "58.29", "", "-8.29", ""]
    assert rows["noise_classifier", "comparison"][1] == ["1", "Overall", "50.00", "", "1", "87.00", "", "-37.00", ""]
    # each table has the fits that it takes in
    assert [line[1] for line in rows["table1", "fits"]] == ["method", "single"]
    assert [line[1] for line in rows["noise_classifier", "fits"]] == ["method", "noise_classifier"]


def test_the_stage_joins_the_words_that_a_layout_names(tmp_path):
    tables = {**DLC_TABLES, "table1": DLC_TABLES["table1"]._replace(beside="reads")}
    cells = dlc_cells(tmp_path)
    write_csv(tmp_path / "words.csv", ["Row", "Reads"], [["1 Single", "mfb"]])
    result, rows = run_stage(tmp_path, cells, tables, more=("--beside", f"reads={tmp_path / 'words.csv'}"))
    assert result.returncode == 0, result.stderr
    assert rows["table1", "csv"] == [["Experiment", "Method", "Reads", "IEMOCAP h1"], ["1", "Single", "mfb", "50.00"]]
    assert rows["noise_classifier", "csv"] == [["Experiment", "Overall"], ["1", "50.00"]]
    result, _ = run_stage(tmp_path, cells, tables)
    assert result.returncode == 1
    assert "--beside: the columns of reads stand in table1; give reads=path" in result.stderr


def test_a_cell_that_no_table_takes_in_is_refused(tmp_path):
    result, _ = run_stage(tmp_path, dlc_cells(tmp_path, ("single", "noise_classifier", "dann")), DLC_TABLES)
    assert result.returncode == 1
    assert "cell exp1/dann/iemocap/h1: no row and column of the tables takes it in" in result.stderr


def test_published_numbers_are_read_in_the_papers_shape():
    table = read_published("dlc", "table1", 2)
    assert table[("2", "DSN-DLC"), "CMU-MOSEI h3"] == Printed(43.32)
    assert table[("1", "Single"), "Overall"] == Printed(51.82)
    assert read_published("dlc", "noise_classifier", 1) == {(("1",), "Overall"): Printed(87.0)}


def test_published_numbers_have_the_deviation_that_the_paper_prints(tmp_path, monkeypatch):
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "table2.csv").write_text("System,val,test\nAlone,50.5 ± 1.25,60\n")
    monkeypatch.setattr("serflow.report.tables.resources.files", lambda package: tmp_path)
    found = read_published("made_up", "table2", 1)
    assert found == {(("Alone",), "val"): (50.5, 1.25), (("Alone",), "test"): (60.0, None)}


@pytest.mark.parametrize(
    ("show", "cells"), [("mean_std", ["47.50 ± 2.00", "n/a", "50.00"]), ("mean", ["47.50", "n/a", "50.00"])]
)
def test_rows_that_the_paper_quotes_stand_above_ours_as_it_prints_them(tmp_path, show, cells):
    published = {(("Others",), "Near test"): Printed(47.5, 2.0), (("Others",), "Both"): Printed(50.0)}
    _, lines = shown(write(tmp_path), published, show=show, quoted=[("Others",)])
    assert lines[0] == ["Others (published)", *cells]
    assert lines[1][0] == "Alone"


def test_what_a_paper_left_empty_is_not_there(tmp_path, monkeypatch):
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "table2.csv").write_text("System,val,test\nAlone,50.5,\nAdversary,,60\n")
    monkeypatch.setattr("serflow.report.tables.resources.files", lambda package: tmp_path)
    assert read_published("made_up", "table2", 1) == {
        (("Alone",), "val"): Printed(50.5),
        (("Adversary",), "test"): Printed(60.0),
    }
