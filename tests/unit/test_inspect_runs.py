import json

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from serflow.cli import app
from serflow.files import write_json
from serflow.inspection.describers.runs import score
from serflow.inspection.run_plots import draw_history
from serflow.report.style import figure_style
from serflow.stores.parquet import write_table

CLASSES = ["anger", "sadness"]
CELL = {"corpus": "emodb", "system": "own"}
REAL = {"stand_ins": {}, "partial": [], "remarks": []}
STAND_INS = {
    "stand_ins": {"corpus": ["iemocap", "mosei"], "noise": [], "weights": ["ge2e"]},
    "partial": ["emodb"],
    "remarks": ["12 of 535 utterances"],
}
COMMON = {
    "study": "invariance",
    "cell": CELL,
    "classes": CLASSES,
    "options": {"training": {"rate": 0.1}},
    "code": "c0de",
}
# run, fold, hits and totals of the test by class
FITS = [
    (0, "f1", {"anger": [1, 2], "sadness": [4, 4]}),
    (0, "f2", {"anger": [6, 6], "sadness": [0, 0]}),
    (1, "f1", {"anger": [0, 2], "sadness": [2, 4]}),
    (1, "f2", {"anger": [3, 6], "sadness": [0, 0]}),
]


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


def write_run(folder, provenance=REAL, fits=FITS, measures=("ua", "wa"), stages=("all",), **more):
    runs = sorted({number for number, _, _ in fits})
    metadata = {**COMMON, "runs": runs, "provenance": provenance, **more}
    metrics = {
        **metadata,
        "parameters": 1234,
        "excluded": {"no label of the study": 3},
        "fits": [
            {
                "run": number,
                "fold": fold,
                "sizes": {"train": 40, "val": 5, "test": 6},
                "tallies": {"test": dict.fromkeys(measures, tally)},
                "best_period": 1,
                "periods": 3,
            }
            for number, fold, tally in fits
        ],
    }
    write_json(folder / "metrics.json", metrics)
    rows = [
        {"run": number, "fold": fold, "role": role, "utterance": f"u{i}", "label": label, "prediction": prediction}
        for number, fold, _ in fits
        for role, pairs in {"val": ["as"], "test": ["aa", "as", "ss"]}.items()
        for i, pair in enumerate(pairs)
        for label, prediction in [[CLASSES["as".index(letter)] for letter in pair]]
    ]
    write_table(folder / "predictions.parquet", pa.Table.from_pylist(rows), kind="predictions", metadata=metadata)
    history = [
        {
            "run": number,
            "fold": fold,
            "stage": stage,
            "period": period,
            "updates": 10 * period,
            "ctc_loss": 1.0 / (1 + period),
            "unused": None,
            "train_ua": 0.3 + 0.1 * period,
            "val_wer": 0.9 if period == 2 else None,
        }
        for number, fold, _ in fits
        for stage in stages
        for period in range(3)
    ]
    schema = pa.Table.from_pylist(history).schema
    schema = schema.set(schema.get_field_index("unused"), pa.field("unused", pa.float64()))
    table = pa.Table.from_pylist(history, schema=schema)
    write_table(folder / "history.parquet", table, kind="history", metadata=metadata)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "run")


def test_ua_is_the_mean_over_classes_and_other_measures_are_shares_of_all():
    folds = [{"a": [1, 2], "b": [4, 4]}, {"a": [6, 6], "b": [0, 0]}]
    assert score("ua", folds[:1]) == pytest.approx(0.75)
    assert score("oracle_ua", folds[:1]) == pytest.approx(0.75)
    assert score("wa", folds[:1]) == pytest.approx(5 / 6)
    assert score("ua", folds[1:]) == 1
    assert score("ua", folds) == pytest.approx((7 / 8 + 4 / 4) / 2)
    assert score("wer", [{"words": [30, 20]}, {"words": [0, 20]}]) == pytest.approx(0.75)


def test_a_run_is_described_by_its_cell_and_its_scores(folder):
    found = as_json(folder)
    assert found["heading"] == "invariance · emodb · own"
    assert found["warnings"] == []
    facts = found["facts"]
    assert facts["cell"] == CELL
    assert facts["runs"] == [0, 1]
    assert facts["folds"] == ["f1", "f2"]
    assert facts["options"] == {"training": {"rate": 0.1}}
    # folds of run 0: 75 and 100, together 7/8 and 4/4; of run 1: 25 and 50, together 3/8 and 2/4
    assert facts["test_UA"]["mean"] == pytest.approx((87.5 + 37.5) / 2)
    assert facts["test_UA"]["std"] == pytest.approx(50 / 2**0.5)
    assert facts["test_UA"]["together"]["mean"] == pytest.approx((93.75 + 43.75) / 2)
    assert facts["test_WA"]["together"]["mean"] == pytest.approx(100 * (11 / 12 + 5 / 12) / 2)
    shown = passes(folder)
    assert "62.5 % ± 35.4 over 2 runs, mean of folds; 68.8 % ± 35.4 over 2 runs, folds together" in shown
    assert "training.rate 0.1" in shown


def test_fits_of_a_run_are_listed(folder):
    (fits,) = [table for table in as_json(folder)["tables"] if table["title"] == "Fits"]
    headings = ["run", "fold", "test UA %", "test WA %", "n train", "n val", "n test", "best period", "periods"]
    assert fits["columns"] == headings
    assert fits["rows"][0] == [0, "f1", 75, 83.33, 40, 5, 6, 1, 3]
    assert [row[:2] for row in fits["rows"]] == [[0, "f1"], [0, "f2"], [1, "f1"], [1, "f2"]]


def test_a_run_of_one_fit_has_one_number(tmp_path):
    fits = [(0, "none", {"words": [30, 20]})]
    facts = as_json(write_run(tmp_path, fits=fits, measures=["wer"]))["facts"]
    assert facts["test_WER"] == {"mean": 150.0, "std": None}
    shown = passes(tmp_path)
    assert "150.0 %" in shown
    assert "over" not in shown


def test_what_was_never_tested_has_no_score(tmp_path):
    found = as_json(write_run(tmp_path, fits=[(0, "none", {"anger": [0, 0]})]))
    assert found["facts"]["test_UA"] is None
    assert found["tables"][0]["rows"][0][2:4] == [None, None]


def test_confusion_is_over_all_fits_of_each_role(folder):
    tables = {table["title"]: table for table in as_json(folder)["tables"]}
    test = tables["Confusion, test (rows: label, columns: prediction)"]
    assert test["columns"] == ["", *CLASSES, "recall %"]
    assert test["rows"] == [["anger", 4, 4, 50.0], ["sadness", 0, 4, 100.0]]
    val = tables["Confusion, val (rows: label, columns: prediction)"]
    assert val["rows"] == [["anger", 0, 4, 0.0], ["sadness", 0, 0, None]]


@pytest.mark.parametrize("file", ["", "metrics.json", "predictions.parquet", "history.parquet"])
def test_stand_ins_and_partial_corpora_are_said_first_by_every_file(tmp_path, file):
    write_run(tmp_path, STAND_INS)
    found = as_json(tmp_path / file)
    assert found["warnings"] == [
        "synthetic corpus (iemocap, mosei): made by the workflow, not recorded",
        "STAND-IN weights (ge2e): a random network in the format of the release, not a trained one",
        "partial (emodb): not all that the publisher counts is there",
    ]
    assert found["tables"][-1]["rows"] == [["12 of 535 utterances"]]
    assert found["facts"]["cell"] == CELL


def test_rows_of_a_run_are_described_by_their_columns(folder):
    found = as_json(folder / "history.parquet")
    assert found["kind"] == "history"
    assert found["facts"]["runs"] == [0, 1]
    columns = {row[0]: row[1:] for row in found["tables"][0]["rows"]}
    assert columns["ctc_loss"][0] == "double"
    assert columns["val_wer"][1] == 8


def test_an_unfinished_run_says_so(folder):
    (folder / "metrics.json").unlink()
    assert "a run without metrics.json is not finished" in fails(folder)


@pytest.mark.parametrize("key", ["study", "cell", "classes", "provenance", "fits"])
def test_a_run_that_lacks_something_is_one_sentence(folder, key):
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics[key]
    write_json(folder / "metrics.json", metrics)
    assert f"metrics.json: lacks {key}, which runs of this version have" in fails(folder)


def test_a_label_that_is_no_class_is_one_sentence(folder):
    write_run(folder, classes=["anger", "joy"])
    assert "predictions.parquet: 'sadness' is none of its classes anger, joy" in fails(folder)


# Pictures


@pytest.mark.parametrize("file", ["", "metrics.json", "history.parquet"])
def test_a_history_is_drawn_value_by_value(tmp_path, file):
    write_run(tmp_path / "run", STAND_INS)
    passes(tmp_path / "run" / file, "--plot", tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    for words in (
        "invariance · emodb · own", "Training UA (%)", "Validation WER (%)", "ctc loss", "period", "f1", "f2",
        "synthetic corpus · STAND-IN weights · partial",
    ):  # fmt: skip
        assert f"<!-- {words} -->" in text
    assert "unused" not in text


def test_curves_are_means_over_runs_of_what_was_measured_and_scores_are_percent(tmp_path):
    fits = [(0, "f1", {}), (1, "f1", {}), (0, "f2", {})]
    with figure_style():
        figure = draw_history(write_run(tmp_path, fits=fits))
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
    write_run(tmp_path / "run", fits=FITS[:1], stages=("speech", "fusion"))
    passes(tmp_path / "run", "--plot", tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert "<!-- speech -->" in text
    assert "<!-- fusion -->" in text
    assert "<!-- f1 -->" not in text


def test_predictions_are_drawn_as_a_confusion_matrix(tmp_path):
    write_run(tmp_path / "run", STAND_INS)
    passes(tmp_path / "run" / "predictions.parquet", "--plot", tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    for words in (
        "16 predictions of runs 0, 1", "Validation", "Test", "anger (8)", "sadness (4)", "50", "100",
        "synthetic corpus · STAND-IN weights · partial",
    ):  # fmt: skip
        assert f"<!-- {words} -->" in text


@pytest.mark.parametrize("file", ["history.parquet", "predictions.parquet"])
def test_the_same_run_gives_the_same_svg(folder, tmp_path, file):
    for name in ("a.svg", "b.svg"):
        passes(folder / file, "--plot", tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
