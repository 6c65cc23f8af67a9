"""Marks of what is not the real thing: the stamp of pictures, and the first words of `serflow inspect`."""

from serflow.runs.provenance import Provenance

STAND_INS = {"corpus": "synthetic corpus", "noise": "synthetic noise", "weights": "STAND-IN weights"}
PARTIAL, PARTIAL_NOISE = "partial", "partial noise"


def raised_marks(provenance: Provenance) -> list[str]:
    """Return what was added to the SNRs of the noise profiles, ``SNR +25 dB``; nothing where nothing was."""
    return [f"SNR {db:+g} dB" for db in provenance.raised_db]


def provenance_marks(provenance: Provenance) -> list[str]:
    """Return the marks of a figure: each kind of stand-in, levels that were raised, what is partial."""
    marks = [mark for kind, mark in STAND_INS.items() if provenance.stand_ins.get(kind)]
    marks += raised_marks(provenance)
    partial = {PARTIAL: bool(provenance.partial_corpora), PARTIAL_NOISE: provenance.partial_noise}
    return [*marks, *(mark for mark, holds in partial.items() if holds)]
