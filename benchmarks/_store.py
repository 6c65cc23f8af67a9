"""The feature store against what researchers write by hand: one ``.npy``, one ``.npy`` an utterance, HDF5.

About 60 MB of log-mel frames of speech-like noise. Of speeds a ratio above 1 is good, of sizes one below 1. All of
ours check the SHA-256 of what they read; no peer does. ``python benchmarks/_store.py`` runs it alone.
"""

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import h5py
import numpy as np

from _common import best_by_turns, print_comparison, write_speech_like
from serflow.audio.decode import decode
from serflow.features.base import FloatArray
from serflow.features.mfb import build
from serflow.stores.features import FeatureStore
from serflow.stores.frames import FrameRow, pack_frames, write_frames

N_UTTERANCES, DIM = 1250, 40
N_READS = 50
_SHARDS = 4
_MB = 1e6


def make_rows(folder: Path) -> list[FrameRow]:
    """Return log-mel frames of utterances of 1.5 to 4.5 s, in bursts and pauses at levels 30 dB apart."""
    generator = np.random.default_rng(0)
    paths = write_speech_like(folder, 40, 8.0)
    waveforms = [decode(path).waveform for path in paths]
    log_mel = build({})
    rows = []
    for index in range(N_UTTERANCES):
        n_samples = int(generator.integers(24_000, 72_000))
        start = int(generator.integers(0, 128_000 - n_samples))
        waveform = waveforms[index % len(waveforms)][start : start + n_samples]
        level = np.float32(10 ** (generator.uniform(-30, 0) / 20))
        noise = generator.standard_normal(n_samples, dtype=np.float32) * np.float32(1e-3)
        rows.append(FrameRow(f"utt{index:05d}", log_mel(level * waveform + noise)))
    return rows


class Store(Protocol):
    folder: Path

    def write(self, rows: list[FrameRow]) -> None: ...

    def read_all(self) -> int: ...

    def reader(self) -> Callable[[str], FloatArray]: ...


class Ours:
    """Four Parquet shards, as the workflow writes them."""

    def __init__(self, folder: Path, mantissa_bits: int | None = None) -> None:
        self.folder = folder
        self.mantissa_bits = mantissa_bits

    def write(self, rows: list[FrameRow]) -> None:
        for shard in range(_SHARDS):
            part = rows[shard * len(rows) // _SHARDS : (shard + 1) * len(rows) // _SHARDS]
            metadata = {"feature": "mfb", "shard": f"{shard:04d}", "n_shards": _SHARDS}
            write_frames(self.folder / f"{shard:04d}.parquet", part, DIM, metadata, self.mantissa_bits)

    def read_all(self) -> int:
        return sum(len(row.frames) for row in FeatureStore.open(self.folder).iterate())

    def reader(self) -> Callable[[str], FloatArray]:
        return FeatureStore.open(self.folder).read


class OursPacked:
    """The packed form of such shards, which training maps into memory; written from ``shards``."""

    def __init__(self, folder: Path, shards: Path) -> None:
        self.folder = folder
        self.shards = shards

    def write(self, rows: list[FrameRow]) -> None:
        shards = sorted(self.shards.glob("*.parquet"))
        pack_frames(shards, self.folder / "clean.npy", self.folder / "clean.parquet")

    def read_all(self) -> int:
        return sum(len(row.frames) for row in FeatureStore.open(self.folder / "clean.parquet").iterate())

    def reader(self) -> Callable[[str], FloatArray]:
        return FeatureStore.open(self.folder / "clean.parquet").read


class OneArray:
    """One ``.npy`` of all frames, and one of offsets; random reads through a memory map."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, rows: list[FrameRow]) -> None:
        self.folder.mkdir(exist_ok=True)
        np.save(self.folder / "frames.npy", np.concatenate([row.frames for row in rows]))
        np.save(self.folder / "offsets.npy", np.cumsum([0, *(len(row.frames) for row in rows)]))
        np.save(self.folder / "names.npy", np.array([row.utterance for row in rows]))

    def read_all(self) -> int:
        return len(np.load(self.folder / "frames.npy"))

    def reader(self) -> Callable[[str], FloatArray]:
        frames = np.load(self.folder / "frames.npy", mmap_mode="r")
        offsets = np.load(self.folder / "offsets.npy")
        rows = {str(name): row for row, name in enumerate(np.load(self.folder / "names.npy"))}
        return lambda name: np.array(frames[offsets[rows[name]] : offsets[rows[name] + 1]])


class ManyArrays:
    """A ``.npy`` an utterance."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, rows: list[FrameRow]) -> None:
        self.folder.mkdir(exist_ok=True)
        for row in rows:
            np.save(self.folder / f"{row.utterance}.npy", row.frames)

    def read_all(self) -> int:
        return sum(len(np.load(path)) for path in sorted(self.folder.iterdir()))

    def reader(self) -> Callable[[str], FloatArray]:
        def read(name: str) -> FloatArray:
            frames: FloatArray = np.load(self.folder / f"{name}.npy")
            return frames

        return read


class Hdf5:
    """A gzipped data set an utterance in one HDF5 file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, rows: list[FrameRow]) -> None:
        self.folder.mkdir(exist_ok=True)
        with h5py.File(self.folder / "frames.h5", "w") as store:
            for row in rows:
                store.create_dataset(row.utterance, data=row.frames, compression="gzip")

    def read_all(self) -> int:
        with h5py.File(self.folder / "frames.h5") as store:
            return sum(len(store[name][()]) for name in store)

    def reader(self) -> Callable[[str], FloatArray]:
        store = h5py.File(self.folder / "frames.h5")

        def read(name: str) -> FloatArray:
            frames: FloatArray = store[name][()]
            return frames

        return read


def _read_each(reader: Callable[[str], FloatArray], wanted: list[FrameRow]) -> float:
    return sum(float(reader(row.utterance)[0, 0]) for row in wanted)


def compare(tmp: Path) -> None:
    """Print a line for each peer: writing, reading all, reading one, size; then what rounding saves.

    Parameters
    ----------
    tmp
        A folder for the files; what is written there stays.
    """
    (tmp / "audio").mkdir()
    rows = make_rows(tmp / "audio")
    n_frames = sum(len(row.frames) for row in rows)
    megabytes = n_frames * DIM * 4 / _MB
    ours = "ours"
    stores: dict[str, Store] = {
        ours: Ours(tmp / "ours"),
        "ours, packed": OursPacked(tmp / "packed", tmp / "ours"),
        "ours, 12 bits of mantissa": Ours(tmp / "rounded", mantissa_bits=12),
        "one .npy": OneArray(tmp / "one"),
        ".npy an utterance": ManyArrays(tmp / "many"),
        "HDF5, gzip": Hdf5(tmp / "hdf5"),
    }
    written = best_by_turns({name: partial(store.write, rows) for name, store in stores.items()})
    assert all(store.read_all() == n_frames for store in stores.values())
    read = best_by_turns({name: store.read_all for name, store in stores.items()})

    generator = np.random.default_rng(1)
    wanted = [rows[row] for row in generator.permutation(len(rows))[:N_READS]]
    readers = {name: store.reader() for name, store in stores.items()}
    for name, reader in readers.items():
        tolerance = 2**-12 if "mantissa" in name else 0
        assert all(np.allclose(reader(row.utterance), row.frames, rtol=tolerance, atol=0) for row in wanted), name
    one = best_by_turns({name: partial(_read_each, reader, wanted) for name, reader in readers.items()})
    size = {name: sum(f.stat().st_size for f in store.folder.iterdir()) for name, store in stores.items()}
    for name in [name for name in stores if name != ours]:
        data = f"{megabytes:.0f} MB of log-mel, peer {name}"
        print_comparison(f"store, write, {data}", megabytes / written[ours], megabytes / written[name], "MB/s")
        print_comparison(f"store, read all, {data}", megabytes / read[ours], megabytes / read[name], "MB/s")
        print_comparison(f"store, read one, {data}", N_READS / one[ours], N_READS / one[name], "utterances/s")
        if not name.startswith(ours):
            packed = N_READS / one["ours, packed"]
            print_comparison(f"store, read one, packed, {data}", packed, N_READS / one[name], "utterances/s")
        print_comparison(f"store, size on disk, {data}", size[ours] / _MB, size[name] / _MB, "MB")


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        compare(folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
