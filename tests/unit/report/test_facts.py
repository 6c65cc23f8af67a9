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
from serflow.report.facts import data_reasons, marked, marks, run_remarks
from serflow.runs.provenance import Provenance, joined
from serflow.runs.scores import read_run

RAISED = Provenance(raised_db=(25.0,))
ROLES = {"train": [5, 5, 5], "val": [2, 2, 2], "test": [50, 50, 50]}


def runs(folder, *provenances, corpora=None):
    return [
        read_run(write_scores(folder, {"system": str(k), "corpus": (corpora or "xyz")[k]}, {0: 0.5}, provenance=part))
        for k, part in enumerate(provenances)
    ]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "X"),
        ([SYNTHETIC], "X (synthetic)"),
        ([PARTIAL], "X (partial)"),
        ([SYNTHETIC_NOISE], "X (synthetic noise)"),
        ([STAND_IN_WEIGHTS], "X (stand-in weights)"),
        ([PARTIAL_NOISE], "X (partial noise)"),
        ([PARTIAL_NOISE, PARTIAL, STAND_IN_WEIGHTS], "X (partial, partial noise, stand-in weights)"),
        ([PARTIAL_NOISE, SYNTHETIC], "X (synthetic)"),
        ([PARTIAL, SYNTHETIC_NOISE], "X (partial, synthetic noise)"),
        ([STAND_IN_WEIGHTS, SYNTHETIC_NOISE, PARTIAL], "X (partial, synthetic noise, stand-in weights)"),
        # where the speech itself is made up, that the noise is too says little
        ([SYNTHETIC, SYNTHETIC_NOISE, STAND_IN_WEIGHTS], "X (synthetic, stand-in weights)"),
        ([SYNTHETIC, RAISED, RAISED, SYNTHETIC_NOISE], "X (synthetic, SNR +25 dB)"),
        # of what was raised and what was not, the former is said
        ([Provenance(), RAISED, PARTIAL, Provenance(raised_db=(-2.5,))], "X (SNR +25 dB, SNR -2.5 dB, partial)"),
    ],
)
def test_marks_of_what_is_not_real_or_not_whole(parts, said):
    assert marked("X", marks(joined(parts))) == said


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Provenance(), []),
        (Provenance(remarks=("few",)), []),
        (SYNTHETIC, ["synthetic stand-in: not compared"]),
        (PARTIAL, ["partial corpus: not compared"]),
        (SYNTHETIC_NOISE, ["synthetic noise: not compared"]),
        (PARTIAL_NOISE, ["partial noise: not compared"]),
        (STAND_IN_WEIGHTS, ["stand-in weights of bert: not compared"]),
    ],
)
def test_why_data_are_not_a_papers(tmp_path, part, reason):
    assert data_reasons(runs(tmp_path, part)) == reason


def test_among_several_corpora_it_is_said_that_one_is_made_up(tmp_path):
    cells = runs(tmp_path, Provenance(), SYNTHETIC, PARTIAL)
    assert data_reasons(cells) == [
        "synthetic stand-in among the corpora: not compared",
        "partial corpus among the corpora: not compared",
    ]
    assert data_reasons(runs(tmp_path / "one", SYNTHETIC, SYNTHETIC, corpora="xx")) == [
        "synthetic stand-in: not compared"
    ]


def test_every_network_with_stand_in_weights_is_named_once(tmp_path):
    cells = runs(tmp_path, Provenance({"weights": ("bert", "deepspeech")}), STAND_IN_WEIGHTS, Provenance())
    assert data_reasons(cells) == ["stand-in weights of bert, deepspeech: not compared"]


def cell_of(folder, *counts, **said):
    results = [
        fit(run, fold, {"prediction": share(0.5)}, counts={**ROLES, **of_run})
        for run, of_run in enumerate(counts)
        for fold in said.get("folds", ("none",))
    ]
    excluded = said.get("excluded")
    return read_run(write_cell(folder, {"system": "a", "corpus": "x"}, results, excluded=excluded).metrics)


def test_nothing_to_remark(tmp_path):
    assert run_remarks([cell_of(tmp_path, {})]) == []


def test_a_class_that_a_set_lacks_is_said(tmp_path):
    counts = [{"train": [5, 0, 5]}, {}, {"train": [5, 0, 5], "test": [90, 0, 90], "val": [1, 1, 0]}]
    assert run_remarks([cell_of(tmp_path, *counts)]) == [
        "no mid in training of run 0, 2",
        "no high in validation of run 2",
        "no mid in test of run 2",
    ]


def test_a_run_is_named_once_however_many_of_its_folds_lack_a_class(tmp_path):
    assert run_remarks([cell_of(tmp_path, {"val": [0, 1, 1]}, folds="abc")]) == ["no low in validation of run 0"]


def test_a_set_that_a_study_does_not_have_lacks_no_class(tmp_path):
    results = [fit(0, "none", {"prediction": share(0.5)}, counts={"train": [5, 5, 5], "test": [50, 50, 50]})]
    run = read_run(write_cell(tmp_path, {"system": "a"}, results).metrics)
    assert run_remarks([run]) == []


def test_what_was_left_out_and_small_tests_are_said_once(tmp_path):
    excluded = {"no transcript": 12, "no label of the study": 4508, "no pulses": 0}
    cells = [
        cell_of(tmp_path / "a", {}, {"test": [4, 4, 4]}, excluded=excluded),
        cell_of(tmp_path / "b", {}, excluded=excluded),
    ]
    assert run_remarks(cells) == [
        "4,508 utterances left out: no label of the study",
        "12 utterances left out: no transcript",
        "small data: 12 utterances in the smallest test set",
    ]
