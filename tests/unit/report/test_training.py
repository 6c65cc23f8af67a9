import json
import subprocess
import sys

import pytest

from made_up_runs import PARTIAL, SYNTHETIC, fit, write_cell
from serflow.errors import StoreError
from serflow.report.headings import Heading, Layout
from serflow.report.style import figure_style, method_looks, save_svg
from serflow.report.training import draw_training, training_curves

TITLES = {"near": "Near", "far": "Far", "further": "Not built"}
LAYOUT = Layout(
    ("Experiment", "System"),
    [
        Heading((number, title), {"experiment": experiment, "system": system, "measure": measure})
        for number, experiment in (("1", "one"), ("2", "two"))
        for title, system, measure in (
            ("Alone", "alone", "ua"),
            ("Adversary", "adversary", "ua"),
            ("Chance", "alone", "chance_ua"),
        )
    ],
    [Heading(("Near",), {"corpus": "near"}), Heading(("Far",), {"corpus": "far"})],
)


def history(*values):
    return [{"period": period, "val_ua": value} for period, value in enumerate(values)]


@pytest.fixture
def histories(tmp_path):
    return [
        write_cell(
            tmp_path,
            {"experiment": experiment, "system": system, "corpus": corpus},
            [fit(run, fold, history=history(0.3, 0.4, 0.5 + 0.1 * run)) for run in (0, 1) for fold in "ab"],
            study="made_up",
            provenance=SYNTHETIC if corpus == "near" else None,
        ).history
        for experiment in ("two", "one")
        for system in ("adversary", "alone")
        for corpus in ("far", "near")
    ]


def draw(histories, layout=LAYOUT, titles=TITLES, quantity="validation UA (%)"):
    with figure_style():
        return draw_training(layout, histories, "val_ua", quantity, titles)


def test_a_cell_is_a_line_of_the_first_row_that_takes_it_in(histories):
    """Chance, which is read off the same runs, has no curve of its own."""
    found = training_curves(LAYOUT, histories, "val_ua")
    assert set(zip(found["row"], found["column"], found["line"], strict=True)) == {
        (f"Experiment {number}", corpus, line)
        for number in "12"
        for corpus in ("near", "far")
        for line in ("Alone", "Adversary")
    }
    assert len(found) == 8 * 4 * 3


def own_line(axes):
    """The line that a panel is of, which alone has marks."""
    (line,) = [line for line in axes.lines if line.get_marker() != "None"]
    return line


def headings(figure):
    return [found for axes in figure.axes if (found := axes.get_title(loc="left").replace("\n", ", "))]


def test_a_column_per_corpus_and_group_of_rows_and_a_row_per_line_in_the_order_of_table_and_titles(histories):
    figure = draw(histories)
    assert headings(figure) == [
        "Near (synthetic), Experiment 1", "Far, Experiment 1", "Near (synthetic), Experiment 2", "Far, Experiment 2"
    ]  # fmt: skip
    assert len(figure.axes) == 8
    assert [axes.texts[0].get_text() for axes in figure.axes[::4]] == ["Alone", "Adversary"]


def test_the_picture_is_stamped(histories):
    assert "synthetic" in [text.get_text() for text in draw(histories).texts]


def test_a_line_is_the_mean_over_fits_in_percent(histories):
    line = own_line(draw(histories).axes[0])
    assert line.get_ydata().tolist() == pytest.approx([30.0, 40.0, 55.0])
    assert line.get_xdata().tolist() == [0, 1, 2]


def test_chance_is_a_guess_among_the_classes(histories):
    for axes in draw(histories).axes:
        (level,) = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 2]
        assert list(level) == pytest.approx([100 / 3, 100 / 3])


def test_a_system_has_the_look_of_other_figures(histories):
    for axes, name in zip(draw(histories).axes[::4], ["Alone", "Adversary"], strict=True):
        look = method_looks([name])[name]
        assert (own_line(axes).get_color(), own_line(axes).get_marker()) == look


def test_corpora_that_are_cut_are_marked(tmp_path, histories):
    cell = {"experiment": "one", "system": "alone", "corpus": "further"}
    path = write_cell(tmp_path, cell, [fit(history=history(0.5))], study="made_up", provenance=PARTIAL).history
    assert headings(draw([*histories, path]))[:3] == [
        "Near (synthetic), Experiment 1", "Far, Experiment 1", "Not built (partial), Experiment 1"
    ]  # fmt: skip


def test_the_same_histories_give_the_same_bytes(histories, tmp_path):
    for name in ("a.svg", "b.svg"):
        with figure_style():
            save_svg(draw(histories), tmp_path / name)
    first = (tmp_path / "a.svg").read_bytes()
    assert first == (tmp_path / "b.svg").read_bytes()
    assert b"<dc:date>" not in first
    assert str(tmp_path).encode() not in first


@pytest.mark.parametrize(
    "layout",
    [LAYOUT._replace(rows=LAYOUT.rows[:1]), LAYOUT._replace(where={"corpus": "near"})],
    ids=["no row", "not of the table"],
)
def test_a_cell_that_the_table_does_not_take_in_is_refused(histories, layout):
    with pytest.raises(StoreError, match=r"history\.parquet: no row of the table takes this cell in"):
        draw(histories, layout)


def test_a_corpus_without_a_title_is_refused(histories):
    with pytest.raises(StoreError, match="corpus 'far' is given, but no title"):
        draw(histories, titles={"near": "Near"})


def test_a_table_of_one_corner_and_cells_of_all_corpora(tmp_path):
    """Joint training: no corpus, and no group of rows."""
    layout = Layout(("Sharing",), [Heading(("None",), {"scheme": "none", "measure": "wa"})], [])
    path = write_cell(tmp_path, {"scheme": "none"}, [fit(history=history(0.5, 0.75))], study="made_up").history
    figure = draw([path], layout, {})
    assert len(figure.axes) == 1
    assert own_line(figure.axes[0]).get_ydata().tolist() == [50.0, 75.0]


def test_the_stage_draws(histories, tmp_path):
    command = [
        sys.executable, "-m", "serflow.stages.plot_curves", "--layout", json.dumps(LAYOUT.to_json()), "--histories",
        *histories, "--value", "val_ua", "--quantity", "validation UA (%)", "--titles", json.dumps(TITLES),
        "--code", "f" * 16, "--figure", tmp_path / "curves.svg",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")
