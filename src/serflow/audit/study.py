"""What the sets of every fit of a study share, and what else its scores may owe to their test: a row a pair of sets."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from serflow.audit.ledger import told
from serflow.audit.near import Near, groups
from serflow.audit.shares import FACTS, PAIRS, Facts, InCommon, compare, numbered
from serflow.audit.trained import Trained
from serflow.backbones.weights import Weights
from serflow.protocols.examples import Examples
from serflow.protocols.folds import ROLES, FoldRows, IntArray
from serflow.protocols.shared import recordings, script
from serflow.stores.parquet import read_metadata, read_table
from serflow.transcripts.words import normalise

COUNTED = FACTS[1:]
"""What is counted of a study: no utterance is in two sets of its splits."""
COLUMNS = (
    "run", "fold", "first", "second", "n_first", "n_second",
    *(f"{what}_{fact}s" for fact in COUNTED for what in ("second", "shared", "utterances_of_shared")),
    "statistics", "statistics_saw_test", "epoch_chosen_on", "networks_read_corpus", "networks", "remark", "note",
)  # fmt: skip
"""After the fields of the cell."""


def audit_cells(
    study: str,
    cells: Sequence[Trained],
    exposures: Sequence[Mapping[str, Any]],
    networks: Mapping[str, Weights],
    near: Mapping[str, Sequence[tuple[str, str]]],
) -> Iterator[list[Any]]:
    """Yield the rows of a study: the fields of each cell, and `COLUMNS`.

    Parameters
    ----------
    study
        Key of the study.
    cells
        Its cells, as they were trained.
    exposures
        What its plan says of each, by the names of `serflow.studies.contract.Exposure`.
    networks
        Records of the weights of these, by name.
    near
        Near-identical utterances, by corpus.
    """
    members = importlib.import_module(f"serflow.studies.{study}.members").members
    for cell, exposure in zip(cells, exposures, strict=True):
        examples, fits = members(cell)
        metadata = read_metadata(cell.utterances)
        facts = facts_of(cell, examples, near[cell.corpus], exposure["hears_noise"])
        tested, absent = _tested(cell, examples), _rejected(cell, examples)
        verdict, why = told(
            [networks[name] for name in exposure["networks"]],
            metadata.get("layout", cell.corpus),
            bool(metadata["synthetic"]),
        )
        statistics: Mapping[str, str] = exposure["statistics"]
        exposed = [
            "; ".join(f"{feature}: {of}" for feature, of in statistics.items()),
            "corpus" in statistics.values(),
            exposure["chosen_on"] or "none",
            verdict,
            why,
            exposure["remark"],
        ]
        for rows in fits:
            sets = _sets(rows, tested, absent)
            shared, note = compare(facts, sets), _note(rows, absent)
            for pair in (pair for pair in PAIRS if pair in shared):
                yield [
                    *cell.cell.values(),
                    *rows.fit,
                    *pair,
                    *(len(sets[role]) for role in pair),
                    *(count for fact in COUNTED for count in _counts(shared[pair][fact])),
                    *exposed,
                    note,
                ]


def facts_of(cell: Trained, examples: Examples, near: Sequence[tuple[str, str]], hears_noise: bool) -> Facts:
    """Return the values of `COUNTED` of each utterance of a cell, as numbers; clips of what ``hears_noise`` alone."""
    names, facts = examples.utterances, examples.facts
    place = {name: row for row, name in enumerate(names)}
    audio = recordings(names, facts["duplicate_of"])
    pairs = [(place[one], place[other]) for one, other in near if one in place and other in place]
    same = {recording: row for row, recording in reversed(list(enumerate(audio)))}
    pairs += [(row, same[recording]) for row, recording in enumerate(audio) if same[recording] != row]
    together = groups(len(names), [Near(one, other, 0, 1.0, 0.0) for one, other in pairs])
    found: dict[str, Sequence[Any]] = {
        **{fact: facts[fact] for fact in ("speaker", "session", "dialogue")},
        # of what is improvised the code is that of a scene
        "sentence": [script(None, *row) for row in zip(facts["style"], facts["sentence"], strict=True)],
        "transcript": [normalise(text) or None if text is not None else None for text in facts["text"]],
        "clip": cell.planned("clip", names) if cell.plan is not None and hears_noise else [None] * len(names),
        "recording": audio,
        "near_recording": together,
    }
    return numbered({fact: found[fact] for fact in COUNTED})


def _tested(cell: Trained, examples: Examples) -> dict[tuple[int, str, str], IntArray]:
    """Return the rows of what was predicted and scored, by run, fold and role."""
    place = {name: row for row, name in enumerate(examples.utterances)}
    table = read_table(cell.predictions, columns=["run", "fold", "role", "utterance"])
    columns = [table.column(name).to_pylist() for name in ("run", "fold", "role", "utterance")]
    found: dict[tuple[int, str, str], list[int]] = {}
    for run, fold, role, utterance in zip(*columns, strict=True):
        if role in ROLES:
            found.setdefault((run, fold, role), []).append(place[utterance])
    return {key: np.array(rows, dtype=np.int64) for key, rows in found.items()}


def _rejected(cell: Trained, examples: Examples) -> IntArray:
    """Return the rows that no fit of a cell has, for their audio or their words."""
    rejected = set(cell.rejected)
    return np.array([row for row, name in enumerate(examples.utterances) if name in rejected], dtype=np.int64)


def _sets(rows: FoldRows, tested: Mapping[tuple[int, str, str], IntArray], absent: IntArray) -> dict[str, IntArray]:
    """Return the rows of a fit by role: those that were predicted where they were, else what it has of the split."""
    return {role: tested.get((*rows.fit, role), np.setdiff1d(part, absent)) for role, part in rows.roles().items()}


def _counts(found: InCommon | None) -> tuple[int | None, int | None, int | None]:
    return (None, None, None) if found is None else (found.values, found.both, found.utterances)


def _note(rows: FoldRows, absent: IntArray) -> str:
    """Say how many utterances of the split the fit has not; they are not counted."""
    lost = {role: len(np.intersect1d(part, absent)) for role, part in rows.roles().items()}
    said = ", ".join(f"{count:,} of {role}" for role, count in lost.items() if count)
    return f"left out for their audio or their words: {said}" if said else ""


def columns_of(cells: Sequence[Trained]) -> list[str]:
    """Return the heading: the fields of the study's cells, and `COLUMNS`."""
    return [*cells[0].cell, *COLUMNS]
