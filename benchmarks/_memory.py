"""Peak memory: of extracting a feature from one share of audio and from ten times as much, and of training steps."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from _common import print_comparison
from serflow.audio.prepared import PreparedUtterance, write_prepared

CHECKOUT = Path(__file__).resolve().parents[1]
N_UTTERANCES = 200
MEASURED = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); \
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"


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
    """Return the peak resident memory (MB) of the stage as Snakemake runs it."""
    stage = [sys.executable, "-m", "serflow.stages.extract_features", "--feature", feature]
    stage += ["--corpus", "noise", "--condition", "clean", "--audio", str(audio), "--code", "benchmark"]
    stage += ["--frames", str(folder / "out.parquet"), "--log", str(folder / "log"), *options]
    done = subprocess.run([sys.executable, "-c", MEASURED, *stage], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 1024


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
