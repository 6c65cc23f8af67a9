"""What gates and searched architectures are for, on planted features: each language needs another one.

``python benchmarks/planted_multigating.py [--seeds 2]`` writes features, not audio, trains with the stage that
Snakemake runs, and prints a JSON line a system: ``ours`` is its mean UA over languages and seeds, ``peer`` that of SB.
Differences to SB are paired by seed, with a 95 % interval of the mean over seeds (Student's t). A line of MMoE and of
OMoE says the mean weight of the planted feature, beside that of the others; a line of Ours the mean value of the gates
that leave the planted feature, beside those that leave the others.

Three languages have four emotions each. In one of them Allosaurus tells the emotion, in the next wav2vec, in the third
MFCC: a cue of the emotion, under noise of its own in each utterance. The two other features of a language have the
same cues, louder, of an emotion drawn at random: they mislead. All features of all languages look alike otherwise, and
the selector, BYOL, is noise around a constant: it does not tell the language, and one gate for all knows nothing.

The common width has as many values as there are emotions: three features can not stand apart in their sum. With 16 of
them SB keeps up (seed 0). Strengths, sizes, epochs and the learning rate were chosen on the seeds of ``CHOOSING``; the
seeds of ``TESTING`` were run once with what was chosen.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from safetensors.numpy import load_file
from scipy import stats

from serflow.runs.scores import fold_scores, read_run
from serflow.stages import train_joint as train_stage
from serflow.stores.frames import FrameRow, pack_frames, write_frames
from serflow.stores.parquet import read_table, write_table
from serflow.studies.multigating.catalog import SYSTEMS
from serflow.studies.multigating.options import NasOptions

CHOOSING = (0, 1, 2, 3)
TESTING = tuple(range(100, 108))
COMPARED = ("sb", "omoe", "mmoe", "ours")
NEEDED = {"first": "allosaurus", "second": "wav2vec", "third": "mfcc"}
EMOTIONS = ("anger", "happiness", "neutral", "sadness")
UTTERANCES = {"train": 96, "val": 48, "test": 200}
FRAMES, SELECTOR = (12, 24), 6
# beside frames of deviation 1: the cue, its deviation between utterances, and the cue that misleads
CUE, NOISE, MISLEADING = 1.0, 0.7, 1.5
OPTIONS: dict[str, Any] = {
    "standardise": "none",
    "features": ["allosaurus", "wav2vec", "mfcc", "byol"],
    "languages": {name: {"corpus": name, "units": 16, "alpha": 0.01} for name in NEEDED},
    "encoder": {"maps": 8, "lstm": 8, "mfcc_maps": 8, "mfcc_lstm": 8, "mfcc_layers": 1},
    "sharing": {"width": 4, "selector": "byol"},
    "training": {"epochs": 60, "batch_size": 16, "learning_rate": 1e-2, "device": "cpu"},
}
FloatArray = npt.NDArray[np.floating]


class Scores(NamedTuple):
    """What a joint fit reaches: UA over languages on test and validation utterances (percent), and its weights.

    ``planted`` is the mean weight of the planted feature, or the mean value of the gates that leave it; ``others`` that
    of the other features. NaN where there are no gates.
    """

    test: float
    val: float
    planted: float
    others: float


def write_features(folder: Path, feature: str, language: str, rows: Sequence[FloatArray]) -> Path:
    """Write a packed store."""
    place = folder / language / feature
    place.mkdir(parents=True)
    metadata = {"corpus": language, "condition": "clean", "feature": feature, "stand_ins": ["corpus"]}
    frames = [FrameRow(f"{language}-{n:04d}", row.astype(np.float32)) for n, row in enumerate(rows)]
    write_frames(place / "0000.parquet", frames, frames[0].frames.shape[1], metadata)
    pack_frames([place / "0000.parquet"], place / "packed.npy", place / "packed.parquet")
    return place / "packed.parquet"


def cued(generator: np.random.Generator, emotions: npt.NDArray[np.integer], strength: float) -> list[FloatArray]:
    """Return frames ``(n_frames, n_emotions)`` of utterances with the cues of ``emotions``."""
    lifted = strength * np.eye(len(EMOTIONS))[emotions] + NOISE * generator.normal(size=(len(emotions), len(EMOTIONS)))
    lengths = generator.integers(*FRAMES, len(emotions))
    return [row + generator.normal(size=(length, len(row))) for row, length in zip(lifted, lengths, strict=True)]


def write_language(folder: Path, language: str, generator: np.random.Generator) -> dict[str, Path]:
    """Write utterances, split and features of a language."""
    roles = [role for role, n in UTTERANCES.items() for _ in range(n)]
    n, names = len(roles), [f"{language}-{place:04d}" for place in range(len(roles))]
    emotions = generator.permutation(np.arange(n) % len(EMOTIONS))
    paths = {}
    for feature in NEEDED.values():
        needed = feature == NEEDED[language]
        told = emotions if needed else generator.integers(len(EMOTIONS), size=n)
        rows = cued(generator, told, CUE if needed else MISLEADING)
        paths[feature] = write_features(folder, feature, language, rows)
    selectors = 1 + 0.3 * generator.normal(size=(n, 1, SELECTOR))
    paths["byol"] = write_features(folder, "byol", language, list(selectors))
    about = {
        "corpus": language, "layout": "table", "synthetic": True, "partial": False, "warnings": [],
        "counts": {"listed": n, "accepted": n, "rejected": 0},
    }  # fmt: skip
    columns = {
        "utterance": names, "speaker": ["planted"] * n, "emotion": [EMOTIONS[emotion] for emotion in emotions],
        "sentiment": pa.nulls(n, pa.float64()), "valence_ratings": pa.nulls(n, pa.list_(pa.float64())),
        "duplicate_of": pa.nulls(n, pa.string()),
    }  # fmt: skip
    paths |= {"utterances": folder / f"{language}.parquet", "splits": folder / f"{language}-split.parquet"}
    write_table(paths["utterances"], pa.table(columns), kind="utterances", metadata=about)
    split = {"utterance": names, "fold": ["planted"] * n, "role": roles}
    write_table(paths["splits"], pa.table(split), kind="split", metadata=about)
    return paths


def train(inputs: Sequence[dict[str, Path]], out: Path, system: str, seed: int, options: dict[str, Any]) -> Scores:
    """Train a cell as Snakemake would."""
    named = [f"{name}={path}" for of_language in inputs for name, path in of_language.items()]
    arguments = ["--study", "multigating", "--cell", f"system={system}", "corpus=joint", "variant=main"]
    arguments += ["--inputs", *named, "--corpora", *NEEDED, "--runs", str(seed)]
    arguments += ["--options", json.dumps(options), "--code", "benchmark"]
    outputs = {"predictions": "parquet", "history": "parquet", "metrics": "json", "model": "safetensors"}
    for language in NEEDED:
        (out / language).mkdir(parents=True)
    for name, suffix in outputs.items():
        arguments += [f"--{name}", *(str(out / language / f"{name}.{suffix}") for language in NEEDED)]
    train_stage.main(train_stage.make_parser().parse_args(arguments))
    runs = {language: read_run(out / language / "metrics.json") for language in NEEDED}
    scores = [
        100 * np.mean([fold_scores(run, seed, role, "ua", "pooled") for run in runs.values()])
        for role in ("test", "val")
    ]
    weights = [gate_weights(out / language, language, system) for language in NEEDED]
    return Scores(*map(float, scores), *np.mean(weights, axis=0).tolist())


def gate_weights(folder: Path, language: str, system: str) -> tuple[float, float]:
    """Return what a fit weighs the planted feature of a language with, and the others."""
    if system == "sb":
        return math.nan, math.nan
    place = list(NEEDED.values()).index(NEEDED[language])
    if system == "ours":
        (logits,) = [value for name, value in load_file(folder / "model.safetensors").items() if "log_kappa" in name]
        nas = NasOptions()
        gates = np.clip((nas.delta - nas.gamma) / (1 + np.exp(-logits)) + nas.gamma, 0, 1)
        weights = gates.mean(0)
    else:
        table = read_table(folder / "predictions.parquet", kind="predictions")
        tested = np.array(table.column("role").to_pylist()) == "test"
        weights = np.array(table.column("gates").to_pylist())[tested].mean(0)
    return float(weights[place]), float(np.delete(weights, place).mean())


def train_all(seed: int, options: dict[str, Any], systems: Sequence[str] = COMPARED) -> dict[str, Scores]:
    """Return what each system reaches on the data of a seed."""
    generator = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        inputs = [write_language(Path(folder), language, generator) for language in NEEDED]
        return {system: train(inputs, Path(folder, "runs", system), system, seed, options) for system in systems}


def difference(ours: Sequence[float], peers: Sequence[float]) -> dict[str, float | None]:
    """Return the mean of paired differences, with its 95 % interval where there are several."""
    paired = np.subtract(ours, peers)
    mean, n = float(paired.mean()), len(paired)
    half = float(stats.t.ppf(0.975, n - 1) * paired.std(ddof=1) / math.sqrt(n)) if n > 1 else None
    low, high = (None, None) if half is None else (round(mean - half, 1), round(mean + half, 1))
    return {"difference": round(mean, 1), "low": low, "high": high}


def report(seeds: Sequence[int], found: Sequence[dict[str, Scores]]) -> None:
    """Print a line for every system; ``found`` has what all reach on each seed."""
    peer = float(np.mean([of_seed["sb"].test for of_seed in found]))
    for system in found[0]:
        ours = [of_seed[system] for of_seed in found]
        means = Scores(*np.mean(ours, axis=0).tolist())
        line: dict[str, Any] = {
            "name": f"planted_multigating_{system}", "title": SYSTEMS[system].title, "ours": round(means.test, 1),
            "peer": round(peer, 1), "ratio": round(means.test / peer, 2), "validation": round(means.val, 1),
        }  # fmt: skip
        if system != "sb":
            line |= difference([fit.test for fit in ours], [of_seed["sb"].test for of_seed in found])
            line |= {"planted_feature": round(means.planted, 3), "other_features": round(means.others, 3)}
        print(json.dumps({**line, "seeds": list(seeds), "unit": "UA, percent; weights of features"}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help=f"of {len(TESTING)} that test (default 2)")
    parser.add_argument("--choose", action="store_true", help="the seeds that the settings were chosen on instead")
    arguments = parser.parse_args()
    run_on = (CHOOSING if arguments.choose else TESTING)[: arguments.seeds]
    report(run_on, [train_all(seed, OPTIONS) for seed in run_on])
