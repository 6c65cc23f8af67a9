"""Scores as tallies: hits and totals by class, from which UA, WA and WER are taken; hard and soft targets.

A target is a distribution over classes. Its reference class is the arg-max, and where several classes share
the maximum a prediction of any of them counts as correct (the convention of Gideon et al. for soft valence).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]
Measure = Literal["ua", "wa", "wer"]


@dataclass(frozen=True, eq=False)
class Tally:
    """Hits and totals by reference class, ``(classes,)`` each; of WER there is one class, with edits and words.

    The tally of two sets of utterances together is the sum of theirs.
    """

    hits: FloatArray
    totals: FloatArray

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.hits + other.hits, self.totals + other.totals)


def reference_classes(targets: FloatArray) -> npt.NDArray[np.intp]:
    """Return the arg-max of each target: ``(n, classes)`` to ``(n,)``."""
    return np.asarray(targets.argmax(axis=1))


def _count(targets: FloatArray, hits: npt.NDArray[np.generic]) -> Tally:
    reference = reference_classes(targets)
    found = (np.bincount(reference, weights, minlength=targets.shape[1]) for weights in (hits, None))
    return Tally(*(counts.astype(np.float64) for counts in found))


def tally(targets: FloatArray, predictions: IntArray) -> Tally:
    """Count correct predictions and utterances of each reference class.

    Parameters
    ----------
    targets
        Class distributions, ``(n, classes)``.
    predictions
        Predicted classes, ``(n,)``.
    """
    chosen = np.take_along_axis(targets, predictions[:, None], axis=1)[:, 0]
    return _count(targets, chosen == targets.max(axis=1))


def chance_tally(targets: FloatArray, n_guessed: int) -> Tally:
    """Return the tally that a uniform guess among ``n_guessed`` classes is expected to have; ``targets`` as `tally`."""
    return _count(targets, (targets == targets.max(axis=1, keepdims=True)).sum(axis=1) / n_guessed)


def score(counts: Tally, measure: Measure) -> float:
    """Return UA, the mean share of hits over the classes that the reference holds, or WA or WER, the share of all.

    For hard targets UA is scikit-learn's ``recall_score(..., average="macro")`` with the classes of the
    reference as labels; scikit-learn itself takes seconds to import, as long as a small fit.

    Raises
    ------
    ValueError
        If there is nothing to score, or no such measure.
    """
    held = counts.totals > 0
    if not held.any():
        raise ValueError("no utterances to score")
    if measure == "ua":
        return float(np.mean(counts.hits[held] / counts.totals[held]))
    if measure in ("wa", "wer"):
        return float(counts.hits.sum() / counts.totals.sum())
    raise ValueError(f"no measure {measure!r}; known: ua, wa, wer")


def unweighted_accuracy(targets: FloatArray, predictions: IntArray) -> float:
    """Return UA, see `score`; parameters as `tally`.

    Raises
    ------
    ValueError
        If there is nothing to score.
    """
    return score(tally(targets, predictions), "ua")


def weighted_accuracy(targets: FloatArray, predictions: IntArray) -> float:
    """Return WA, the share of correct predictions; as `unweighted_accuracy`."""
    return score(tally(targets, predictions), "wa")


def chance_accuracy(targets: FloatArray, n_classes: int) -> float:
    """Return the UA that a uniform guess among ``n_classes`` is expected to reach; 1 / n_classes but for ties.

    Raises
    ------
    ValueError
        If there is nothing to score.
    """
    return score(chance_tally(targets, n_classes), "ua")
