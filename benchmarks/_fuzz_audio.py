"""Damaged audio files, over all containers that libsndfile writes: does the door say what is wrong, or does it break.

``fuzz_audio(trials, seed) -> Counter[str]`` counts the outcomes of so many trials, dealt to the containers in turn:

- ``read``: accepted, and if its end was cut off, with all samples that it had before;
- ``rejected``: left out, with a reason;
- ``cut short``: accepted, although its end is missing;
- ``vanished`` (neither accepted nor rejected), ``traceback``, ``hang`` (longer than 30 s), ``memory`` (more than 1 GiB
  above what was there), ``crash`` (a signal).

All but the first two are faults. ``python benchmarks/_fuzz_audio.py SEED TRIAL`` repeats one trial and shows what it
says. Each trial is the stage `prepare_audio` in a child of its own, on a corpus of one file.
"""

import argparse
import functools
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import numpy as np
import pyarrow as pa
import soundfile

from serflow.audio._containers import WITHOUT_LENGTH
from serflow.audio.prepared import iterate_prepared
from serflow.corpora._tables import read_rejected
from serflow.stages import prepare_audio
from serflow.stores.parquet import write_table

FAULTS = ("cut short", "vanished", "traceback", "hang", "memory", "crash")
_LIMIT_S = 30
_LIMIT_BYTES = 1 << 30
_STATUS = {"read": 0, "rejected": 10, "cut short": 11, "vanished": 12, "traceback": 13, "memory": 14}
_NO_CONTENT = ("RAW", "SD2")  # nothing in such a file says what it is
_OTHER_SUBTYPES = (
    ("WAV", "FLOAT"), ("WAV", "MS_ADPCM"), ("WAV", "GSM610"), ("WAV", "ULAW"), ("WAV", "PCM_24"), ("AIFF", "DOUBLE"),
    ("OGG", "OPUS"), ("CAF", "ALAC_16"), ("FLAC", "PCM_24"), ("W64", "IMA_ADPCM"),
)  # fmt: skip
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_SCHEMA = pa.schema([("utterance", pa.string()), ("path", pa.string()), ("start", pa.float64()), ("end", pa.float64())])


@functools.cache
def _samples() -> np.ndarray:
    rng = np.random.default_rng(0)
    times = np.arange(19_200) / 16_000
    return 0.3 * np.sin(2 * np.pi * 180 * times) * np.sin(9 * times) + 0.01 * rng.standard_normal(len(times))


@functools.cache
def containers() -> dict[tuple[str, str], bytes]:
    """Return a whole file of each container in its usual sample format, and of some others, by both names."""
    usual = [(name, soundfile.default_subtype(name)) for name in sorted(soundfile.available_formats())]
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, subtype in dict.fromkeys([*usual, *_OTHER_SUBTYPES]):
            if name not in _NO_CONTENT:
                rate = 8_000 if name == "WVE" else 16_000
                soundfile.write(f"{folder}/a", _samples(), rate, format=name, subtype=subtype)
                files[name, subtype] = Path(folder, "a").read_bytes()
    return files


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def _flip(content: bytes, rng: random.Random) -> bytes:
    flipped = bytearray(content)
    end = len(flipped) if rng.random() < 0.5 else min(len(flipped), 128)
    for _ in range(rng.choice((1, 2, 8, 64))):
        flipped[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def _number(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(min(len(content), 200) - 4)
    value = rng.choice((*_EXTREMES, rng.getrandbits(32)))
    return content[:at] + struct.pack(rng.choice("<>") + "I", value) + content[at + 4 :]


def _fill(content: bytes, rng: random.Random) -> bytes:
    first = rng.randrange(len(content))
    last = min(len(content), first + rng.choice((1, 16, 300, 5000)))
    return content[:first] + rng.choice((b"\0", b"\xff", b"R")) * (last - first) + content[last:]


def _lose(content: bytes, rng: random.Random) -> bytes:
    first = rng.randrange(len(content))
    return content[:first] + content[first + rng.choice((1, 2, 100, 4096)) :]


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = rng.choice((0, rng.randrange(len(content)), len(content)))
    piece = rng.choice(
        (b"\0", b"\xff" * 3, b"ID3\x03\0\0\0\0\x7f\x7f", b"OggS", b"data\xff\xff\xff\xff", content[:200])
    )
    return content[:at] + piece * rng.choice((1, 1, 50)) + content[at:]


def _join(content: bytes, rng: random.Random) -> bytes:
    other = rng.choice(list(containers().values()))
    return content[: rng.randrange(len(content))] + other[rng.randrange(len(other)) :]


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut, _cut, _cut, _flip, _flip, _number, _number, _fill, _lose, _insert, _join,
)  # fmt: skip


@functools.cache
def _whole_length(content: bytes) -> int:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a").write_bytes(content)
        return _prepare(Path(folder))[0]


def _prepare(folder: Path) -> tuple[int, str]:
    """Run the stage on the file ``a``; return the samples of what was accepted, or 0, and why it was rejected."""
    rows = [{"utterance": "a", "path": "a", "start": None, "end": None}]
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    metadata = {"corpus": "fuzzed", "synthetic": False}
    write_table(folder / "listing.parquet", table, kind="listing", metadata=metadata)
    given = argparse.Namespace(
        listing=folder / "listing.parquet",
        root=folder,
        shard="0000",
        n_shards=1,
        options={"min_duration_s": 0.1},
        audio=folder / "0000.parquet",
        rejected=folder / "rejected.csv",
    )
    prepare_audio.main(given)
    accepted = [len(item.pcm16) for item in iterate_prepared(given.audio)]
    rejected = [entry.reason for entry in read_rejected(given.rejected)]
    return sum(accepted), "".join(rejected)


def _outcome(folder: Path, whole: int | None) -> str:
    """Run the stage and return what came of it; ``whole`` is what a file without its end must not fall short of."""
    try:
        n_samples, reason = _prepare(folder)
    except MemoryError:
        traceback.print_exc()
        return "memory"
    except BaseException:
        traceback.print_exc()
        return "traceback"
    print(n_samples, reason)
    if (n_samples > 0) == bool(reason):
        return "vanished"
    if reason:
        return "rejected"
    return "read" if whole is None or n_samples >= whole else "cut short"


def _limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _LIMIT_BYTES, used + _LIMIT_BYTES))


def _wait(child: int) -> tuple[str, int]:
    """Return how a child ended, and the most memory (MB) that it held; what exceeds the limit of time is killed."""
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            outcome = next((outcome for outcome, known in _STATUS.items() if known == code), "crash")
            return outcome, usage.ru_maxrss // 1024
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hang", 0


def try_audio(seed: int, trial: int, quiet: bool = True) -> tuple[str, int]:
    """Damage a file and return the outcome and the peak of memory (MB); a seed and a trial give the same always."""
    files = containers()
    (name, _), content = list(files.items())[trial % len(files)]
    rng = random.Random(f"{seed} {trial}")
    damage = rng.choice(_DAMAGES)
    damaged = damage(content, rng)
    # headers count up to 48 bytes too many, so that so much may be missing
    lossy = damage is _cut and name not in WITHOUT_LENGTH and len(content) - len(damaged) > 48
    whole = _whole_length(content) if lossy else None
    folder = Path(tempfile.mkdtemp(prefix="fuzz-audio-"))
    try:
        (folder / "a").write_bytes(damaged)
        child = os.fork()
        if child == 0:
            said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT)
            if quiet:
                os.dup2(said, 1)
                os.dup2(said, 2)
            _limit_memory()
            outcome = _outcome(folder, whole)
            sys.stdout.flush()
            os._exit(_STATUS[outcome])
        outcome, peak = _wait(child)
        # what is raised within a call from libsndfile reaches nobody, and is printed
        if outcome in ("read", "rejected") and b"Traceback" in (folder / "said").read_bytes():
            outcome = "traceback"
        return outcome, peak
    finally:
        shutil.rmtree(folder)


def fuzz_audio(trials: int, seed: int = 0) -> tuple[Counter[str], int]:
    """Return how many of so many damaged files ended how, and the most memory (MB) that one took."""
    ended = [try_audio(seed, trial) for trial in range(trials)]
    return Counter(outcome for outcome, _ in ended), max(peak for _, peak in ended)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("seed", type=int)
    arguments.add_argument("trial", type=int)
    given = arguments.parse_args()
    print(*try_audio(given.seed, given.trial, quiet=False))
