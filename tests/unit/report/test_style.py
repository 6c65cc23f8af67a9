import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from serflow.config import check_config
from serflow.report import style
from serflow.report.style import COLOURS, MARKERS, figure_style, method_looks, save_svg
from serflow.settings.written import merged, read
from serflow.studies.dlc.catalog import method_info, method_names
from serflow.studies.multigating.catalog import SYSTEMS as MULTIGATING_SYSTEMS
from serflow.studies.temporal.catalog import SYSTEMS as TEMPORAL_SYSTEMS

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


def test_where_no_font_has_a_letter_the_words_stay_text_for_the_readers_own_fonts(tmp_path, monkeypatch):
    """Fonts of no other script are installed; the letters of DejaVu are outlines, as always."""
    style._families.cache_clear()
    style._fonts.cache_clear()
    monkeypatch.setattr(style, "_OTHER_SCRIPTS", (style._LAST_RESORT,))
    try:
        for name, stays in [("语音 anger", True), ("Würde, злость", False), ("two\nlines", False)]:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with figure_style():
                    figure = Figure()
                    figure.subplots().set_title(name)
                    save_svg(figure, tmp_path / "a.svg")
            written = (tmp_path / "a.svg").read_text(encoding="utf-8")
            assert (f">{name}</text>" in written) == stays
            assert ("<text" in written) == stays
    finally:
        style._families.cache_clear()
        style._fonts.cache_clear()


# Looks of methods


def study_methods(repository):
    """Return by study the methods that stand in one figure, as its tables name them."""
    written = [read(Path(repository / "config.yaml"))]
    plans = check_config(merged(written), written).plans()
    found = {name: [row.name[-1] for row in plan.layout(plan.curves.table).rows] for name, plan in plans.items()}
    found["dlc"] += [method_info(name).title for name in method_names()]
    found["temporal"] += [info.title for info in TEMPORAL_SYSTEMS.values()]
    found["multigating"] += [info.title for info in MULTIGATING_SYSTEMS.values()]
    found["multigating, features"] = [row.name[0] for row in plans["multigating"].layout("features").rows]
    return {study: list(dict.fromkeys(names)) for study, names in found.items()}


def test_methods_of_a_study_are_told_apart_in_grey(repository):
    """By marker alone; colours may recur where a method builds on another."""
    for study, names in study_methods(repository).items():
        markers = [look.marker for look in method_looks(names).values()]
        assert len(set(markers)) >= min(len(names), len(MARKERS)) - (study == "dlc"), study


def test_no_two_methods_of_all_studies_look_alike(repository):
    names = {name for of_study in study_methods(repository).values() for name in of_study}
    assert len(set(method_looks(names).values())) == len(names)
    assert len({(look.color, look.marker) for look in style._LOOKS.values()}) == len(style._LOOKS)


def test_every_look_is_of_the_palette():
    assert all(look.color in COLOURS and look.marker in MARKERS for look in style._LOOKS.values())


@given(st.sets(st.text(min_size=1, max_size=8), max_size=50))
def test_methods_of_your_own_never_look_alike(names):
    looks = method_looks([*names, "Single", "DANN"])
    assert len({(look.color, look.marker) for look in looks.values()}) == len(looks)


@given(st.sets(st.text(min_size=1, max_size=8), max_size=20), st.sampled_from(sorted(style._LOOKS)))
def test_a_method_that_is_listed_looks_the_same_whoever_stands_beside_it(names, name):
    assert method_looks([*names, name])[name] == method_looks([name])[name]


def test_a_method_of_your_own_looks_the_same_in_figures_with_other_methods():
    alone = method_looks(["Mine"])["Mine"]
    assert method_looks(["Single", "Mine"])["Mine"] == method_looks(["Mine", "Theirs", "DANN"])["Mine"] == alone


def test_order_of_the_names_is_kept():
    assert list(method_looks(["Zed", "Single", "Ah", "DANN"])) == ["Zed", "Single", "Ah", "DANN"]
