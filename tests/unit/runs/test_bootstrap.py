import itertools
import math

import numpy as np
import pytest

from made_up_runs import UTTERANCE, predicted, write_cell, write_utterances
from serflow.errors import StoreError
from serflow.runs import bootstrap
from serflow.runs.bootstrap import (
    Counted,
    counted_fits,
    interval,
    over_runs,
    read_clusters,
    read_predictions,
    score_runs,
)
from serflow.training.metrics import unweighted_accuracy, weighted_accuracy

CELL = {"system": "a", "corpus": "toy"}
UA, WA, WER = (("a", "prediction", "ua"), ("a", "prediction", "wa"), ("a", "words", "wer"))


def corpus(folder, n_dialogues=12, size=3, *, dialogues=True, **said):
    """Dialogues d00, d01, ... of utterances d00_0, d00_1, ...; five speakers."""
    names = [f"d{i:02d}_{j}" for i in range(n_dialogues) for j in range(size)]
    rows = [
        {UTTERANCE: name, "dialogue": name[:3] if dialogues else None, "speaker": f"s{int(name[1:3]) % 5}"}
        for name in names
    ]
    return write_utterances(folder, rows=rows, **said), names


def random_rows(names, seed, n_classes=3, soft=False):
    generator = np.random.default_rng(seed)
    targets = np.eye(n_classes)[generator.integers(n_classes, size=len(names))]
    if soft:
        targets = generator.multinomial(4, np.full(n_classes, 1 / n_classes), size=len(names)) / 4
    return list(zip(names, targets.tolist(), generator.integers(n_classes, size=len(names)).tolist(), strict=True))


def slowly(rows_of_folds, cluster_of, drawn_of, over_folds, measure):
    """Score drawn clusters by writing out every utterance as often as it was drawn; folds by how much of them was."""
    folds, shares = [], []
    for rows in rows_of_folds:
        again = [row for row in rows for _ in range(drawn_of.get(cluster_of[row[0]], 0))]
        folds.append((np.array([row[1] for row in again]), np.array([row[2] for row in again])))
        shares.append(np.mean([drawn_of.get(cluster, 0) for cluster in {cluster_of[row[0]] for row in rows}]))
    if over_folds == "pooled":
        parts = [fold for fold in folds if len(fold[1])]
        return measure(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    scores = [share * measure(*fold) for fold, share in zip(folds, shares, strict=True) if share]
    return sum(scores) / sum(shares)


@pytest.mark.parametrize("over_folds", ["mean", "pooled"])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("wanted", "measure"), [(UA, unweighted_accuracy), (WA, weighted_accuracy)])
def test_a_replicate_is_the_score_of_its_drawn_clusters(tmp_path, over_folds, soft, wanted, measure):
    path, names = corpus(tmp_path)
    clusters = read_clusters(path, "dialogue")
    # the last dialogues are in no test; folds overlap in their dialogues
    folds = {fold: random_rows(names[place:30:3], place, soft=soft) for place, fold in enumerate("abc")}
    cell = write_cell(tmp_path, CELL, [predicted(rows, 4, fold) for fold, rows in folds.items()])
    fits = counted_fits(read_predictions(cell.predictions), clusters, "prediction")
    found = score_runs({wanted: fits}, "toy", over_folds, 40)[wanted, 4]
    (weights,) = bootstrap._weights(10, 40, "toy", 4)
    assert (weights.sum(axis=1) == 10).all()
    cluster_of = dict(zip(names, clusters.clusters.tolist(), strict=True))
    rows = list(folds.values())
    for drawn, value in zip(weights, found.replicates, strict=True):
        times = {cluster: int(n) for cluster, n in enumerate(drawn)}
        assert value == pytest.approx(100 * slowly(rows, cluster_of, times, over_folds, measure))
    assert len(set(found.replicates.tolist())) > 5
    assert found.value == pytest.approx(
        100 * slowly(rows, cluster_of, dict.fromkeys(range(12), 1), over_folds, measure)
    )
    assert (found.n_clusters, found.n_utterances) == (10, 30)


def test_a_word_error_rate_is_drawn_from_edits_and_words(tmp_path):
    path, names = corpus(tmp_path, n_dialogues=6, size=2)
    generator = np.random.default_rng(0)
    edits, words = generator.integers(0, 9, 12), generator.integers(1, 6, 12)
    more = {"edits": edits.tolist(), "words": words.tolist()}
    cell = write_cell(tmp_path, CELL, [predicted(random_rows(names, 0), more=more)])
    fits = counted_fits(read_predictions(cell.predictions), read_clusters(path, "dialogue"), "words")
    found = score_runs({WER: fits}, "toy", "mean", 30)[WER, 0]
    assert found.value == pytest.approx(100 * edits.sum() / words.sum())
    (weights,) = bootstrap._weights(6, 30, "toy", 0)
    drawn = np.repeat(weights, 2, axis=1)
    assert found.replicates == pytest.approx(100 * (drawn @ edits) / (drawn @ words))
    assert found.replicates.max() > 100


def test_a_class_that_a_replicate_lacks_is_left_out_of_its_mean():
    # cluster 0 holds class 0, all right; cluster 1 class 1, all wrong
    fit = Counted(
        rows=np.arange(4),
        clusters=np.array([0, 0, 1, 1]),
        classes=np.array([0, 0, 1, 1]),
        hits=np.array([1.0, 1.0, 0.0, 0.0]),
        totals=np.ones(4),
        n_classes=2,
    )
    (weights,) = bootstrap._weights(2, 60, "toy", 0)
    expected = [{2: 100.0, 1: 50.0, 0: 0.0}[int(drawn[0])] for drawn in weights]
    assert score_runs({UA: {(0, "none"): fit}}, "toy", "mean", 60)[UA, 0].replicates.tolist() == expected
    assert set(expected) == {0.0, 50.0, 100.0}


def fit_of(rows, clusters):
    n = len(rows)
    hits = (7 * np.arange(n) % 5 < 2).astype(float)
    return Counted(np.array(rows), np.array(clusters), np.zeros(n, dtype=np.int64), hits, np.ones(n), 1)


def test_runs_with_the_same_test_clusters_share_their_draws():
    """Two runs on one split are paired; a run on another split has a draw of its own."""
    same, other = (fit_of(np.arange(30), np.arange(30) // 3 + first) for first in (0, 10))
    alike = score_runs({WA: {(0, "none"): same, (1, "none"): same, (2, "none"): other}}, "toy", "mean", 50)
    drawn = [alike[WA, run].replicates.tolist() for run in (0, 1, 2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_draws_depend_on_corpus_and_run_alone(monkeypatch):
    fits = {(run, "none"): fit_of(range(40), np.arange(40) // 2 + 20 * run) for run in (0, 1)}
    alone = score_runs({WA: fits}, "toy", "mean", 50)
    beside = ("b", "prediction", "wa")
    both = score_runs({beside: fits, WA: fits}, "toy", "mean", 50)
    monkeypatch.setattr(bootstrap, "_CHUNK", 20 * 7)
    chunked = score_runs({WA: fits}, "toy", "mean", 50)
    for run in (0, 1):
        values = alone[WA, run].replicates.tolist()
        assert values == both[WA, run].replicates.tolist() == both[beside, run].replicates.tolist()
        assert values == chunked[WA, run].replicates.tolist()
    assert score_runs({WA: fits}, "other", "mean", 50)[WA, 0].replicates.tolist() != alone[WA, 0].replicates.tolist()


def test_a_mean_over_folds_of_a_speaker_each_varies_as_speakers_do():
    """Scores of 8 folds with one speaker each are drawn as 8 numbers are: their mean varies by s / sqrt(8), ddof 0."""
    scores = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 0.5, 0.25, 0.75])
    folds = {
        (0, str(speaker)): Counted(
            4 * speaker + np.arange(4), np.full(4, speaker), np.zeros(4, dtype=np.int64),
            (np.arange(4) < 4 * score).astype(float), np.ones(4), 1,
        )
        for speaker, score in enumerate(scores)
    }  # fmt: skip
    found = score_runs({WA: folds}, "toy", "mean", 4000)[WA, 0]
    assert found.value == pytest.approx(100 * scores.mean())
    assert found.replicates.mean() == pytest.approx(100 * scores.mean(), abs=0.7)
    assert found.replicates.std() == pytest.approx(100 * scores.std() / math.sqrt(8), rel=0.05)


def test_what_is_tested_on_none_of_the_drawn_clusters_is_not_a_number():
    beside = ("b", "prediction", "wa")
    few = {(0, fold): fit_of([place], [place]) for place, fold in enumerate("ab")}
    many = {(0, fold): fit_of([place, place + 1], [place, place + 1]) for place, fold in ((0, "a"), (2, "b"))}
    found = score_runs({WA: few, beside: many}, "toy", "mean", 200)
    (weights,) = bootstrap._weights(4, 200, "toy", 0)
    assert np.isnan(found[WA, 0].replicates).tolist() == (weights[:, :2].sum(axis=1) == 0).tolist()
    assert not np.isnan(found[beside, 0].replicates).any()


def test_one_run_is_taken_as_it_is():
    values = np.array([[1.0, math.nan, 3.0]])
    assert np.array_equal(over_runs(values), values[0], equal_nan=True)


@pytest.mark.parametrize("n_runs", [2, 3, 5])
def test_runs_are_drawn_so_that_their_means_vary_as_much_as_means_of_runs_do(n_runs):
    """The variance of a mean of n runs is estimated by that of the runs, ddof 1, over n."""
    runs = np.array([10.0, 20.0, 60.0, 15.0, 45.0])[:n_runs]
    drawn = over_runs(np.repeat(runs[:, None], 40_000, axis=1))
    assert drawn.mean() == pytest.approx(runs.mean(), rel=0.01)
    assert drawn.var() == pytest.approx(runs.var(ddof=1) / n_runs, rel=0.03)
    # of each replicate n - 1 runs are averaged
    possible = {round(sum(some) / (n_runs - 1), 6) for some in itertools.product(runs.tolist(), repeat=n_runs - 1)}
    assert {round(value, 6) for value in drawn.tolist()} <= possible


def test_what_has_as_many_runs_is_drawn_alike():
    """Differences between cells are paired in runs too."""
    values = np.random.default_rng(0).random((3, 200))
    assert over_runs(values + 5.0) - over_runs(values) == pytest.approx(np.full(200, 5.0))


def test_percentiles():
    values = np.arange(101.0)
    assert interval(values, 2) == (2.5, 97.5)
    assert interval(np.array([math.nan, 1.0, 1.0]), 2) == (1.0, 1.0)
    assert np.isnan(interval(values, 1)).all()
    assert np.isnan(interval(np.array([math.nan]), 5)).all()


def test_clusters_are_dialogues_utterances_or_speakers(tmp_path):
    path, names = corpus(tmp_path / "whole", synthetic=True)
    found = read_clusters(path, "dialogue")
    assert (found.unit, found.marks, len(set(found.clusters.tolist()))) == ("dialogue", ("synthetic",), 12)
    assert found.rows == {name: row for row, name in enumerate(names)}
    speakers = read_clusters(path, "speaker")
    assert (speakers.unit, len(set(speakers.clusters.tolist()))) == ("speaker", 5)
    single, _ = corpus(tmp_path / "parted", dialogues=False, partial=True)
    found = read_clusters(single, "dialogue")
    assert (found.unit, found.marks, len(set(found.clusters.tolist()))) == ("utterance", ("partial",), 36)
    rows = [
        {UTTERANCE: "a", "dialogue": "d"},
        {UTTERANCE: "b", "dialogue": "d"},
        {UTTERANCE: "c"},
    ]
    found = read_clusters(write_utterances(tmp_path, rows=rows), "dialogue")
    assert (found.unit, found.clusters[0] == found.clusters[1], len(set(found.clusters.tolist()))) == (
        "dialogue or utterance", True, 2,
    )  # fmt: skip


def test_fits_are_in_the_order_of_the_corpus(tmp_path):
    path, names = corpus(tmp_path, n_dialogues=2)
    rows = random_rows(names, 1)
    clusters = read_clusters(path, "dialogue")
    paths = [
        write_cell(tmp_path / str(k), CELL, [predicted(of_k)]).predictions for k, of_k in enumerate((rows, rows[::-1]))
    ]
    read = [counted_fits(read_predictions(path), clusters, "prediction") for path in paths]
    for one, other in zip(*(fits[0, "none"] for fits in read), strict=True):
        assert np.array_equal(one, other)
    assert read[0][0, "none"].rows.tolist() == list(range(6))


def test_the_oracles_predictions_are_counted_by_their_own_column(tmp_path):
    path, names = corpus(tmp_path, n_dialogues=4, size=1)
    rows = [(name, [1.0, 0.0, 0.0], 1) for name in names]
    more = {"oracle_prediction": ["low", "low", "low", "high"]}
    cell = read_predictions(write_cell(tmp_path, CELL, [predicted(rows, more=more)]).predictions)
    clusters = read_clusters(path, "dialogue")
    assert counted_fits(cell, clusters, "prediction")[0, "none"].hits.tolist() == [0, 0, 0, 0]
    assert counted_fits(cell, clusters, "oracle")[0, "none"].hits.tolist() == [1, 1, 1, 0]


def test_predictions_of_another_role_are_left_out(tmp_path):
    """Validation, and what is predicted and not scored."""
    _, names = corpus(tmp_path)
    tests = predicted(random_rows(names[:4], 0))
    others = [predicted(random_rows(names[4:9], 1), role=role).tested[0] for role in ("val", "unscored")]
    cell = read_predictions(write_cell(tmp_path, CELL, [tests._replace(tested=[*others, *tests.tested])]).predictions)
    assert cell.table.column("utterance").to_pylist() == names[:4]
    assert cell.name == "a/toy"


@pytest.mark.parametrize(
    ("rows", "more", "what", "message"),
    [
        ([("nobody", [1.0, 0, 0], 0)], {}, "prediction", r"utterance 'nobody' \(1 such\) is not in .*utterances"),
        ([("d00_0", [1.0, 0, 0], 0)] * 2, {}, "prediction", "occurs twice"),
        ([("d00_0", [1.0, 0, 0], 0)], {}, "words", "not every prediction has a value of edits"),
        ([("d00_0", [1.0, 0, 0], 0)], {"edits": [1], "words": [None]}, "words", "a value of words"),
        ([("d00_0", [1.0, 0, 0], 0)], {}, "oracle", "a value of oracle_prediction"),
        ([("d00_0", [1.0, 0, 0], 0)], {"oracle_prediction": ["calm"]}, "oracle", "not of the classes low, mid, high"),
    ],
)
def test_damaged_predictions_are_refused(tmp_path, rows, more, what, message):
    path, _ = corpus(tmp_path)
    cell = write_cell(tmp_path, CELL, [predicted(rows, more=more)])
    with pytest.raises(StoreError, match=message):
        counted_fits(read_predictions(cell.predictions), read_clusters(path, "dialogue"), what)


def test_targets_of_another_length_are_refused(tmp_path):
    path, _ = corpus(tmp_path)
    short = predicted([("d00_0", [1.0, 0.0], 0)], n_classes=2, classes=("low", "mid", "high"))
    with pytest.raises(StoreError, match="not of the classes low, mid, high"):
        counted_fits(
            read_predictions(write_cell(tmp_path, CELL, [short]).predictions), read_clusters(path, "dialogue"),
            "prediction",
        )  # fmt: skip


def test_a_cell_without_tests_is_refused(tmp_path):
    cell = write_cell(tmp_path, CELL, [predicted([("d00_0", [1.0, 0, 0], 0)], role="val")])
    with pytest.raises(StoreError, match=r"predictions\.parquet: no predictions of test utterances"):
        read_predictions(cell.predictions)
