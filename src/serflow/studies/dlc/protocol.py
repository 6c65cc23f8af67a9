"""What the fits of the DLC study are trained and tested on: sizes, classes, and what training and test share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from serflow.errors import StoreError
from serflow.noise.mixing import PLAN_KIND
from serflow.noise.plan import CONDITIONS
from serflow.splits import ROLES, split_unit
from serflow.stores import parquet
from serflow.studies.dlc.labels import COLUMNS as LABEL_COLUMNS
from serflow.studies.dlc.labels import emotion_labels
from serflow.transcripts.words import normalise

NOT_HELD_OUT = "none"
UNKNOWN = "unknown"
_UTTERANCE_COLUMNS = ("speaker", "dialogue", "gender", "style", "sentence", "text")
_PLAN_COLUMNS = ("utterance", "condition", "clip", "snr_db", "achieved_snr_db")
_UNSCRIPTED = ("improvised", "natural")
_HELD_OUT = {"exp1": (NOT_HELD_OUT,), "exp2": CONDITIONS}


class Records(NamedTuple):
    """A corpus as the study uses it.

    ``utterances`` has a row for each labelled utterance, indexed by its id: class (of a soft target, the reference
    class), unit (kept together by the split), speaker, dialogue, gender, script (what is said); None where the
    publisher says nothing. ``roles`` (a column per seed) and the plans (condition, clip, snr_db, achieved_snr_db, by
    profile) have the same rows. ``excluded`` counts the utterances without a label of the study.
    """

    corpus: str
    synthetic: bool
    partial: bool
    protocol: str
    classes: tuple[str, ...]
    excluded: int
    utterances: pd.DataFrame
    roles: pd.DataFrame
    plans: dict[str, pd.DataFrame]


class Shared(NamedTuple):
    """Distinct values in training and test, those in both, and the test utterances that have one of these."""

    train: int
    test: int
    both: int
    utterances: int


def shared(train: pd.Series, test: pd.Series) -> Shared:
    """Count what training and test have in common; missing values are none of it."""
    known = set(train.dropna())
    heard = set(test.dropna())
    return Shared(len(known), len(heard), len(known & heard), int(test.isin(known).sum()))


def _script(row: Mapping[str, Any]) -> str | None:
    """Return what is said: the text as words alone, or the publisher's code of the sentence where it gives none."""
    if row["text"] is not None:
        return normalise(row["text"]) or None
    # what is improvised has the code of a scene (MSP-Improv), not of a sentence
    return None if row["style"] in _UNSCRIPTED else row["sentence"]


def _rows(table: pd.DataFrame, names: pd.Index, path: Path) -> pd.DataFrame:
    """Return the rows of ``names``, in their order, of a table indexed by utterance."""
    missing = names.difference(table.index)
    if len(missing):
        raise StoreError(
            f"{path}: {len(missing)} of {len(names)} utterances are missing, the first is {missing[0]}; "
            "delete it and run the same command again"
        )
    return table.loc[names]


def _read_roles(path: Path, corpus: str, names: pd.Index) -> pd.DataFrame:
    table = parquet.read_table(path, kind="split", expect={"corpus": corpus}).to_pandas()
    return _rows(table.pivot(index="utterance", columns="fold", values="role"), names, path)


def _check_units(path: Path, records: Records) -> None:
    """Refuse a split that parts what it says it keeps together."""
    for seed, roles in records.roles.items():
        parted = roles.groupby(records.utterances["unit"]).nunique()
        if (parted > 1).any():
            raise StoreError(
                f"{path}: fold {seed} parts {records.protocol} {parted.idxmax()!r} among "
                f"{', '.join(ROLES)}; delete it and run the same command again"
            )


def read_records(utterances: Path, split: Path, plans: Sequence[Path], labels: str) -> Records:
    """Join a corpus's utterance table, split and noise plans.

    Parameters
    ----------
    utterances, split
        ``utterances.parquet``, and the Parquet of utterance, fold and role.
    plans
        The corpus's noise plans, a profile each.
    labels
        ``merged`` or ``hap_only``; see `emotion_labels`.

    Raises
    ------
    StoreError
        If a file is damaged or of another corpus, lacks an utterance, or the split parts a dialogue (a speaker).
    """
    metadata = parquet.check(utterances, "utterances")
    corpus = metadata["corpus"]
    # `layout` says whose labels they are where a corpus has a name of its own
    columns = [*LABEL_COLUMNS, *_UTTERANCE_COLUMNS]
    rows = parquet.read_table(utterances, columns=columns).to_pylist()
    found = emotion_labels(metadata.get("layout", corpus), rows, labels)
    protocol = parquet.check(split, "split", {"corpus": corpus})["protocol"]
    kept = [row for row in rows if row["id"] in found.targets]
    table = pd.DataFrame(
        {
            "class": [found.classes[int(np.argmax(found.targets[row["id"]]))] for row in kept],
            "unit": [split_unit(protocol, row["id"], row["dialogue"], row["speaker"]) for row in kept],
            "script": [_script(row) for row in kept],
            **{column: [row[column] for row in kept] for column in ("speaker", "dialogue", "gender")},
        },
        index=pd.Index([row["id"] for row in kept], name="utterance"),
        dtype=object,
    )
    planned = {}
    for path in plans:
        profile = parquet.check(path, PLAN_KIND, {"corpus": corpus})["profile"]
        plan = parquet.read_table(path, columns=_PLAN_COLUMNS).to_pandas().set_index("utterance")
        planned[profile] = _rows(plan, table.index, path)
    records = Records(
        corpus=corpus,
        synthetic=bool(metadata["synthetic"]),
        partial=bool(metadata["partial"]),
        protocol=protocol,
        classes=found.classes,
        excluded=found.excluded,
        utterances=table,
        roles=_read_roles(split, corpus, table.index),
        plans=planned,
    )
    _check_units(split, records)
    return records


def counts(values: pd.Series, names: Sequence[Any]) -> dict[Any, int]:
    """Return how often each of ``names`` occurs in ``values``."""
    found = values.value_counts()
    return {name: int(found.get(name, 0)) for name in names}


def _listed(counted: Mapping[Any, int]) -> str:
    return "; ".join(f"{name} {count}" for name, count in counted.items())


def levels(plan: pd.DataFrame) -> str:
    """Return the requested SNR (dB) of each condition of a plan, e.g. ``natural -5; human -20``."""
    found = plan.groupby("condition")["snr_db"].unique()
    said = {
        name: ", ".join(f"{snr:g}" for snr in sorted(found[name], reverse=True)) for name in CONDITIONS if name in found
    }
    return "; ".join(f"{name} {snrs}" for name, snrs in said.items())


def _line(records: Records, profile: str, seed: int, experiment: str, held_out: str) -> dict[str, Any]:
    """Return the facts of one fit."""
    plan, roles = records.plans[profile], records.roles[seed]
    held = plan["condition"] == held_out
    tested = held if held_out in CONDITIONS else ~held
    chosen = {"train": (roles == "train") & ~held, "val": (roles == "val") & ~held, "test": (roles == "test") & tested}
    rows = {role: records.utterances[chosen[role]] for role in ROLES}
    common = {
        "speakers": shared(rows["train"]["speaker"], rows["test"]["speaker"]),
        "dialogues": shared(rows["train"]["dialogue"], rows["test"]["dialogue"]),
        "sentences": shared(rows["train"]["script"], rows["test"]["script"]),
        "clips": shared(plan.loc[chosen["train"], "clip"], plan.loc[chosen["test"], "clip"]),
    }
    n_test = len(rows["test"])
    return {
        "corpus": records.corpus,
        "profile": profile,
        "seed": seed,
        "experiment": experiment,
        "held_out": held_out,
        "synthetic": records.synthetic,
        "partial": records.partial,
        "protocol": records.protocol,
        "n_classes": len(records.classes),
        "excluded": records.excluded,
        **{f"n_{role}": len(rows[role]) for role in ROLES},
        **{f"{role}_classes": _listed(counts(rows[role]["class"], records.classes)) for role in ROLES},
        **{
            f"{role}_genders": _listed(rows[role]["gender"].fillna(UNKNOWN).value_counts().sort_index())
            for role in ROLES
        },
        **{
            f"{role}_{what}": getattr(common[what], role)
            for what in ("speakers", "dialogues", "sentences", "clips")
            for role in ("train", "test")
        },
        **{f"shared_{what}": found.both for what, found in common.items()},
        "test_utterances_of_shared_sentences": common["sentences"].utterances,
        "test_percent_of_shared_sentences": 100.0 * common["sentences"].utterances / n_test if n_test else np.nan,
        "test_utterances_of_shared_clips": common["clips"].utterances,
        "test_percent_of_shared_clips": 100.0 * common["clips"].utterances / n_test if n_test else np.nan,
        "train_snr_db": levels(plan[chosen["train"]]),
        "test_snr_db": levels(plan[chosen["test"]]),
    }


def protocol_table(corpora: Sequence[Records]) -> pd.DataFrame:
    """Return a row per corpus, profile, seed, experiment and held-out condition (``none`` in experiment 1).

    Counts named ``train_`` and ``test_`` are distinct values; ``shared_`` those in both. Training is the training set
    alone, without validation. A corpus without dialogues or texts has 0 of them.

    Returns
    -------
    pandas.DataFrame
        See `_line` for the columns; SNRs are the requested ones.
    """
    return pd.DataFrame(
        [
            _line(records, profile, int(seed), experiment, held_out)
            for records in corpora
            for profile in records.plans
            for seed in records.roles
            for experiment, conditions in _HELD_OUT.items()
            for held_out in conditions
        ]
    )
