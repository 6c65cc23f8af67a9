"""Random crops for training: packed audio against FLAC files and against the shards that it is packed from.

``python benchmarks/waveforms.py [--data DIR] [--crop 1.0]``: DIR holds EmoDB (DIR/emodb, FLAC or WAV); without it,
speech-like noise in utterances of 6 s. All read the same crops in the same order, one at a time, and give float32;
files lie in the page cache. FLAC is read with soundfile from the crop's first sample on; of a shard, the row group is
read that the utterance lies in. One JSON line a comparison; ``ratio`` is ours over the peer's, so above 1 ours is
faster (of sizes: larger).
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import numpy as np
import pyarrow.parquet as pq
import soundfile

from _common import best_by_turns, print_comparison, write_speech_like
from serflow.audio.prepared import iterate_prepared, pcm_to_float, prepare, write_prepared
from serflow.audio.waveform import FloatArray
from serflow.stores.waveforms import PackedWaveforms, pack_waveforms

SAMPLE_RATE = 16_000
N_FILES, N_CROPS, N_SHARDS = 240, 300, 4


class Crop(NamedTuple):
    """Which samples of which utterance."""

    row: int
    start: int
    length: int


def audio_files(folder: Path, data: Path | None) -> list[Path]:
    """Return files of EmoDB, evenly picked, or of noise."""
    if data is None:
        return write_speech_like(folder, N_FILES, 6.0)
    paths = sorted(path for path in (data / "emodb").rglob("*") if path.suffix in (".wav", ".flac"))
    if not paths:
        raise SystemExit(f"{data / 'emodb'}: no .wav or .flac file")
    return paths[:: max(1, len(paths) // N_FILES)]


def write_shards(folder: Path, paths: list[Path]) -> list[Path]:
    """Prepare files as the workflow does."""
    shards = [folder / f"{shard:04d}.parquet" for shard in range(N_SHARDS)]
    for shard, target in enumerate(shards):
        part = paths[shard * len(paths) // N_SHARDS : (shard + 1) * len(paths) // N_SHARDS]
        metadata = {"corpus": "benchmark", "synthetic": True, "shard": target.stem, "n_shards": N_SHARDS}
        write_prepared(target, (prepare(path.stem, path, min_duration_s=0.1) for path in part), metadata)
    return shards


def write_flac(folder: Path, shards: list[Path]) -> list[Path]:
    """Write the prepared audio as FLAC, a file an utterance."""
    paths = []
    for item in (item for shard in shards for item in iterate_prepared(shard)):
        paths.append(folder / f"{item.utterance}.flac")
        soundfile.write(paths[-1], item.pcm16, SAMPLE_RATE, subtype="PCM_16")
    return paths


def flac_reader(paths: list[Path]) -> Callable[[Crop], FloatArray]:
    def read(crop: Crop) -> FloatArray:
        samples: FloatArray
        samples, _ = soundfile.read(paths[crop.row], crop.length, crop.start, dtype="float32")
        return samples

    return read


def shard_reader(shards: list[Path]) -> Callable[[Crop], FloatArray]:
    files = [pq.ParquetFile(shard) for shard in shards]
    places = [
        (file, group, row)
        for file in files
        for group in range(file.num_row_groups)
        for row in range(file.metadata.row_group(group).num_rows)
    ]

    def read(crop: Crop) -> FloatArray:
        file, group, row = places[crop.row]
        column = file.read_row_group(group, columns=["pcm16"], use_threads=False).column(0)
        return pcm_to_float(np.frombuffer(column[row].as_buffer(), "<i2")[crop.start : crop.start + crop.length])

    return read


def compare(folder: Path, data: Path | None, crop_s: float) -> None:
    """Print crops per second and sizes."""
    for name in ("audio", "flac"):
        (folder / name).mkdir()
    shards = write_shards(folder, audio_files(folder / "audio", data))
    flac = write_flac(folder / "flac", shards)
    pack_waveforms(shards, folder / "packed.npy", folder / "packed.parquet")
    store = PackedWaveforms.open(folder / "packed.parquet")
    generator = np.random.default_rng(0)
    crops = []
    for row in generator.integers(0, len(store), N_CROPS):
        length = min(round(crop_s * SAMPLE_RATE), int(store.lengths[row]))
        crops.append(Crop(int(row), int(generator.integers(0, store.lengths[row] - length + 1)), length))
    readers: dict[str, Callable[[Crop], FloatArray]] = {
        "packed": lambda crop: store.waveform(*crop),
        "FLAC files, soundfile": flac_reader(flac),
        "shards of prepared audio": shard_reader(shards),
    }
    for crop in crops:
        assert all(np.array_equal(read(crop), store.waveform(*crop)) for read in readers.values())
    taken = best_by_turns({name: lambda read=read: [read(crop) for crop in crops] for name, read in readers.items()})  # type: ignore[misc]
    seconds = store.lengths.sum() / SAMPLE_RATE
    for name in list(readers)[1:]:
        title = f"crops of {crop_s:g} s out of {seconds / 60:.0f} min, peer {name}"
        print_comparison(title, N_CROPS / taken["packed"], N_CROPS / taken[name], "crops/s")
    packed = (folder / "packed.npy").stat().st_size
    for name, files in {"FLAC files": flac, "shards of prepared audio": shards}.items():
        peer = sum(path.stat().st_size for path in files)
        print_comparison(f"packed audio, size on disk, peer {name}", packed / 1e6, peer / 1e6, "MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds emodb/")
    parser.add_argument("--crop", type=float, default=1.0, help="length of a crop in s (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), arguments.data, arguments.crop)


if __name__ == "__main__":
    main()
