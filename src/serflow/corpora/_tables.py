"""Listings and utterance tables as Parquet, and what was left out as CSV."""

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from serflow.corpora.base import Rejected, Utterance
from serflow.errors import StoreError
from serflow.files import check_digest, write_csv
from serflow.stores.parquet import check, read_table, write_table

LISTING_KIND = "listing"
UTTERANCES_KIND = "utterances"

_TYPES = {
    "start": pa.float64(),
    "end": pa.float64(),
    "turn": pa.int32(),
    "valence": pa.float64(),
    "activation": pa.float64(),
    "dominance": pa.float64(),
    "sentiment": pa.float64(),
    "valence_ratings": pa.list_(pa.float64()),
}
_REQUIRED = ("id", "path", "speaker", "language")
# in tables an utterance is called as in all other artefacts
_COLUMNS = {field.name: "utterance" if field.name == "id" else field.name for field in fields(Utterance)}

LISTING_SCHEMA = pa.schema(
    [
        pa.field(column, _TYPES.get(name, pa.string()), nullable=name not in _REQUIRED)
        for name, column in _COLUMNS.items()
    ]
)
UTTERANCES_SCHEMA = pa.schema(
    [
        *LISTING_SCHEMA,
        pa.field("duration_s", pa.float64(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("duplicate_of", pa.string()),
    ]
)

REJECTED_COLUMNS = [field.name for field in fields(Rejected)]


def listing_table(utterances: Sequence[Utterance]) -> pa.Table:
    """Return utterances in their order; columns are the fields of `Utterance`, its ``id`` under ``utterance``."""
    columns = [
        pa.array([getattr(utterance, name) for utterance in utterances], LISTING_SCHEMA.field(column).type)
        for name, column in _COLUMNS.items()
    ]
    return pa.Table.from_arrays(columns, schema=LISTING_SCHEMA)


def write_listing(path: str | os.PathLike[str], utterances: Sequence[Utterance], metadata: Mapping[str, Any]) -> None:
    """Write utterances as `listing_table` has them."""
    write_table(path, listing_table(utterances), kind=LISTING_KIND, metadata=metadata)


def read_listing(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> pa.Table:
    """Read a listing, or some of its columns, in listing order.

    Raises
    ------
    StoreError
        If the file is absent, damaged, or not a listing.
    """
    return read_table(path, kind=LISTING_KIND, columns=columns)


def read_listing_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return corpus, layout, title, synthetic and warnings of a listing.

    Raises
    ------
    StoreError
        If the file is absent, damaged, or not a listing.
    """
    return check(path, kind=LISTING_KIND)


def write_utterances(path: str | os.PathLike[str], table: pa.Table, metadata: Mapping[str, Any]) -> None:
    """Write the utterances whose audio was accepted; the columns are those of `UTTERANCES_SCHEMA`."""
    write_table(path, table.cast(UTTERANCES_SCHEMA), kind=UTTERANCES_KIND, metadata=metadata)


def read_utterances(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> pa.Table:
    """Read an utterance table, or some of its columns, in listing order.

    Raises
    ------
    StoreError
        If the file is absent, damaged, or not an utterance table.
    """
    return read_table(path, kind=UTTERANCES_KIND, columns=columns)


def write_rejected(path: str | os.PathLike[str], rejected: Iterable[Rejected]) -> None:
    """Write what was left out and why, a line each."""
    write_csv(path, REJECTED_COLUMNS, (astuple(entry) for entry in rejected))


def read_rejected(path: str | os.PathLike[str]) -> list[Rejected]:
    """Read what was left out and why.

    Raises
    ------
    StoreError
        If the file is absent or is no such list.
    """
    check_digest(path)
    try:
        with open(Path(path), encoding="utf-8", newline="") as handle:
            rows = list(csv.reader(handle))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StoreError(f"{path}: cannot be read ({error}); delete it and run again") from error
    if not rows or rows[0] != REJECTED_COLUMNS or any(len(row) != len(REJECTED_COLUMNS) for row in rows):
        raise StoreError(f"{path}: not a list of {','.join(REJECTED_COLUMNS)}; delete it and run again")
    return [
        Rejected(utterance, file, reason, lost == "True", absent == "True")
        for utterance, file, reason, lost, absent in rows[1:]
    ]
