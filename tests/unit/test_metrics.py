import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score

from serflow.training.metrics import (
    Tally,
    chance_accuracy,
    chance_tally,
    reference_classes,
    score,
    tally,
    unweighted_accuracy,
    weighted_accuracy,
)


def soft(generator, n, n_classes=4):
    """Votes of three raters, so that there are ties, and predictions."""
    votes = generator.integers(n_classes, size=(n, 3))
    return np.eye(n_classes)[votes].mean(1), generator.integers(n_classes, size=n)


@pytest.mark.parametrize("seed", range(5))
def test_ua_and_wa_of_hard_targets_equal_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    reference = generator.choice([0, 1, 3], size=50, p=[0.6, 0.3, 0.1])
    predictions = generator.integers(5, size=50)
    targets = np.eye(5)[reference]
    expected = recall_score(reference, predictions, labels=np.unique(reference), average="macro")
    assert unweighted_accuracy(targets, predictions) == pytest.approx(expected)
    assert weighted_accuracy(targets, predictions) == pytest.approx(accuracy_score(reference, predictions))


def test_any_of_the_tied_maxima_is_correct():
    targets = np.array([[0.5, 0.5, 0.0], [0.2, 0.4, 0.4], [0.0, 0.0, 1.0], [0.4, 0.3, 0.3]])
    assert reference_classes(targets).tolist() == [0, 1, 2, 0]
    assert weighted_accuracy(targets, np.array([1, 2, 2, 0])) == 1.0
    assert weighted_accuracy(targets, np.array([2, 0, 1, 1])) == 0.0
    # class 0 is right once of twice, class 1 and class 2 once of once
    assert unweighted_accuracy(targets, np.array([1, 2, 2, 1])) == pytest.approx(2.5 / 3)


def test_a_class_that_the_reference_lacks_does_not_count():
    assert unweighted_accuracy(np.eye(4)[[0, 0, 2]], np.array([0, 3, 2])) == pytest.approx(0.75)


def test_nothing_to_score_is_an_error():
    with pytest.raises(ValueError, match="no utterances"):
        unweighted_accuracy(np.empty((0, 3)), np.empty(0, dtype=int))
    with pytest.raises(ValueError, match="no utterances"):
        score(Tally(np.zeros(1), np.zeros(1)), "wer")


@pytest.mark.parametrize("seed", range(20))
def test_a_score_of_a_tally_is_that_of_its_utterances_bit_for_bit(seed):
    generator = np.random.default_rng(seed)
    n_classes = int(generator.integers(2, 12))
    targets, predictions = soft(generator, int(generator.integers(1, 300)), n_classes)
    counts = tally(targets, predictions)
    reference = targets.argmax(1)
    correct = targets[np.arange(len(targets)), predictions] == targets.max(1)
    recalls = [correct[reference == label].sum() / (reference == label).sum() for label in np.unique(reference)]
    assert score(counts, "ua") == unweighted_accuracy(targets, predictions) == float(np.mean(recalls))
    assert score(counts, "wa") == weighted_accuracy(targets, predictions) == float(np.mean(correct))
    assert counts.hits.shape == counts.totals.shape == (n_classes,)
    assert counts.totals.sum() == len(targets)


def test_tallies_of_folds_add_up_and_pooling_is_not_averaging():
    generator = np.random.default_rng(0)
    targets, predictions = soft(generator, 400)
    fold = generator.integers(5, size=400)
    tallies = [tally(targets[fold == part], predictions[fold == part]) for part in range(5)]
    whole = sum(tallies[1:], start=tallies[0])
    for measure, peer in (("ua", unweighted_accuracy), ("wa", weighted_accuracy)):
        assert score(whole, measure) == peer(targets, predictions)
        mean = np.mean([score(counts, measure) for counts in tallies])
        assert 0 < abs(mean - score(whole, measure)) < 0.05


def test_wer_is_edits_over_words_of_all_utterances():
    folds = [Tally(np.array([float(edits)]), np.array([float(words)])) for edits, words in ((3, 10), (6, 2))]
    assert score(folds[0], "wer") == 0.3
    # more edits than words
    assert score(folds[1], "wer") == 3.0
    assert score(folds[0] + folds[1], "wer") == 0.75


def test_chance_is_what_a_uniform_guess_is_expected_to_score():
    generator = np.random.default_rng(0)
    targets, _ = soft(generator, 60)
    guesses = [unweighted_accuracy(targets, generator.integers(4, size=60)) for _ in range(3000)]
    assert (
        chance_accuracy(targets, 4)
        == score(chance_tally(targets, 4), "ua")
        == pytest.approx(np.mean(guesses), abs=0.01)
    )
    # a guess among fewer classes than the reference has
    assert chance_accuracy(np.eye(3)[[0, 2, 2]], 2) == 0.5
    with pytest.raises(ValueError, match="no utterances"):
        chance_accuracy(np.empty((0, 3)), 3)


def test_an_unknown_measure_is_named():
    with pytest.raises(ValueError, match="no measure 'f1'; known: ua, wa, wer"):
        score(tally(np.eye(2), np.array([0, 1])), "f1")
