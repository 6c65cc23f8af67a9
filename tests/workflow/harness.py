"""Running Snakemake in a subprocess, on a small configuration."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from results_page import Page

# Everything small: one corpus, one profile, two epochs of a tiny network.
SMALL = """
synthetic: {utterances: 96}
dlc:
  corpora: [iemocap]
  profiles: [h1]
  gain_profiles: []
  controls: []
  stand_in: {seeds: [0], maps: 8, max_epochs: 2}
"""


class Workflow:
    """A checkout and a working folder of its own."""

    def __init__(self, checkout: Path, folder: Path, config: str) -> None:
        self.checkout = checkout
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "test.yaml"
        self.config.write_text(config)

    def command(self, *arguments: str) -> list[str]:
        return [
            str(Path(sys.executable).parent / "snakemake"),
            # targets first: options that take lists would swallow them
            *arguments,
            *("--snakefile", str(self.checkout / "Snakefile"), "--directory", str(self.folder)),
            *("--configfile", str(self.config)),
        ]

    def run(self, *arguments: str, ok: bool = True) -> str:
        """Run Snakemake and return what it printed; ``ok`` says whether it must succeed."""
        done = subprocess.run(
            self.command(*arguments), check=False, capture_output=True, text=True, env=environment(), timeout=1800
        )
        output = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, output[-6000:]
        return output

    def serflow(self, *arguments: str, ok: bool = True) -> str:
        """Ask the command ``serflow`` of this configuration and return what it printed."""
        place = ("--snakefile", self.checkout / "Snakefile", "--directory", self.folder, "--configfile", self.config)
        command = [sys.executable, "-m", "serflow.cli", *arguments, *map(str, place)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment(), timeout=1800)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    def faults(self) -> list[str]:
        """Say what of the results is not as results/README.md promises."""
        return results_page(self.checkout).faults(self.folder / "results")

    def plan(self, *arguments: str) -> dict[str, int]:
        """Return how many jobs of each rule a dry run would do."""
        return self.jobs(self.run(*arguments, "-n", "-q", "rules"))

    def jobs(self, said: str) -> dict[str, int]:
        """Return how many jobs of each rule a dry run said that it would do."""
        lines = said.splitlines()
        if any("Nothing to be done" in line for line in lines):
            return {}
        start = next(i for i, line in enumerate(lines) if line.startswith("job "))
        jobs = {}
        for line in lines[start + 2 :]:
            fields = line.split()
            if len(fields) != 2:
                break
            jobs[fields[0]] = int(fields[1])
        assert jobs.pop("total") == sum(jobs.values())
        return jobs


def results_page(checkout: Path) -> Page:
    """Return the page that says what is below results/; copies of the checkout have none, but studies of their own."""
    studies = [path.parent.name for path in (checkout / "src/serflow/studies").glob("*/train.py")]
    return Page(Path(__file__).resolve().parents[2] / "results" / "README.md", studies)


def contents(workflow: Workflow, top: str = "results") -> dict[str, bytes]:
    """Return all files of a run by name, but logs, times, and records of what was read, in which times stand."""
    folder = workflow.folder / top
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    aside = ("logs/", "benchmarks/")
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not name.startswith(aside) and path.name != "files.json"
    }


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


def copy_checkout(repository: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(repository / name, target / name)
    for name in ("workflow", "src", "profiles", "envs"):
        shutil.copytree(repository / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return target
