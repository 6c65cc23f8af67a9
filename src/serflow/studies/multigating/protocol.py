"""Who trains, who validates and who is tested in each language; in a joint training, in all at once (section 3)."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from serflow.errors import TrainingError
from serflow.protocols.examples import Examples, read_folds
from serflow.protocols.folds import ROLES, FitName, FoldRows, JointRows

RunRoles = Mapping[int, Mapping[str, npt.NDArray[np.str_]]]
"""The role of each utterance of a language by run and fold."""


def read_all_roles(
    splits: Sequence[Path], runs: Sequence[int], languages: Mapping[str, Examples]
) -> dict[str, RunRoles]:
    """Return the roles of each language's utterances, by corpus.

    Parameters
    ----------
    splits
        All runs of the first language, then those of the next.
    runs
        Their numbers.
    languages
        The utterances of each corpus, in the order of the splits.

    Raises
    ------
    StoreError
        If a split is damaged, of another corpus, or lacks an utterance.
    ValueError
        If there are not as many splits as runs in each language.
    TrainingError
        If languages have other folds than the first.
    """
    found: dict[str, RunRoles] = {}
    for place, (corpus, examples) in enumerate(languages.items()):
        of_corpus = splits[place * len(runs) : (place + 1) * len(runs)]
        read = {path: read_folds(path, corpus, examples.utterances) for path in dict.fromkeys(of_corpus)}
        found[corpus] = {run: read[path] for run, path in zip(runs, of_corpus, strict=True)}
    _check_folds(found)
    return found


def _check_folds(roles: Mapping[str, RunRoles]) -> None:
    (first, of_first), *others = roles.items()
    for corpus, of_corpus in others:
        for run, folds in of_corpus.items():
            if list(folds) != list(of_first[run]):
                raise TrainingError(
                    f"run {run}: {first} has the folds {', '.join(of_first[run])} and {corpus} {', '.join(folds)}, and "
                    "a joint training needs the same; delete their splits and run again"
                )


def folds(roles: Mapping[str, RunRoles], n_folds: int | None = None) -> Iterator[JointRows]:
    """Yield the rows of every fit.

    Parameters
    ----------
    roles
        Of each language by corpus; all have the same runs and folds.
    n_folds
        How many folds of each run to take, None for all.

    Raises
    ------
    TrainingError
        If a language has no utterance in a set.
    """
    of_first = next(iter(roles.values()))
    for run, of_run in of_first.items():
        for fold in itertools.islice(of_run, n_folds):
            fit = FitName(run, fold)
            yield JointRows(
                fit, {corpus: _rows(fit, corpus, of_corpus[run][fold]) for corpus, of_corpus in roles.items()}
            )


def _rows(fit: FitName, corpus: str, role: npt.NDArray[np.str_]) -> FoldRows:
    rows = FoldRows(fit, *(np.flatnonzero(role == name) for name in ROLES))
    for name, part in rows.roles().items():
        if not len(part):
            raise TrainingError(
                f"run {fit.run}, fold {fit.fold}: no utterance of {corpus} that the study uses is in {name}; set "
                "multigating.split to another protocol"
            )
    return rows
