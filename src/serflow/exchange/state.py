"""What a tree of results rests on, layer by layer, as digests and the facts beside them.

It is read from the artefacts themselves, or from the ``state.json`` of what was exported, which has no corpora.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from serflow.errors import StoreError
from serflow.files import check_digest, read_sealed_json, sha256_file
from serflow.runs.bootstrap import WORDS
from serflow.stores.parquet import read_metadata, read_table

STATE = "state.json"
LAYERS = ("corpora", "rejected", "utterances", "noise plans", "features", "splits")
"""What runs are made from, in the order in which one follows from the other."""
_PREDICTED = ("run", "fold", "role", "utterance", "prediction")
_SCORED = ("oracle_prediction", "best_prediction", *WORDS)
"""What scores are counted from besides, where a study keeps it."""


class Entry(NamedTuple):
    """One artefact of a layer: the digest of what is in it, and what it says of itself."""

    digest: str
    facts: Mapping[str, Any]


class CellState(NamedTuple):
    """A cell of runs: what it was trained with, from what (digests by name), and what it predicted."""

    options: Mapping[str, Any]
    runs: Sequence[int]
    sources: Mapping[str, str]
    code: str
    predicted: str


class State(NamedTuple):
    """A tree of results; ``layers`` by `LAYERS` and the name of an artefact, ``cells`` by study and cell."""

    layers: Mapping[str, Mapping[str, Entry]]
    cells: Mapping[str, CellState]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain mappings."""
        layers = {
            layer: {name: entry._asdict() for name, entry in entries.items()} for layer, entries in self.layers.items()
        }
        return {"layers": layers, "cells": {name: cell._asdict() for name, cell in self.cells.items()}}


def resting_on(layers: Mapping[str, Mapping[str, Entry]], cells: Iterable[CellState]) -> dict[str, dict[str, Entry]]:
    """Return of all layers what some cells were made from, by the digests that they keep."""
    read = {digest for cell in cells for digest in cell.sources.values()}
    found = {
        layer: {name: entry for name, entry in layers.get(layer, {}).items() if entry.digest in read}
        for layer in LAYERS
    }
    # files of publishers have digests of their own
    for layer in ("corpora", "rejected"):
        found[layer] = {name: entry for name, entry in layers.get(layer, {}).items() if name in found["utterances"]}
    return found


def results_of(folder: Path) -> Path:
    """Return the folder of results that is meant: itself, or the one below a working folder.

    Raises
    ------
    StoreError
        If neither has runs.
    """
    for place in (folder, folder / "results"):
        if (place / "runs").is_dir():
            return place
    raise StoreError(f"{folder}: no results with runs lie there; give a folder `results` that the workflow made")


def read_state(folder: Path) -> State:
    """Read what a tree rests on.

    Raises
    ------
    StoreError
        If it has no runs, or a file of it is damaged.
    """
    results = results_of(folder)
    if (results / STATE).is_file():
        said = read_sealed_json(results / STATE)
        layers = {
            layer: {name: Entry(**entry) for name, entry in entries.items()}
            for layer, entries in said["layers"].items()
        }
        return State(layers, {name: CellState(**cell) for name, cell in said["cells"].items()})
    readers = (_corpora, _rejected, _utterances, _plans, _features, _splits)
    return State(
        {layer: dict(reader(results)) for layer, reader in zip(LAYERS, readers, strict=True)}, dict(_cells(results))
    )


def cell_folders(results: Path, study: str | None = None) -> list[Path]:
    """Return the folders of the cells of runs of a study, or of all."""
    return sorted(path.parent for path in (results / "runs").glob(f"{study or '*'}/**/predictions.parquet"))


def predictions_digest(path: Path) -> str:
    """Return the SHA-256 of who was predicted to be what, in any order; of posteriors it says nothing.

    Predictions that a study makes besides, and its counts of words, are taken in: scores of tables rest on them.
    """
    table = read_table(path, kind="predictions")
    names = [*_PREDICTED, *(name for name in _SCORED if name in table.column_names)]
    rows = sorted(zip(*(table.column(name).to_pylist() for name in names), strict=True), key=repr)
    return hashlib.sha256(repr((names, rows)).encode()).hexdigest()


def _cells(results: Path) -> Iterator[tuple[str, CellState]]:
    for folder in cell_folders(results):
        path = folder / "predictions.parquet"
        said = read_metadata(path)
        name = folder.relative_to(results / "runs").as_posix()
        sources = said["provenance"]["sources"]
        yield name, CellState(said["options"], said["runs"], sources, said["code"], predictions_digest(path))


def _said(path: Path, digest: str, facts: Iterable[str]) -> Entry:
    metadata = read_metadata(path)
    return Entry(str(metadata[digest]), {name: metadata[name] for name in facts if name in metadata})


def _corpora(results: Path) -> Iterator[tuple[str, Entry]]:
    for path in sorted(results.glob("corpora/*/utterances.parquet")):
        # the digest of all files of a publisher that were read
        found = _said(path, "data_sha256", ("synthetic", "layout"))
        yield path.parent.name, found._replace(digest=str(read_metadata(path).get("content", "")))


def _rejected(results: Path) -> Iterator[tuple[str, Entry]]:
    for path in sorted(results.glob("corpora/*/rejected.csv")):
        check_digest(path)
        yield path.parent.name, Entry(sha256_file(path), {})


def _utterances(results: Path) -> Iterator[tuple[str, Entry]]:
    for path in sorted(results.glob("corpora/*/utterances.parquet")):
        yield path.parent.name, _said(path, "data_sha256", ("counts",))


def _plans(results: Path) -> Iterator[tuple[str, Entry]]:
    facts = ("mixing", "seed", "profile_snrs", "snr_offset_db", "clips", "synthetic_clips")
    for path in sorted(results.glob("noise/*/*.parquet")):
        yield f"{path.parent.name} in {path.stem}", _said(path, "data_sha256", facts)


def _features(results: Path) -> Iterator[tuple[str, Entry]]:
    facts = ("extractor", "parameters", "mantissa_bits", "weights", "code")
    for path in sorted(results.glob("packed/*/**/*.parquet")):
        feature, *of = path.relative_to(results / "packed").with_suffix("").parts
        found = _said(path, "array_sha256", facts)
        # of a network one digest tells
        weights = {"weights": found.facts["weights"].get("digest")} if "weights" in found.facts else {}
        # audio has no condition
        yield f"{feature} of {', '.join(of)}", found._replace(facts={**found.facts, **weights})


def _splits(results: Path) -> Iterator[tuple[str, Entry]]:
    for path in sorted(results.glob("splits/*/*.parquet")):
        yield f"{path.parent.name}, {path.stem}", _said(path, "data_sha256", ("cuts",))
