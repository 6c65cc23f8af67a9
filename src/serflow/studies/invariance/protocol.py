"""Who trains, who validates, and who is tested: whole speakers, by the corpus's split (section 3.1)."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.errors import TrainingError
from serflow.protocols.folds import ROLES, FitName, FoldRows

RunRoles = Mapping[int, Mapping[str, npt.NDArray[np.str_]]]
"""The role of each utterance by run and fold."""


class Whole(NamedTuple):
    """A corpus of which a study uses a part: speaker and role of every utterance, and what was left out, by reason."""

    speakers: Sequence[str]
    roles: RunRoles
    excluded: Mapping[str, int]


def folds(
    speakers: Sequence[str],
    roles: RunRoles,
    n_speakers: int | None = None,
    used: str = "all",
    whole: Whole | None = None,
    may_lack: bool = False,
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
    whole
        What else there is, for what is said of a set that is empty.
    may_lack
        A fold with too few speakers of training is left empty, in place of an error.

    Raises
    ------
    TrainingError
        If a set is empty, a speaker is in two sets, or training has too few speakers.
    """
    names = np.array(speakers)
    for run, of_run in roles.items():
        for fold, role in itertools.islice(of_run.items(), None if used == "all" else 1):
            rows = FoldRows(FitName(run, fold), *(np.flatnonzero(role == name) for name in ROLES))
            _check(rows, names, whole)
            yield rows if n_speakers is None else _of_some(rows, names, n_speakers, may_lack)


def _of_some(rows: FoldRows, names: npt.NDArray[np.str_], n: int, may_lack: bool) -> FoldRows:
    run = rows.fit.run
    drawn = sorted(set(names[rows.train]), key=lambda name: hashlib.sha256(f"{run}/{name}".encode()).hexdigest())
    if len(drawn) < n and may_lack:
        return FoldRows(rows.fit, *(np.empty(0, dtype=np.int64) for _ in ROLES))
    if len(drawn) < n:
        raise TrainingError(
            f"run {run}, fold {rows.fit.fold}: {too_few(n, len(drawn))}; set invariance.speakers to {len(drawn)} or "
            "fewer, or to null for all"
        )
    return rows._replace(train=rows.train[np.isin(names[rows.train], drawn[:n])])


def too_few(asked_for: int, there: int) -> str:
    """Say that there are fewer speakers of training than were asked for."""
    return f"{asked_for} speakers of training were asked for, and there are {there}"


def _emptied(role: str, fit: FitName, whole: Whole | None) -> str:
    """Say whose utterances a set would have had, and why there are none."""
    if whole is None:
        return ""
    had = np.unique(np.asarray(whole.speakers)[whole.roles[fit.run][fit.fold] == role]).tolist()
    said = ", ".join([*had[:3], *([f"{len(had) - 3} more"] if len(had) > 3 else [])])
    why = ", ".join(f"{reason}: {count}" for reason, count in whole.excluded.items() if count)
    return f", all that {said or 'nobody'} says is left out (of the corpus, {why or 'nothing'})"


def _check(rows: FoldRows, names: npt.NDArray[np.str_], whole: Whole | None) -> None:
    where = f"run {rows.fit.run}, fold {rows.fit.fold}"
    sets = {role: set(names[part]) for role, part in rows.roles().items()}
    for role, found in sets.items():
        if not found:
            raise TrainingError(
                f"{where}: no utterance of the study is in {role}{_emptied(role, rows.fit, whole)}; see "
                "features.energy_vad, invariance.style and the corpus's emotions (invariance.emotions, "
                "invariance.many_speakers.emotions), or take another corpus"
            )
    shared = sorted((sets["train"] & sets["val"]) | (sets["train"] & sets["test"]) | (sets["val"] & sets["test"]))
    if shared:
        raise TrainingError(f"{where}: speaker {shared[0]} is in two sets; delete the split and run again")
    if len(sets["train"]) < 2:
        raise TrainingError(
            f"{where}: training has one speaker, and a speaker classifier needs two at least; set invariance.corpus or "
            "invariance.many_speakers.corpus to one of more speakers"
        )
