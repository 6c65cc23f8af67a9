import pandas as pd
import pytest

from serflow.report.curves import draw_curves, mean_curve
from serflow.report.style import figure_style, line_style


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


def test_a_clock_of_updates_and_marks_of_the_data_are_said():
    curves = pd.DataFrame({"row": "r", "column": "c", "line": "x", "fit": "a", "period": [0, 1], "value": [1.0, 2.0]})
    with figure_style():
        figure = draw_curves(
            curves, rows={"r": ""}, columns={"c": "C"}, lines={"x": "X"}, title="T", quantity="WER (%)", note="",
            period="500 updates", marks=["synthetic corpus"],
        )  # fmt: skip
    assert figure.axes[0].get_xlabel() == "500 updates"
    assert [text.get_text() for text in figure.texts] == ["T", "synthetic corpus"]
