"""Marks of what is not the real thing: the stamp of pictures, and the first words of `serflow inspect`."""

from serflow.runs.provenance import Provenance

STAND_INS = {"corpus": "synthetic corpus", "noise": "synthetic noise", "weights": "STAND-IN weights"}
PARTIAL = "partial"


def provenance_marks(provenance: Provenance) -> list[str]:
    """Return the marks of a figure, one for each kind of stand-in and one for partial corpora."""
    marks = [mark for kind, mark in STAND_INS.items() if provenance.stand_ins.get(kind)]
    return [*marks, PARTIAL] if provenance.partial else marks
