"""Transcripts as Parquet, a row an utterance."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from serflow.errors import StoreError
from serflow.stores.parquet import iterate_batches, read_metadata, write_batches

TRANSCRIPTS_KIND = "transcripts"
TRANSCRIPTS_SCHEMA = pa.schema(
    [
        pa.field("utterance", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        ("confidence", pa.float64()),
        ("reference", pa.string()),
        ("wer", pa.float64()),
        ("cer", pa.float64()),
        pa.field("duration_s", pa.float64(), nullable=False),
    ]
)


class TranscriptRow(NamedTuple):
    """What was understood of an utterance, and what was said as far as the corpus tells.

    ``text`` and ``reference`` are as `serflow.transcripts.words.normalise` leaves them. ``confidence`` is in the
    recogniser's own units, which the file's metadata name; None where the reference was taken and nothing was
    recognised. ``wer`` and ``cer`` (edits a word or character) are None where there is no reference.
    """

    utterance: str
    text: str
    confidence: float | None
    reference: str | None
    wer: float | None
    cer: float | None
    duration_s: float


def write_transcripts(
    path: str | os.PathLike[str],
    groups: Iterable[Sequence[TranscriptRow]],
    metadata: Callable[[], Mapping[str, Any]],
) -> int:
    """Write transcripts, a row group for each of ``groups``, and return the number of utterances.

    Only one group is held in memory at a time. ``metadata`` is called once all have been taken.
    """
    tables = (pa.Table.from_pylist([row._asdict() for row in group], schema=TRANSCRIPTS_SCHEMA) for group in groups)
    return write_batches(path, TRANSCRIPTS_SCHEMA, tables, kind=TRANSCRIPTS_KIND, metadata=metadata)


def iterate_transcripts(
    path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None
) -> Iterator[TranscriptRow]:
    """Yield the utterances of a shard in order, one row group in memory at a time.

    Raises
    ------
    StoreError
        If the file is damaged or its metadata differ from ``expect``.
    """
    for table in iterate_batches(path, kind=TRANSCRIPTS_KIND, expect=expect):
        for row in table.to_pylist():
            yield TranscriptRow(**row)


def transcript_stores(shards: Iterable[Path]) -> dict[tuple[str, str], list[Path]]:
    """Return the shards of each corpus and condition in their order; all must be of one recogniser.

    Parameters
    ----------
    shards
        Files of transcripts, in any order.

    Raises
    ------
    StoreError
        If a file is of another kind or recogniser, a shard is missing or is given twice.
    """
    stores: dict[tuple[str, str], dict[Any, Path]] = {}
    first: tuple[Path, dict[str, Any]] | None = None
    counts: dict[tuple[str, str], int] = {}
    for path in shards:
        found = read_metadata(path)
        if found["kind"] != TRANSCRIPTS_KIND:
            raise StoreError(f"{path}: holds {found['kind']}, not transcripts; give shards of results/transcripts")
        if first is None:
            first = path, found
        if found["recogniser"] != first[1]["recogniser"]:
            raise StoreError(
                f"{path}: made by {found['recogniser']}, and {first[0]} by {first[1]['recogniser']}; "
                "give the shards of one recogniser"
            )
        key = found["corpus"], found["condition"]
        counts[key] = found["n_shards"]
        twin = stores.setdefault(key, {}).setdefault(found["shard"], path)
        if twin is not path:
            raise StoreError(f"{path}: is shard {found['shard']}, and so is {twin}; delete both and run again")
    for (corpus, condition), held in stores.items():
        if len(held) != counts[corpus, condition]:
            raise StoreError(
                f"transcripts of {corpus}, {condition}: {len(held)} shards given of {counts[corpus, condition]}; "
                "give all of them"
            )
    return {key: [held[shard] for shard in sorted(held)] for key, held in stores.items()}
