"""What a feature alone can do stands beside the weight that gates give that very feature."""

import argparse

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from made_up_runs import PARTIAL, STAND_IN_WEIGHTS, SYNTHETIC, fit, predicted, write_cell
from serflow.errors import StoreError
from serflow.report.headings import Heading, Layout
from serflow.report.style import figure_style, method_looks
from serflow.runs.provenance import joined
from serflow.stages import plot_figure
from serflow.studies.multigating.figure4 import COLUMNS, Files, make_figure, rank_correlation, read_weights
from serflow.training.metrics import Tally

FEATURES = {"allosaurus": "Allosaurus", "wav2vec": "WAV2VEC", "mfcc": "MFCC", "ge2e": "GE2E", "byol": "BYOL"}
WEIGHED = list(FEATURES)[:4]
LANGUAGES = {"emodb": "german", "cafe": "french"}
TITLES = {corpus: name.capitalize() for corpus, name in LANGUAGES.items()}
HITS = {
    "emodb": {"allosaurus": 10, "wav2vec": 30, "mfcc": 20, "ge2e": 40, "byol": 60},
    "cafe": {"allosaurus": 60, "wav2vec": 20, "mfcc": 30, "ge2e": 10, "byol": 40},
}
"""Of 100 utterances of one class; of the other class 50 of 300 are hit."""
GATES = {"emodb": (0.1, 0.3, 0.2, 0.4), "cafe": (0.1, 0.2, 0.3, 0.4)}


def layout():
    rows = [Heading((title,), {"variant": f"only-{name}"}) for name, title in reversed(FEATURES.items())]
    columns = [
        Heading((TITLES[corpus], measure.upper()), {"corpus": corpus, "measure": measure})
        for measure in ("wa", "ua")
        for corpus in reversed(TITLES)
    ]
    return Layout(("Feature",), rows, columns, {"system": "single", "role": "test"}, over_folds="pooled")


FACTS = {"layout": layout().to_json(), "languages": TITLES, "features": FEATURES}


def ua(hits):
    return 100 * (hits / 100 + 50 / 300) / 2


def wa(hits):
    return 100 * (hits + 50) / 400


def alone(folder, corpus, feature, provenance=SYNTHETIC):
    """Write a cell of two runs, one hit of the first class above and below those that are told."""
    results = [
        fit(run, "all", {"prediction": Tally(np.array([hits, 50.0]), np.array([100.0, 300.0]))},
            counts={"test": [100, 300]}, classes="xy")
        for run, hits in enumerate((HITS[corpus][feature] - 1.0, HITS[corpus][feature] + 1.0))
    ]  # fmt: skip
    cell = {"system": "single", "corpus": corpus, "variant": f"only-{feature}"}
    return write_cell(folder, cell, results, study="multigating", classes="xy", provenance=provenance).metrics


def gated(folder, corpus, fits=None, selector="byol", provenance=SYNTHETIC):
    """Write a cell of gates ``(utterances, features)`` by run, fold and role."""
    given = {(0, "all", "test"): [GATES[corpus]]} if fits is None else fits
    results = {}
    for (run, fold, role), gates in given.items():
        rows = [(f"{role}{place}", (1, 0), 0) for place in range(len(gates))]
        more = {} if gates[0] is None else {"gates": [list(each) for each in gates]}
        found = predicted(rows, run, fold, role=role, more=more, n_classes=2, classes="xy")
        known = results.get((run, fold), found._replace(tested=[]))
        results[run, fold] = known._replace(tested=[*known.tested, *found.tested])
    options = {
        "features": list(FEATURES), "sharing": {"selector": selector},
        "languages": {name: {"corpus": of} for of, name in LANGUAGES.items()},
    }  # fmt: skip
    cell = {"system": "mmoe", "corpus": corpus, "variant": f"selector-{selector}"}
    return write_cell(
        folder, cell, list(results.values()), study="multigating", classes="xy", provenance=provenance, options=options
    ).predictions


def files_of(folder, **gates):
    cells = tuple(alone(folder, corpus, feature) for feature in FEATURES for corpus in HITS)
    return Files(cells, tuple(gated(folder, corpus, gates.get(corpus)) for corpus in HITS))


def make(files):
    with figure_style():
        return make_figure(files, FACTS)


def test_a_row_has_the_score_and_the_weight_of_one_feature_and_language(tmp_path):
    _, table = make(files_of(tmp_path))
    assert list(table) == COLUMNS
    assert list(zip(table["language"], table["feature"], strict=True)) == [
        (language, FEATURES[feature]) for language in ("German", "French") for feature in WEIGHED
    ]
    hits = [HITS[corpus][feature] for corpus in HITS for feature in WEIGHED]
    assert table["ua"].tolist() == pytest.approx([ua(found) for found in hits])
    assert table["wa"].tolist() == pytest.approx([wa(found) for found in hits])
    assert table["ua_std"].tolist() == pytest.approx([2**0.5 * 0.5] * 8)
    assert table["wa_std"].tolist() == pytest.approx([2**0.5 * 0.25] * 8)
    assert table["weight"].astype(float).tolist() == pytest.approx([*GATES["emodb"], *GATES["cafe"]], abs=1e-4)
    assert table["weight_std"].tolist() == [""] * 8
    assert (set(table["n_runs"]), set(table["n_gate_runs"])) == ({2}, {1})
    # German: weights in the order of the scores; French: ranks 4 2 3 1 and 1 2 3 4
    assert table["rank_correlation"].tolist() == ["1.0000"] * 4 + ["-0.8000"] * 4


def test_weights_are_of_test_utterances_all_folds_of_a_run_together(tmp_path):
    low, high = (0.1, 0.2, 0.3, 0.4), (0.4, 0.3, 0.2, 0.1)
    fits = {
        (0, "a", "test"): [low, low, low], (0, "b", "test"): [high], (0, "a", "val"): [high] * 9,
        (7, "a", "test"): [high, high], (7, "b", "test"): [low, low], (7, "b", "val"): [high] * 9,
    }  # fmt: skip
    weights = read_weights(gated(tmp_path, "emodb", fits))
    np.testing.assert_allclose(weights.of_runs, [(0.175, 0.225, 0.275, 0.325), (0.25, 0.25, 0.25, 0.25)])
    assert (weights.corpus, weights.features, weights.selector) == ("emodb", tuple(WEIGHED), "byol")
    _, table = make(files_of(tmp_path / "figure", emodb=fits))
    german = table[table["language"] == "German"]
    assert german["weight"].tolist() == ["0.2125", "0.2375", "0.2625", "0.2875"]
    assert german["weight_std"].tolist() == ["0.0530", "0.0177", "0.0177", "0.0530"]
    assert set(german["n_gate_runs"]) == {2}


def test_both_panels_show_the_same_features_in_one_order(tmp_path):
    figure, table = make(files_of(tmp_path))
    left, right = figure.axes
    assert left.get_title(loc="left").startswith("(a)")
    for axes, values in ((left, table["ua"]), (right, table["weight"].astype(float))):
        bars = axes.patches
        assert [bar.get_height() for bar in bars] == pytest.approx(values.tolist(), abs=1e-4)
        looks = method_looks(table["feature"])
        assert [to_hex(bar.get_facecolor()) for bar in bars] == [looks[name].color.lower() for name in table["feature"]]
        ends = [line.get_marker() for line in axes.lines if line.get_markersize() == 7]
        assert ends == [looks[name].marker for name in table["feature"]]
        assert sorted(bars, key=lambda bar: bar.get_x()) == list(bars)
        assert [label.get_text() for label in axes.get_xticklabels()] == ["German", "French"]
        for place, tick in enumerate(axes.get_xticks()):
            middles = [bar.get_x() + bar.get_width() / 2 for bar in bars[4 * place : 4 * place + 4]]
            assert abs(np.mean(middles) - tick) < 0.5
    marks = [line.get_ydata()[0] for line in left.lines if line.get_markerfacecolor() == "white"]
    assert marks == pytest.approx(table["wa"].tolist())
    (alike,) = (line for line in right.lines if line.get_linestyle() == "--")
    assert list(alike.get_ydata()) == [0.25, 0.25]
    said = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert "gates read BYOL" in said
    assert "German 1.00, French -0.80" in said
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*(FEATURES[name] for name in WEIGHED), "WA, (a)"]


def test_a_selector_that_is_weighed_is_shown_too(tmp_path):
    cells = tuple(alone(tmp_path, corpus, feature) for feature in FEATURES for corpus in HITS)
    gates = {(0, "all", "test"): [(0.3, 0.25, 0.2, 0.15, 0.1)]}
    found = Files(cells, tuple(gated(tmp_path, corpus, gates, "ge2e") for corpus in HITS))
    _, table = make(found)
    assert table["feature"].tolist() == list(FEATURES.values()) * 2


def test_marks_of_all_languages_stand_above_and_those_of_one_with_it(tmp_path):
    cells = [alone(tmp_path, "emodb", name, joined([PARTIAL, STAND_IN_WEIGHTS])) for name in FEATURES]
    cells += [alone(tmp_path, "cafe", name, STAND_IN_WEIGHTS) for name in FEATURES]
    predictions = tuple(gated(tmp_path, corpus, provenance=STAND_IN_WEIGHTS) for corpus in HITS)
    figure, _ = make(Files(tuple(cells), predictions))
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["German\n(partial)", "French"]
    assert "partial · stand-in weights" in [text.get_text() for text in figure.texts]


def test_rank_correlation():
    assert rank_correlation([1, 2, 3, 4], [0.1, 0.2, 0.3, 9]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # 1 - 6 (1 + 1) / (4 * 15)
    assert rank_correlation([1, 2, 3, 4], [2, 1, 3, 4]) == pytest.approx(0.8)
    assert np.isnan(rank_correlation([1, 2, 3], [5, 5, 5]))
    assert np.isnan(rank_correlation([1, 2], [1, 2]))


def test_cells_without_fitting_gates_are_refused(tmp_path):
    with pytest.raises(StoreError, match="not every test utterance has a weight of each of allosaurus, wav2vec"):
        read_weights(gated(tmp_path / "five", "emodb", {(0, "all", "test"): [(0.2, 0.2, 0.2, 0.2, 0.2)]}))
    with pytest.raises(StoreError, match="no column 'gates'"):
        read_weights(gated(tmp_path / "none", "emodb", {(0, "all", "test"): [None]}))
    files = files_of(tmp_path)
    other = gated(tmp_path, "cafe", {(0, "all", "test"): [(0.2, 0.2, 0.2, 0.2, 0.2)]}, "ge2e")
    with pytest.raises(StoreError, match="weigh other features than those of emodb"):
        make(files._replace(predictions=(files.predictions[0], other)))


def test_the_stage_writes_the_bars(tmp_path):
    files = files_of(tmp_path)
    out = {name: tmp_path / f"figure4.{name}" for name in ("svg", "csv")}
    inputs = [(name, path) for name, paths in files._asdict().items() for path in paths]
    plot_figure.main(argparse.Namespace(study="multigating", figure="figure4", inputs=inputs, facts=FACTS, **out))
    table = pd.read_csv(out["csv"])
    assert list(table) == COLUMNS
    assert table["weight"].tolist() == pytest.approx([*GATES["emodb"], *GATES["cafe"]])
    assert "<svg" in out["svg"].read_text()


def test_chance_of_each_language_is_drawn_over_its_bars(tmp_path):
    figure, _ = make(files_of(tmp_path))
    levels = [segment[:, 1].tolist() for lines in figure.axes[0].collections for segment in lines.get_segments()]
    assert levels.count([50.0, 50.0]) == 2
