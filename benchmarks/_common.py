"""What the benchmarks share: timing by turns, runs of the workflow, speech-like WAV files, a JSON line a comparison."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

CHECKOUT = Path(__file__).resolve().parents[1]


def best_by_turns(
    contenders: dict[str, Callable[[], object]], repeats: int = 3, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the best time (s) of each contender; they take turns, so a busy machine slows all alike.

    ``clock`` is that of the wall, or `time.process_time` for what computes in one thread: other processes on the same
    core count there only by what they take of the caches.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            start = clock()
            run()
            times[name].append(clock() - start)
    return {name: min(taken) for name, taken in times.items()}


def snakemake(work: Path, cores: int, config: Path, *targets: str) -> float:
    """Build targets in ``work`` with the configuration ``config`` and return the wall time (s)."""
    start = time.monotonic()
    command = [sys.executable, "-m", "snakemake", *targets, "--snakefile", str(CHECKOUT / "Snakefile")]
    command += ["--directory", str(work), "--cores", str(cores), "--configfile", str(config), "--quiet"]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return time.monotonic() - start


def print_comparison(name: str, ours: float, peer: float, unit: str) -> None:
    """Print a comparison as one JSON line; ``ratio`` is ours over the peer's."""
    line = {"name": name, "ours": round(ours, 1), "peer": round(peer, 1), "ratio": round(ours / peer, 2), "unit": unit}
    print(json.dumps(line), flush=True)


def write_speech_like(folder: Path, n_files: int, duration_s: float, sample_rate: int = 16_000) -> list[Path]:
    """Write WAV files of noise in bursts of a syllable's length, with a spectrum that falls like that of speech."""
    generator = np.random.default_rng(0)
    n_samples = round(duration_s * sample_rate)
    syllables = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * np.arange(n_samples) / sample_rate)
    fall = 1 / (1 + np.fft.rfftfreq(n_samples, 1 / sample_rate) / 500)
    paths = []
    for index in range(n_files):
        noise = np.fft.irfft(np.fft.rfft(generator.standard_normal(n_samples)) * fall, n_samples)
        paths.append(folder / f"burst{index:04d}.wav")
        soundfile.write(paths[-1], 0.3 * noise / np.abs(noise).max() * syllables, sample_rate, subtype="PCM_16")
    return paths


def precisions() -> tuple[str, ...]:
    """Return the precisions that recurrent networks are measured in: bf16 only where the processor computes in it."""
    import torch

    from serflow.devices import require_precision
    from serflow.errors import ConfigError

    try:
        require_precision(torch.device("cpu"), "bf16", "precision")
    except ConfigError as error:
        print(f"left out: {error}", file=sys.stderr)
        return ("fp32",)
    return ("fp32", "bf16")


ROWS = 128
"""Rows at which a product of matrices is fastest: fewer read the weights too often, more do not stay in the cache."""


def recurrent_products(inputs: list[int], hidden: int, n_rows: int) -> Callable[[], None]:
    """Return a function that does the matrix products of LSTM layers in fp32, and nothing else: their floor.

    Parameters
    ----------
    inputs
        Values that a row has as input of each layer (each direction, where there are two).
    hidden
        Units of a layer.
    n_rows
        Steps of all sequences together.
    """
    import torch

    shapes = [(torch.rand(ROWS, each + hidden), torch.rand(each + hidden, 4 * hidden)) for each in inputs]
    gates = torch.empty(ROWS, 4 * hidden)

    def run() -> None:
        for rows, weights in shapes:
            for _ in range(round(n_rows / ROWS)):
                torch.mm(rows, weights, out=gates)

    return run
