"""Prepared audio packed for training: all of a corpus as one memory-mapped 16-bit array, and where utterances lie."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from serflow.errors import StoreError
from serflow.files import atomic_path, sha256_file
from serflow.stores.frames import shared_metadata
from serflow.stores.parquet import check, iterate_batches, read_metadata, read_table, write_table

WAVEFORMS_KIND = "packed_audio"
WAVEFORMS_SCHEMA = pa.schema([("utterance", pa.string()), ("offset", pa.int64()), ("n_samples", pa.int64())])
"""Where the samples of an utterance lie in the array; ``offset`` counts samples."""

_SHARD_KIND = "audio"
_NOT_KEPT = ("kind", "schema_version", "rejected")
_FULL_SCALE = np.float32(32768)

FloatArray = npt.NDArray[np.float32]
PcmArray = npt.NDArray[np.int16]
IndexArray = npt.NDArray[np.int64]


def _utterances(shards: Sequence[str | os.PathLike[str]]) -> dict[str, list[Any]]:
    """Return name, length and rate of all utterances, without their samples."""
    columns = ["utterance", "n_samples", "sample_rate"]
    found: dict[str, list[Any]] = {name: [] for name in columns}
    for shard in shards:
        for batch in iterate_batches(shard, kind=_SHARD_KIND, columns=columns):
            for name in columns:
                found[name] += batch.column(name).to_pylist()
    return found


def _samples(shard: str | os.PathLike[str]) -> Iterator[pa.Buffer]:
    """Yield the samples of each utterance, one row group in memory at a time."""
    for batch in iterate_batches(shard, kind=_SHARD_KIND, columns=["pcm16"]):
        for value in batch.column(0):
            yield value.as_buffer()


def pack_waveforms(
    shards: Sequence[str | os.PathLike[str]],
    array_path: str | os.PathLike[str],
    index_path: str | os.PathLike[str],
) -> None:
    """Pack the shards of prepared audio of a corpus into one ``.npy`` of 16-bit samples and an index of offsets.

    Memory stays at one row group. The index (``utterance``, ``offset``, ``n_samples``) keeps what the shards say alike,
    their digests (``sources``) and the array's.

    Raises
    ------
    StoreError
        If a shard is damaged or missing, is no audio, or the shards were not made alike.
    """
    if not shards:
        raise StoreError(f"{array_path}: a corpus without shards of audio cannot be packed")
    described = [read_metadata(shard) for shard in shards]
    shared = shared_metadata(shards, [{**entries, "sources": {}} for entries in described])
    if shared["kind"] != _SHARD_KIND:
        raise StoreError(f"{shards[0]}: holds {shared['kind']}, not audio; give shards of results/audio")
    if shared["n_shards"] != len(shards):
        raise StoreError(
            f"{array_path}: {len(shards)} shards given of a corpus of {shared['n_shards']}; give all of them"
        )
    found = _utterances(shards)
    rates = sorted(set(found["sample_rate"]))
    if len(rates) != 1:
        fault = f"audio at {rates[0]} and {rates[1]} Hz" if rates else "no utterance"
        raise StoreError(f"{array_path}: the shards of {shared['corpus']} hold {fault}; delete them and run again")
    n_samples = np.asarray(found["n_samples"], dtype=np.int64)
    with atomic_path(array_path) as temporary:
        with open(temporary, "wb") as handle:
            header = {"descr": "<i2", "fortran_order": False, "shape": (int(n_samples.sum()),)}
            np.lib.format.write_array_header_1_0(handle, header)
            for shard in shards:
                for samples in _samples(shard):
                    handle.write(samples)
        digest = sha256_file(temporary)
    offsets = np.cumsum(n_samples) - n_samples
    write_table(
        index_path,
        pa.table([found["utterance"], offsets, n_samples], schema=WAVEFORMS_SCHEMA),
        kind=WAVEFORMS_KIND,
        metadata={
            **{key: value for key, value in shared.items() if key not in _NOT_KEPT},
            "sample_rate": rates[0],
            "array": Path(array_path).name,
            "array_sha256": digest,
            "sources": {"audio": [entries["data_sha256"] for entries in described]},
        },
    )


class PackedWaveforms:
    """Packed audio, memory-mapped: ``waveforms[i]`` is ``(n_samples,)`` int16 of the i-th utterance, a view."""

    def __init__(
        self,
        array: PcmArray,
        utterances: list[str],
        offsets: IndexArray,
        lengths: IndexArray,
        metadata: dict[str, Any],
    ) -> None:
        self.array = array
        self.utterances = utterances
        self.offsets = offsets
        self.lengths = lengths
        self.metadata = metadata
        self.sample_rate = metadata["sample_rate"]
        self.row_of = {name: row for row, name in enumerate(utterances)}

    @classmethod
    def open(cls, index_path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> Self:
        """Open by the index file; the array lies beside it.

        Raises
        ------
        StoreError
            If either file is absent, damaged, or not what was asked for.
        """
        table = read_table(index_path, kind=WAVEFORMS_KIND, expect=expect)
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
            table.column("n_samples").to_numpy(),
            metadata,
        )

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, row: int) -> PcmArray:
        start = self.offsets[row]
        return self.array[start : start + self.lengths[row]]

    def waveform(self, row: int, start: int = 0, length: int | None = None) -> FloatArray:
        """Return samples of an utterance as float32 in [-1, 1); no others are read.

        Parameters
        ----------
        row
            Which utterance.
        start
            First sample.
        length
            Number of samples ``(length,)``; to the end if None.

        Raises
        ------
        StoreError
            If the utterance does not have these samples.
        """
        n_samples = int(self.lengths[row])
        stop = n_samples if length is None else start + length
        if not 0 <= start <= stop <= n_samples:
            raise StoreError(
                f"{self.utterances[row]}: samples {start} to {stop} were asked for and it has {n_samples}; cut a crop "
                "to the utterance and pad it"
            )
        samples: FloatArray = np.array(self[row][start:stop], dtype=np.float32)
        samples /= _FULL_SCALE
        return samples
