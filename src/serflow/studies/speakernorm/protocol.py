"""Who trains and who is tested: each part of the corpus in turn, or the first of them (section IV-A)."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from serflow.errors import TrainingError
from serflow.protocols.folds import FitName, FoldRows, IntArray
from serflow.studies.speakernorm.catalog import SHARED
from serflow.studies.speakernorm.options import Options


def folds(
    kind: str,
    runs: Sequence[int],
    roles: Mapping[str, npt.NDArray[np.str_]],
    utterances: Sequence[str],
    speakers: Sequence[str],
    options: Options,
) -> Iterator[FoldRows]:
    """Yield the rows of every fit; all runs have the same folds.

    Where training has none of the test's speakers, a share of what each training speaker says is held out (``val``): on
    it the speaker head is scored, which cannot know the speakers of the test. Where training has them, all of it is
    trained on, unless these utterances are to be watched.

    Parameters
    ----------
    kind
        Of the folds, a protocol.
    runs
        Numbers.
    roles
        The role of each utterance by fold.
    utterances, speakers
        Names of the utterances that the study uses, ``(n,)``, and who speaks them.
    options
        How many folds, and what is held out.

    Raises
    ------
    TrainingError
        If a set is empty, training has one speaker, or folds of speakers have one in training and test.
    """
    used = list(itertools.islice(roles.items(), 1 if options.tested == "first" else None))
    for run in runs:
        for fold, role in used:
            train: IntArray = np.flatnonzero(role == "train")
            test: IntArray = np.flatnonzero(role == "test")
            val: IntArray = np.empty(0, dtype=np.int64)
            if kind not in SHARED or options.watch == "held_out":
                train, val = _held_out(train, utterances, speakers, options.held_out)
            rows = FoldRows(FitName(run, fold), train, val, test)
            _check(kind, rows, speakers)
            yield rows


def _held_out(
    train: IntArray, utterances: Sequence[str], speakers: Sequence[str], share: float
) -> tuple[IntArray, IntArray]:
    """Return training and held-out rows: of each speaker the first utterances by SHA-256, who has two at least one."""
    of_speaker: dict[str, list[int]] = {}
    for row in train.tolist():
        of_speaker.setdefault(speakers[row], []).append(row)
    held: list[int] = []
    for rows in of_speaker.values():
        ordered = sorted(rows, key=lambda row: hashlib.sha256(utterances[row].encode()).hexdigest())
        held += ordered[: min(max(round(share * len(rows)), 1), len(rows) - 1)]
    val = np.array(sorted(held), dtype=np.int64)
    return np.setdiff1d(train, val), val


def _check(kind: str, rows: FoldRows, speakers: Sequence[str]) -> None:
    where = f"run {rows.fit.run}, fold {rows.fit.fold}"
    said = {role: {speakers[row] for row in part} for role, part in rows.roles().items()}
    for role in ("train", "test"):
        if not said[role]:
            raise TrainingError(
                f"{where}: no utterance that the study uses is in {role}; set speakernorm.folds to other folds, or see "
                "speakernorm.emotions"
            )
    if len(said["train"]) < 2:
        raise TrainingError(
            f"{where}: training has one speaker, and a speaker head needs two at least; set speakernorm.corpus to one "
            "of more speakers"
        )
    shared = sorted(said["train"] & said["test"])
    if kind not in SHARED and shared:
        raise TrainingError(f"{where}: speaker {shared[0]} is in training and test; delete the split and run again")
