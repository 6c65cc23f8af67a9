import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serflow.errors import TrainingError
from serflow.runs import probes
from serflow.runs.probes import linear_probe, stratified_rows

N = 400
SPEAKERS = ("ses01f", "ses01m", "ses02f", "ses02m", "ses03f")


def embeddings(strength, seed=0):
    """Return vectors (n, 16) of unequal scales with as much of the speaker in them as asked for, and the speakers."""
    generator = np.random.default_rng(seed)
    who = generator.choice(5, N, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    places = generator.standard_normal((5, 16))
    vectors = strength * places[who] + generator.standard_normal((N, 16))
    return (vectors * np.logspace(-3, 3, 16) + 5).astype(np.float32), [SPEAKERS[k] for k in who]


@pytest.fixture
def rows():
    return stratified_rows(embeddings(0)[1], 0.25, seed=0)


def test_scores_are_those_of_standardised_logistic_regression(rows):
    vectors, speakers = embeddings(0.5)
    train, test = stratified_rows(speakers, 0.25, seed=1)
    names = np.array(speakers)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000))
    predicted = model.fit(vectors[train].astype(np.float64), names[train]).predict(vectors[test])
    found = linear_probe(vectors, speakers, train, test, c=0.1)
    assert found.accuracy == pytest.approx(accuracy_score(names[test], predicted))
    assert found.ua == pytest.approx(recall_score(names[test], predicted, average="macro"))
    assert found.accuracy != pytest.approx(found.ua)
    assert found.chance == 1 / 5
    assert found.majority == pytest.approx(np.mean(names[test] == "ses01f"))


def test_what_is_there_is_found_and_what_is_not_is_not(rows):
    found = {strength: linear_probe(*embeddings(strength), *rows) for strength in (0, 0.5, 3)}
    assert found[3].ua > 0.95 > found[0.5].ua > found[0].ua
    assert abs(found[0].ua - found[0].chance) < 0.1


def test_a_probe_draws_nothing_and_leaves_the_vectors_alone(rows):
    vectors, speakers = embeddings(0.5)
    kept = vectors.copy()
    np.random.seed(0)  # noqa: NPY002
    first = linear_probe(vectors, speakers, *rows)
    np.random.seed(1)  # noqa: NPY002
    assert linear_probe(vectors, speakers, *rows) == first
    np.testing.assert_array_equal(vectors, kept)


def test_the_test_rows_move_neither_the_standardisation_nor_the_fit(rows):
    vectors, speakers = embeddings(1)
    train, test = rows
    scored = test[:20]
    before = linear_probe(vectors, speakers, train, scored)
    vectors[np.setdiff1d(test, scored)] = 1e6
    assert linear_probe(vectors, speakers, train, scored) == before


def test_scale_offset_and_dimensions_that_do_not_vary_do_not_matter(rows):
    vectors, speakers = embeddings(0.5)
    constant = np.full((N, 3), 0.1, np.float32)
    constant[rows[1]] = 7.0
    more = np.hstack([vectors * 1000 - 3, constant])
    assert linear_probe(more, speakers, *rows) == linear_probe(vectors, speakers, *rows)


def test_a_class_that_is_not_scored_is_no_part_of_ua():
    vectors, speakers = embeddings(1)
    train, test = stratified_rows(speakers, 0.25, seed=0)
    two = test[np.isin(np.array(speakers)[test], ["ses01f", "ses02m"])]
    found = linear_probe(vectors, speakers, train, two)
    assert found.ua > 0.5
    assert found.chance == 1 / 5


def test_smaller_c_is_smoother(rows):
    vectors, speakers = embeddings(1)
    assert linear_probe(vectors, speakers, *rows, c=1e-7).accuracy < linear_probe(vectors, speakers, *rows).accuracy


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(rows, value):
    vectors, speakers = embeddings(1)
    vectors[17, 3] = vectors[40, 0] = value
    with pytest.raises(TrainingError, match="2 of 400 vectors are not finite, the first in row 17"):
        linear_probe(vectors, speakers, *rows)


def test_one_class_is_refused_by_name(rows):
    vectors, _ = embeddings(1)
    with pytest.raises(TrainingError, match="all rows that a probe is fitted on are ses01f; it needs two classes"):
        linear_probe(vectors, ["ses01f"] * N, *rows)


def test_a_speaker_who_is_only_tested_is_named(rows):
    """The folds of speaker-independent tests: no probe for the test speaker can be fitted on the others."""
    vectors, speakers = embeddings(1)
    names = np.array(speakers)
    train, test = np.flatnonzero(names != "ses02f"), np.flatnonzero(names == "ses02f")
    with pytest.raises(TrainingError, match=r"no row of ses02f is fitted on.*stratified_rows"):
        linear_probe(vectors, speakers, train, test)


def test_rows_in_both_parts_or_in_neither_are_refused(rows):
    vectors, speakers = embeddings(1)
    train, test = rows
    with pytest.raises(TrainingError, match="3 rows are fitted on and scored"):
        linear_probe(vectors, speakers, np.concatenate([train, test[:3]]), test)
    with pytest.raises(TrainingError, match="with 0 rows to fit on"):
        linear_probe(vectors, speakers, train[:0], test)
    with pytest.raises(TrainingError, match="and 0 to score"):
        linear_probe(vectors, speakers, train, test[:0])


def test_vectors_that_are_all_the_same_are_refused(rows):
    _, speakers = embeddings(1)
    with pytest.raises(TrainingError, match="are the same, so nothing can be read off them"):
        linear_probe(np.full((N, 4), 0.1, np.float32), speakers, *rows)


def test_a_fit_that_does_not_converge_is_no_score(rows, monkeypatch):
    monkeypatch.setattr(probes, "_MAX_ITERATIONS", 2)
    with pytest.raises(TrainingError, match="C = 100 has not converged; take a smaller C"):
        linear_probe(*embeddings(1), *rows, c=100)


def test_rows_are_divided_by_class_and_by_seed():
    labels = ["a"] * 40 + ["b"] * 10 + ["c"] * 2
    train, test = stratified_rows(labels, 0.1, seed=0)
    assert sorted([*train, *test]) == list(range(52))
    assert [sum(labels[row] == name for row in test) for name in "abc"] == [4, 1, 1]
    assert np.array_equal(test, stratified_rows(labels, 0.1, seed=0)[1])
    assert not np.array_equal(test, stratified_rows(labels, 0.1, seed=1)[1])
    assert [sum(labels[row] == name for row in stratified_rows(labels, 0.9, 0)[0]) for name in "abc"] == [4, 1, 1]
    with pytest.raises(TrainingError, match="d has a single row"):
        stratified_rows([*labels, "d"], 0.1, seed=0)


def test_importing_the_module_imports_no_scikit_learn():
    code = "import sys, serflow.runs.probes; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
