"""Who trains, who validates, and who is tested: whole speakers, each of the tested ones in turn (section 3.3)."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from serflow.errors import TrainingError
from serflow.protocols.folds import ROLES, FitName, FoldRows

RunRoles = Mapping[int, Mapping[str, npt.NDArray[np.str_]]]
"""The role of each utterance by run and fold."""


def folds(speakers: Sequence[str], roles: RunRoles, n_folds: int | None = None) -> Iterator[FoldRows]:
    """Yield the rows of every fit.

    Parameters
    ----------
    speakers
        Of each utterance that the study uses.
    roles
        See `RunRoles`.
    n_folds
        How many folds of each run to take, None for all.

    Raises
    ------
    TrainingError
        If a set is empty, or a speaker is in two.
    """
    names = np.array(speakers)
    for run, of_run in roles.items():
        for fold, role in itertools.islice(of_run.items(), n_folds):
            rows = FoldRows(FitName(run, fold), *(np.flatnonzero(role == name) for name in ROLES))
            _check(rows, names)
            yield rows


def _check(rows: FoldRows, names: npt.NDArray[np.str_]) -> None:
    where = f"run {rows.fit.run}, fold {rows.fit.fold}"
    sets = {role: set(names[part]) for role, part in rows.roles().items()}
    for role, found in sets.items():
        if not found:
            raise TrainingError(
                f"{where}: no utterance that the study uses is in {role} (its speakers may have none of "
                "temporal.emotions); set temporal.folds to another protocol"
            )
    shared = sorted((sets["train"] & (sets["val"] | sets["test"])) | (sets["val"] & sets["test"]))
    if shared:
        raise TrainingError(f"{where}: speaker {shared[0]} is in two sets; delete the split and run again")
