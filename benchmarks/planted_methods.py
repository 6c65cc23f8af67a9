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
from pathlib import Path
from typing import Any

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from serflow.splits import roles
from serflow.stages import train_dlc
from serflow.stores.frames import FrameRow, pack_frames, write_frames
from serflow.stores.parquet import write_table
from serflow.studies.dlc.catalog import method_info
from serflow.studies.dlc.data import CONDITIONS
from serflow.studies.dlc.intervals import table1_intervals
from serflow.studies.dlc.paper import method_title

EMOTIONS = ("anger", "happiness", "neutral", "sadness")
N_UTTERANCES, TURNS = 720, 4
CUES, NOISES = 4, 3
BANDS = {"opposed": CUES + NOISES, "shifted": CUES + 20}
ABOUT = {"corpus": "planted", "synthetic": True, "partial": False}
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
    metadata = {"corpus": "planted", "condition": condition, "feature": "planted", "synthetic": ["corpus"]}
    write_frames(folder / "0000.parquet", rows, bands, metadata)
    pack_frames([folder / "0000.parquet"], folder / "packed.npy", folder / "packed.parquet")
    return folder / "packed.parquet"


def write_inputs(folder: Path, kind: str, seeds: list[int]) -> dict[str, Path]:
    """Write utterances, split, plan and features of one kind."""
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
    paths = {name: folder / f"{name}.parquet" for name in ("utterances", "split", "plan")}
    nothing = pa.nulls(N_UTTERANCES, pa.float64())
    columns = {
        "id": names, "speaker": dialogues, "dialogue": dialogues, "turn": [i % TURNS for i in range(N_UTTERANCES)],
        "emotion": [EMOTIONS[i] for i in emotions], "sentiment": nothing,
        "valence_ratings": pa.nulls(N_UTTERANCES, pa.list_(pa.float64())),
    }  # fmt: skip
    write_table(
        paths["utterances"],
        pa.table(columns),
        kind="utterances",
        metadata=ABOUT,
    )
    folds = [(name, seed, role) for seed in seeds for name, role in zip(names, roles(dialogues, seed), strict=True)]
    split = {
        "utterance": [name for name, _, _ in folds],
        "fold": pa.array([seed for _, seed, _ in folds], pa.int32()),
        "role": [role for _, _, role in folds],
    }
    write_table(
        paths["split"],
        pa.table(split),
        kind="split",
        metadata=ABOUT,
    )
    plan = pa.table({"utterance": names, "condition": [CONDITIONS[i] for i in conditions]})
    write_table(paths["plan"], plan, kind="noise_plan", metadata={"corpus": "planted", "profile": "h1"})
    paths["clean"] = write_features(folder / "clean", "clean", clean, BANDS[kind])
    paths["noisy"] = write_features(folder / "h1", "h1", noisy, BANDS[kind])
    return paths


def train(inputs: dict[str, Path], out: Path, experiment: str, method: str, seeds: list[int]) -> Path:
    """Train a cell as Snakemake would; return its predictions."""
    files = {name: out / method / name for name in ("predictions", "history", "metrics", "model")}
    options = ["--experiment", experiment, "--method", method, "--corpus", "planted", "--profile", "h1"]
    options += ["--options", json.dumps(OPTIONS), "--code", "benchmark", "--seeds", *map(str, seeds)]
    if method_info(method).routes:
        options += ["--gate", str(out / "noise_classifier" / "predictions")]
    for name, path in {**inputs, **files}.items():
        options += [f"--{name}", str(path)]
    train_dlc.main(train_dlc.make_parser().parse_args(options))
    return files["predictions"]


def compare(kind: str, seeds: list[int]) -> None:
    """Print a line for every method of a kind."""
    experiment, methods = METHODS[kind]
    with tempfile.TemporaryDirectory() as folder:
        inputs = write_inputs(Path(folder), kind, seeds)
        train(inputs, Path(folder), experiment, "noise_classifier", seeds)
        predictions = [train(inputs, Path(folder), experiment, method, seeds) for method in methods]
        table = table1_intervals(predictions, [inputs["utterances"]], "dialogue")
    table = table[table["corpus"] == "planted"].set_index("method")
    single = table.loc[method_title("single"), "ua"]
    for method in methods:
        title = method_title(method)
        row = table.loc[title]
        line = {
            "name": f"planted_{kind}_{method}", "title": title, "ours": round(row["ua"], 1), "peer": round(single, 1),
            "ratio": round(row["ua"] / single, 2), "difference": round(row["difference"], 1),
            "low": round(row["difference_low"], 1), "high": round(row["difference_high"], 1), "unit": "UA, percent",
        }  # fmt: skip
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="splits and initial weights (default 5)")
    parser.add_argument("--kinds", nargs="+", choices=sorted(METHODS), default=list(METHODS), help="default: all")
    arguments = parser.parse_args()
    for planted in arguments.kinds:
        compare(planted, list(range(arguments.seeds)))
