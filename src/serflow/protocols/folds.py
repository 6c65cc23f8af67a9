"""The rows of a fit: what a study's fold rule gives, to training and to the protocol card alike."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.protocols.splits import ROLES

__all__ = ["ROLES", "FitName", "FoldRows", "IntArray", "JointRows"]

IntArray = npt.NDArray[np.integer]


class FitName(NamedTuple):
    """One fit of a cell: ``run`` repeats everything, ``fold`` is one of the parts whose tests make up a run."""

    run: int
    fold: str


class FoldRows(NamedTuple):
    """Who is in a fit: rows of the utterances that the study uses, ``(n,)`` each; a role may be empty."""

    fit: FitName
    train: IntArray
    val: IntArray
    test: IntArray

    def roles(self) -> dict[str, IntArray]:
        """Return the rows by role."""
        return {role: getattr(self, role) for role in ROLES}


class JointRows(NamedTuple):
    """Who is in a fit on several corpora at once: of each by name, rows of its utterances."""

    fit: FitName
    of_corpus: Mapping[str, FoldRows]
