"""Kills at random moments: whether a run that goes on ends with the bytes of an undisturbed one, and what a kill costs.

Features and one small training of each study are made from stand-ins. Killed are, by turns that a seed deals: Snakemake
alone, whose jobs go on; one job; all processes at once, as when the power fails. Then the same command is given again.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from serflow.config import read_configs

CHECKOUT = Path(__file__).resolve().parents[1]
CONFIG = """
synthetic: {utterances: 96}
dlc:
  corpora: [iemocap]
  profiles: [h1]
  methods: [single]
  stand_in: {seeds: [0], maps: 8, max_epochs: 4}
invariance:
  systems: [dat]
  many_speakers: {corpus: crema_d, model: {tdnn: [[8, 3, 1]], lstm: 4, fc: 8, head: 8}}
  model: {tdnn: [[8, 5, 2], [8, 3, 4]], lstm: 4, fc: 8, head: 8}
  stand_in: {epochs: 4}
temporal:
  features: [spectrogram]
  segments: [0]
  strfnet: {embedding: 8, attention: 4, hidden: 8}
  stand_in: {epochs: 4, folds_used: 2, crop_s: 0.5, kernels: 2, channels: 4, maps: 8}
multigating:
  systems: [one_tower]
  features: [mfcc, ge2e]
  stand_in: {epochs: 2, units: 8, width: 8, maps: 4, lstm: 4}
speakernorm:
  betas: [1.0]
  stand_in: {epochs: 1, batch_size: 8, accumulate: 2, eval_updates: 3}
"""
KINDS = ("snakemake", "job", "all")
# what a trial makes; that before it is made once
MADE = ("features", "packed", "runs", "noise", "splits")
_TIMES = ("logs", "benchmarks")


def targets(config: Path, studies: Sequence[str]) -> list[str]:
    """Return the metrics of one training of each study, or of those that are named."""
    plans = read_configs([CHECKOUT / "config.yaml", config])[0].plans()
    cells = {name: next(iter(plans[name].cells())) for name in studies or plans}
    return [f"results/runs/{name}/{'/'.join(map(str, cell))}/metrics.json" for name, cell in cells.items()]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of all results by name; logs and times are none."""
    results = folder / "results"
    files = {path.relative_to(results): path for path in results.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in files.items() if name.parts[0] not in _TIMES}


class Run:
    """A Snakemake with its jobs, in a session of its own."""

    def __init__(self, folder: Path, config: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(CHECKOUT / "Snakefile")]
        command += ["--directory", str(folder), "--cores", "2", "--configfile", str(config), "--quiet"]
        with open(folder.with_suffix(".log"), "a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def ends_within(self, seconds: float) -> bool:
        """Wait so long, and say whether it has ended."""
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def jobs(self) -> list[int]:
        """Return the processes of stages."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                session = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[3])
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if session == self.process.pid and b"\0-m\0serflow.stages." in command:
                found.append(int(folder.name))
        return found

    def kill(self, kind: str, chance: random.Random) -> str:
        """Kill what is to be killed, wait for Snakemake's end, and return what was killed."""
        jobs = self.jobs()
        if kind == "job" and jobs:
            os.kill(chance.choice(jobs), signal.SIGKILL)
        elif kind == "all":
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            kind = "snakemake"
            self.process.kill()
        self.process.wait()
        return kind


def finish(
    folder: Path, config: Path, wanted: list[str], chance: random.Random, longest: float
) -> tuple[list[str], float]:
    """Kill a run again and again until it ends before that; return what was killed, and the time it all took (s)."""
    killed: list[str] = []
    begin = time.monotonic()
    while True:
        locks = folder / ".snakemake/locks"
        if locks.is_dir() and any(locks.iterdir()):
            Run(folder, config, "--unlock").process.wait()
        run = Run(folder, config, *wanted)
        if run.ends_within(chance.uniform(0, longest)):
            if run.process.returncode != 0:
                raise SystemExit(f"the run did not go on: {folder.with_suffix('.log')}")
            return killed, time.monotonic() - begin
        killed.append(run.kill(chance.choice(KINDS), chance))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--studies", nargs="+", default=[], help="of these alone")
    parser.add_argument("--keep", type=Path, help="work there, and keep all")
    arguments = parser.parse_args()
    work = arguments.keep or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    config = work / "kills.yaml"
    config.write_text(CONFIG)
    wanted, chance = targets(config, arguments.studies), random.Random(arguments.seed)

    whole = work / "whole"
    whole.mkdir()
    if Run(whole, config, *wanted).process.wait() != 0:
        raise SystemExit(f"the undisturbed run failed: {whole.with_suffix('.log')}")
    expected = contents(whole)
    for name in MADE:
        shutil.rmtree(whole / "results" / name, ignore_errors=True)
    begin = time.monotonic()
    shutil.copytree(whole, work / "undisturbed")
    Run(work / "undisturbed", config, *wanted).process.wait()
    took = time.monotonic() - begin

    done: list[str] = []
    survived, spent, trials = 0, 0.0, 0
    while len(done) < arguments.kills:
        folder = work / f"trial{trials}"
        shutil.copytree(whole, folder)
        killed, seconds = finish(folder, config, wanted, chance, took / 2)
        same = contents(folder) == expected
        survived += same * len(killed)
        done += killed
        spent, trials = spent + seconds - took, trials + 1
        print(
            json.dumps({"trial": trials, "killed": killed, "same_bytes": same, "seconds": round(seconds, 1)}),
            flush=True,
        )
        if same and arguments.keep is None:
            shutil.rmtree(folder)
    line = {"name": "kills survived", "ours": survived, "of": len(done), "undisturbed_s": round(took, 1)}
    line |= {"lost_to_a_kill": round(spent / len(done) / took, 3), **{kind: done.count(kind) for kind in KINDS}}
    print(json.dumps(line), flush=True)
    if arguments.keep is None and survived == len(done):
        shutil.rmtree(work)
    sys.exit(0 if survived == len(done) else 1)


if __name__ == "__main__":
    main()
