import json
from itertools import product

import pytest

from made_up_runs import (
    PARTIAL,
    PARTIAL_NOISE,
    STAND_IN_WEIGHTS,
    SYNTHETIC,
    SYNTHETIC_NOISE,
    fit,
    share,
    write_cell,
    write_scores,
)
from serflow.report.comparison import beside_paper, words_beside_paper
from serflow.report.headings import Heading, Layout
from serflow.report.tables import Printed, fill
from serflow.runs.provenance import Provenance
from serflow.runs.scores import read_runs

SYSTEMS, CORPORA = ("alone", "adversary"), ("near", "far")
LAYOUT = Layout(
    corner=("Table", "System"),
    rows=[
        Heading(("2", "Alone"), {"system": "alone", "measure": "ua"}),
        Heading(("2", "Adversary"), {"system": "adversary", "measure": "ua"}),
        Heading(("2", "Ours"), {"system": "alone", "measure": "wa"}, reasons=("not a row of the paper",)),
    ],
    columns=[
        Heading(("Near", "test"), {"corpus": "near"}),
        Heading(("Far", "test"), {"corpus": "far"}, reasons=("not a corpus of the paper",)),
        Heading(("Both",), {"corpus": CORPORA}),
    ],
)
PUBLISHED = {
    (("2", "Alone"), "Near test"): Printed(50.39, 1.2),
    (("2", "Alone"), "Both"): Printed(51.0),
    (("2", "Adversary"), "Near test"): Printed(52.0, 0.8),
    (("2", "Ours"), "Near test"): Printed(99.0, 9.0),
    (("2", "Alone"), "Far test"): Printed(99.0, 9.0),
}


def compare(folder, provenance=None, runs=(0, 1), table=LAYOUT, published=PUBLISHED, **said):
    """Lines by row and column; UA of the first cell is 50 %, and of each other a point more."""
    paths = [
        write_scores(
            folder,
            {"system": system, "corpus": corpus},
            {run: 0.5 + 0.01 * k + 0.02 * run for run in runs},
            study="made_up",
            provenance=(provenance or {}).get((system, corpus)),
            **said,
        )
        for k, (system, corpus) in enumerate(product(SYSTEMS, CORPORA))
    ]
    return by_name(fill(table, read_runs(paths)), published)


def by_name(filled, published=PUBLISHED):
    heading, lines = beside_paper(filled, published)
    assert heading == [
        "table", "system", "column", "ours_mean", "ours_std", "n_runs", "paper", "paper_std", "difference", "note",
    ]  # fmt: skip
    return {(line[1], line[2]): dict(zip(heading, line, strict=True)) for line in lines}


def test_ours_stands_beside_the_papers(tmp_path):
    found = compare(tmp_path)
    assert found["Alone", "Near test"] == {
        "table": "2", "system": "Alone", "column": "Near test", "ours_mean": "51.00", "ours_std": "1.41", "n_runs": 2,
        "paper": "50.39", "paper_std": "1.20", "difference": "0.61", "note": "",
    }  # fmt: skip
    assert (found["Alone", "Both"]["paper"], found["Alone", "Both"]["difference"]) == ("51.00", "0.50")
    assert len(found) == 9


def test_a_column_with_a_title_of_its_own_is_compared_by_the_papers_name(tmp_path):
    own = Heading(("My copy", "test"), {"corpus": "near"}, printed=("Near", "test"))
    found = compare(tmp_path, table=LAYOUT._replace(columns=[own, *LAYOUT.columns[1:]]))
    assert found["Alone", "My copy test"]["paper"] == "50.39"
    assert Layout.from_json(json.loads(json.dumps(LAYOUT._replace(columns=[own]).to_json()))).columns == [own]
    words = words_beside_paper(
        ["Layer", "My copy (synthetic)"], [["FC", "8"]], {("FC", "Near"): "9"}, {"My copy": "Near"}
    )
    assert words[1] == [["FC", "My copy (synthetic)", "8", "9", False]]


def test_a_deviation_that_the_paper_does_not_print_is_empty(tmp_path):
    found = compare(tmp_path)
    assert (found["Alone", "Both"]["paper"], found["Alone", "Both"]["paper_std"]) == ("51.00", "")
    assert found["Adversary", "Near test"]["paper_std"] == "0.80"


def test_what_the_paper_quotes_from_others_stands_above_with_its_deviation(tmp_path):
    quoted = LAYOUT._replace(quoted=[("1", "Others"), ("1", "Nobody")])
    published = {**PUBLISHED, (("1", "Others"), "Far test"): Printed(47.5, 2.0)}
    found = compare(tmp_path, table=quoted, published=published)
    assert next(iter(found)) == ("Others", "Far test")
    assert found["Others", "Far test"] == {
        "table": "1", "system": "Others", "column": "Far test", "ours_mean": None, "ours_std": None, "n_runs": 0,
        "paper": "47.50", "paper_std": "2.00", "difference": None, "note": "the paper quotes it from others",
    }  # fmt: skip
    assert len(found) == 10


def test_one_run_has_no_deviation(tmp_path):
    assert compare(tmp_path, runs=(0,))["Alone", "Near test"]["ours_std"] == ""


def test_a_difference_is_that_of_the_printed_numbers(tmp_path):
    """50.556 prints as 50.56, which is 0.17 above 50.39; 0.162 above 50.394 would be 0.16."""
    path = write_scores(tmp_path, {"system": "alone", "corpus": "near"}, {0: 0.50556}, study="made_up")
    table = LAYOUT._replace(rows=LAYOUT.rows[:1], columns=LAYOUT.columns[:1])
    line = by_name(fill(table, read_runs([path])), {(("2", "Alone"), "Near test"): Printed(50.394)})[
        "Alone", "Near test"
    ]
    assert (line["ours_mean"], line["paper"], line["difference"]) == ("50.56", "50.39", "0.17")


def test_no_difference_is_zero_without_a_sign(tmp_path):
    path = write_scores(tmp_path, {"system": "alone", "corpus": "near"}, {0: 0.50388}, study="made_up")
    table = LAYOUT._replace(rows=LAYOUT.rows[:1], columns=LAYOUT.columns[:1])
    assert by_name(fill(table, read_runs([path])))["Alone", "Near test"]["difference"] == "0.00"


@pytest.mark.parametrize(
    ("row", "column", "note"),
    [
        ("Adversary", "Both", "not printed in the paper"),
        # a number of the paper's under such a name is another thing
        ("Ours", "Near test", "not a row of the paper"),
        ("Alone", "Far test", "not a corpus of the paper"),
        ("Ours", "Far test", "not a row of the paper; not a corpus of the paper"),
    ],
)
def test_what_the_paper_does_not_have_is_not_compared(tmp_path, row, column, note):
    line = compare(tmp_path)[row, column]
    assert [line[name] for name in ("paper", "paper_std", "difference", "note")] == ["", "", "", note]
    assert line["ours_mean"] != ""


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (SYNTHETIC, "synthetic stand-in{}: not compared"),
        (PARTIAL, "partial corpus{}: not compared"),
        (SYNTHETIC_NOISE, "synthetic noise: not compared"),
        (PARTIAL_NOISE, "partial noise: not compared"),
        (STAND_IN_WEIGHTS, "stand-in weights of bert: not compared"),
    ],
)
def test_other_data_than_the_papers_stand_beside_it_and_are_not_compared(tmp_path, part, reason):
    """Neither is a mean with such data; what rests on real data is."""
    found = compare(tmp_path, {("alone", "near"): part})
    line, both = found["Alone", "Near test"], found["Alone", "Both"]
    beside = ("ours_mean", "paper", "paper_std", "difference", "note")
    assert [line[name] for name in beside] == ["51.00", "50.39", "1.20", "", reason.format("")]
    assert [both[name] for name in beside] == ["51.50", "51.00", "", "", reason.format(" among the corpora")]
    assert [found["Adversary", "Near test"][name] for name in ("paper", "difference")] == ["52.00", "1.00"]


def test_every_remark_on_the_data_reaches_the_note_of_every_cell_with_them(tmp_path):
    provenance = {
        ("alone", "near"): Provenance(remarks=("3 of 900 utterances rejected", "noise: few clips")),
        ("alone", "far"): Provenance(remarks=("noise: few clips", "audio: cut")),
    }
    found = compare(tmp_path, provenance)
    assert found["Alone", "Near test"]["note"] == "3 of 900 utterances rejected; noise: few clips"
    assert found["Alone", "Near test"]["paper"] == "50.39"
    assert found["Alone", "Both"]["note"] == "3 of 900 utterances rejected; noise: few clips; audio: cut"
    assert found["Adversary", "Near test"]["note"] == ""


def test_departures_of_every_corpus_of_a_cell_stand_in_its_note_and_do_not_keep_it_from_comparison(tmp_path):
    table = LAYOUT._replace(
        departures={"near": ["optimiser adam, the paper's SGD"], "far": ["optimiser adam, the paper's SGD", "1 run"]}
    )
    found = compare(tmp_path, table=table)
    assert found["Alone", "Near test"]["note"] == "optimiser adam, the paper's SGD"
    assert found["Alone", "Near test"]["paper"] == "50.39"
    assert found["Alone", "Both"]["note"] == "optimiser adam, the paper's SGD; 1 run"
    assert found["Alone", "Far test"]["note"] == "not a corpus of the paper; optimiser adam, the paper's SGD; 1 run"


def test_left_out_utterances_and_small_tests_are_noted(tmp_path):
    found = compare(tmp_path, n_test=12, excluded={"no label of the study": 4508})
    note = "4,508 utterances left out: no label of the study; small data: 12 utterances in the smallest test set"
    assert found["Alone", "Near test"]["note"] == note
    assert found["Alone", "Near test"]["paper"] == "50.39"


def test_a_class_that_a_set_lacks_is_noted(tmp_path):
    cell = {"system": "alone", "corpus": "near"}
    counts = {"train": [9, 9, 9], "val": [0, 5, 5], "test": [50, 50, 50]}
    path = write_cell(tmp_path, cell, [fit(0, "none", {"prediction": share(0.5)}, counts=counts)]).metrics
    table = LAYOUT._replace(rows=LAYOUT.rows[:1], columns=LAYOUT.columns[:1])
    line = by_name(fill(table, read_runs([path])))["Alone", "Near test"]
    assert (line["note"], line["paper"]) == ("no low in validation of run 0", "50.39")


def test_a_cell_that_cannot_be_had_says_why(tmp_path):
    rows = [LAYOUT.rows[0], LAYOUT.rows[1]._replace(without={"far": "no speaker labels"})]
    published = {**PUBLISHED, (("2", "Adversary"), "Both"): Printed(53.0)}
    found = compare(tmp_path, table=LAYOUT._replace(rows=rows), published=published)
    for column, paper, note in (
        ("Far test", "", "n/a: no speaker labels; not a corpus of the paper"),
        ("Both", "53.00", "n/a: no speaker labels"),
    ):
        line = found["Adversary", column]
        assert [line[name] for name in ("ours_mean", "ours_std", "n_runs", "paper", "difference", "note")] == [
            "", "", 0, paper, "", note,
        ]  # fmt: skip
    assert found["Adversary", "Near test"]["paper"] == "52.00"
