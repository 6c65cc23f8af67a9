import csv
import json
import subprocess
import sys

from made_up_runs import SYNTHETIC, fit, write_cell
from serflow.report.style import figure_style
from serflow.studies.dlc.pilot import Files, make_figure

CELL = {"experiment": "exp1", "method": "single", "corpus": "iemocap", "profile": "h1"}


def history(folder, *curves):
    results = [
        fit(run, history=[{"period": period, "train_ua": value} for period, value in enumerate(curve)])
        for run, curve in enumerate(curves)
    ]
    return write_cell(folder, CELL, results, provenance=SYNTHETIC).history


def test_the_stage_writes_figure_and_numbers(tmp_path):
    slow, fast = history(tmp_path / "slow", [0.33, 0.34]), history(tmp_path / "fast", [0.4, 0.6], [0.5, 0.8])
    command = [
        sys.executable, "-m", "serflow.stages.plot_figure", "--study", "dlc", "--figure", "pilot",
        "--inputs", f"adadelta={slow}", f"adam={fast}", "--facts", json.dumps({"title": "IEMOCAP"}),
        "--code", "f" * 16, "--svg", tmp_path / "pilot.svg", "--csv", tmp_path / "pilot.csv",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    assert list(csv.reader((tmp_path / "pilot.csv").read_text().splitlines())) == [
        ["optimiser", "period", "train_ua_mean", "train_ua_std", "n_fits", "chance"],
        ["adadelta", "0", "33.00", "", "1", "33.33"],
        ["adadelta", "1", "34.00", "", "1", "33.33"],
        ["adam", "0", "45.00", "7.07", "2", "33.33"],
        ["adam", "1", "70.00", "14.14", "2", "33.33"],
    ]
    assert (tmp_path / "pilot.svg").read_text().startswith("<?xml")


def test_the_figure_says_what_data_it_is_of(tmp_path):
    files = Files(history(tmp_path / "slow", [0.33]), history(tmp_path / "fast", [0.4]))
    with figure_style():
        figure, _ = make_figure(files, {"title": "IEMOCAP"})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["IEMOCAP, h1"]
    assert "synthetic" in [text.get_text() for text in figure.texts]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Adadelta", "Adam"]
