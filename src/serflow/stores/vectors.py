"""Vector features as Parquet: one row an utterance, ``dim`` values each."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from serflow.errors import StoreError
from serflow.stores._rows import FrameRow, Metadata, check_row, joined, row_groups, with_store_entries
from serflow.stores.parquet import iterate_batches, write_batches

VECTORS_KIND = "vectors"
VECTOR_ROW_GROUP = 1024


def vectors_schema(dim: int) -> pa.Schema:
    """Return the columns of a store of vectors of ``dim`` values."""
    return pa.schema([("utterance", pa.string()), ("vector", pa.list_(pa.float32(), dim))])


def _batches(rows: Iterable[FrameRow], dim: int, where: Path, mantissa_bits: int | None) -> Iterator[pa.Table]:
    def checked() -> Iterator[FrameRow]:
        for utterance, vector in rows:
            row = FrameRow(utterance, vector[np.newaxis] if vector.ndim == 1 else vector)
            check_row(row, dim, where, "values")
            if len(row.frames) != 1:
                raise StoreError(f"{where}: {utterance} has {len(row.frames)} vectors, not one; write it as frames")
            yield row

    def table(group: list[FrameRow]) -> pa.Table:
        return pa.table(
            [
                pa.array([row.utterance for row in group], pa.string()),
                pa.FixedSizeListArray.from_arrays(pa.array(joined(group, mantissa_bits)), dim),
            ],
            schema=vectors_schema(dim),
        )

    # by `map`, which does not hold a group while the next one is made
    return map(table, row_groups(checked(), VECTOR_ROW_GROUP))


def write_vectors(
    path: str | os.PathLike[str],
    rows: Iterable[FrameRow],
    dim: int,
    metadata: Metadata,
    mantissa_bits: int | None = None,
) -> int:
    """Write vector features and return the number of utterances.

    Parameters
    ----------
    path
        Where the file goes; it appears there whole or not at all.
    rows
        Utterance and its vector, ``(1, dim)`` or ``(dim,)`` float32.
    dim
        Number of values of a vector.
    metadata
        Entries to keep in the file, or what returns them once all rows have been taken.
    mantissa_bits
        Round values to so many bits of mantissa (1 to 23); None keeps them as they are.

    Raises
    ------
    StoreError
        If a vector is not finite float32 of ``dim`` values.
    """
    return write_batches(
        path,
        vectors_schema(dim),
        _batches(rows, dim, Path(path), mantissa_bits),
        kind=VECTORS_KIND,
        metadata=with_store_entries(metadata, dim, mantissa_bits),
        use_dictionary=["utterance"],
        column_encoding={"vector.list.element": "BYTE_STREAM_SPLIT"},
    )


def vector_rows(table: pa.Table) -> Iterator[FrameRow]:
    """Yield the utterances of a row group; ``frames`` is ``(1, dim)``, a view of the table's memory."""
    column = table.column("vector").combine_chunks()
    values = column.flatten().to_numpy().reshape(len(column), 1, column.type.list_size)
    for name, vector in zip(table.column("utterance").to_pylist(), values, strict=True):
        yield FrameRow(name, vector)


def iterate_vectors(path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> Iterator[FrameRow]:
    """Yield the utterances of a vector store in order, reading up to 1,024 at a time; ``frames`` is ``(1, dim)``.

    Raises
    ------
    StoreError
        If the file is damaged or its metadata differ from ``expect``.
    """
    for table in iterate_batches(path, kind=VECTORS_KIND, expect=expect):
        yield from vector_rows(table)
