import pandas as pd
import pytest

from serflow.report.curves import draw_curves, draw_multiples, mean_curve
from serflow.report.style import figure_style, look_at, method_looks

NAMES = ["Single", "MoE-DLC", "DANN"]


def curves_of(*cells, values=(40.0, 50.0)):
    """Return the curves of cells (row, column, line): two fits, the second ten points above the first."""
    rows = [
        (row, column, line, fit, period, value + 10 * (fit == "b"))
        for row, column, line in cells
        for fit in "ab"
        for period, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["row", "column", "line", "fit", "period", "value"])


def multiples(curves, rows, columns, lines=NAMES, levels=None):
    with figure_style():
        return draw_multiples(
            curves, rows=rows, columns=columns, lines={name: name for name in lines}, looks=method_looks(lines),
            title="Training", quantity="UA (%)", note="", levels=levels or {}, marks=["synthetic"],
        )  # fmt: skip


def drawn(axes):
    """Return colour, marker and values of the line that a panel is of."""
    (line,) = [line for line in axes.lines if line.get_marker() != "None"]
    return line.get_color(), line.get_marker(), line.get_ydata().tolist()


def test_each_line_has_a_panel_of_its_own_with_the_others_in_grey():
    cells = [("1", column, name) for column in ("x", "y") for name in NAMES]
    figure = multiples(curves_of(*cells), {"1": "Experiment 1"}, {"x": "Ex", "y": "Why"})
    assert len(figure.axes) == len(cells)
    looks = method_looks(NAMES)
    for axes, name in zip(figure.axes, [name for name in NAMES for _ in "xy"], strict=True):
        assert drawn(axes) == (looks[name].color, looks[name].marker, [45.0, 55.0])
        assert len(axes.collections) == 1
        others = [line for line in axes.lines if line.get_marker() == "None"]
        assert len(others) == len(NAMES) - 1
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["Ex", "Why", ""]
    assert [axes.texts[0].get_text() for axes in figure.axes[::2]] == NAMES
    assert "synthetic" in [text.get_text() for text in figure.texts]


def test_a_line_that_a_group_lacks_leaves_its_panel_empty_and_the_axis_below_the_last():
    cells = [("1", "x", "Single"), ("1", "x", "MoE-DLC"), ("2", "x", "Single"), ("2", "x", "DANN")]
    figure = multiples(curves_of(*cells), {"1": "First", "2": "Second"}, {"x": "Ex"})
    panels = [figure.axes[place : place + 2] for place in (0, 2, 4)]
    assert [[axes.axison for axes in row] for row in panels] == [[True, True], [True, False], [False, True]]
    assert [axes.get_title(loc="left") for axes in panels[0]] == ["Ex\nFirst", "Ex\nSecond"]
    assert [[axes.get_xlabel() for axes in row] for row in panels] == [["", ""], ["epoch", ""], ["", "epoch"]]


def test_lines_of_one_corpus_stand_beside_each_other():
    figure = multiples(curves_of(*(("", "x", name) for name in NAMES)), {"": ""}, {"x": "EmoDB"})
    assert [axes.get_title(loc="left") for axes in figure.axes] == NAMES
    assert "EmoDB: UA (%) by epoch" in [text.get_text() for text in figure.texts]


def test_chance_is_drawn_in_each_panel_where_it_is_known():
    cells = [("1", column, "Single") for column in ("x", "y")]
    figure = multiples(curves_of(*cells), {"1": ""}, {"x": "", "y": ""}, ["Single"], {("1", "x"): 25.0})
    levels = [[line for line in axes.lines if list(line.get_ydata()) == [25.0, 25.0]] for axes in figure.axes]
    assert [len(found) for found in levels] == [1, 0]


def test_nothing_is_cut_off_by_the_line_of_chance():
    """Panels share an axis, and the line is drawn before the curves of the next."""
    curves = pd.concat([curves_of(("1", "x", "Single")), curves_of(("2", "x", "Single"), values=(5.0, 2.0))])
    with figure_style():
        figure = draw_curves(
            curves, rows={"1": "", "2": ""}, columns={"x": ""}, lines={"Single": "Single"},
            looks=method_looks(["Single"]), title="", quantity="", note="",
            levels={("1", "x"): 25.0, ("2", "x"): 25.0},
        )  # fmt: skip
    low, high = figure.axes[0].get_ylim()
    assert low < 2
    assert high > 60


def test_many_lines_in_one_panel_have_no_bands():
    names = [f"m{place}" for place in range(5)]
    for n, bands in ((4, 4), (5, 0)):
        curves = curves_of(*(("", "", name) for name in names[:n]))
        with figure_style():
            figure = draw_curves(
                curves, rows={"": ""}, columns={"": ""}, lines={name: name for name in names[:n]},
                looks=method_looks(names), title="", quantity="", note="",
            )  # fmt: skip
        assert len(figure.axes[0].collections) == bands


def test_lines_that_are_no_methods_differ():
    assert len({str(look_at(position).line) for position in range(36)}) == 36
    assert len({str(look_at(position).points) for position in range(36)}) == 36


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
            curves, rows={"r": ""}, columns={"c": "C"}, lines={"x": "X"}, looks={"x": look_at(0)}, title="T",
            quantity="WER (%)", note="", period="500 updates", marks=["synthetic corpus"],
        )  # fmt: skip
    assert figure.axes[0].get_xlabel() == "500 updates"
    assert [text.get_text() for text in figure.texts] == ["T", "synthetic corpus"]
