"""Parquet artefacts that check themselves.

Every file carries one key-value entry, ``serflow``: JSON with the kind of artefact, the schema version, a SHA-256 of
the data pages, and whatever its writer adds (parameters, code fingerprint, source digests). The footer, in which it
stands with the schema and the places of the pages, has a SHA-256 of its own (`serflow.files.seal`), so that every bit
of a file is under one of the two. Pages have the format's CRC-32 besides, for readers of single columns.
Snakemake never looks inside a file again once it is written, so readers do.
"""

import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serflow.errors import StoreError
from serflow.files import FOOTER_SEAL, ZEROS, atomic_path, is_sealed, seal, sha256_file

METADATA_KEY = b"serflow"
SCHEMA_VERSION = 1
_MAX_FOOTER = 256 << 20


def _footer(path: Path) -> tuple[int, bytes]:
    """Return where the footer of a Parquet file begins, and the footer.

    Raises
    ------
    StoreError
        If the file does not end as a Parquet file does, or cannot be read.
    """
    try:
        with open(path, "rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            if size >= 12:
                handle.seek(size - 8)
                length: int
                magic: bytes
                length, magic = struct.unpack("<I4s", handle.read(8))
                start = size - 8 - length
                if magic == b"PAR1" and start >= 4 and length <= _MAX_FOOTER:
                    handle.seek(start)
                    return start, handle.read()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
    raise StoreError(
        f"{path}: not a whole Parquet file (half-written or truncated); delete it and run the same command again"
    )


def _seal_footer(path: Path) -> None:
    start, footer = _footer(path)
    with open(path, "rb+") as handle:
        handle.seek(start)
        handle.write(seal(footer))


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
    with atomic_path(path) as temporary:
        with (
            open(temporary, "wb") as handle,
            pq.ParquetWriter(
                handle,
                schema,
                compression=compression,
                use_dictionary=use_dictionary,
                column_encoding=column_encoding,
                write_page_checksum=True,
                write_statistics=write_statistics,
            ) as writer,
        ):
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
                FOOTER_SEAL: ZEROS.decode(),
            }
            writer.add_key_value_metadata({METADATA_KEY.decode(): json.dumps(entries, sort_keys=True)})
        _seal_footer(temporary)
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


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise what pyarrow and the operating system say of a file as one sentence."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"{path}: cannot be read ({said}); delete it and run the same command again") from error


def read_footer(path: Path) -> pq.FileMetaData:
    """Compare the footer of a file with its SHA-256 and return it parsed.

    Raises
    ------
    StoreError
        If the file is absent, half-written, not written by serflow, or its footer damaged.
    """
    if not path.is_file():
        raise StoreError(f"{path}: no such file; build it with `snakemake --cores 2 {path}`")
    _, footer = _footer(path)
    sealed = is_sealed(footer)
    with readable(path):
        parsed = pq.read_metadata(path)
    if METADATA_KEY not in (parsed.metadata or {}):
        raise StoreError(f"{path}: not written by serflow (no {METADATA_KEY.decode()!r} entry in its metadata)")
    if not sealed:
        raise StoreError(
            f"{path}: the metadata do not match their SHA-256 (damaged or changed by hand); "
            "delete it and run the same command again"
        )
    return parsed


def is_foreign(path: str | os.PathLike[str]) -> bool:
    """Say whether a Parquet file is none that serflow wrote: of ours, whose entry was lost, the digest is still there.

    Raises
    ------
    StoreError
        If it is no Parquet file, or cannot be read.
    """
    source = Path(path)
    _, footer = _footer(source)
    with readable(source):
        parsed = pq.read_metadata(source)
    return METADATA_KEY not in (parsed.metadata or {}) and FOOTER_SEAL.encode() not in footer


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what the writer of a Parquet artefact said of it; the data are not read.

    Raises
    ------
    StoreError
        If the file is absent, half-written, not written by serflow, or its metadata are damaged.
    """
    found: dict[str, Any] = json.loads(read_footer(Path(path)).metadata[METADATA_KEY])
    del found[FOOTER_SEAL]
    return found


def count_rows(path: str | os.PathLike[str]) -> int:
    """Return how many rows a Parquet artefact has; the data are not read.

    Raises
    ------
    StoreError
        As `read_metadata`.
    """
    return int(read_footer(Path(path)).num_rows)


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
    start, _ = _footer(source)
    with readable(source):
        digest = sha256_file(source, end=start)
    if digest != found["data_sha256"]:
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
    # pq.read_table would import pandas, half a second in each of hundreds of jobs
    with readable(Path(path)), pq.ParquetFile(path) as source:
        table = source.read(columns=list(columns) if columns is not None else None, use_threads=False)
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
    yield from read_groups(path, columns=columns)


def read_groups(
    path: str | os.PathLike[str],
    first: int = 0,
    last: int | None = None,
    *,
    columns: Sequence[str] | None = None,
    footer: pq.FileMetaData | None = None,
) -> Iterator[pa.Table]:
    """Yield row groups from ``first`` to before ``last`` (the end if None), checking no more than the pages read.

    What reads a file many times gives its ``footer`` of `read_footer`, which then is not read and checked each time.

    Raises
    ------
    StoreError
        If the file is absent, or a page does not match its CRC-32.
    """
    footer = footer or read_footer(Path(path))
    with readable(Path(path)):
        source = pq.ParquetFile(path, metadata=footer, page_checksum_verification=True)
    with source:
        for group in range(first, footer.num_row_groups if last is None else last):
            with readable(Path(path)):
                table = source.read_row_group(
                    group, columns=list(columns) if columns is not None else None, use_threads=False
                )
            yield table
