"""Who is trained and tested in the two experiments (section VI): the one place that says who is held out.

In experiment 1 all noise conditions are known. In experiment 2 each is held out in turn: it is in neither training nor
validation, and it alone is the test.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from serflow.errors import TrainingError
from serflow.noise.plan import CONDITIONS
from serflow.protocols.folds import ROLES, FitName, FoldRows, IntArray

NOT_HELD_OUT = "none"
FOLDS = {"exp1": (NOT_HELD_OUT,), "exp2": CONDITIONS}
"""The folds of an experiment: the noise condition that is held out."""


def folds(
    experiment: str, conditions: IntArray, roles: Mapping[int, npt.NDArray[np.str_]], *, predicts: str = "emotion"
) -> Iterator[FoldRows]:
    """Yield the rows of every fit of an experiment.

    Parameters
    ----------
    experiment
        ``exp1`` or ``exp2``.
    conditions
        Noise condition of each utterance, ``(n,)``, indices of `CONDITIONS`.
    roles
        Role of each utterance, ``(n,)``, by run.
    predicts
        ``emotion``, or ``condition``: the noise classifier is tested on all test utterances, since it routes them all.
    """
    for run, of_run in roles.items():
        for fold in FOLDS[experiment]:
            held = conditions == CONDITIONS.index(fold) if fold in CONDITIONS else np.zeros(len(of_run), dtype=bool)
            tested = held if fold in CONDITIONS and predicts == "emotion" else np.ones(len(of_run), dtype=bool)
            yield FoldRows(
                FitName(run, fold),
                np.flatnonzero((of_run == "train") & ~held),
                np.flatnonzero((of_run == "val") & ~held),
                np.flatnonzero((of_run == "test") & tested),
            )


def seen_conditions(fold: str) -> tuple[int, ...]:
    """Return the conditions that training hears, indices of `CONDITIONS`."""
    return tuple(index for index, name in enumerate(CONDITIONS) if name != fold)


def places_among(seen: Sequence[int], conditions: IntArray) -> IntArray:
    """Return the place of each condition among those of training, -1 for the one held out."""
    places = np.full(len(CONDITIONS), -1, dtype=np.int64)
    places[list(seen)] = np.arange(len(seen))
    return places[conditions]


def check_rows(rows: FoldRows, conditions: IntArray) -> None:
    """Refuse a fit that cannot be trained.

    Raises
    ------
    TrainingError
        If a role is empty, or training lacks a condition that it should hear.
    """
    where = f"run {rows.fit.run}, held-out condition {rows.fit.fold}"
    for role in ROLES:
        if not len(rows.roles()[role]):
            raise TrainingError(f"{where}: no {role} utterances; use more utterances of the corpus or another seed")
    missing = set(seen_conditions(rows.fit.fold)) - set(conditions[rows.train].tolist())
    if missing:
        raise TrainingError(f"{where}: no training utterance has {CONDITIONS[min(missing)]} noise; use more utterances")
