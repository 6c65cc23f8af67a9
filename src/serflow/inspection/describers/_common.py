"""What descriptions of several kinds have in common."""

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from serflow.inspection.description import Description, show_bytes, show_seconds
from serflow.report.marks import PARTIAL, STAND_INS
from serflow.runs.provenance import Provenance
from serflow.stores.parquet import readable

SHOWN_ROWS = 40
LESS = "not all that the publisher counts is there"
_MADE = {
    "corpus": "made by the workflow, not recorded",
    "noise": "made by the workflow, not ESC-50",
    "weights": "a random network in the format of the release, not a trained one",
}


def stand_in_warning(what: str, names: Sequence[str] = ()) -> str:
    """Say what a stand-in for a ``corpus``, for ``noise`` or ``weights`` is; ``names``: for which ones it stands."""
    named = f" ({', '.join(names)})" if names else ""
    return f"{STAND_INS[what]}{named}: {_MADE[what]}"


def add_provenance(about: Description, provenance: Provenance) -> None:
    """Warn of stand-ins and partial corpora by name."""
    stand_ins = {kind: names for kind in STAND_INS if (names := provenance.stand_ins.get(kind))}
    about.warnings += [stand_in_warning(kind, names) for kind, names in stand_ins.items()]
    if provenance.partial:
        about.warnings.append(f"{PARTIAL} ({', '.join(provenance.partial)}): {LESS}")


def start(files: list[Path], metadata: Mapping[str, Any], heading: str) -> Description:
    """Begin the description of one or more Parquet files."""
    path = files[0] if len(files) == 1 else files[0].parent
    about = Description(path, str(metadata.get("kind") or "Parquet"), heading)
    rows = 0
    for file in files:
        with readable(file):
            rows += pq.read_metadata(file).num_rows
    about.add("rows", rows)
    size = sum(file.stat().st_size for file in files)
    about.add("size on disk", size, show_bytes(size))
    return about


def counts(values: Sequence[Any]) -> list[tuple[Any, int]]:
    """Return how often each value is there, the most common first."""
    return Counter("(none)" if value is None else value for value in values).most_common()


def add_durations(about: Description, seconds: Sequence[float]) -> None:
    """Say how long utterances (s) are."""
    if seconds:
        span = {"min": min(seconds), "median": statistics.median(seconds), "max": max(seconds), "total": sum(seconds)}
        total = show_seconds(span["total"])
        about.add("duration", span, f"{total}; {span['min']:.2f} to {span['max']:.2f} s, median {span['median']:.2f} s")


def add_network(about: Description, given: Mapping[str, Any]) -> None:
    """Say which network was used, with which weights."""
    if given.get("backbone"):
        backbone = dict(given["backbone"])
        about.add("backbone", given["backbone"], f"{backbone.pop('name', '?')} ({as_text(backbone)})")
    if weights := given.get("weights"):
        told = ("release", "source", "licence", "trained_on", "digest")
        about.add("weights", dict(weights), as_text({key: weights[key] for key in told if key in weights}))


def as_text(entries: Mapping[str, Any]) -> str:
    """Return entries in one line."""
    parts = [f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in entries.items()]
    return ", ".join(parts) or "none"


class Values:
    """Range and moments of values, gathered array by array."""

    def __init__(self) -> None:
        self.n = self.not_finite = 0
        self.total = self.squares = 0.0
        self.low, self.high = np.inf, -np.inf

    def take(self, values: np.ndarray[Any, Any]) -> None:
        """Add an array."""
        finite = values if np.isfinite(values).all() else values[np.isfinite(values)]
        self.not_finite += values.size - finite.size
        if finite.size:
            self.n += finite.size
            self.total += float(np.sum(finite, dtype=np.float64))
            self.squares += float(np.sum(np.square(finite, dtype=np.float64)))
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))

    def facts(self) -> dict[str, Any]:
        """Return what was gathered, for programs."""
        if not self.n:
            return {"min": None, "mean": None, "max": None, "std": None, "not_finite": self.not_finite}
        mean = self.total / self.n
        std = max(0.0, self.squares / self.n - mean * mean) ** 0.5
        return {"min": self.low, "mean": mean, "max": self.high, "std": std, "not_finite": self.not_finite}

    def text(self) -> str:
        """Return what was gathered, for people."""
        if not self.n:
            return "no values"
        found = self.facts()
        finite = f"; {self.not_finite:,} NaN or infinite" if self.not_finite else "; all finite"
        return f"{found['min']:.4g} to {found['max']:.4g}, mean {found['mean']:.4g}, std {found['std']:.4g}{finite}"
