"""Frame features as Parquet (one row an utterance), and packed for training (one array and offsets)."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from serflow.errors import StoreError
from serflow.files import atomic_path, sha256_file
from serflow.stores._rows import FloatArray, FrameRow, Metadata, check_row, joined, row_groups, with_store_entries
from serflow.stores.parquet import check, iterate_batches, read_metadata, read_table, write_batches, write_table
from serflow.stores.vectors import VECTORS_KIND, iterate_vectors

__all__ = [
    "FRAMES_KIND",
    "FRAMES_SCHEMA",
    "PACKED_KIND",
    "PACKED_SCHEMA",
    "ROW_GROUP",
    "FloatArray",
    "FrameRow",
    "FrameSource",
    "PackedFrames",
    "frame_rows",
    "iterate_frames",
    "pack_frames",
    "shared_metadata",
    "write_frames",
]

FRAMES_KIND = "frames"
PACKED_KIND = "packed_frames"
FRAMES_SCHEMA = pa.schema(
    [
        ("utterance", pa.string()),
        ("n_frames", pa.int32()),
        ("dim", pa.int32()),
        ("frames", pa.list_(pa.float32())),
    ]
)
PACKED_SCHEMA = pa.schema([("utterance", pa.string()), ("offset", pa.int64()), ("n_frames", pa.int64())])
"""Where the frames of an utterance lie in the array; ``offset`` counts frames."""
ROW_GROUP = 8
"""Utterances of a row group: who asks for one reads no more; with 64, nothing else is faster or smaller."""

_SHARDS_OF_SOURCES = ("audio", "transcripts")
_PER_SHARD = ("data_sha256", "shard", "sources", "rejected")


def _batches(rows: Iterable[FrameRow], dim: int, where: Path, mantissa_bits: int | None) -> Iterator[pa.Table]:
    def checked() -> Iterator[FrameRow]:
        for row in rows:
            check_row(row, dim, where, "frames")
            yield row

    def table(group: list[FrameRow]) -> pa.Table:
        offsets = np.zeros(len(group) + 1, dtype=np.int32)
        np.cumsum([row.frames.size for row in group], out=offsets[1:])
        return pa.table(
            [
                pa.array([row.utterance for row in group], pa.string()),
                pa.array([len(row.frames) for row in group], pa.int32()),
                pa.array([dim] * len(group), pa.int32()),
                pa.ListArray.from_arrays(pa.array(offsets), pa.array(joined(group, mantissa_bits))),
            ],
            schema=FRAMES_SCHEMA,
        )

    # by `map`, which does not hold a group while the next one is made
    return map(table, row_groups(checked(), ROW_GROUP))


def write_frames(
    path: str | os.PathLike[str],
    rows: Iterable[FrameRow],
    dim: int,
    metadata: Metadata,
    mantissa_bits: int | None = None,
) -> int:
    """Write frame features, row groups of up to 8 utterances or 16 MiB, and return the number of utterances.

    Parameters
    ----------
    path
        Where the file goes; it appears there whole or not at all.
    rows
        Utterance and its frames, ``(n_frames, dim)`` float32.
    dim
        Number of columns.
    metadata
        Entries to keep in the file, or what returns them once all rows have been taken.
    mantissa_bits
        Round values to so many bits of mantissa (1 to 23); None keeps them as they are.

    Raises
    ------
    StoreError
        If frames are not finite float32 of ``dim`` columns.
    """
    return write_batches(
        path,
        FRAMES_SCHEMA,
        _batches(rows, dim, Path(path), mantissa_bits),
        kind=FRAMES_KIND,
        metadata=with_store_entries(metadata, dim, mantissa_bits),
        use_dictionary=["utterance"],
        column_encoding={"frames.list.element": "BYTE_STREAM_SPLIT"},
    )


def frame_rows(table: pa.Table) -> Iterator[FrameRow]:
    """Yield the utterances of a row group; ``frames`` are views of the table's memory."""
    names = table.column("utterance").to_pylist()
    dims = table.column("dim").to_numpy()
    lists = table.column("frames").combine_chunks()
    values = lists.values.to_numpy()
    offsets = lists.offsets.to_numpy()
    for i, name in enumerate(names):
        yield FrameRow(name, values[offsets[i] : offsets[i + 1]].reshape(-1, dims[i]))


def iterate_frames(path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> Iterator[FrameRow]:
    """Yield the utterances of a frame store in order, one row group in memory at a time.

    Raises
    ------
    StoreError
        If the file is damaged or its metadata differ from ``expect``.
    """
    for table in iterate_batches(path, kind=FRAMES_KIND, expect=expect):
        yield from frame_rows(table)


def _comparable(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what shards of one store have in common: parameters, code, weights, noise; not audio or transcripts."""
    sources = {
        f"source {key}": value
        for key, value in (metadata.get("sources") or {}).items()
        if key not in _SHARDS_OF_SOURCES
    }
    return {**{key: value for key, value in metadata.items() if key not in _PER_SHARD}, **sources}


def shared_metadata(shards: Sequence[str | os.PathLike[str]], described: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the metadata of a store's shards say alike, and ``rejected`` of all of them.

    Parameters
    ----------
    shards
        The files, at least one.
    described
        Their metadata.

    Raises
    ------
    StoreError
        If the shards were not made alike, or one is given twice.
    """
    first = _comparable(described[0])
    rejected: dict[str, str] = {}
    numbers: dict[str, Any] = {}
    for shard, metadata in zip(shards, described, strict=True):
        other = _comparable(metadata)
        differing = sorted(key for key in first.keys() | other.keys() if first.get(key) != other.get(key))
        if differing:
            raise StoreError(f"{shard}: made with another {differing[0]} than {shards[0]}; delete both and run again")
        if "shard" in metadata:
            twin = numbers.setdefault(metadata["shard"], shard)
            if twin is not shard:
                raise StoreError(f"{shard}: is shard {metadata['shard']}, and so is {twin}; delete both and run again")
        rejected.update(metadata.get("rejected") or {})
    shared = {key: value for key, value in described[0].items() if key not in _PER_SHARD}
    return {**shared, "rejected": rejected}


def _n_rows(shard: str | os.PathLike[str], kind: str) -> int:
    """Count the frames of a shard without reading them."""
    if kind == VECTORS_KIND:
        return sum(batch.num_rows for batch in iterate_batches(shard, kind=kind, columns=["utterance"]))
    batches = iterate_batches(shard, kind=kind, columns=["n_frames"])
    return sum(int(np.sum(batch.column("n_frames").to_numpy())) for batch in batches)


def pack_frames(
    shards: Sequence[str | os.PathLike[str]],
    array_path: str | os.PathLike[str],
    index_path: str | os.PathLike[str],
) -> None:
    """Pack the shards of a store into one ``.npy`` of ``(total_frames, dim)`` and an index of offsets.

    Vectors are packed as utterances of one frame. Memory stays at one row group. The index keeps the array's digest
    and the shards' metadata.

    Raises
    ------
    StoreError
        If a shard is damaged or missing, or the shards were not made alike.
    """
    if not shards:
        raise StoreError(f"{array_path}: a store without shards cannot be packed")
    described = [read_metadata(shard) for shard in shards]
    shared = shared_metadata(shards, described)
    kind = shared["kind"]
    if kind not in (FRAMES_KIND, VECTORS_KIND):
        raise StoreError(f"{shards[0]}: holds {kind}, not frames or vectors; give shards of results/features")
    if shared.get("n_shards", len(shards)) != len(shards):
        raise StoreError(
            f"{array_path}: {len(shards)} shards given of a store of {shared['n_shards']}; give all of them"
        )
    iterate = iterate_frames if kind == FRAMES_KIND else iterate_vectors
    dim = int(shared["dim"])
    names: list[str] = []
    lengths: list[int] = []
    with atomic_path(array_path) as temporary:
        total = sum(_n_rows(shard, kind) for shard in shards)
        with open(temporary, "wb") as handle:
            header = {"descr": "<f4", "fortran_order": False, "shape": (total, dim)}
            np.lib.format.write_array_header_1_0(handle, header)
            for shard in shards:
                for row in iterate(shard):
                    handle.write(np.ascontiguousarray(row.frames, dtype="<f4").data)
                    names.append(row.utterance)
                    lengths.append(len(row.frames))
        digest = sha256_file(temporary)
    offsets = np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.int64)
    index = pa.table([names, offsets, np.asarray(lengths, dtype=np.int64)], schema=PACKED_SCHEMA)
    write_table(
        index_path,
        index,
        kind=PACKED_KIND,
        metadata={
            **{k: v for k, v in shared.items() if k not in ("kind", "schema_version")},
            "packs": kind,
            "array": Path(array_path).name,
            "array_sha256": digest,
            "shards": [entry["data_sha256"] for entry in described],
        },
    )


class FrameSource(Protocol):
    """Frames of utterances by their rows; what statistics and batches are made from."""

    @property
    def lengths(self) -> npt.NDArray[np.integer]:
        """Frames of each utterance, ``(n,)``."""

    @property
    def dim(self) -> int:
        """Values of a frame."""

    def __getitem__(self, row: int) -> FloatArray:
        """Return the frames of an utterance, ``(n_frames, dim)``."""


class PackedFrames:
    """Packed frame features, memory-mapped: ``frames[i]`` is ``(n_frames, dim)`` of the i-th utterance."""

    def __init__(
        self,
        array: FloatArray,
        utterances: list[str],
        offsets: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        metadata: dict[str, Any],
    ) -> None:
        self.array = array
        self.utterances = utterances
        self.offsets = offsets
        self.lengths = lengths
        self.metadata = metadata
        self.row_of = {name: row for row, name in enumerate(utterances)}

    @classmethod
    def open(cls, index_path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> Self:
        """Open by the index file; the array lies beside it.

        Raises
        ------
        StoreError
            If either file is absent, damaged, or not what was asked for.
        """
        table = read_table(index_path, kind=PACKED_KIND, expect=expect)
        metadata = check(index_path)
        array_path = Path(index_path).with_name(metadata["array"])
        if not array_path.is_file():
            raise StoreError(f"{array_path}: missing beside {index_path}; delete the index and run again")
        if sha256_file(array_path) != metadata["array_sha256"]:
            raise StoreError(f"{array_path}: does not match the SHA-256 in {index_path}; delete both and run again")
        return cls(
            np.load(array_path, mmap_mode="r", allow_pickle=False),
            table.column("utterance").to_pylist(),
            table.column("offset").to_numpy(),
            table.column("n_frames").to_numpy(),
            metadata,
        )

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def dim(self) -> int:
        """Values of a frame."""
        return int(self.array.shape[1])

    def __getitem__(self, row: int) -> FloatArray:
        start = self.offsets[row]
        return self.array[start : start + self.lengths[row]]
