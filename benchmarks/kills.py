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
CONFIG = CHECKOUT / "workflow/presets/smallest.yaml"
KINDS = ("snakemake", "job", "all")
# what a trial makes; that before it is made once
MADE = ("features", "packed", "runs", "noise", "splits")
_TIMES = ("logs", "benchmarks")


def targets(studies: Sequence[str]) -> list[str]:
    """Return the metrics of one training of each study, or of those that are named."""
    plans = read_configs([CHECKOUT / "config.yaml", CONFIG])[0].plans()
    cells = {name: next(iter(plans[name].cells())) for name in studies or plans}
    return [f"results/runs/{name}/{'/'.join(map(str, cell))}/metrics.json" for name, cell in cells.items()]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of all results by name; logs and times are none."""
    results = folder / "results"
    files = {path.relative_to(results): path for path in results.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in files.items() if name.parts[0] not in _TIMES}


class Run:
    """A Snakemake with its jobs, in a session of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(CHECKOUT / "Snakefile")]
        command += ["--directory", str(folder), "--cores", "2", "--configfile", str(CONFIG), "--quiet"]
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


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def finish(folder: Path, wanted: list[str], chance: random.Random, longest: float) -> tuple[list[str], float]:
    """Kill a run again and again until it ends before that; return what was killed, and the time it all took (s)."""
    killed: list[str] = []
    begin = time.monotonic()
    while True:
        locks = folder / ".snakemake/locks"
        if locks.is_dir() and any(locks.iterdir()):
            Run(folder, "--unlock").process.wait()
        run = Run(folder, *wanted)
        seconds = chance.uniform(0, longest)
        if run.ends_within(seconds):
            if run.process.returncode != 0:
                raise SystemExit(f"the run did not go on: {folder.with_suffix('.log')}")
            return killed, time.monotonic() - begin
        killed.append(run.kill(chance.choice(KINDS), chance))
        say(f"{folder.name}: killed after {seconds:.1f} s: {killed[-1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--studies", nargs="+", default=[], help="of these alone")
    parser.add_argument("--keep", type=Path, help="work there, and keep all")
    arguments = parser.parse_args()
    work = arguments.keep or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    wanted, chance = targets(arguments.studies), random.Random(arguments.seed)
    say(f"{len(wanted)} trainings, from stand-ins: {' '.join(wanted)}")

    whole = work / "whole"
    whole.mkdir()
    if Run(whole, *wanted).process.wait() != 0:
        raise SystemExit(f"the undisturbed run failed: {whole.with_suffix('.log')}")
    expected = contents(whole)
    for name in MADE:
        shutil.rmtree(whole / "results" / name, ignore_errors=True)
    begin = time.monotonic()
    shutil.copytree(whole, work / "undisturbed")
    Run(work / "undisturbed", *wanted).process.wait()
    took = time.monotonic() - begin
    say(f"from the audio on, undisturbed: {took:.0f} s")

    done: list[str] = []
    survived, spent, trials = 0, 0.0, 0
    while len(done) < arguments.kills:
        folder = work / f"trial{trials}"
        shutil.copytree(whole, folder)
        killed, seconds = finish(folder, wanted, chance, took / 2)
        same = contents(folder) == expected
        survived += same * len(killed)
        done += killed
        spent, trials = spent + seconds - took, trials + 1
        say(f"{folder.name}: {'the same bytes' if same else 'OTHER BYTES'}; {survived} of {len(done)} kills survived")
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
