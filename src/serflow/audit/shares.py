"""What two sets of utterances have in common: a pure count over tables, whoever made the fold list."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.protocols.folds import ROLES, IntArray

FACTS = (
    "utterance", "speaker", "session", "dialogue", "sentence", "transcript", "clip", "recording", "near_recording",
)  # fmt: skip
"""What sets may have in common.

A ``sentence`` is the publisher's code of what is said, a ``transcript`` its words; a ``clip`` is the noise that was
mixed in. Utterances of one ``recording`` have the same samples, those of one ``near_recording`` the same fingerprint.
"""
PAIRS = (("train", "test"), ("train", "val"), ("val", "test"))
"""Sets that are compared: what the first knows, the second should not be scored on."""

Facts = Mapping[str, IntArray]
"""Values of `FACTS` as numbers, ``(n,)`` each; -1 where nothing is known."""


class InCommon(NamedTuple):
    """Distinct values of the second set, those that the first has too, and the second's utterances with one of them."""

    values: int
    both: int
    utterances: int


def numbered(facts: Mapping[str, Sequence[Any]]) -> dict[str, IntArray]:
    """Return values as numbers, equal ones alike; None is -1."""
    found: dict[str, IntArray] = {}
    for name, values in facts.items():
        number = {value: place for place, value in enumerate(dict.fromkeys(values)) if value is not None}
        found[name] = np.array([number.get(value, -1) for value in values], dtype=np.int64)
    return found


def in_common(values: IntArray, first: IntArray, second: IntArray) -> InCommon | None:
    """Count what a set has in common with another.

    Parameters
    ----------
    values
        Of one fact, of all utterances; -1 where unknown.
    first, second
        Rows of the sets.

    Returns
    -------
    None where of one of the sets nothing is known.
    """
    knows, asked = values[first], values[second]
    knows, asked = knows[knows >= 0], asked[asked >= 0]
    if not len(knows) or not len(asked):
        return None
    seen = np.zeros(int(values.max()) + 1, dtype=bool)
    seen[knows] = True
    distinct = np.unique(asked)
    return InCommon(len(distinct), int(seen[distinct].sum()), int(seen[asked].sum()))


def compare(facts: Facts, sets: Mapping[str, IntArray]) -> dict[tuple[str, str], dict[str, InCommon | None]]:
    """Return what is in common to each of `PAIRS` of which both have utterances, by fact."""
    return {
        (one, other): {name: in_common(values, sets[one], sets[other]) for name, values in facts.items()}
        for one, other in PAIRS
        if len(sets.get(one, ())) and len(sets.get(other, ()))
    }


def rows_by_role(roles: Sequence[str | None]) -> dict[str, npt.NDArray[np.int64]]:
    """Return the rows of each of ``train``, ``val`` and ``test``."""
    names = np.array([role or "" for role in roles])
    return {role: np.flatnonzero(names == role) for role in ROLES}
