"""A linear probe on frozen vectors: how much of something, such as who speaks, can be read off them."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.errors import TrainingError
from serflow.rounding import rounding
from serflow.training.metrics import Tally, score

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]

PROBE = "probe"
"""Role of training utterances that a speaker probe is scored on, and not fitted on."""
CHANCE = "speaker_chance"
"""What a probe is held against: a guess among its speakers."""
PROBE_SHARE = 0.3
_MAX_ITERATIONS = 10_000


class ProbeScores(NamedTuple):
    """What a probe reaches on the rows that it is scored on, and what guesses do.

    ``accuracy`` is the share of hits, ``ua`` the mean recall of the classes that are there. ``chance`` is what either
    is for a uniform guess among the classes of training, ``majority`` the accuracy of always saying its largest.
    """

    accuracy: float
    ua: float
    chance: float
    majority: float


def linear_probe(
    vectors: FloatArray, labels: Sequence[str], train: IntArray, test: IntArray, c: float = 1.0
) -> ProbeScores:
    """Fit multinomial logistic regression on some rows and score it on others; nothing is drawn at random.

    Dimensions are standardised by mean and deviation of the training rows; one that does not vary there is left out.

    Parameters
    ----------
    vectors
        ``(n, dim)``, of a network that is trained no more.
    labels
        What to read off each, ``(n,)``.
    train, test
        Rows to fit on and to score, without one in common.
    c
        Inverse weight of the squared norm of the coefficients: smaller is smoother.

    Raises
    ------
    TrainingError
        If rows are shared or absent, a vector is not finite, training has one class or lacks one of the test, no
        dimension varies, or the fit does not converge.
    """
    counted = probe_tally(vectors, labels, train, test, c)
    known, sizes = np.unique(np.asarray(labels)[train], return_counts=True)
    return ProbeScores(
        accuracy=score(counted, "wa"),
        ua=score(counted, "ua"),
        chance=1 / len(known),
        majority=float((np.asarray(labels)[test] == known[sizes.argmax()]).mean()),
    )


def probe_tally(vectors: FloatArray, labels: Sequence[str], train: IntArray, test: IntArray, c: float = 1.0) -> Tally:
    """Return the hits of `linear_probe` and the rows scored, by class in sorted order; parameters and errors as there.

    Tallies of probes of several fits add up where their classes do.
    """
    classes, targets = np.unique(np.asarray(labels), return_inverse=True)
    known, reference = np.unique(targets[train]), targets[test]
    _check(vectors, train, test, [str(classes[k]) for k in known], [str(classes[k]) for k in np.unique(reference)])
    fitted, scored = vectors[train].astype(np.float64), vectors[test].astype(np.float64)
    deviation = fitted.std(axis=0)
    varies = deviation > rounding(np.abs(fitted).max(axis=0))
    if not varies.any():
        raise TrainingError("all vectors that a probe is fitted on are the same, so nothing can be read off them")
    mean, scale = fitted[:, varies].mean(axis=0), deviation[varies]
    predicted = _predict((fitted[:, varies] - mean) / scale, targets[train], (scored[:, varies] - mean) / scale, c)
    hits, totals = (
        np.bincount(rows, minlength=len(classes)).astype(np.float64)
        for rows in (reference[predicted == reference], reference)
    )
    return Tally(hits, totals)


def speaker_probes(
    read: Mapping[str, FloatArray], speakers: Sequence[str], seed: int
) -> tuple[dict[tuple[str, str], Tally], dict[tuple[str, str], str]]:
    """Return how well a fresh linear probe names the speakers of training, by what it reads; or why it cannot.

    Probes are fitted on a share of the training utterances and scored on the others, which the network was trained on,
    and the probe was not. `CHANCE` is what guesses are expected to hit.

    Parameters
    ----------
    read
        Vectors ``(n, dim)`` of the training utterances, by name.
    speakers
        Who speaks each, ``(n,)``.
    seed
        Number of the division; see `stratified_rows`.
    """
    said = Counter(speakers)
    # a speaker of one utterance cannot be fitted on and scored
    kept = np.array([place for place, name in enumerate(speakers) if said[name] > 1], dtype=np.int64)
    probed = [speakers[place] for place in kept]
    n_speakers = len(set(probed))
    if n_speakers < 2:
        reason = f"{n_speakers} of {len(said)} speakers of training have two utterances, and a probe needs two such"
        return {}, {(PROBE, what): reason for what in (*read, CHANCE)}
    fitted, scored = stratified_rows(probed, PROBE_SHARE, seed)
    tallies, absent = {}, {}
    for what, vectors in read.items():
        try:
            tallies[PROBE, what] = probe_tally(vectors[kept], probed, fitted, scored)
        except TrainingError as error:
            # what was trained is worth more than what is read off it
            absent[PROBE, what] = str(error)
    _, totals = np.unique(np.asarray(probed)[scored], return_counts=True)
    tallies[PROBE, CHANCE] = Tally(totals / n_speakers, totals.astype(np.float64))
    return tallies, absent


def stratified_rows(labels: Sequence[str], test_share: float, seed: int) -> tuple[IntArray, IntArray]:
    """Divide rows so that each class is in both parts, by about the same shares.

    Parameters
    ----------
    labels
        The class of each row.
    test_share
        Share of each class that is scored, 0 to 1; one row at least, and all but one at most.
    seed
        Number of the division.

    Returns
    -------
    Rows to fit on and rows to score, each in order.

    Raises
    ------
    TrainingError
        If a class has a single row.
    """
    targets = np.asarray(labels)
    generator = np.random.default_rng(seed)
    scored = np.zeros(len(targets), dtype=bool)
    for name in np.unique(targets):
        rows = np.flatnonzero(targets == name)
        if len(rows) < 2:
            raise TrainingError(f"{name} has a single row, which cannot be fitted on and scored; leave it out")
        n_scored = min(max(round(test_share * len(rows)), 1), len(rows) - 1)
        scored[generator.permutation(rows)[:n_scored]] = True
    return np.flatnonzero(~scored), np.flatnonzero(scored)


def _check(vectors: FloatArray, train: IntArray, test: IntArray, known: Sequence[str], wanted: Sequence[str]) -> None:
    if not len(train) or not len(test):
        raise TrainingError(f"a probe with {len(train)} rows to fit on and {len(test)} to score needs some of each")
    if shared := len(np.intersect1d(train, test)):
        raise TrainingError(f"{shared} rows are fitted on and scored; a probe is scored on others than it saw")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise TrainingError(f"{len(bad)} of {len(vectors)} vectors are not finite, the first in row {bad[0]}")
    if len(known) < 2:
        raise TrainingError(f"all rows that a probe is fitted on are {known[0]}; it needs two classes")
    if unknown := [name for name in wanted if name not in known]:
        raise TrainingError(
            f"no row of {', '.join(unknown[:5])} is fitted on, so a probe cannot name it; give each class rows of both "
            "parts, as stratified_rows does"
        )


def _predict(fitted: FloatArray, targets: IntArray, scored: FloatArray, c: float) -> IntArray:
    # seconds to import
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model = LogisticRegression(C=c, max_iter=_MAX_ITERATIONS).fit(fitted, targets)
        except ConvergenceWarning as warning:
            raise TrainingError(f"a probe with C = {c:g} has not converged; take a smaller C") from warning
    predicted: IntArray = model.predict(scored)
    return predicted
