"""Peak memory of every stage on a corpus, and on one of ten times as many utterances.

``python benchmarks/memory.py [--utterances 200] [--target FILE ...] [--folder DIR]``: the jobs of Snakemake's plan are
run one after the other, each in a process of its own. With a folder, what was measured is kept there and not measured
again: a run that was stopped goes on, and ``--measured`` says how far it came. Corpora are made up, with utterances of
half a second, in one shard (the stand-in of IEMOCAP, that of the DLC paper, has utterances and shards of its own);
weights of pretrained networks are stand-ins, and networks are small, so that what a corpus adds is not lost in them.

A line a stage (and what it is of: a feature, a method), of its largest job: ``ours`` is the peak of its anonymous
memory with ten times the utterances, ``peer`` with once as many, ``bytes_an_utterance`` what is between. ``resident``
has both with all that is mapped: libraries, and packed arrays, whose pages the system takes back when it needs them.
At the end comes the worst ratio, and how many stages are above `BOUND`.
"""

import argparse
import graphlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from _common import CHECKOUT
from _memory import Peak, peak_of
from serflow.planning.asked import Asked
from serflow.planning.dry_run import Planned
from serflow.planning.work import is_training

RATE, SECONDS, MORE = 16_000, 0.5, 10
BOUND = 1.10
EMOTIONS = ("anger", "happiness", "neutral", "sadness")
SPEAKERS, TURNS = 10, 10
COLUMNS = ("utterance", "speaker", "gender", "emotion", "session", "dialogue", "turn", "text")
CORPUS, AGAIN, STAND_IN = "made_up", "made_up_too", "iemocap"
_SMALL = {"epochs": 1, "batch_size": 16}
CONFIG: dict[str, Any] = {
    "corpora": {
        name: {
            "layout": "table",
            "title": name,
            "root": CORPUS,
            "shards": 1,
            "language": "en",
            "options": {"table": "labels.csv", "audio": "{utterance}.wav", "columns": {name: name for name in COLUMNS}},
        }
        for name in (CORPUS, AGAIN)
    },
    "features": {"byol": {"backbone": "byol", "output": "vector", "standardise": "corpus"}},
    "dlc": {
        "corpora": [STAND_IN], "profiles": ["h1"], "gain_profiles": [], "experiments": ["exp1"],
        "methods": ["single", "moe_dlc", "hffn_single"], "controls": [], "asr": "wav2vec2",
        "stand_in": {"seeds": [0], "maps": 8, "max_epochs": 1},
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
        "corpus": CORPUS, "folds": "leave_session", "folds_used": 1, "features": ["pitch_pulse"], "segments": [0],
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
TARGETS = (
    "results/report/index.html", *(f"results/qc/{study}.csv" for study in STUDIES), "results/dlc/table1.tex",
    f"results/noise/{STAND_IN}/levels.csv", f"results/noise/{STAND_IN}/h1/audio",
    f"results/features/byol/{CORPUS}/clean",
)  # fmt: skip
MEASURED = "peaks.jsonl"
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


def run(job: Planned, folder: Path) -> Peak:
    """Run a job as Snakemake would and return the peak of its memory.

    Raises
    ------
    SerflowError
        If it fails.
    """
    for file in (*job.outputs, job.log):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT / "src"),
        "OMP_NUM_THREADS": "1",
    }
    # the stage itself, and not a shell that waits for it
    return peak_of(["bash", "-euo", "pipefail", "-c", f"exec {job.shell}"], folder, environment)


def measure(folder: Path, n: int, targets: Sequence[str]) -> None:
    """Run what has no peak in ``folder`` yet, with ``n`` utterances a corpus, and write the peak of each job there."""
    if not (folder / CORPUS).exists():
        write_corpus(folder / CORPUS, n)
    config = folder / "config.json"
    config.write_text(json.dumps({**CONFIG, "synthetic": {"utterances": n}}))
    done = {tuple(line["outputs"]) for line in measured(folder)}
    for target in targets:
        asked = Asked(target, folder, CHECKOUT / "Snakefile", [config], ())
        for job in in_order(asked.plan("--forceall").jobs):
            if job.outputs in done:
                continue
            done.add(job.outputs)
            line = {"name": name_of(job), "outputs": job.outputs, **run(job, folder)._asdict()}
            with open(folder / MEASURED, "a") as handle:
                handle.write(json.dumps(line) + "\n")
            said = f"{line['anonymous']:.1f} MB, {line['resident']:.1f} resident"
            print(f"{n} utterances, {line['name']}: {said}", file=sys.stderr, flush=True)


def measured(folder: Path) -> list[dict[str, Any]]:
    """Return what `measure` wrote, a line a job."""
    path = folder / MEASURED
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def peaks(folder: Path) -> dict[str, Peak]:
    """Return the peak memory of each stage that was measured."""
    found: dict[str, Peak] = {}
    for line in measured(folder):
        peak = Peak(line["resident"], line["anonymous"])
        found[line["name"]] = Peak(*map(max, peak, found.get(line["name"], peak)))
    return found


def lines(few: Mapping[str, Peak], many: Mapping[str, Peak], n: int) -> Iterator[dict[str, Any]]:
    """Yield what is said of each stage, those that grow most first."""
    ratios = {name: peak.anonymous / few[name].anonymous for name, peak in many.items() if name in few}
    for name in sorted(ratios, key=lambda name: -ratios[name]):
        once, tenfold = few[name], many[name]
        yield {
            "name": f"memory of {name}, ten times the utterances",
            "ours": round(tenfold.anonymous, 1),
            "peer": round(once.anonymous, 1),
            "ratio": round(ratios[name], 2),
            "unit": "MB",
            "bytes_an_utterance": round((tenfold.anonymous - once.anonymous) * 2**20 / ((MORE - 1) * n)),
            "resident": [round(once.resident, 1), round(tenfold.resident, 1)],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=200, help="of the smaller corpora (default: %(default)s)")
    parser.add_argument("--target", nargs="+", default=list(TARGETS), help="what is made, as Snakemake is told it")
    parser.add_argument("--folder", type=Path, help="where what was made and measured stays; what lies there is kept")
    parser.add_argument("--measured", action="store_true", help="run nothing, say what --folder has")
    arguments = parser.parse_args()
    n = arguments.utterances
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        once, tenfold = folder.absolute() / "once", folder.absolute() / "tenfold"
        for place, size in ((once, n), (tenfold, MORE * n)):
            if not arguments.measured:
                measure(place, size, arguments.target)
        said = list(lines(peaks(once), peaks(tenfold), n))
    for line in said:
        print(json.dumps(line), flush=True)
    above = sum(line["ratio"] > BOUND for line in said)
    worst = {"name": "memory: the worst ratio of a stage, ten times the utterances", "ours": said[0]["ratio"]}
    print(json.dumps({**worst, "unit": "times", "stages": len(said), "above": above}), flush=True)


if __name__ == "__main__":
    main()
