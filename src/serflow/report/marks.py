"""Marks of what is not the real thing, in the words that figures, tables and `serflow inspect` share."""

from collections.abc import Mapping
from typing import Any

STAND_INS = {"corpus": "synthetic corpus", "noise": "synthetic noise", "weights": "STAND-IN weights"}
PARTIAL = "partial"


def provenance_marks(provenance: Mapping[str, Any]) -> list[str]:
    """Return the marks of a figure.

    Parameters
    ----------
    provenance
        ``stand_ins``, names by what they stand in for (``corpus``, ``noise``, ``weights``), and ``partial``, names of
        corpora, as run artefacts carry them.
    """
    marks = [mark for what, mark in STAND_INS.items() if provenance["stand_ins"].get(what)]
    return [*marks, PARTIAL] if provenance["partial"] else marks
