"""What methods of the DLC study are for, on features with planted effects: UA beside Single's, with paired intervals.

``python benchmarks/planted_methods.py [--seeds 5] [--kinds opposed shifted]`` writes features, not audio,
trains with the stage that Snakemake runs, and prints one JSON line a method: ``ours`` is the method's test UA (mean
over seeds), ``peer`` Single's on the same utterances, and ``low`` to ``high`` the 95 % interval of their difference,
clustered by dialogue as in ``results/dlc/table1_intervals.csv``. There are two kinds.

Experiment 1, ``opposed``: every type of noise is heard in a band of its own, and the same cues speak for another
emotion under each: what encodes an emotion in one noise contradicts the others. Experts need not compromise.

Experiment 2, ``shifted``: the emotion is in a cue of its own, and noise in many bands besides, in which every type of
noise has its own level. Two levels are heard in training and do little harm; the third is far from both, and upsets an
encoder that never needed to leave the level out of its code. A method that makes conditions look alike has to. The
adversary of DANN gets the weight that DSN's has: with its own, 1, it wins here, and the code never becomes alike.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from serflow.noise.plan import CONDITIONS
from serflow.protocols.splits import split_units
from serflow.report.headings import Heading, Layout
from serflow.report.intervals import table_intervals
from serflow.stages import train as train_stage
from serflow.stores.frames import FrameRow, pack_frames, write_frames
from serflow.stores.parquet import write_table
from serflow.studies.dlc.catalog import method_info

EMOTIONS = ("anger", "happiness", "neutral", "sadness")
N_UTTERANCES, TURNS = 720, 4
CUES, NOISES = 4, 3
BANDS = {"opposed": CUES + NOISES, "shifted": CUES + 20}
COUNTS = {"listed": N_UTTERANCES, "accepted": N_UTTERANCES, "rejected": 0}
ABOUT = {"corpus": "planted", "synthetic": True, "partial": False, "counts": COUNTS, "warnings": []}
FloatArray = npt.NDArray[np.float32]
METHODS = {
    "opposed": ("exp1", ("single", "moe_slc", "moe_dlc", "single_wide")),
    "shifted": ("exp2", ("single", "moe_dlc", "dann", "maddog", "dsn_slc", "dsn_dlc")),
}
OPTIONS: dict[str, Any] = {
    "model": {"maps": 16, "kernel": 5, "dilations": [1, 2], "hidden": 32},
    "training": {"max_epochs": 40, "batch_size": 32, "device": "cpu", "reconstruction_weight": 0.1},
    "adversary": {"weight": 0.25},
}
LEVEL = {"opposed": 0.8, "noise": 1.5, "cue": 0.6}
SHIFTS = (-3.0, 0.0, 3.0)


def opposed(frames: FloatArray, emotion: int, condition: int) -> None:
    """Lift the cue that stands for the emotion under this noise, and the noise's own band."""
    frames[:, (emotion + condition) % CUES] += LEVEL["opposed"]
    frames[:, CUES + condition] += LEVEL["noise"]


def shifted(frames: FloatArray, emotion: int, condition: int) -> None:
    """Lift the cue of the emotion, and set the noise's bands to its level."""
    frames[:, emotion] += LEVEL["cue"]
    frames[:, CUES:] += SHIFTS[condition]


PLANT = {"opposed": opposed, "shifted": shifted}


def write_features(folder: Path, condition: str, rows: list[FrameRow], bands: int) -> Path:
    folder.mkdir(parents=True)
    metadata = {"corpus": "planted", "condition": condition, "feature": "planted", "stand_ins": ["corpus"]}
    write_frames(folder / "0000.parquet", rows, bands, metadata)
    pack_frames([folder / "0000.parquet"], folder / "packed.npy", folder / "packed.parquet")
    return folder / "packed.parquet"


def write_inputs(folder: Path, kind: str, seeds: list[int]) -> dict[str, list[Path]]:
    """Write utterances, splits, plan and features of one kind."""
    generator = np.random.default_rng(0)
    names = [f"u{i:04d}" for i in range(N_UTTERANCES)]
    dialogues = [f"d{i // TURNS:03d}" for i in range(N_UTTERANCES)]
    emotions = generator.integers(len(EMOTIONS), size=N_UTTERANCES)
    conditions = generator.integers(len(CONDITIONS), size=N_UTTERANCES)
    clean, noisy = [], []
    for name, emotion, condition in zip(names, emotions.tolist(), conditions.tolist(), strict=True):
        frames = generator.normal(size=(int(generator.integers(16, 40)), BANDS[kind])).astype(np.float32)
        planted = frames.copy()
        PLANT[kind](planted, emotion, condition)
        clean.append(FrameRow(name, frames))
        noisy.append(FrameRow(name, planted))
    paths = {name: [folder / f"{name}.parquet"] for name in ("utterances", "plan")}
    paths["splits"] = [folder / f"split-{seed}.parquet" for seed in seeds]
    nothing = pa.nulls(N_UTTERANCES, pa.float64())
    columns = {
        "utterance": names, "speaker": dialogues, "dialogue": dialogues,
        "turn": [i % TURNS for i in range(N_UTTERANCES)],
        "emotion": [EMOTIONS[i] for i in emotions], "sentiment": nothing,
        "valence_ratings": pa.nulls(N_UTTERANCES, pa.list_(pa.float64())),
        "duplicate_of": pa.nulls(N_UTTERANCES, pa.string()),
    }  # fmt: skip
    write_table(paths["utterances"][0], pa.table(columns), kind="utterances", metadata=ABOUT)
    for seed, path in zip(seeds, paths["splits"], strict=True):
        role_of = split_units(dialogues, seed)
        split = {
            "utterance": names,
            "fold": [f"dialogue-{seed}"] * N_UTTERANCES,
            "role": [role_of[dialogue] for dialogue in dialogues],
        }
        write_table(path, pa.table(split), kind="split", metadata=ABOUT)
    plan = pa.table({"utterance": names, "condition": [CONDITIONS[i] for i in conditions]})
    about = {"corpus": "planted", "profile": "h1", "synthetic_clips": True, "clip_warnings": []}
    write_table(paths["plan"][0], plan, kind="noise_plan", metadata=about)
    paths["clean"] = [write_features(folder / "clean", "clean", clean, BANDS[kind])]
    paths["noisy"] = [write_features(folder / "h1", "h1", noisy, BANDS[kind])]
    return paths


def train(inputs: dict[str, list[Path]], out: Path, experiment: str, method: str, seeds: list[int]) -> Path:
    """Train a cell as Snakemake would; return its predictions."""
    read = dict(inputs)
    if method_info(method).routes:
        read["gate"] = [out / "noise_classifier" / "predictions"]
    cell = [f"experiment={experiment}", f"method={method}", "corpus=planted", "profile=h1"]
    options = ["--study", "dlc", "--cell", *cell, "--runs", *map(str, seeds)]
    options += ["--inputs", *(f"{name}={path}" for name, paths in read.items() for path in paths)]
    options += ["--options", json.dumps(OPTIONS), "--code", "benchmark"]
    for name in ("predictions", "history", "metrics", "model"):
        options += [f"--{name}", str(out / method / name)]
    train_stage.main(train_stage.make_parser().parse_args(options))
    return out / method / "predictions"


def layout(experiment: str, methods: Sequence[str]) -> Layout:
    """Return a table of the methods, each beside Single."""
    titles = {method: (method_info(method).title,) for method in methods}
    rows = [
        Heading(title, {"method": method}, baseline=None if method == "single" else titles["single"])
        for method, title in titles.items()
    ]
    where = {"experiment": experiment, "corpus": "planted", "profile": "h1", "measure": "ua"}
    return Layout(("Method",), rows, [Heading(("UA",), {})], where)


def compare(kind: str, seeds: list[int]) -> None:
    """Print a line for every method of a kind."""
    experiment, methods = METHODS[kind]
    with tempfile.TemporaryDirectory() as folder:
        inputs = write_inputs(Path(folder), kind, seeds)
        train(inputs, Path(folder), experiment, "noise_classifier", seeds)
        predictions = [train(inputs, Path(folder), experiment, method, seeds) for method in methods]
        heading, lines = table_intervals(layout(experiment, methods), predictions, inputs["utterances"], "dialogue")
    found = [dict(zip(heading, line, strict=True)) for line in lines]
    single = float(found[0]["value"])
    for method, row in zip(methods, found, strict=True):
        ours = float(row["value"])
        difference = {
            name: round(float(row[column]), 1) if row[column] else None
            for name, column in {"difference": "difference", "low": "difference_low", "high": "difference_high"}.items()
        }
        line = {
            "name": f"planted_{kind}_{method}", "title": row["method"], "ours": round(ours, 1),
            "peer": round(single, 1), "ratio": round(ours / single, 2), **difference, "unit": "UA, percent",
        }  # fmt: skip
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="splits and initial weights (default 5)")
    parser.add_argument("--kinds", nargs="+", choices=sorted(METHODS), default=list(METHODS), help="default: all")
    arguments = parser.parse_args()
    for planted in arguments.kinds:
        compare(planted, list(range(arguments.seeds)))
