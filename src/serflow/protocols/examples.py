"""The utterances that a study uses: labelled, in every store it reads, and with what is known of them.

What is left out is counted by its reason: no label of the study, the same audio as another utterance where the corpus
says that studies drop it, or rejected by a store (pulses that Praat does not find, speech that a recogniser gives no
words for).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from serflow.errors import StoreError
from serflow.protocols.folds import IntArray
from serflow.protocols.labels import Labels, Row, require_two_classes
from serflow.protocols.shared import recordings
from serflow.stores.parquet import read_metadata, read_table

FloatArray = npt.NDArray[np.floating]
WHOLE = "all"
"""The fold of a split that is one draw: runs of several draws have the same folds."""
NO_LABEL = "no label of the study"
SAME_AUDIO = "the same audio as an earlier one"
FACTS = ("speaker", "session", "dialogue", "turn", "gender", "style", "intensity", "sentence", "text", "duplicate_of")
"""What an example tells of its utterance besides its label."""
LABELS = ("utterance", "emotion", "sentiment", "valence_ratings")
"""What labels are made from."""


class Store(Protocol):
    """What of a store tells whom it rejected."""

    metadata: dict[str, Any]


class Examples(NamedTuple):
    """The utterances of a corpus that a study has a label for, in corpus order; all else has a row each.

    ``targets`` are distributions over ``classes``, ``(n, classes)``; ``facts`` the values of `FACTS` by name;
    ``rejected`` are utterances with a label that are left out for their audio or their words.
    """

    corpus: str
    utterances: list[str]
    classes: tuple[str, ...]
    targets: FloatArray
    facts: dict[str, list[Any]]
    excluded: dict[str, int]
    rejected: tuple[str, ...] = ()

    def take(self, keep: npt.NDArray[np.bool_], reason: str) -> "Examples":
        """Return those where ``keep``, ``(n,)``; the others are counted under ``reason``."""
        rows = np.flatnonzero(keep)
        left_out = len(self.utterances) - len(rows)
        excluded = {**self.excluded, reason: self.excluded.get(reason, 0) + left_out} if left_out else self.excluded
        return self._replace(
            utterances=[self.utterances[row] for row in rows],
            targets=self.targets[rows],
            facts={name: [values[row] for row in rows] for name, values in self.facts.items()},
            excluded=excluded,
        )

    def reject(self, keep: npt.NDArray[np.bool_], reason: str) -> "Examples":
        """Return those where ``keep``, ``(n,)``; the others are counted, and named in ``rejected``."""
        lost = tuple(self.utterances[row] for row in np.flatnonzero(~keep))
        return self.take(keep, reason)._replace(rejected=(*self.rejected, *lost))


class OfExamples:
    """What data of a study say of their ``examples``: the stage of training asks for the first four."""

    examples: Examples

    @property
    def classes(self) -> tuple[str, ...]:
        """What is predicted."""
        return self.examples.classes

    @property
    def excluded(self) -> dict[str, int]:
        """Utterances left out, by reason."""
        return self.examples.excluded

    @property
    def rejected(self) -> tuple[str, ...]:
        """Utterances with a label that are left out for their audio or their words."""
        return self.examples.rejected

    @property
    def utterances(self) -> list[str]:
        """Names."""
        return self.examples.utterances

    @property
    def targets(self) -> FloatArray:
        """Distributions over the classes, ``(n, classes)``."""
        return self.examples.targets

    @property
    def speakers(self) -> list[str]:
        """Who speaks each utterance."""
        return self.examples.facts["speaker"]


def read_examples(
    path: Path, label: Callable[[str, Sequence[Row]], Labels], expect: Mapping[str, Any] | None = None
) -> Examples:
    """Read the labelled utterances of a corpus.

    Parameters
    ----------
    path
        The corpus's ``utterances.parquet``.
    label
        From the layout (``layout`` says whose labels they are where a corpus has a name of its own) and all
        utterances to the study's classes and targets.
    expect
        What the file's metadata must say.

    Raises
    ------
    StoreError
        If the file is absent, damaged, or not what was asked for.
    TrainingError
        If the labels are of fewer than two classes.
    """
    metadata = read_metadata(path)
    table = read_table(path, kind="utterances", expect=expect)
    corpus = metadata["corpus"]
    absent = [name for name in LABELS if name not in table.column_names]
    if absent:
        raise StoreError(f"{path}: has no column {absent[0]!r}; delete it and run again")
    rows = table.select(list(LABELS)).to_pylist()
    labels = label(metadata.get("layout", corpus), rows)
    found = [labels.target_of(row) for row in rows]
    targets = [target for target in found if target is not None]
    require_two_classes(corpus, labels, targets, len(rows))
    kept = [row for row, target in enumerate(found) if target is not None]
    facts = {
        name: table.column(name).to_pylist() if name in table.column_names else [None] * len(rows) for name in FACTS
    }
    examples = Examples(
        corpus=corpus,
        utterances=[rows[row]["utterance"] for row in kept],
        classes=labels.classes,
        targets=np.array(targets, dtype=np.float64),
        facts={name: [values[row] for row in kept] for name, values in facts.items()},
        excluded={NO_LABEL: len(rows) - len(kept)},
    )
    if metadata.get("same_audio") == "drop":
        audio = recordings(examples.utterances, examples.facts["duplicate_of"])
        first = {recording: row for row, recording in reversed(list(enumerate(audio)))}
        keep = np.array([first[recording] == row for row, recording in enumerate(audio)], dtype=bool)
        examples = examples.take(keep, SAME_AUDIO)
    return examples


def without_rejected(examples: Examples, stores: Mapping[str, Store]) -> Examples:
    """Leave out what a store says that it rejected; what it just lacks is left in.

    ``stores`` are named by the reason under which their rejected utterances are counted.
    """
    for reason, store in stores.items():
        rejected = store.metadata.get("rejected") or {}
        keep = np.array([utterance not in rejected for utterance in examples.utterances], dtype=bool)
        examples = examples.reject(keep, reason)
    return examples


def look_up(names: Sequence[str], found: Mapping[str, int], path: Path) -> IntArray:
    """Return the place of each name in ``found``.

    Raises
    ------
    StoreError
        If one is not there; says that ``path`` lacks it.
    """
    missing = [name for name in names if name not in found]
    if missing:
        raise StoreError(
            f"{path}: {len(missing)} of {len(names)} utterances are missing, the first is {missing[0]}; "
            "delete it and run the same command again"
        )
    return np.array([found[name] for name in names], dtype=np.int64)


def read_roles(path: Path, corpus: str, names: Sequence[str]) -> dict[str, npt.NDArray[np.str_]]:
    """Return the role of each utterance, by fold; an utterance without one in a fold has the role ``""``.

    Parameters
    ----------
    path
        A split: Parquet of utterance, fold, role.
    corpus
        What it must be of.
    names
        Utterances.

    Raises
    ------
    StoreError
        If the file is damaged or of another corpus, or an utterance is in none of its folds.
    """
    table = read_table(path, kind="split", expect={"corpus": corpus})
    utterances, folds, roles = (table.column(name).to_pylist() for name in ("utterance", "fold", "role"))
    look_up(names, dict.fromkeys(utterances, 0), path)
    found: dict[str, dict[str, str]] = {fold: {} for fold in dict.fromkeys(folds)}
    for utterance, fold, role in zip(utterances, folds, roles, strict=True):
        found[fold][utterance] = role
    return {fold: np.array([role_of.get(name, "") for name in names]) for fold, role_of in found.items()}


def read_folds(path: Path, corpus: str, names: Sequence[str]) -> dict[str, npt.NDArray[np.str_]]:
    """Return the role of each utterance, by fold; that of a split which is one draw is `WHOLE`, whatever its number.

    Raises
    ------
    StoreError
        As `read_roles`.
    """
    found = read_roles(path, corpus, names)
    return {WHOLE: next(iter(found.values()))} if len(found) == 1 else found


def read_draw(path: Path, corpus: str, names: Sequence[str]) -> npt.NDArray[np.str_]:
    """Return the role of each utterance in a split that is one draw.

    Raises
    ------
    StoreError
        If the split is damaged or of another corpus, or has other than one fold.
    """
    folds = read_roles(path, corpus, names)
    if len(folds) != 1:
        raise StoreError(f"{path}: {len(folds)} folds where one draw was asked for; delete it and run again")
    return next(iter(folds.values()))
