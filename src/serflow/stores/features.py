"""One reader for every feature store: shards of frames, shards of vectors, or the packed form of either."""

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import pyarrow.parquet as pq

from serflow.errors import StoreError
from serflow.stores.frames import (
    FRAMES_KIND,
    PACKED_KIND,
    FloatArray,
    FrameRow,
    PackedFrames,
    frame_rows,
    shared_metadata,
)
from serflow.stores.parquet import check, count_rows, read_footer, read_groups, read_metadata, read_table
from serflow.stores.vectors import VECTORS_KIND, vector_rows

STORE_KINDS = (FRAMES_KIND, VECTORS_KIND)


class _Place(NamedTuple):
    """Where an utterance is: file, row group, row in it."""

    shard: Path
    group: int
    row: int


class _Reader(Protocol):
    @property
    def n_utterances(self) -> int: ...

    def utterances(self) -> list[str]: ...

    def iterate(self) -> Iterator[FrameRow]: ...

    def read(self, utterance: str) -> FloatArray | None: ...

    def verify(self) -> None: ...


class _Shards:
    """Reads Parquet shards; one row group is in memory at a time."""

    def __init__(self, shards: Sequence[Path], kind: str) -> None:
        self.shards = list(shards)
        self.kind = kind
        self._rows = frame_rows if kind == FRAMES_KIND else vector_rows
        self._places: dict[str, _Place] = {}
        self._checked: set[Path] = set()
        self._footers: dict[Path, pq.FileMetaData] = {}
        self._group: tuple[_Place | None, list[FrameRow]] = (None, [])

    @property
    def n_utterances(self) -> int:
        return sum(map(count_rows, self.shards))

    def utterances(self) -> list[str]:
        self._index()
        return list(self._places)

    def iterate(self) -> Iterator[FrameRow]:
        for shard in self.shards:
            self._check(shard)
            for table in read_groups(shard):
                yield from self._rows(table)

    def read(self, utterance: str) -> FloatArray | None:
        self._index()
        place = self._places.get(utterance)
        if place is None:
            return None
        group = place._replace(row=0)
        if self._group[0] != group:
            self._check(place.shard)
            if place.shard not in self._footers:
                self._footers[place.shard] = read_footer(place.shard)
            footer = self._footers[place.shard]
            (table,) = read_groups(place.shard, place.group, place.group + 1, footer=footer)
            self._group = (group, list(self._rows(table)))
        found: FloatArray = self._group[1][place.row].frames
        return found

    def verify(self) -> None:
        self._checked.clear()
        for shard in self.shards:
            self._check(shard)
        self._index()

    def _check(self, shard: Path) -> None:
        """Compare a shard with its digest, once."""
        if shard not in self._checked:
            check(shard, self.kind)
            self._checked.add(shard)

    def _index(self) -> None:
        """Read the names of all utterances, and nothing else, at first need."""
        if self._places:
            return
        places: dict[str, _Place] = {}
        for shard in self.shards:
            for group, names in enumerate(read_groups(shard, columns=["utterance"])):
                for row, name in enumerate(names.column("utterance").to_pylist()):
                    if name in places:
                        raise StoreError(
                            f"{shard}: utterance {name!r} is also in {places[name].shard.name}; "
                            "delete both shards and run the same command again"
                        )
                    places[name] = _Place(shard, group, row)
        self._places = places


class _Packed:
    """Reads a packed array through its index; the array is mapped, not loaded."""

    def __init__(self, index: Path) -> None:
        self.index = index
        self._opened: PackedFrames | None = None

    @property
    def n_utterances(self) -> int:
        return count_rows(self.index)

    def utterances(self) -> list[str]:
        names: list[str] = read_table(self.index, kind=PACKED_KIND, columns=["utterance"]).column(0).to_pylist()
        return names

    def iterate(self) -> Iterator[FrameRow]:
        packed = self._packed()
        for row, name in enumerate(packed.utterances):
            yield FrameRow(name, packed[row])

    def read(self, utterance: str) -> FloatArray | None:
        packed = self._packed()
        row = packed.row_of.get(utterance)
        return None if row is None else packed[row]

    def verify(self) -> None:
        self._opened = None
        self._packed()

    def _packed(self) -> PackedFrames:
        if self._opened is None:
            self._opened = PackedFrames.open(self.index)
        return self._opened


class FeatureStore:
    """A feature of a corpus in one condition, read lazily: opening looks at the metadata of each file alone.

    Attributes
    ----------
    path
        What was opened.
    shards
        The Parquet files, in order; the index alone for a packed store.
    metadata
        What the shards say alike, with ``rejected`` of all of them.
    kind
        ``frames`` or ``vectors``.
    """

    def __init__(self, path: Path, shards: Sequence[Path], metadata: Mapping[str, Any], reader: _Reader) -> None:
        self.path = path
        self.shards = list(shards)
        self.metadata = dict(metadata)
        self.packed = metadata["kind"] == PACKED_KIND
        self.kind: str = metadata.get("packs", FRAMES_KIND) if self.packed else metadata["kind"]
        self._reader = reader

    @classmethod
    def open(cls, path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> Self:
        """Open a store's folder, one of its shards, or the index of its packed form.

        Parameters
        ----------
        path
            ``results/features/{feature}/{corpus}/{condition}``, a ``.parquet`` in it, or
            ``results/packed/{feature}/{corpus}/{condition}.parquet``.
        expect
            Entries that the metadata must have, e.g. ``{"corpus": "emodb"}``.

        Raises
        ------
        StoreError
            If a shard is missing, half-written, foreign, or made otherwise than the others or than expected.
        """
        given = Path(path)
        files = _shard_files(given) if given.is_dir() else [given]
        described = [read_metadata(file) for file in files]
        known = STORE_KINDS if given.is_dir() else (*STORE_KINDS, PACKED_KIND)
        for file, metadata in zip(files, described, strict=True):
            if metadata.get("kind") not in known:
                raise StoreError(f"{file}: holds {metadata.get('kind')!r}, not features; give a store of features")
        for file, metadata in zip(files, described, strict=True):
            for key, value in (expect or {}).items():
                if metadata.get(key) != value:
                    raise StoreError(
                        f"{file}: {key} is {metadata.get(key)!r} where {value!r} was asked for; "
                        "delete it and run the same command again"
                    )
        shared = shared_metadata(files, described)
        if given.is_dir():
            _check_complete(given, files, shared.get("n_shards"))
        reader: _Reader = _Packed(given) if shared["kind"] == PACKED_KIND else _Shards(files, shared["kind"])
        return cls(given, files, shared, reader)

    def __len__(self) -> int:
        return self.n_utterances

    @property
    def dim(self) -> int:
        """Number of columns of the frames, or values of a vector."""
        return int(self.metadata["dim"])

    @property
    def hop_s(self) -> float | None:
        """Time from one frame to the next (s); None for vectors."""
        hop = self.metadata.get("hop_s")
        return None if hop is None else float(hop)

    @property
    def n_utterances(self) -> int:
        """Number of utterances."""
        return self._reader.n_utterances

    @property
    def rejected(self) -> dict[str, str]:
        """Utterances that have no such feature, with the reason."""
        return dict(self.metadata.get("rejected") or {})

    def utterances(self) -> list[str]:
        """Return the names of the utterances, in the order of the corpus.

        Raises
        ------
        StoreError
            If a shard cannot be read, or two hold the same utterance.
        """
        return self._reader.utterances()

    def iterate(self) -> Iterator[FrameRow]:
        """Yield utterance and array ``(n_frames, dim)``, ``(1, dim)`` for vectors; one row group in memory.

        Raises
        ------
        StoreError
            If a shard does not match its digest.
        """
        return self._reader.iterate()

    def read(self, utterance: str) -> FloatArray:
        """Return the array of one utterance, ``(n_frames, dim)``, reading only the row group that holds it.

        Raises
        ------
        StoreError
            If the store has no such utterance, or its shard does not match its digest.
        """
        found = self._reader.read(utterance)
        if found is None:
            if utterance in self.rejected:
                raise StoreError(f"{self.path}: {utterance} was rejected: {self.rejected[utterance]}")
            near = difflib.get_close_matches(utterance, self.utterances(), n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it has {self.n_utterances}"
            raise StoreError(f"{self.path}: no utterance {utterance!r}{hint}")
        return found

    def vectors(self) -> tuple[list[str], FloatArray]:
        """Return the names and all vectors, ``(n, dim)`` float32.

        Raises
        ------
        StoreError
            If the store holds frames.
        """
        if self.kind != VECTORS_KIND:
            raise StoreError(f"{self.path}: holds frames, a different number an utterance; use iterate() or read()")
        names: list[str] = []
        values = np.empty((self.n_utterances, self.dim), np.float32)
        for row, (name, vector) in enumerate(self.iterate()):
            names.append(name)
            values[row] = vector[0]
        return names, values

    def verify(self) -> None:
        """Compare every file with its digest, and see that no utterance is there twice.

        Raises
        ------
        StoreError
            On the first fault.
        """
        self._reader.verify()


def _shard_files(folder: Path) -> list[Path]:
    """Return the shards of a store's folder, by name."""
    files = sorted(file for file in folder.glob("*.parquet") if not file.name.startswith("."))
    if not files:
        folders = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
        hint = f"it has folders {', '.join(folders)}: give one of them" if folders else _build_command(folder)
        raise StoreError(f"{folder}: holds no shard of features; {hint}")
    return files


def _check_complete(folder: Path, files: Sequence[Path], n_shards: int | None) -> None:
    """Refuse a folder without all of its shards, or with a file that is none of them."""
    found = {file.stem for file in files}
    if n_shards is None:
        n_shards = max([int(name) + 1 for name in found if name.isdecimal()], default=0)
    wanted = {f"{number:04d}" for number in range(n_shards)}
    foreign = sorted(found - wanted)
    if foreign:
        raise StoreError(f"{folder}: {foreign[0]}.parquet is none of the {n_shards} shards of this store; remove it")
    missing = sorted(wanted - found)
    if missing:
        some = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise StoreError(f"{folder}: shard {some} of {n_shards} is missing; {_build_command(folder)}")


def _build_command(folder: Path) -> str:
    return f"build it with `snakemake --cores 2 {folder}`"
