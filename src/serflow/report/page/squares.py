"""Confusion matrices whose squares know some of their utterances, read batch by batch from predictions."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from serflow.errors import StoreError
from serflow.runs.provenance import Provenance
from serflow.stores.parquet import iterate_batches, read_metadata

TEST = "test"
OWN_WORDS = {"heard": "heard", "gate": "routed to"}
"""Columns of studies that are shown with an utterance, and what they are called."""
_COLUMNS = ("run", "fold", "role", "utterance", "label", "prediction", "probabilities")

IntArray = npt.NDArray[np.int64]


class Listed(NamedTuple):
    """An utterance in a square: the fit that predicted it, the posterior of every class, words of the study's own."""

    utterance: str
    run: int
    fold: str
    posterior: tuple[float, ...]
    words: tuple[tuple[str, str], ...] = ()


class Squares(NamedTuple):
    """What a cell of runs predicts of its test utterances, all fits together.

    Parameters
    ----------
    path
        ``predictions.parquet``.
    cell
        Its names.
    condition
        What its utterances sound like: ``clean``, or a noise profile.
    classes
        Names of the classes.
    runs
        All of them.
    provenance
        What it is made from.
    counts
        Predictions by label and by what was predicted, ``(classes, classes)``.
    listed
        Some utterances of each square that is not empty, by row and column.
    """

    path: Path
    cell: Mapping[str, str]
    condition: str
    classes: Sequence[str]
    runs: Sequence[int]
    provenance: Provenance
    counts: IntArray
    listed: Mapping[tuple[int, int], Sequence[Listed]]


def order(utterance: str) -> bytes:
    """Return what utterances are drawn by: the same few come first in whatever square they are, so few need audio."""
    return hashlib.sha256(utterance.encode()).digest()[:8]


def read_squares(path: Path, limit: int, condition: str) -> Squares:
    """Read the test predictions of a cell; no more of them are kept than are listed.

    Parameters
    ----------
    path
        ``predictions.parquet``.
    limit
        Utterances that a square lists.
    condition
        What they sound like to the cell.

    Raises
    ------
    StoreError
        If the file is damaged, or a label or prediction is none of its classes.
    """
    metadata = read_metadata(path)
    classes = list(metadata["classes"])
    n = len(classes)
    counts = np.zeros((n, n), dtype=np.int64)
    listed: dict[tuple[int, int], list[Listed]] = {}
    for batch in iterate_batches(path, kind="predictions"):
        own = [name for name in OWN_WORDS if name in batch.column_names]
        table = batch.select([*_COLUMNS, *own]).filter(pc.equal(batch.column("role"), TEST))
        places = []
        for name in ("label", "prediction"):
            found = pc.index_in(table.column(name), value_set=pa.array(classes, pa.string()))
            if found.null_count:
                raise StoreError(f"{path}: a {name} is none of {', '.join(classes)}; delete it and run again")
            places.append(found.to_numpy().astype(np.int64))
        np.add.at(counts, (places[0], places[1]), 1)
        for square, row in zip(zip(*(part.tolist() for part in places), strict=True), table.to_pylist(), strict=True):
            words = tuple((OWN_WORDS[name], str(row[name])) for name in own if row[name] is not None)
            listed.setdefault(square, []).append(
                Listed(row["utterance"], row["run"], row["fold"], tuple(row["probabilities"]), words)
            )
        listed = {
            square: sorted(found, key=lambda one: (order(one.utterance), one.utterance, one.run, one.fold))[:limit]
            for square, found in listed.items()
        }
    return Squares(
        path,
        metadata["cell"],
        condition,
        classes,
        metadata["runs"],
        Provenance.from_json(metadata["provenance"]),
        counts,
        {square: listed[square] for square in sorted(listed)},
    )


def heard(squares: Sequence[Squares], per_square: int) -> dict[str, dict[str, None]]:
    """Return the utterances to cut audio of, by corpus: of each square the first that it lists.

    Those that a square shows already for another cell are taken before others, so that few are cut.
    """
    chosen: dict[str, dict[str, None]] = {}
    for cell in squares:
        of_corpus = chosen.setdefault(cell.cell.get("corpus", ""), {})
        for found in cell.listed.values():
            names = dict.fromkeys(one.utterance for one in found)
            lacking = per_square - sum(name in of_corpus for name in names)
            of_corpus.update(dict.fromkeys([name for name in names if name not in of_corpus][: max(lacking, 0)]))
    return chosen
