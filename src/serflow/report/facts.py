"""What a reader must know of the data behind a number: marks for headings, and why it has no counterpart in a paper."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from serflow.report.marks import PARTIAL, PARTIAL_NOISE, raised_marks
from serflow.runs.provenance import Provenance, joined
from serflow.runs.scores import Run

SMALL_TEST_SET = 100
_ROLES = {"train": "training", "val": "validation", "test": "test"}


def marks(provenance: Provenance) -> tuple[str, ...]:
    """Return what stands behind a name in brackets: what is not real, not whole, or not as loud; nothing if all is."""
    synthetic = "corpus" in provenance.stand_ins
    found = {
        "synthetic": synthetic,
        **dict.fromkeys(raised_marks(provenance), True),
        PARTIAL: bool(provenance.partial_corpora) and not synthetic,
        "synthetic noise": "noise" in provenance.stand_ins and not synthetic,
        PARTIAL_NOISE: provenance.partial_noise and not synthetic,
        "stand-in weights": "weights" in provenance.stand_ins,
    }
    return tuple(mark for mark, holds in found.items() if holds)


def marked(name: str, with_marks: Sequence[str]) -> str:
    """Return a name with its marks behind it."""
    return f"{name} ({', '.join(with_marks)})" if with_marks else name


class Stamped(NamedTuple):
    """Names with the marks that not all of them have, and the stamp of a picture of them: the marks that any has."""

    names: dict[str, str]
    stamp: tuple[str, ...]


def stamped(names: Mapping[str, str], provenances: Mapping[str, Provenance]) -> Stamped:
    """Return what is written over the parts of a picture and stamped on it; both mappings have the same keys."""
    found = {key: marks(provenances[key]) for key in names}
    stamp = tuple(dict.fromkeys(mark for own in found.values() for mark in own))
    of_all = [mark for mark in stamp if all(mark in own for own in found.values())]
    return Stamped(
        {key: marked(name, [mark for mark in found[key] if mark not in of_all]) for key, name in names.items()}, stamp
    )


def data_reasons(cells: Sequence[Run]) -> list[str]:
    """Say why the data of cells are not a paper's; empty if they are."""
    parts = [cell.provenance for cell in cells]
    among = " among the corpora" if len({cell.cell.get("corpus") for cell in cells}) > 1 else ""
    reasons = []
    if any("corpus" in part.stand_ins for part in parts):
        reasons.append(f"synthetic stand-in{among}: not compared")
    if any(part.partial_corpora for part in parts):
        reasons.append(f"partial corpus{among}: not compared")
    if any("noise" in part.stand_ins for part in parts):
        reasons.append("synthetic noise: not compared")
    if any(part.partial_noise for part in parts):
        reasons.append("partial noise: not compared")
    networks = joined(parts).stand_ins.get("weights", ())
    if networks:
        reasons.append(f"stand-in weights of {', '.join(networks)}: not compared")
    return reasons


def run_remarks(cells: Sequence[Run]) -> list[str]:
    """Say what runs left out, which classes some part of them lacks, and whether their test sets are small."""
    remarks: dict[str, None] = {}
    for cell in cells:
        left_out = (f"{count:,} utterances left out: {why}" for why, count in sorted(cell.excluded.items()) if count)
        remarks.update(dict.fromkeys([*left_out, *_lacking(cell)]))
    sizes = [sum(fit.counts["test"].values()) for cell in cells for fit in cell.fits]
    if min(sizes) < SMALL_TEST_SET:
        remarks[f"small data: {min(sizes)} utterances in the smallest test set"] = None
    return list(remarks)


def _lacking(cell: Run) -> list[str]:
    """Say by role which classes a fit has no utterance of; UA is then over fewer classes than chance is."""
    found: dict[tuple[str, str], list[str]] = {}
    for fit in cell.fits:
        for role, counts in fit.counts.items():
            for name, count in counts.items():
                if not count:
                    found.setdefault((role, name), []).append(str(fit.run))
    return [
        f"no {name} in {_ROLES[role]} of run {', '.join(dict.fromkeys(runs))}" for (role, name), runs in found.items()
    ]
