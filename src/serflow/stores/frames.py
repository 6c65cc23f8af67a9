"""Frame features as Parquet (one row an utterance), and packed for training (one array and offsets)."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from serflow.errors import StoreError
from serflow.files import atomic_path, sha256_file
from serflow.stores.parquet import check, iterate_batches, read_metadata, read_table, write_batches, write_table

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
ROW_GROUP = 64

FloatArray = npt.NDArray[np.float32]


class FrameRow(NamedTuple):
    """An utterance's frames: ``frames`` is ``(n_frames, dim)`` float32."""

    utterance: str
    frames: FloatArray


def _batches(rows: Iterable[FrameRow], dim: int, where: Path) -> Iterator[pa.Table]:
    group: list[FrameRow] = []

    def table() -> pa.Table:
        offsets = np.zeros(len(group) + 1, dtype=np.int32)
        np.cumsum([row.frames.size for row in group], out=offsets[1:])
        values = np.concatenate([row.frames.ravel() for row in group])
        return pa.table(
            [
                pa.array([row.utterance for row in group], pa.string()),
                pa.array([len(row.frames) for row in group], pa.int32()),
                pa.array([dim] * len(group), pa.int32()),
                pa.ListArray.from_arrays(pa.array(offsets), pa.array(values)),
            ],
            schema=FRAMES_SCHEMA,
        )

    for row in rows:
        if row.frames.ndim != 2 or row.frames.shape[1] != dim or row.frames.dtype != np.float32:
            raise StoreError(
                f"{where}: frames of {row.utterance} are {row.frames.dtype} {row.frames.shape}, "
                f"not float32 (n_frames, {dim})"
            )
        if not np.isfinite(row.frames).all():
            raise StoreError(f"{where}: frames of {row.utterance} hold NaN or infinity")
        group.append(row)
        if len(group) == ROW_GROUP:
            yield table()
            group = []
    if group:
        yield table()


def write_frames(
    path: str | os.PathLike[str],
    rows: Iterable[FrameRow],
    dim: int,
    metadata: Mapping[str, Any],
) -> int:
    """Write frame features, row groups of 64 utterances, and return the number of utterances.

    Raises
    ------
    StoreError
        If frames are not finite float32 of ``dim`` columns.
    """
    return write_batches(
        path,
        FRAMES_SCHEMA,
        _batches(rows, dim, Path(path)),
        kind=FRAMES_KIND,
        metadata={**metadata, "dim": dim},
        use_dictionary=["utterance"],
        column_encoding={"frames.list.element": "BYTE_STREAM_SPLIT"},
    )


def iterate_frames(path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> Iterator[FrameRow]:
    """Yield the utterances of a frame store in order, reading 64 at a time.

    Raises
    ------
    StoreError
        If the file is damaged or its metadata differ from ``expect``.
    """
    for table in iterate_batches(path, kind=FRAMES_KIND, expect=expect):
        names = table.column("utterance").to_pylist()
        dims = table.column("dim").to_numpy()
        lists = table.column("frames").combine_chunks()
        values = lists.values.to_numpy()
        offsets = lists.offsets.to_numpy()
        for i, name in enumerate(names):
            yield FrameRow(name, values[offsets[i] : offsets[i + 1]].reshape(-1, dims[i]))


def pack_frames(
    shards: Sequence[str | os.PathLike[str]],
    array_path: str | os.PathLike[str],
    index_path: str | os.PathLike[str],
) -> None:
    """Pack the shards of a store into one ``.npy`` of ``(total_frames, dim)`` and an index of offsets.

    Memory stays at one row group. The index keeps the array's digest and the shards' metadata.

    Raises
    ------
    StoreError
        If a shard is damaged or the shards were not made alike.
    """
    if not shards:
        raise StoreError(f"{array_path}: a store without shards cannot be packed")
    described = [read_metadata(shard) for shard in shards]
    shared = {k: v for k, v in described[0].items() if k not in ("data_sha256", "shard", "sources")}
    for shard, other in zip(shards, described, strict=True):
        differing = [k for k, v in shared.items() if other.get(k) != v]
        if differing:
            raise StoreError(f"{shard}: made with another {differing[0]} than {shards[0]}; delete both and run again")
    dim = int(shared["dim"])
    names: list[str] = []
    lengths: list[int] = []
    with atomic_path(array_path) as temporary:
        total = sum(
            int(np.sum(batch.column("n_frames").to_numpy()))
            for shard in shards
            for batch in iterate_batches(shard, kind=FRAMES_KIND, columns=["n_frames"])
        )
        with open(temporary, "wb") as handle:
            header = {"descr": "<f4", "fortran_order": False, "shape": (total, dim)}
            np.lib.format.write_array_header_1_0(handle, header)
            for shard in shards:
                for row in iterate_frames(shard):
                    handle.write(np.ascontiguousarray(row.frames, dtype="<f4").data)
                    names.append(row.utterance)
                    lengths.append(len(row.frames))
        digest = sha256_file(temporary)
    offsets = np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.int64)
    index = pa.table({"utterance": names, "offset": offsets, "n_frames": np.asarray(lengths, dtype=np.int64)})
    write_table(
        index_path,
        index,
        kind=PACKED_KIND,
        metadata={
            **{k: v for k, v in shared.items() if k not in ("kind", "schema_version")},
            "array": Path(array_path).name,
            "array_sha256": digest,
            "shards": [entry["data_sha256"] for entry in described],
        },
    )


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

    def __getitem__(self, row: int) -> FloatArray:
        start = self.offsets[row]
        return self.array[start : start + self.lengths[row]]
