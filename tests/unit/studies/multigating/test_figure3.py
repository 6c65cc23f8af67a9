"""What towers read is shown and measured by emotion, for each weight of the contrastive loss."""

import argparse
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from sklearn.metrics import silhouette_score

from made_up_runs import STAND_IN_WEIGHTS, SYNTHETIC, predicted, write_cell
from serflow.report.scatter import project
from serflow.report.style import EMOTION_STYLES, figure_style
from serflow.runs.provenance import joined
from serflow.stages import plot_figure
from serflow.studies.multigating.figure3 import COLUMNS, Files, compactness, make_figure, over_runs

CLASSES = ("anger", "boredom", "neutral")
ALPHAS = {"alpha-0.1": "0.1", "main": "0.01", "no_aux": "0"}
FACTS = {"title": "Toy", "alphas": ALPHAS}
N = 18


def vectors_of(seed, apart):
    """Return vectors of `N` utterances, whose emotions take turns and lie ``apart``."""
    return apart * np.eye(5)[np.arange(N) % 3] + np.random.default_rng(seed).normal(size=(N, 5))


def of_role(run, fold, role, vectors):
    """Return what a fit leaves of the utterances of a role."""
    rows = [(f"{role}{place:02d}", np.eye(3)[place % 3], 0) for place in range(N)]
    found = predicted(rows, run, fold, role=role, more={"speaker": ["s"] * N}, classes=CLASSES)
    return found._replace(tested=[found.tested[0]._replace(vectors=vectors)])


def write(folder, cells):
    """Write cells, by variant, of test vectors by run and fold; in front of them stand those of other utterances."""
    written = []
    for variant, fits in cells.items():
        results = []
        for (run, fold), vectors in fits.items():
            test = of_role(run, fold, "test", vectors)
            results.append(test._replace(tested=[*of_role(run, fold, "val", 99 - vectors).tested, *test.tested]))
        written.append(
            write_cell(
                folder, {"system": "single", "corpus": "toy", "variant": variant}, results, study="multigating",
                classes=CLASSES, embeddings=True, provenance=joined([SYNTHETIC, STAND_IN_WEIGHTS]),
            )
        )  # fmt: skip
    return Files(tuple(each.embeddings for each in written), tuple(each.predictions for each in written))


CELLS = {
    "no_aux": {(3, "all"): vectors_of(0, 0.5), (1, "all"): vectors_of(1, 0.5)},
    "main": {(3, "all"): vectors_of(2, 9.0)},
    "alpha-0.1": {(3, "a"): vectors_of(3, 2.0), (3, "b"): vectors_of(4, 2.0), (1, "a"): vectors_of(5, 2.0)},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write(tmp_path_factory.mktemp("cells"), CELLS)


@pytest.fixture(scope="module")
def made(files):
    with figure_style():
        return make_figure(files, FACTS)


def test_a_panel_an_alpha_shows_the_test_utterances_of_its_first_fit(made):
    figure, table = made
    assert list(table) == COLUMNS
    headings = [axes.get_title(loc="left").split("\n")[0] for axes in figure.axes]
    assert headings == [f"\N{GREEK SMALL LETTER ALPHA} = {alpha}" for alpha in ("0", "0.01", "0.1")]
    for axes, fits, alpha in zip(figure.axes, CELLS.values(), ("0", "0.01", "0.1"), strict=True):
        points = project(next(iter(fits.values())).astype(np.float32), "tsne").points
        drawn = table[(table["alpha"] == alpha) & table["x"].notna()]
        np.testing.assert_allclose(drawn[["x", "y"]].to_numpy(), points, atol=1e-3)
        assert drawn["utterance"].tolist() == [f"test{place:02d}" for place in range(N)]
        assert drawn["emotion"].tolist() == [CLASSES[place % 3] for place in range(N)]
        for drawing, name in zip(axes.collections, CLASSES, strict=True):
            np.testing.assert_allclose(drawing.get_offsets(), points[CLASSES.index(name) :: 3], atol=1e-3)
            assert to_hex(drawing.get_facecolor()[0]) == EMOTION_STYLES[name]["color"].lower()
    said = " ".join(text.get_text() for text in figure.texts)
    assert "synthetic" in said
    assert "stand-in weights" in said


def test_every_fit_is_measured_on_its_own_vectors(made):
    _, table = made
    assert len(table) == 6 * N
    emotions = [CLASSES[place % 3] for place in range(N)]
    for variant, fits in CELLS.items():
        for (run, fold), vectors in fits.items():
            rows = table[(table["alpha"] == ALPHAS[variant]) & (table["run"] == run) & (table["fold"] == fold)]
            of_fit = rows["silhouette"].astype(float).mean()
            assert of_fit == pytest.approx(silhouette_score(vectors.astype(np.float32), emotions), abs=1e-4)
            np.testing.assert_allclose(rows["within"].astype(float), compactness(vectors, emotions).within, atol=1e-4)


def test_headings_give_mean_and_deviation_over_runs(made):
    figure, table = made
    of_fit = {
        key: rows["silhouette"].astype(float).mean() for key, rows in table.groupby(["alpha", "run", "fold"], sort=True)
    }
    one, other = of_fit["0.1", 3, "a"] / 2 + of_fit["0.1", 3, "b"] / 2, of_fit["0.1", 1, "a"]
    headings = [axes.get_title(loc="left").split("\n")[1] for axes in figure.axes]
    assert headings[1] == f"silhouette {of_fit['0.01', 3, 'all']:.2f}"
    assert headings[2] == f"silhouette {(one + other) / 2:.2f} ± {abs(one - other) / math.sqrt(2):.2f}"


def test_similarities_are_to_others_of_the_same_emotion_and_to_those_of_others():
    found = compactness(np.array([(1.0, 0), (3, 4), (0, 2), (-5, 0)]), ["a", "a", "b", "c"])
    np.testing.assert_allclose(found.within, [0.6, 0.6, math.nan, math.nan])
    np.testing.assert_allclose(found.between, [(0 - 1) / 2, (0.8 - 0.6) / 2, (0 + 0.8 + 0) / 3, (-1 - 0.6 + 0) / 3])
    # own distance 2 sqrt(5), the nearest other emotion sqrt(5) and sqrt(13) away
    np.testing.assert_allclose(found.silhouette[:2], [math.sqrt(5 / 20) - 1, math.sqrt(13 / 20) - 1])


def test_what_cannot_be_measured_is_left_empty():
    alike = compactness(np.eye(3), ["a", "a", "a"])
    assert np.isnan(alike.silhouette).all()
    assert np.isnan(alike.between).all()
    np.testing.assert_allclose(alike.within, 0, atol=1e-12)
    broken = compactness(np.array([(1.0, math.nan), (1, 1), (0, 1)]), ["a", "a", "b"])
    assert np.isnan(np.array(broken)).all()
    assert over_runs(pd.DataFrame({"run": [0], "within": [math.nan]}), "within") is None


def test_the_stage_writes_the_table(tmp_path, files):
    out = {name: tmp_path / f"figure3.{name}" for name in ("svg", "csv")}
    inputs = [(name, path) for name, paths in files._asdict().items() for path in paths]
    plot_figure.main(argparse.Namespace(study="multigating", figure="figure3", inputs=inputs, facts=FACTS, **out))
    table = pd.read_csv(out["csv"])
    assert list(table) == COLUMNS
    assert table.groupby("alpha")["x"].count().to_dict() == {0.0: N, 0.01: N, 0.1: N}
    assert table[["silhouette", "within", "between"]].notna().all(axis=None)
    assert "<svg" in out["svg"].read_text()
