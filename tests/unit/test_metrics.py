import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score

from serflow.training.metrics import reference_classes, unweighted_accuracy, weighted_accuracy


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
