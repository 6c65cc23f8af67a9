"""Fingerprints of a corpus: Parquet, one row an utterance; and its near-identical utterances: CSV, one row a pair."""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from serflow.audit.fingerprint import Landmarks, parameters
from serflow.audit.near import Near
from serflow.files import check_digest, write_csv
from serflow.stores.groups import grouped
from serflow.stores.parquet import check, read_footer, read_groups, write_batches

FINGERPRINTS_KIND = "fingerprints"
FINGERPRINTS_SCHEMA = pa.schema(
    [("utterance", pa.string()), ("codes", pa.list_(pa.int32())), ("frames", pa.list_(pa.int32()))]
)
NEAR_COLUMNS = ("utterance", "other", "landmarks", "percent", "offset_s")
ROW_GROUP = 512


class StoredLandmarks:
    """The landmarks of the utterances of a corpus, read from their file, a row group at a time, as often as asked for.

    Pages are compared with their CRC-32 each time.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._footer = read_footer(Path(path))

    def __len__(self) -> int:
        return int(self._footer.num_rows)

    def __iter__(self) -> Iterator[Landmarks]:
        for table in read_groups(self._path, columns=["codes", "frames"], footer=self._footer):
            codes, frames = (table.column(name).combine_chunks() for name in ("codes", "frames"))
            offsets = codes.offsets.to_numpy()
            values = [column.values.to_numpy() for column in (codes, frames)]
            for start, end in pairwise(offsets.tolist()):
                yield Landmarks(*(of_all[start:end] for of_all in values))


class Prints(NamedTuple):
    """The fingerprints of a corpus; landmarks stay in their file."""

    utterances: list[str]
    landmarks: StoredLandmarks
    metadata: dict[str, Any]


def write_prints(
    path: str | os.PathLike[str], rows: Iterable[tuple[str, Landmarks]], metadata: Mapping[str, Any]
) -> int:
    """Write the fingerprints of utterances, and return how many there are."""
    said = {**metadata, "parameters": parameters()}
    tables = map(_table, grouped(rows, ROW_GROUP))
    return write_batches(path, FINGERPRINTS_SCHEMA, tables, kind=FINGERPRINTS_KIND, metadata=said)


def _table(group: Sequence[tuple[str, Landmarks]]) -> pa.Table:
    names, found = zip(*group, strict=True)
    columns = [names, [each.codes for each in found], [each.frames for each in found]]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, FINGERPRINTS_SCHEMA, strict=True)]
    return pa.table(arrays, schema=FINGERPRINTS_SCHEMA)


def read_prints(path: str | os.PathLike[str]) -> Prints:
    """Check the fingerprints of a corpus, and read whose they are.

    Raises
    ------
    StoreError
        If the file is damaged, or fingerprints were made in another way than they are now.
    """
    metadata = check(path, FINGERPRINTS_KIND, {"parameters": parameters()})
    names = (table.column("utterance").to_pylist() for table in read_groups(path, columns=["utterance"]))
    return Prints([name for of_group in names for name in of_group], StoredLandmarks(path), metadata)


def write_near(path: str | os.PathLike[str], utterances: Sequence[str], pairs: Iterable[Near]) -> None:
    """Write near-identical utterances, a row a pair."""
    write_csv(
        path,
        NEAR_COLUMNS,
        (
            [utterances[pair.first], utterances[pair.second], pair.votes, *(f"{value:.2f}" for value in numbers)]
            for pair in pairs
            for numbers in [(100 * pair.share, pair.offset_s)]
        ),
    )


def read_near(path: Path) -> list[tuple[str, str]]:
    """Read the pairs of a corpus.

    Raises
    ------
    StoreError
        If the file is damaged.
    """
    check_digest(path)
    with open(path, encoding="utf-8", newline="") as handle:
        return [(row["utterance"], row["other"]) for row in csv.DictReader(handle)]
