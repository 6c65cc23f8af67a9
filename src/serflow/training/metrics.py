"""Unweighted and weighted accuracy, for hard and soft targets.

A target is a distribution over classes. Its reference class is the arg-max, and where several classes share
the maximum a prediction of any of them counts as correct (the convention of Gideon et al. for soft valence).
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]


def reference_classes(targets: FloatArray) -> npt.NDArray[np.intp]:
    """Return the arg-max of each target: ``(n, classes)`` to ``(n,)``."""
    return np.asarray(targets.argmax(axis=1))


def _correct(targets: FloatArray, predictions: IntArray) -> npt.NDArray[np.bool_]:
    if not len(targets):
        raise ValueError("no utterances to score")
    chosen = np.take_along_axis(targets, predictions[:, None], axis=1)[:, 0]
    return np.asarray(chosen == targets.max(axis=1))


def unweighted_accuracy(targets: FloatArray, predictions: IntArray) -> float:
    """Return UA, the mean recall over the classes that the reference holds.

    For hard targets this is scikit-learn's ``recall_score(..., average="macro")`` with the classes of the
    reference as labels; scikit-learn itself takes seconds to import, as long as a small fit.

    Parameters
    ----------
    targets
        Class distributions, ``(n, classes)``.
    predictions
        Predicted classes, ``(n,)``.

    Raises
    ------
    ValueError
        If there is nothing to score.
    """
    correct = _correct(targets, predictions)
    reference = reference_classes(targets)
    counts = np.bincount(reference)
    hits = np.bincount(reference, weights=correct)
    return float(np.mean(hits[counts > 0] / counts[counts > 0]))


def weighted_accuracy(targets: FloatArray, predictions: IntArray) -> float:
    """Return WA, the share of correct predictions; parameters as `unweighted_accuracy`."""
    return float(np.mean(_correct(targets, predictions)))


def chance_accuracy(targets: FloatArray, n_classes: int) -> float:
    """Return the UA that a uniform guess among ``n_classes`` is expected to reach; 1 / n_classes but for ties.

    Raises
    ------
    ValueError
        If there is nothing to score.
    """
    if not len(targets):
        raise ValueError("no utterances to score")
    hit = (targets == targets.max(axis=1, keepdims=True)).sum(axis=1) / n_classes
    reference = reference_classes(targets)
    counts = np.bincount(reference)
    return float(np.mean(np.bincount(reference, weights=hit)[counts > 0] / counts[counts > 0]))
