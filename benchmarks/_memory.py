"""Peak memory: of commands, of extracting a feature from one share of audio and from ten times as much, of steps."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from _common import print_comparison
from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.errors import SerflowError

CHECKOUT = Path(__file__).resolve().parents[1]
N_UTTERANCES = 200


class Peak(NamedTuple):
    """The most memory (MB) that a process had: all that was resident, and what was anonymous; see `_peak`."""

    resident: float
    anonymous: float


def peak_of(command: Sequence[str], folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Peak:
    """Run a command in a folder and return the peak of its memory.

    Raises
    ------
    SerflowError
        With what it said, if it fails.
    """
    done = subprocess.run(
        [sys.executable, "-S", str(Path(__file__).with_name("_peak.py")), *command],
        cwd=folder, env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SerflowError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return Peak(*(int(kib) / 1024 for kib in done.stdout.split()[-2:]))


def rise_mb(step: Callable[[], object]) -> float:
    """Return how far three steps lift the peak resident memory (MB) of this process, which has done little before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def write_audio(path: Path, n_utterances: int) -> None:
    """Write prepared audio: noise in utterances of 2 to 4 s."""
    generator = np.random.default_rng(0)

    def utterance(index: int) -> PreparedUtterance:
        samples = 3000 * generator.standard_normal(int(generator.integers(32_000, 64_000)))
        return PreparedUtterance(f"utt{index:05d}", samples.astype(np.int16), 16_000, 1, "PCM_16", 0)

    metadata = {"corpus": "noise", "synthetic": True, "shard": "0000", "n_shards": 1}
    write_prepared(path, map(utterance, range(n_utterances)), metadata)


def peak_mb(folder: Path, audio: Path, feature: str, *options: str) -> float:
    """Return the peak resident memory (MB) of extracting a feature."""
    stage = [sys.executable, "-m", "serflow.stages.extract_features", "--feature", feature]
    stage += ["--corpus", "noise", "--condition", "clean", "--audio", str(audio), "--code", "benchmark"]
    stage += ["--frames", str(folder / "out.parquet"), "--log", str(folder / "log"), *options]
    return peak_of(stage).resident


def compare(folder: Path) -> None:
    write_audio(folder / "once.parquet", N_UTTERANCES)
    write_audio(folder / "tenfold.parquet", 10 * N_UTTERANCES)
    record = folder / "ge2e.json"
    weights = [sys.executable, "-m", "serflow.stages.prepare_weights", "--backbone", "ge2e", "--weights", "stand-in"]
    subprocess.run([*weights, "--folder", str(folder / "ge2e"), "--record", str(record)], check=True)
    network = json.dumps({"name": "ge2e", "device": "cpu", "precision": "fp32"})
    for feature, options in {"mfb": [], "ge2e": ["--backbone", network, "--weights", str(record)]}.items():
        once = peak_mb(folder, folder / "once.parquet", feature, *options)
        tenfold = peak_mb(folder, folder / "tenfold.parquet", feature, *options)
        print_comparison(f"memory of {feature}, ten times the audio, peer once", tenfold, once, "MB")
