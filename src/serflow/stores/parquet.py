"""Parquet artefacts that check themselves.

Every file carries one key-value entry, ``serflow``: JSON with the kind of artefact, the schema version, a
SHA-256 of the data pages, and whatever its writer adds (parameters, code fingerprint, source digests).
Snakemake never looks inside a file again once it is written, so readers do.
"""

import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serflow.errors import StoreError
from serflow.files import atomic_path, sha256_file

METADATA_KEY = b"serflow"
SCHEMA_VERSION = 1


def _data_end(path: Path) -> int:
    """Return the offset at which the footer of a Parquet file begins.

    Raises
    ------
    StoreError
        If the file does not end as a Parquet file does.
    """
    size = path.stat().st_size
    with open(path, "rb") as handle:
        if size >= 12:
            handle.seek(size - 8)
            length: int
            magic: bytes
            length, magic = struct.unpack("<I4s", handle.read(8))
            if magic == b"PAR1" and length <= size - 12:
                return size - 8 - length
    raise StoreError(
        f"{path}: not a whole Parquet file (half-written or truncated); delete it and run the same command again"
    )


def write_batches(
    path: str | os.PathLike[str],
    schema: pa.Schema,
    batches: Iterable[pa.Table],
    *,
    kind: str,
    metadata: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
    column_encoding: dict[str, str] | None = None,
    use_dictionary: bool | list[str] = True,
    compression: str = "zstd",
    write_statistics: bool | list[str] = True,
) -> int:
    """Write tables of one schema to one Parquet file, a row group each, and return the number of rows.

    Only one batch is held in memory at a time. The same rows and metadata give the same bytes.

    Parameters
    ----------
    path
        Where the file goes; it appears there whole or not at all.
    schema
        Schema of every batch.
    batches
        Tables, written in order.
    kind
        What the file is, e.g. ``"utterances"``; checked by `read_table`.
    metadata
        JSON-serialisable entries to keep in the file, or what returns them; it is called once all batches have been
        taken, and so may tell what happened while they were made.
    column_encoding, use_dictionary, compression, write_statistics
        Passed to :class:`pyarrow.parquet.ParquetWriter`.
    """
    rows = 0
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        with pq.ParquetWriter(
            handle,
            schema,
            compression=compression,
            use_dictionary=use_dictionary,
            column_encoding=column_encoding,
            write_statistics=write_statistics,
        ) as writer:
            for batch in batches:
                if batch.num_rows:
                    writer.write_table(batch, row_group_size=batch.num_rows)
                    rows += batch.num_rows
            handle.flush()
            entries = {
                **dict((metadata() if callable(metadata) else metadata) or {}),
                "kind": kind,
                "schema_version": SCHEMA_VERSION,
                "data_sha256": sha256_file(temporary),
            }
            writer.add_key_value_metadata({METADATA_KEY.decode(): json.dumps(entries, sort_keys=True)})
    return rows


def write_table(
    path: str | os.PathLike[str],
    table: pa.Table,
    *,
    kind: str,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write one table as a Parquet artefact; see `write_batches`."""
    write_batches(path, table.schema, [table], kind=kind, metadata=metadata)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what the writer of a Parquet artefact said of it.

    Raises
    ------
    StoreError
        If the file is absent, half-written or not written by serflow.
    """
    source = Path(path)
    if not source.is_file():
        raise StoreError(f"{source}: no such file; build it with `snakemake --cores 2 {source}`")
    _data_end(source)
    try:
        entries = pq.read_metadata(source).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{source}: not a readable Parquet file ({error}); delete it and run again") from error
    if METADATA_KEY not in entries:
        raise StoreError(f"{source}: not written by serflow (no {METADATA_KEY.decode()!r} entry in its metadata)")
    found: dict[str, Any] = json.loads(entries[METADATA_KEY])
    return found


def check(
    path: str | os.PathLike[str],
    kind: str | None = None,
    expect: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Check kind, schema version, expected entries and the digest of the data; return the metadata.

    Raises
    ------
    StoreError
        On the first mismatch, in one sentence.
    """
    source = Path(path)
    found = read_metadata(source)
    wanted: dict[str, Any] = {"schema_version": SCHEMA_VERSION, **dict(expect or {})}
    if kind is not None:
        wanted["kind"] = kind
    for key, value in wanted.items():
        if found.get(key) != value:
            raise StoreError(
                f"{source}: {key} is {found.get(key)!r} where {value!r} was asked for; "
                "delete it and run the same command again"
            )
    if sha256_file(source, end=_data_end(source)) != found.get("data_sha256"):
        raise StoreError(
            f"{source}: the data do not match their SHA-256 (damaged or changed by hand); "
            "delete it and run the same command again"
        )
    return found


def read_table(
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    expect: Mapping[str, Any] | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Check a Parquet artefact (see `check`) and read it.

    Raises
    ------
    StoreError
        If the file is absent, damaged, or not what was asked for.
    """
    check(path, kind, expect)
    try:
        # pq.read_table would import pandas, half a second in each of hundreds of jobs
        with pq.ParquetFile(path) as source:
            table = source.read(columns=list(columns) if columns is not None else None, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); delete it and run again") from error
    if columns is not None and (missing := sorted(set(columns) - set(table.column_names))):
        raise StoreError(f"{path}: has no column {missing[0]!r}; delete it and run again")
    return table


def iterate_batches(
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    expect: Mapping[str, Any] | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.Table]:
    """Check a Parquet artefact (see `check`) and yield it row group by row group.

    Raises
    ------
    StoreError
        If the file is absent, damaged, or not what was asked for.
    """
    check(path, kind, expect)
    with pq.ParquetFile(path) as source:
        for group in range(source.num_row_groups):
            yield source.read_row_group(
                group, columns=list(columns) if columns is not None else None, use_threads=False
            )
