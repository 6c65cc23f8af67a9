"""Who trains, who validates, and who is tested: whole speakers, by the corpus's split (section 3.1)."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from serflow.errors import TrainingError
from serflow.protocols.folds import ROLES, FitName, FoldRows, IntArray

RunRoles = Mapping[int, Mapping[str, npt.NDArray[np.str_]]]
"""The role of each utterance by run and fold."""


def folds(
    speakers: Sequence[str], roles: RunRoles, n_speakers: int | None = None, used: str = "all"
) -> Iterator[FoldRows]:
    """Yield the rows of every fit.

    Parameters
    ----------
    speakers
        Of each utterance that the study uses.
    roles
        See `RunRoles`.
    n_speakers
        How many speakers of training to take, None for all; a run draws its own, and the fewer are among the more.
    used
        ``all``, or ``first``: one fold a run.

    Raises
    ------
    TrainingError
        If a set is empty, a speaker is in two sets, or training has too few speakers.
    """
    names = np.array(speakers)
    for run, of_run in roles.items():
        for fold, role in itertools.islice(of_run.items(), None if used == "all" else 1):
            rows = FoldRows(FitName(run, fold), *(np.flatnonzero(role == name) for name in ROLES))
            _check(rows, names)
            yield rows if n_speakers is None else rows._replace(train=_of_some(rows, names, n_speakers))


def _of_some(rows: FoldRows, names: npt.NDArray[np.str_], n: int) -> IntArray:
    run = rows.fit.run
    drawn = sorted(set(names[rows.train]), key=lambda name: hashlib.sha256(f"{run}/{name}".encode()).hexdigest())
    if len(drawn) < n:
        raise TrainingError(
            f"invariance.speaker_counts: {n} speakers of training were asked for, and there are {len(drawn)}; leave "
            "that count out"
        )
    kept: IntArray = rows.train[np.isin(names[rows.train], drawn[:n])]
    return kept


def _check(rows: FoldRows, names: npt.NDArray[np.str_]) -> None:
    where = f"run {rows.fit.run}, fold {rows.fit.fold}"
    sets = {role: set(names[part]) for role, part in rows.roles().items()}
    for role, found in sets.items():
        if not found:
            raise TrainingError(f"{where}: no utterance of the study is in {role}; take another split")
    shared = sorted((sets["train"] & sets["val"]) | (sets["train"] & sets["test"]) | (sets["val"] & sets["test"]))
    if shared:
        raise TrainingError(f"{where}: speaker {shared[0]} is in two sets; delete the split and run again")
    if len(sets["train"]) < 2:
        raise TrainingError(f"{where}: training has one speaker, and a speaker classifier needs two at least")
