import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from made_up_runs import fit, words, write_cell
from serflow.cli import app
from serflow.inspection.run_plots import draw_history
from serflow.report.style import figure_style
from serflow.runs import artefacts
from serflow.runs.provenance import Provenance
from serflow.stores.parquet import read_metadata, write_table
from serflow.training.metrics import Tally

CLASSES = ("anger", "sadness")
CELL = {"system": "own", "corpus": "emodb"}
STAND_INS = Provenance(
    {"corpus": ("iemocap", "mosei"), "weights": ("ge2e",)}, ("emodb",), ("12 of 535 utterances",), {"mfb": "5" * 64}
)
# run, fold, hits and totals of the test by class
FITS = [
    (0, "f1", [1, 4], [2, 4]),
    (0, "f2", [6, 0], [6, 0]),
    (1, "f1", [0, 2], [2, 4]),
    (1, "f2", [3, 0], [6, 0]),
]
PAIRS = {"val": ["as"], "unscored": ["sa"]}


def run(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def passes(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def as_json(*arguments):
    return json.loads(passes(*arguments, "--json"))


def fails(*arguments):
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    return result.stderr


def predicted(role, pairs):
    labels, predictions = zip(*(["as".index(letter) for letter in pair] for pair in pairs), strict=True)
    vectors = np.arange(3.0 * len(labels)).reshape(-1, 3)
    names = [f"u{i}" for i in range(len(labels))]
    return artefacts.Tested(role, names, np.eye(2)[list(labels)], np.eye(2)[list(predictions)], vectors=vectors)


def outcomes(hits, totals):
    """Return predictions of the test that have so many hits, and those of other roles."""
    right = [pair for pair, n in zip(("aa", "ss"), hits, strict=True) for _ in range(n)]
    wrong = [pair for pair, n, all_ in zip(("as", "sa"), hits, totals, strict=True) for _ in range(all_ - n)]
    return [predicted(role, pairs) for role, pairs in {**PAIRS, "test": right + wrong}.items()]


def history(stages=("all",)):
    return [
        {"stage": stage, "period": period, "updates": 10 * period, "ctc_loss": 1 / (1 + period), "unused": None}
        | {"train_ua": 0.3 + 0.1 * period, "val_wer": 0.9 if period == 2 else None}
        for stage in stages
        for period in range(3)
    ]


def counted(hits, totals):
    return {"prediction": Tally(np.array(hits, float), np.array(totals, float))}


def write_run(folder, fits=FITS, provenance=None, stages=("all",)):
    results = [
        fit(
            run, fold, counted(hits, totals), tested=outcomes(hits, totals), history=history(stages),
            classes=CLASSES,
        )
        for run, fold, hits, totals in fits
    ]  # fmt: skip
    more = {"classes": CLASSES, "excluded": {"no label of the study": 3}, "provenance": provenance}
    return write_cell(folder, CELL, results, study="invariance", embeddings=True, **more).metrics.parent


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path)


def test_a_run_is_described_by_its_cell_and_its_scores(folder):
    found = as_json(folder)
    assert found["heading"] == "invariance · own · emodb"
    assert found["warnings"] == []
    facts = found["facts"]
    assert facts["cell"] == CELL
    assert facts["runs"] == [0, 1]
    assert facts["folds"] == ["f1", "f2"]
    assert facts["excluded"] == {"no label of the study": 3}
    # folds of run 0: 75 and 100, together 7/8 and 4/4; of run 1: 25 and 50, together 3/8 and 2/4
    assert facts["test_UA"]["mean"] == pytest.approx((0.875 + 0.375) / 2)
    assert facts["test_UA"]["std"] == pytest.approx(0.5 / 2**0.5)
    assert facts["test_UA"]["together"]["mean"] == pytest.approx((0.9375 + 0.4375) / 2)
    assert facts["test_WA"]["together"]["mean"] == pytest.approx((11 / 12 + 5 / 12) / 2)
    shown = passes(folder)
    said = "62.5 % ± 35.4 over 2 runs, mean of folds; 68.8 % ± 35.4 over 2 runs, folds together"
    assert said in " ".join(shown.split())


def test_fits_of_a_run_are_listed(folder):
    (fits,) = [table for table in as_json(folder)["tables"] if table["title"] == "Fits"]
    headings = ["run", "fold", "test UA %", "test WA %", "n train", "n val", "n test", "best period", "periods"]
    assert fits["columns"] == headings
    assert fits["rows"][0] == [0, "f1", 75, 83.33, 700, 100, 200, 0, 3]
    assert [row[:2] for row in fits["rows"]] == [[0, "f1"], [0, "f2"], [1, "f1"], [1, "f2"]]


def test_folds_that_know_other_speakers_have_a_mean_and_no_recall_together(tmp_path):
    sizes = {"f1": [2.0, 2], "f2": [1.0, 2, 1]}
    results = [
        fit(0, fold, {"speaker": Tally(np.array(totals) / 2, np.array(totals))}) for fold, totals in sizes.items()
    ]
    path = write_cell(tmp_path, CELL, results).metrics
    facts = as_json(path)["facts"]
    assert facts["test_speaker_WA"]["together"]["mean"] == pytest.approx(0.5)
    assert facts["test_speaker_UA"] == {"mean": 0.5, "std": None}
    assert "50.0 %, mean of folds, which know other classes" in passes(path)


def test_a_run_of_one_fit_has_one_number_and_words_have_a_wer(tmp_path):
    of_speakers = Tally(np.array([1.0, 0, 3]), np.array([2.0, 1, 3]))
    results = [fit(tallies={"speaker": of_speakers, "words": words(30, 20), "unseen_words": words(1, 2)})]
    path = write_cell(tmp_path, CELL, results).metrics
    facts = as_json(path)["facts"]
    assert facts["test_WER"] == {"mean": 1.5, "std": None}
    assert facts["test_speaker_UA"]["mean"] == pytest.approx(0.5)
    assert facts["test_speaker_WA"]["mean"] == pytest.approx(4 / 6)
    assert facts["test_unseen_words_WER"]["mean"] == 0.5
    assert [key for key in facts if key.startswith("test_")] == [
        "test_WER", "test_speaker_UA", "test_speaker_WA", "test_unseen_words_WER"
    ]  # fmt: skip
    assert as_json(path)["tables"][0]["columns"][:4] == ["run", "fold", "test WER %", "n train"]
    shown = passes(path)
    assert "150.0 %" in shown
    assert "over" not in shown


def test_what_was_not_tested_in_every_fit_has_no_mean(tmp_path):
    results = [fit(0, tallies=counted([1, 1, 1], [2, 2, 2])), fit(1, tallies=counted([0, 0, 0], [0, 0, 0]))]
    path = write_cell(tmp_path, CELL, results).metrics
    assert as_json(path)["facts"]["test_UA"] is None
    assert "not of every fit" in passes(path)
    assert [row[2:4] for row in as_json(path)["tables"][0]["rows"]] == [[50.0, 50.0], [None, None]]


def test_confusion_is_over_all_fits_of_each_role(folder):
    tables = {table["title"]: table for table in as_json(folder)["tables"]}
    test = tables["Confusion, test (rows: label, columns: prediction)"]
    assert test["columns"] == ["", *CLASSES, "recall %"]
    assert test["rows"] == [["anger", 10, 6, 62.5], ["sadness", 2, 6, 75.0]]
    val = tables["Confusion, val (rows: label, columns: prediction)"]
    assert val["rows"] == [["anger", 0, 4, 0.0], ["sadness", 0, 0, None]]
    assert not any("unscored" in title for title in tables)


@pytest.mark.parametrize(
    "file", ["", "metrics.json", "predictions.parquet", "history.parquet", "embeddings.parquet", "model.safetensors"]
)
def test_stand_ins_and_partial_corpora_are_said_first_by_every_file(tmp_path, file):
    found = as_json(write_run(tmp_path, provenance=STAND_INS) / file)
    assert found["warnings"] == [
        "synthetic corpus (iemocap, mosei): made by the workflow, not recorded",
        "STAND-IN weights (ge2e): a random network in the format of the release, not a trained one",
        "partial (emodb): not all that the publisher counts is there",
    ]
    assert found["facts"]["cell"] == CELL
    assert "serflow" not in found["facts"]
    if file != "model.safetensors":
        assert found["tables"][-1]["rows"] == [["12 of 535 utterances"]]
        assert found["facts"]["made_from"] == {"mfb": "5" * 64}


def test_rows_of_a_run_are_described_by_their_columns(folder):
    found = as_json(folder / "history.parquet")
    assert found["kind"] == "history"
    assert found["facts"]["runs"] == [0, 1]
    columns = {row[0]: row[1:] for row in found["tables"][0]["rows"]}
    assert columns["ctc_loss"][0] == "double"
    assert columns["val_wer"][1] == 8
    assert "training.optimizer adam" in passes(folder / "history.parquet")


def test_an_unfinished_run_says_so(folder):
    (folder / "metrics.json").unlink()
    assert "a run without metrics.json is not finished" in fails(folder)


def test_a_number_changed_by_hand_is_one_sentence(folder):
    metrics = folder / "metrics.json"
    changed = metrics.read_text().replace("6.0", "5.0", 1)
    assert changed != metrics.read_text()
    metrics.write_text(changed)
    assert "metrics.json: does not match its SHA-256" in fails(folder)


def rewrite(path, table=None, **metadata):
    """Write a file of a run anew, with other metadata or other rows."""
    found = {key: value for key, value in {**read_metadata(path), **metadata}.items() if value is not None}
    rows = pq.read_table(path) if table is None else table
    write_table(path, rows, kind=found.pop("kind"), metadata=found)


@pytest.mark.parametrize("key", ["study", "name", "cell", "classes", "runs", "provenance"])
def test_a_file_that_lacks_something_is_one_sentence(folder, key):
    rewrite(folder / "history.parquet", **{key: None})
    assert f"history.parquet: its metadata lack {key}; delete it" in fails(folder / "history.parquet")


def test_a_label_that_is_no_class_is_one_sentence(folder):
    rewrite(folder / "predictions.parquet", classes=["anger", "joy"])
    assert "metrics.json: classes is another than that of predictions.parquet" in fails(folder)


def test_a_history_without_values_is_one_sentence(folder, tmp_path):
    table = pq.read_table(folder / "history.parquet").select(["run", "fold", "stage", "period", "updates"])
    rewrite(folder / "history.parquet", table)
    result = run(folder, "--plot", tmp_path / "x.svg")
    assert result.exit_code == 1
    assert "history.parquet: no values to draw; it has run, fold" in result.stderr


# Pictures


@pytest.mark.parametrize("file", ["", "metrics.json", "history.parquet"])
def test_a_history_is_drawn_value_by_value(tmp_path, file):
    passes(write_run(tmp_path, provenance=STAND_INS) / file, "--plot", tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    for said in (
        "invariance · own · emodb", "Training UA (%)", "Validation WER (%)", "ctc loss", "period", "f1", "f2",
        "synthetic corpus · STAND-IN weights · partial",
    ):  # fmt: skip
        assert f"<!-- {said} -->" in text
    assert "unused" not in text


def test_curves_are_means_over_runs_of_what_was_measured_and_scores_are_percent(tmp_path):
    with figure_style():
        figure = draw_history(write_run(tmp_path))
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == ["Training UA (%)", "Validation WER (%)", "ctc loss"]
    training, validation, loss = (axes.lines[0] for axes in panels.values())
    assert training.get_xdata().tolist() == [0, 1, 2]
    assert training.get_ydata() == pytest.approx([30, 40, 50])
    assert validation.get_xdata().tolist() == [2]
    assert validation.get_ydata() == pytest.approx([90])
    assert loss.get_ydata() == pytest.approx([1, 1 / 2, 1 / 3])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["f1", "f2"]


def test_stages_of_a_history_are_lines_of_their_own(tmp_path):
    passes(write_run(tmp_path, FITS[:1], stages=("speech", "fusion")), "--plot", tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert "<!-- speech -->" in text
    assert "<!-- fusion -->" in text
    assert "<!-- f1 -->" not in text


def test_predictions_are_drawn_as_a_confusion_matrix(tmp_path):
    passes(write_run(tmp_path, provenance=STAND_INS) / "predictions.parquet", "--plot", tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    for said in (
        "28 predictions of runs 0, 1", "Validation", "Test", "anger (16)", "sadness (8)", "62", "75",
        "synthetic corpus · STAND-IN weights · partial",
    ):  # fmt: skip
        assert f"<!-- {said} -->" in text


@pytest.mark.parametrize("file", ["history.parquet", "predictions.parquet"])
def test_the_same_run_gives_the_same_svg(folder, tmp_path, file):
    for name in ("a.svg", "b.svg"):
        passes(folder / file, "--plot", tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
