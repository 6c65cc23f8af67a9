import csv
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from dlc_artefacts import write_history, write_metrics
from serflow.errors import StoreError
from serflow.report.curves import mean_curve
from serflow.report.style import figure_style, line_style, save_svg
from serflow.stores import parquet
from serflow.studies.dlc.curves import draw_validation_curves, validation_curves

TITLES = {"iemocap": "IEMOCAP (synthetic)", "emodb": "EmoDB"}


@pytest.fixture
def histories(tmp_path):
    return [
        write_history(tmp_path, (e, m, c, "h1"), {(seed, "none"): [0.3, 0.4, 0.5 + 0.1 * seed] for seed in (0, 1)})
        for e in ("exp1", "exp2")
        for m in ("own", "moe_dlc", "single")
        for c in ("iemocap", "emodb")
    ]


def draw(histories):
    with figure_style():
        return draw_validation_curves(validation_curves(histories), TITLES)


def test_one_panel_per_corpus_and_experiment(histories):
    panels = draw(histories).axes
    assert len(panels) == 4
    assert [panel.get_title(loc="left") for panel in panels] == [*TITLES.values(), "", ""]
    assert {panel.get_xlabel() for panel in panels[2:]} == {"epoch"}


def test_legend_names_the_methods_in_the_papers_order(histories):
    (legend,) = draw(histories).legends
    assert [text.get_text() for text in legend.get_texts()] == ["Single", "MoE-DLC", "own"]


def test_a_line_is_the_mean_over_fits_in_percent(histories):
    line = draw(histories).axes[0].lines[0]
    assert line.get_ydata().tolist() == pytest.approx([30.0, 40.0, 55.0])
    assert line.get_xdata().tolist() == [0, 1, 2]


def test_same_histories_give_the_same_bytes(histories, tmp_path):
    for name in ("a.svg", "b.svg"):
        with figure_style():
            save_svg(draw_validation_curves(validation_curves(histories), TITLES), tmp_path / name)
    first = (tmp_path / "a.svg").read_bytes()
    assert first == (tmp_path / "b.svg").read_bytes()
    assert b"<dc:date>" not in first
    assert str(tmp_path).encode() not in first


def test_lines_of_many_methods_differ():
    assert len({str(line_style(position)) for position in range(36)}) == 36


def test_a_mean_curve_ends_where_fewer_than_half_of_the_fits_are_left():
    fits = pd.DataFrame(
        {"fit": ["a", "a", "a", "b", "b", "c"], "period": [0, 1, 2, 0, 1, 0], "value": [1.0, 2, 9, 3, 4, 5]}
    )
    curve = mean_curve(fits)
    assert curve.index.tolist() == [0, 1]
    assert curve["mean"].tolist() == [3.0, 3.0]
    assert curve["std"].tolist() == pytest.approx([2.0, 2**0.5])
    assert curve["n"].tolist() == [3, 2]


def test_histories_and_titles_of_other_corpora_are_an_error(histories):
    with pytest.raises(StoreError, match="emodb, iemocap"):
        draw_validation_curves(validation_curves(histories), {"iemocap": "IEMOCAP"})


def test_a_period_without_validation_ua_is_an_error(tmp_path):
    path = write_history(tmp_path, ("exp1", "single", "iemocap", "h1"), {(0, "none"): [0.3, None]})
    with pytest.raises(StoreError, match="no val_ua"):
        validation_curves([path])


def test_a_history_that_does_not_say_its_cell_is_an_error(tmp_path):
    path = tmp_path / "history.parquet"
    parquet.write_table(path, pa.table({"seed": [0]}), kind="history", metadata={"corpus": "iemocap"})
    with pytest.raises(StoreError, match="experiment, method, profile"):
        validation_curves([path])


def run_pilot(folder: Path, *histories: str) -> subprocess.CompletedProcess[str]:
    metrics = write_metrics(folder, ("exp1", "single", "iemocap", "h1"), {0: [0.5]})
    command = [
        sys.executable, "-m", "serflow.stages.plot_dlc_pilot", "--histories", *histories, "--chance", str(metrics),
        "--title", "IEMOCAP (synthetic), h1", "--figure", str(folder / "pilot.svg"), "--csv", str(folder / "pilot.csv"),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_pilot_stage_writes_figure_and_numbers(tmp_path):
    slow = write_history(tmp_path / "slow", ("exp1", "single", "iemocap", "h1"), {(0, "none"): [0.33, 0.34]})
    fast = write_history(
        tmp_path / "fast", ("exp1", "single", "iemocap", "h1"), {(0, "none"): [0.4, 0.6], (1, "none"): [0.5, 0.8]}
    )
    result = run_pilot(tmp_path, f"adadelta={slow}", f"adam={fast}")
    assert result.returncode == 0, result.stderr
    assert list(csv.reader((tmp_path / "pilot.csv").read_text().splitlines())) == [
        ["optimiser", "epoch", "train_ua_mean", "train_ua_std", "n_fits", "chance"],
        ["adadelta", "0", "33.00", "", "1", "33.33"],
        ["adadelta", "1", "34.00", "", "1", "33.33"],
        ["adam", "0", "45.00", "7.07", "2", "33.33"],
        ["adam", "1", "70.00", "14.14", "2", "33.33"],
    ]
    assert (tmp_path / "pilot.svg").read_text().startswith("<?xml")


def test_the_pilot_stage_wants_names_for_its_histories(tmp_path):
    result = run_pilot(tmp_path, "history.parquet")
    assert result.returncode == 2
    assert "is not name=path" in result.stderr
