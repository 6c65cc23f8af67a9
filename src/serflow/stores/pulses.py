"""Where the pitch pulses of utterances are: Parquet, one row an utterance, and all shards of a corpus as one."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from serflow.errors import StoreError
from serflow.stores.frames import shared_metadata
from serflow.stores.groups import grouped
from serflow.stores.parquet import iterate_batches, read_metadata, write_batches

PULSES_KIND = "pulses"
PULSES_SCHEMA = pa.schema([("utterance", pa.string()), ("n_samples", pa.int32()), ("pulses", pa.list_(pa.int32()))])
"""``pulses`` are the samples nearest to the pulses, in rising order, of the ``n_samples`` of the utterance."""
ROW_GROUP = 512

_COUNTS = ("n_utterances", "n_without")

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer]


class PulseRow(NamedTuple):
    """An utterance's pulses: the samples nearest to them, ``(n_pulses,)``, of ``n_samples``."""

    utterance: str
    n_samples: int
    pulses: IntArray


def write_pulses(
    path: str | os.PathLike[str],
    rows: Iterable[PulseRow],
    metadata: Callable[[], Mapping[str, Any]],
) -> dict[str, int]:
    """Write a shard of pulses, and return what is kept in it besides: ``n_utterances``, and ``n_without`` of a pulse.

    Parameters
    ----------
    path
        Where the file goes; it appears there whole or not at all.
    rows
        Utterances and their pulses.
    metadata
        Returns the entries to keep in the file, once all rows have been taken.

    Raises
    ------
    StoreError
        If pulses do not rise, or lie outside their utterance.
    """
    counts = dict.fromkeys(_COUNTS, 0)

    def checked() -> Iterator[PulseRow]:
        for row in rows:
            _check(row, Path(path))
            counts["n_utterances"] += 1
            counts["n_without"] += not len(row.pulses)
            yield row

    tables = map(_table, grouped(checked(), ROW_GROUP))
    write_batches(path, PULSES_SCHEMA, tables, kind=PULSES_KIND, metadata=lambda: {**metadata(), **counts})
    return counts


def _check(row: PulseRow, where: Path) -> None:
    around = np.concatenate([[-1], row.pulses, [row.n_samples]])
    if (np.diff(around) < 1).any():
        raise StoreError(
            f"{where}: pulses of {row.utterance} are no rising samples of its {row.n_samples}; please report it"
        )


def _table(group: Sequence[PulseRow]) -> pa.Table:
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(zip(*group, strict=True), PULSES_SCHEMA, strict=True)],
        schema=PULSES_SCHEMA,
    )


def iterate_pulses(path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> Iterator[PulseRow]:
    """Yield the utterances of a shard in order.

    Raises
    ------
    StoreError
        If the file is damaged or its metadata differ from ``expect``.
    """
    for table in iterate_batches(path, kind=PULSES_KIND, expect=expect):
        pulses = table.column("pulses").combine_chunks()
        values, offsets = pulses.values.to_numpy(), pulses.offsets.to_numpy()
        names, n_samples = (table.column(name).to_pylist() for name in ("utterance", "n_samples"))
        for place, (name, n) in enumerate(zip(names, n_samples, strict=True)):
            yield PulseRow(name, n, values[offsets[place] : offsets[place + 1]])


class CorpusPulses:
    """The pulses of all utterances of a corpus: ``pulses[i]`` is `PulseRow.pulses` of the i-th, ``(n_pulses,)``."""

    def __init__(self, rows: Sequence[PulseRow], metadata: dict[str, Any]) -> None:
        self.utterances = [row.utterance for row in rows]
        self.lengths = np.array([row.n_samples for row in rows], dtype=np.int64)
        self.metadata = metadata
        self.row_of = {name: row for row, name in enumerate(self.utterances)}
        self._pulses = [row.pulses for row in rows]

    @classmethod
    def open(cls, shards: Sequence[str | os.PathLike[str]], expect: Mapping[str, Any] | None = None) -> Self:
        """Open all shards of a corpus, in order.

        The metadata are what the shards say alike, with ``rejected`` and the counts of all; ``sources`` has the digests
        of the audio of each.

        Raises
        ------
        StoreError
            If a shard is absent, damaged or not what was asked for, or they are not those of one corpus.
        """
        if not shards:
            raise StoreError("pitch pulses: no shard is given; give all shards of results/pulses/{corpus}")
        rows = [row for shard in shards for row in iterate_pulses(shard, expect)]
        described = [read_metadata(shard) for shard in shards]
        counts = {name: sum(said.pop(name) for said in described) for name in _COUNTS}
        shared = shared_metadata(shards, described)
        if shared["n_shards"] != len(shards):
            raise StoreError(
                f"{shards[0]}: {len(shards)} shards given of a corpus of {shared['n_shards']}; give all of them"
            )
        sources = {"audio": [said["sources"]["audio"] for said in described]}
        return cls(rows, {**shared, **counts, "sources": sources})

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, row: int) -> IntArray:
        return self._pulses[row]

    def train(self, row: int, waveform: FloatArray, start: int = 0) -> FloatArray:
        """Return the pulse train of a stretch of an utterance: its values at the pulses, zero elsewhere.

        Parameters
        ----------
        row
            Which utterance.
        waveform
            The stretch, ``(n_samples,)``.
        start
            Its first sample in the utterance.
        """
        pulses = self[row]
        first, last = np.searchsorted(pulses, [start, start + len(waveform)])
        nearest = pulses[first:last] - start
        train = np.zeros_like(waveform)
        train[nearest] = waveform[nearest]
        return train
