import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from serflow.report.style import figure_style, save_svg

NAMES = ["语音_1", "怒り", "분노", "غضب", "क्रोध", "ቁጣ", "😠", "\u0378 unassigned", "naïve"]


@pytest.mark.parametrize("name", NAMES)
def test_names_in_any_script_are_drawn_without_warnings(tmp_path, name, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with figure_style():
            figure = Figure()
            figure.subplots().set_title(name)
            save_svg(figure, tmp_path / "a.svg")
            figure.savefig(tmp_path / "a.png")
    assert caplog.text == ""
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_letters_that_dejavu_has_are_drawn_from_it_whatever_else_is_installed(tmp_path, monkeypatch):
    files = []
    for families in (["DejaVu Sans"], None):
        with figure_style():
            if families:
                monkeypatch.setitem(matplotlib.rcParams, "font.family", families)
            figure = Figure()
            axes = figure.subplots()
            axes.plot(np.arange(3))
            axes.set_title("Würde, Ελλάδα, злость")
            save_svg(figure, tmp_path / "a.svg")
        files.append((tmp_path / "a.svg").read_bytes())
    assert files[0] == files[1]
