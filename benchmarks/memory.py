"""Peak memory of every stage on a corpus, and on one of ten times as many utterances.

``python benchmarks/memory.py [--utterances 200] [--study dlc ...]``. The jobs of Snakemake's plan
for a study's page, on utterances of 0.5 s that are made up, are run one after the other, each in a process of its own,
whose peak resident memory is read when it has ended. The corpus is one shard, and weights of pretrained networks are
stand-ins; networks are small, so that what a corpus adds is not lost in them. A line a stage (and what it is of: a
feature, a method), of its largest job: ``ours`` is of ten times the utterances, ``peer`` of once as many, and
``bytes_an_utterance`` what is between.
"""

import argparse
import graphlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from _common import CHECKOUT
from _memory import MEASURED
from serflow.errors import SerflowError
from serflow.planning.asked import Asked
from serflow.planning.dry_run import Planned
from serflow.planning.work import is_training

RATE, SECONDS, MORE = 16_000, 0.5, 10
EMOTIONS = ("anger", "happiness", "neutral", "sadness")
SPEAKERS, TURNS = 10, 10
COLUMNS = ("utterance", "speaker", "gender", "emotion", "session", "dialogue", "turn", "text")
CORPUS, AGAIN = "made_up", "made_up_too"
_SMALL = {"epochs": 1, "batch_size": 16}
CONFIG: dict[str, Any] = {
    "corpora": {
        name: {
            "layout": "table",
            "root": CORPUS,
            "shards": 1,
            "language": "en",
            "options": {"table": "labels.csv", "audio": "{utterance}.wav", "columns": {name: name for name in COLUMNS}},
        }
        for name in (CORPUS, AGAIN)
    },
    "backbones": {"ge2e": {"weights": "stand-in"}},
    "dlc": {
        "corpora": [CORPUS], "profiles": ["h1"], "gain_profiles": [], "experiments": ["exp1"], "seeds": [0],
        "methods": ["single", "moe_dlc", "hffn_single"], "controls": [], "asr": "wav2vec2",
        "model": {"maps": 8, "kernel": 4, "hidden": 8}, "training": {"max_epochs": 1, "batch_size": 16},
    },
    "invariance": {
        "corpus": CORPUS, "systems": ["dat"], "runs": [0], "folds_used": "first", "speaker_counts": [2],
        "style": "all", "model": {"tdnn": [[8, 5, 2], [8, 3, 4]], "lstm": 4, "fc": 8, "head": 8}, "training": _SMALL,
        "many_speakers": {
            "corpus": AGAIN, "split": "speaker", "runs": [0],
            "model": {"tdnn": [[8, 3, 1]], "lstm": 4, "fc": 8, "head": 8},
        },
    },
    "temporal": {
        "corpus": CORPUS, "folds": "leave_session", "folds_used": 1, "features": ["spectrogram"], "segments": [0],
        "strfnet": {"kernels": 2, "channels": 4, "embedding": 8, "attention": 4, "hidden": 8},
        "segment_net": {"maps": 8, "lstm": 8, "lstm_layers": 1, "hidden": 8}, "training": _SMALL,
    },
    "multigating": {
        "languages": {
            "english": {"corpus": CORPUS, "units": 8, "activations": ["mish", "gelu"], "alpha": 0.1},
            "german": None,
            "french": None,
        },
        "systems": ["one_tower"], "features": ["mfcc", "ge2e"], "runs": [0],
        "encoder": {"maps": 4, "lstm": 4, "mfcc_maps": 4, "mfcc_lstm": 4}, "sharing": {"width": 8, "base_units": 8},
        "figure3": {"language": "english", "alphas": [0.0]}, "training": _SMALL,
    },
    "speakernorm": {"corpus": CORPUS, "folds": ["speaker_fold"], "betas": [1.0], "training": _SMALL},
}  # fmt: skip
STUDIES = ("dlc", "invariance", "temporal", "multigating", "speakernorm")
# what tells jobs of a stage from each other
_OF = ("feature", "recogniser", "backbone", "profile", "study")


def write_corpus(root: Path, n: int) -> None:
    """Write utterances of a voice that says nothing, in dialogues of ten turns, with a table of labels."""
    root.mkdir(parents=True)
    generator, lines = np.random.default_rng(0), [",".join(COLUMNS)]
    seconds = np.arange(round(RATE * SECONDS)) / RATE
    for index in range(n):
        dialogue, turn = divmod(index, TURNS)
        session = dialogue % (SPEAKERS // 2)
        speaker = 2 * session + turn % 2
        pitch = generator.uniform(100, 140) * (1 + speaker % 2)
        voice = sum(np.sin(2 * np.pi * pitch * number * seconds) / number for number in range(1, 12))
        voice = 0.2 * voice * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * seconds)) + generator.normal(0, 1e-3, len(seconds))
        soundfile.write(root / f"utt{index:05d}.wav", voice, RATE, subtype="PCM_16")
        emotion = EMOTIONS[int(generator.integers(len(EMOTIONS)))]
        gender = "FM"[speaker % 2]
        said = f"speaker{speaker},{gender},{emotion},session{session},dialogue{dialogue:04d},{turn},the day is long"
        lines.append(f"utt{index:05d},{said}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


def in_order(jobs: Iterable[Planned]) -> list[Planned]:
    """Return jobs so that each comes after those that make its inputs."""
    known = [job for job in jobs if job.shell]
    makes = {output: number for number, job in enumerate(known) for output in job.outputs}
    before = {
        number: {makes[file] for file in job.inputs if file in makes} - {number} for number, job in enumerate(known)
    }
    return [known[number] for number in graphlib.TopologicalSorter(before).static_order()]


def name_of(job: Planned) -> str:
    """Return a stage and what it is of."""
    command = job.command
    if command is None:
        return job.rule
    if is_training(command.stage):
        (cell, *_) = command.cells()
        parts = [command.word("study"), cell.get("method", cell.get("system", cell.get("case", "").partition("-")[0]))]
    elif command.stage == "pack_features":
        parts = [command.placed()[1]]
    else:
        parts = [next(filter(None, map(command.word, _OF)), None)]
    return " ".join([command.stage, *filter(None, dict.fromkeys(parts))])


def run(job: Planned, folder: Path) -> float:
    """Run a job as Snakemake would and return the peak resident memory (MB) of its process.

    Raises
    ------
    SerflowError
        If it fails.
    """
    for file in (*job.outputs, job.log):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "bash", "-euo", "pipefail", "-c", job.shell],
        cwd=folder, env={**os.environ, "PATH": path}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SerflowError(f"{name_of(job)} failed:\n{done.stdout}{done.stderr}")
    return int(done.stdout.split()[-1]) / 1024


def peaks(folder: Path, n: int, targets: Sequence[str]) -> dict[str, float]:
    """Return the peak memory (MB) of each stage with ``n`` utterances."""
    write_corpus(folder / CORPUS, n)
    config = folder / "config.json"
    config.write_text(json.dumps(CONFIG))
    found: dict[str, float] = {}
    done = set[tuple[str, ...]]()
    for target in targets:
        asked = Asked(f"results/report/{target}.html", folder, CHECKOUT / "Snakefile", [config], ())
        for job in in_order(asked.plan("--forceall").jobs):
            if job.outputs not in done:
                done.add(job.outputs)
                peak = run(job, folder)
                found[name_of(job)] = max(peak, found.get(name_of(job), 0.0))
                print(f"{n} utterances, {name_of(job)}: {peak:.1f} MB", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=200, help="of the smaller corpus (default: %(default)s)")
    parser.add_argument("--study", nargs="+", choices=STUDIES, default=list(STUDIES), help="these alone")
    arguments = parser.parse_args()
    n = arguments.utterances
    with tempfile.TemporaryDirectory() as once, tempfile.TemporaryDirectory() as tenfold:
        few, many = (peaks(Path(folder), size, arguments.study) for folder, size in ((once, n), (tenfold, MORE * n)))
    for name, peak in few.items():
        grown = (many[name] - peak) * 2**20 / ((MORE - 1) * n)
        line = {"name": f"memory of {name}, ten times the utterances", "ours": round(many[name], 1)}
        line |= {"peer": round(peak, 1), "ratio": round(many[name] / peak, 2), "unit": "MB"}
        print(json.dumps({**line, "bytes_an_utterance": round(grown)}), flush=True)


if __name__ == "__main__":
    main()
