"""What speaker-invariant training is for, on planted features: UAR on new speakers, and a speaker probe.

``python benchmarks/planted_invariance.py [--seeds 2] [--kinds biased unbiased] [--choose]`` writes features, not audio,
trains with the stage that Snakemake runs, and prints one JSON line a system: ``ours`` is its mean UAR on the test
speakers, ``peer`` that of SER_only, ``probe`` the mean accuracy of a fresh linear speaker probe on the frozen
embeddings (training speakers, held-out utterances), ``untrained_probe`` that on the network before its first step.
Differences to SER_only are paired by seed, with a 95 % interval of the mean over seeds (Student's t).

A seed draws speakers, utterances and initial weights. Each speaker has a trait, two values that lift every frame: one
of four corners, and an own part. An emotion lifts a cue of its own, the same for all speakers, under noise of its own
in each utterance. Speakers of validation and test show all emotions alike.

Kind 1, ``biased``: a speaker of training shows one emotion, that of the corner, in 70 % of the utterances. Who speaks
then predicts the label in training and misleads on new speakers; an embedding that does not tell who speaks has to read
the cue.

Kind 2, ``unbiased``, the control: speakers of training show all emotions alike, and the trait predicts nothing.

The planted strengths, the sizes, the learning rate and DAT's lambda were chosen on the seeds of ``CHOOSING``, and the
seeds of ``TESTING`` were run once with what was chosen. ``--choose`` prints the choice of lambda again: a line a value,
with UAR on the validation speakers. MTL and CGT have their defaults. Seeds 100 to 107 are spent: they tested an earlier
design, in which traits were drawn at random instead of around corners; see docs/invariance.md.
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
from scipy import stats

from serflow.runs.scores import fold_scores, read_run
from serflow.stages import train as train_stage
from serflow.stores.frames import FrameRow, pack_frames, write_frames
from serflow.stores.parquet import write_table
from serflow.studies.invariance.catalog import system_info

CHOOSING = (0, 1, 2, 3)
TESTING = tuple(range(200, 208))
STRENGTHS = (0.5, 1.0, 2.0)
SYSTEMS = {"biased": ("ser_only", "mtl", "dat", "cgt", "cgt_random"), "unbiased": ("ser_only", "dat")}
EMOTIONS = ("anger", "happiness", "neutral", "sadness")
SPEAKERS = {"train": 8, "val": 8, "test": 24}
UTTERANCES = {"train": 80, "val": 20, "test": 20}
FRAMES = (30, 50)
FAVOURED = {"biased": 0.7, "unbiased": 1 / len(EMOTIONS)}
CORNERS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
CUES, TRAITS = len(EMOTIONS), CORNERS.shape[1]
# beside frames of deviation 1: the cue, the trait, and the deviation of each between utterances
CUE, CUE_NOISE = 0.8, 0.5
TRAIT, OWN_TRAIT, TRAIT_NOISE = 1.5, 0.5, 0.5
OPTIONS: dict[str, Any] = {
    "model": {"tdnn": [[16, 5, 2], [16, 3, 4]], "lstm": 16, "fc": 16, "head": 64, "dropout": 0.2},
    "training": {"epochs": 40, "batch_size": 64, "learning_rate": 0.03, "device": "cpu"},
    "dat": {"strength": 1.0},
    "style": "all",
}
FloatArray = npt.NDArray[np.floating]


class Planted(NamedTuple):
    """Utterances: their frames, and speaker, emotion and role of each."""

    frames: list[FrameRow]
    speakers: list[str]
    emotions: list[str]
    roles: list[str]


class Scores(NamedTuple):
    """What a fit reaches, in percent: UAR on test and validation speakers, and the speaker probes."""

    test: float
    val: float
    probe: float
    untrained_probe: float


MEASURES = (("test", "ua"), ("val", "ua"), ("probe", "speaker_wa"), ("probe", "untrained_speaker_wa"))


def plant(kind: str, seed: int) -> Planted:
    """Draw the speakers and the utterances of a seed."""
    generator = np.random.default_rng(seed)
    planted = Planted([], [], [], [])
    for role, n_speakers in SPEAKERS.items():
        for place in range(n_speakers):
            speaker = f"{role}{place:02d}"
            trait = TRAIT * CORNERS[place % CUES] + OWN_TRAIT * generator.normal(size=TRAITS)
            favoured = FAVOURED[kind] if role == "train" else 1 / CUES
            shares = np.full(CUES, (1 - favoured) / (CUES - 1))
            shares[place % CUES] = favoured
            for index in range(UTTERANCES[role]):
                emotion = int(generator.choice(CUES, p=shares))
                frames = generator.normal(size=(int(generator.integers(*FRAMES)), CUES + TRAITS))
                frames[:, :CUES] += CUE * np.eye(CUES)[emotion] + CUE_NOISE * generator.normal(size=CUES)
                frames[:, CUES:] += trait + TRAIT_NOISE * generator.normal(size=TRAITS)
                planted.frames.append(FrameRow(f"{speaker}-{index:03d}", frames.astype(np.float32)))
                planted.speakers.append(speaker)
                planted.emotions.append(EMOTIONS[emotion])
                planted.roles.append(role)
    return planted


def write_features(folder: Path, feature: str, rows: list[FrameRow]) -> Path:
    folder.mkdir()
    metadata = {"corpus": "planted", "condition": "clean", "feature": feature, "stand_ins": ["corpus"]}
    write_frames(folder / "0000.parquet", rows, rows[0].frames.shape[1], metadata)
    pack_frames([folder / "0000.parquet"], folder / "packed.npy", folder / "packed.parquet")
    return folder / "packed.parquet"


def write_inputs(folder: Path, kind: str, seed: int) -> dict[str, Path]:
    """Write utterances, split, features and the decisions of a VAD, to which all frames are speech."""
    planted = plant(kind, seed)
    names, n = [row.utterance for row in planted.frames], len(planted.frames)
    counts = {"listed": n, "accepted": n, "rejected": 0}
    about = {"corpus": "planted", "synthetic": True, "partial": False, "counts": counts, "warnings": []}
    columns = {
        "utterance": names, "speaker": planted.speakers, "emotion": planted.emotions,
        "sentiment": pa.nulls(n, pa.float64()), "valence_ratings": pa.nulls(n, pa.list_(pa.float64())),
        "duplicate_of": pa.nulls(n, pa.string()),
    }  # fmt: skip
    paths = {"utterances": folder / "utterances.parquet", "splits": folder / "split.parquet"}
    write_table(paths["utterances"], pa.table(columns), kind="utterances", metadata=about)
    split = {"utterance": names, "fold": ["planted"] * n, "role": planted.roles}
    write_table(paths["splits"], pa.table(split), kind="split", metadata=about)
    voiced = [FrameRow(name, np.ones((len(frames), 1), dtype=np.float32)) for name, frames in planted.frames]
    paths["mfcc"] = write_features(folder / "mfcc", "mfcc_kaldi", planted.frames)
    paths["vad"] = write_features(folder / "vad", "energy_vad", voiced)
    return paths


def train(inputs: dict[str, Path], out: Path, system: str, seed: int, options: dict[str, Any]) -> Scores:
    """Train a cell as Snakemake would."""
    arguments = ["--study", "invariance", "--cell", f"system={system}", "corpus=planted", "variant=main"]
    arguments += ["--inputs", *(f"{name}={path}" for name, path in inputs.items()), "--runs", str(seed)]
    arguments += ["--options", json.dumps(options), "--code", "benchmark"]
    out.mkdir()
    outputs = {"predictions": "parquet", "history": "parquet", "metrics": "json", "model": "safetensors"}
    for name, suffix in outputs.items():
        arguments += [f"--{name}", str(out / f"{name}.{suffix}")]
    train_stage.main(train_stage.make_parser().parse_args(arguments))
    run = read_run(out / "metrics.json")
    return Scores(*(100 * fold_scores(run, seed, role, measure, "pooled") for role, measure in MEASURES))


def train_all(kind: str, seed: int) -> dict[str, Scores]:
    """Return what each system reaches on the data of a seed."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = write_inputs(Path(folder), kind, seed)
        return {system: train(inputs, Path(folder, system), system, seed, OPTIONS) for system in SYSTEMS[kind]}


def means_of(fits: Sequence[Scores]) -> Scores:
    """Return the mean of each score."""
    return Scores(*np.mean(fits, axis=0).tolist())


def difference(ours: Sequence[float], peers: Sequence[float]) -> dict[str, float | None]:
    """Return the mean of paired differences, with its 95 % interval where there are several."""
    paired = np.subtract(ours, peers)
    mean, n = float(paired.mean()), len(paired)
    half = float(stats.t.ppf(0.975, n - 1) * paired.std(ddof=1) / math.sqrt(n)) if n > 1 else None
    low, high = (None, None) if half is None else (round(mean - half, 1), round(mean + half, 1))
    return {"difference": round(mean, 1), "low": low, "high": high}


def report(kind: str, seeds: Sequence[int], found: Sequence[dict[str, Scores]]) -> None:
    """Print a line for every system; ``found`` has what all reach on each seed."""
    single = [of_seed["ser_only"] for of_seed in found]
    peer = means_of(single).test
    for system in SYSTEMS[kind]:
        ours = [of_seed[system] for of_seed in found]
        means = means_of(ours)
        line: dict[str, Any] = {
            "name": f"planted_{kind}_{system}", "title": system_info(system).title, "ours": round(means.test, 1),
            "peer": round(peer, 1), "ratio": round(means.test / peer, 2),
        }  # fmt: skip
        if system != "ser_only":
            line |= difference([fit.test for fit in ours], [fit.test for fit in single])
        line |= {"probe": round(means.probe, 1), "untrained_probe": round(means.untrained_probe, 1)}
        if system != "ser_only":
            probes = difference([fit.probe for fit in ours], [fit.probe for fit in single])
            line |= {f"probe_{name}": value for name, value in probes.items()}
        line |= {"testing_seeds": list(seeds), "unit": "UAR and accuracy of the probe, percent"}
        print(json.dumps(line), flush=True)


def choose() -> None:
    """Print a line for every strength of DAT, on the seeds that choose."""
    for strength in STRENGTHS:
        found = []
        for seed in CHOOSING:
            with tempfile.TemporaryDirectory() as folder:
                inputs = write_inputs(Path(folder), "biased", seed)
                options = {**OPTIONS, "dat": {"strength": strength}}
                found.append(train(inputs, Path(folder, "dat"), "dat", seed, options))
        means = means_of(found)
        line = {
            "name": f"planted_choose_lambda_{strength:g}", "validation": round(means.val, 1),
            "probe": round(means.probe, 1),
            "choosing_seeds": list(CHOOSING), "unit": "UAR and accuracy of the probe, percent",
        }  # fmt: skip
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help=f"of {len(TESTING)} that test (default 2)")
    parser.add_argument("--kinds", nargs="+", choices=sorted(SYSTEMS), default=list(SYSTEMS), help="default: all")
    parser.add_argument("--choose", action="store_true", help="compare values of lambda on the seeds that choose")
    arguments = parser.parse_args()
    if arguments.choose:
        choose()
    else:
        tested = TESTING[: arguments.seeds]
        for planted_kind in arguments.kinds:
            report(planted_kind, tested, [train_all(planted_kind, seed) for seed in tested])
