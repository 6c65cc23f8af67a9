import itertools
import math

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from serflow.report.bars import Series, draw_bars
from serflow.report.style import MARKERS, figure_style, look_at, save_svg

NAN = math.nan
SERIES = {"x": Series("Ex", look_at(0)), "y": Series("Why", look_at(1)), "z": Series("Zed", look_at(1), striped=True)}
GROUPS = {"g": "Group", "k": "Other\n(synthetic)"}
PANELS = {"a": "First", "b": "Second"}
ROWS = [
    ("a", "g", "x", 1.5, 0.5, NAN),
    ("a", "g", "y", -2.0, NAN, NAN),
    ("a", "k", "x", 3.0, 0.25, NAN),
    ("b", "g", "z", 4.0, 1.0, NAN),
    ("b", "k", "z", 0.0, NAN, NAN),
]


def draw(rows=ROWS, series=SERIES, panels=PANELS, groups=GROUPS):
    bars = pd.DataFrame(rows, columns=["panel", "group", "series", "value", "spread", "reference"])
    with figure_style():
        return draw_bars(
            bars, panels=panels, groups=groups, series=series, title="Gain", quantity="points", note="Small print.",
            reference="the paper",
        )  # fmt: skip


def heights(axes):
    return [bars.patches[0].get_height() for bars in axes.containers if hasattr(bars, "patches")]


def test_a_panel_has_the_bars_of_its_rows_and_no_other():
    first, second = draw().axes
    assert heights(first) == [1.5, -2.0, 3.0]
    assert heights(second) == [4.0, 0.0]
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["First", "Second"]
    assert [label.get_text() for label in first.get_xticklabels()] == ["Group", "Other\n(synthetic)"]


def test_a_series_without_a_bar_in_a_group_says_so():
    first, second = draw().axes
    assert [text.get_text() for text in first.texts] == ["n/a"]
    assert list(second.texts) == []


def test_error_bars_are_one_spread_to_each_side_and_absent_where_there_is_none():
    first = draw().axes[0]
    spans = [tuple(point[1] for point in path.vertices) for lines in first.collections for path in lines.get_paths()]
    assert spans == [(1.0, 2.0), (2.75, 3.25)]


def test_bars_of_a_group_stand_around_its_label_without_touching():
    first = draw(
        [("a", "g", name, 1.0, NAN, NAN) for name in SERIES], panels={"a": "First"}, groups={"g": "Group"}
    ).axes[0]
    edges = [(patch.get_x(), patch.get_x() + patch.get_width()) for bars in first.containers for patch in bars]
    assert all(left[1] < right[0] for left, right in itertools.pairwise(edges))
    assert (edges[0][0] + edges[-1][1]) / 2 == pytest.approx(first.get_xticks()[0])


def test_references_are_marks_beside_their_bars_and_in_the_legend():
    rows = [("a", "g", "x", 1.5, NAN, 1.2), ("a", "g", "y", 2.0, NAN, NAN)]
    figure = draw(rows, panels={"a": "First"}, groups={"g": "Group"})
    axes = figure.axes[0]
    (mark,) = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert mark.get_ydata().tolist() == [1.2]
    left, right = (bars.patches[0] for bars in axes.containers)
    assert left.get_x() + left.get_width() < mark.get_xdata()[0] < right.get_x()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Ex", "Why", "Zed", "the paper"]


def test_without_references_the_legend_has_the_series_alone():
    assert [text.get_text() for text in draw().legends[0].get_texts()] == ["Ex", "Why", "Zed"]


def test_striped_series_have_the_colour_given_and_stripes():
    second = draw().axes[1]
    striped = second.containers[0].patches[0]
    assert to_hex(striped.get_facecolor()) == look_at(1).color.lower()
    assert striped.get_hatch()
    assert not draw().axes[0].containers[0].patches[0].get_hatch()


def test_a_bar_ends_in_the_marker_of_its_legend():
    figure = draw()
    first = figure.axes[0]
    ends = [
        (line.get_color(), line.get_marker(), line.get_ydata()[0])
        for line in first.lines
        if line.get_marker() in MARKERS
    ]
    assert ends == [(*look_at(0), 1.5), (*look_at(1), -2.0), (*look_at(0), 3.0)]
    handles = figure.legends[0].legend_handles
    assert [(handle.get_color(), handle.get_marker()) for handle in handles] == [look_at(0), look_at(1), look_at(1)]


def test_signs_are_written():
    figure = draw()
    figure.canvas.draw()
    labels = {label.get_text() for label in figure.axes[0].get_yticklabels()}
    assert {"0", "+2", "\N{MINUS SIGN}2"} <= labels


def test_the_zero_line_is_drawn():
    assert any(list(line.get_ydata()) == [0.0, 0.0] for line in draw().axes[0].lines)


def test_what_must_not_be_overlooked_is_said():
    with figure_style():
        bars = pd.DataFrame(ROWS, columns=["panel", "group", "series", "value", "spread", "reference"])
        figure = draw_bars(
            bars, panels=PANELS, groups=GROUPS, series=SERIES, title="Gain", quantity="points", note="", reference="",
            marks=["synthetic noise"],
        )  # fmt: skip
    assert [text.get_text() for text in figure.texts] == ["Gain", "synthetic noise"]


def test_no_bars_at_all_is_an_empty_figure():
    assert heights(draw([], {}, {"a": "A"}).axes[0]) == []


def test_same_bars_give_the_same_bytes(tmp_path):
    for name in ("a.svg", "b.svg"):
        with figure_style():
            save_svg(draw(), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
