"""What Snakemake would do: a dry run, told by the logger of this package. Nothing is started."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from serflow.errors import SerflowError
from serflow.planning.commands import Command, read_command

# with rules and progress alone Snakemake does not tell of the jobs
_QUIET = ("rules", "progress", "reason", "host")
_NOT_THERE = "Not there yet:"
_FRAME = re.compile(r"(Using |Config file |Assuming |Building |WorkflowError| *File \")")


@dataclass(frozen=True)
class Planned:
    """A job that would run: see Snakemake's documentation of the words.

    ``mem_mb`` and ``gpu`` are what the rule asks for at the first attempt.
    """

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    log: str
    reason: str
    shell: str
    mem_mb: int
    gpu: int
    threads: int

    @cached_property
    def command(self) -> Command | None:
        """What it does; None where it calls no stage."""
        return read_command(self.shell)


class Plan(NamedTuple):
    """The jobs of a dry run, and what was said besides: what is not there, and what changed outside."""

    jobs: list[Planned]
    said: list[str]

    def not_there(self) -> list[str]:
        """Return what a run would stop at."""
        return [said for said in self.said if said.startswith(_NOT_THERE)]


def dry_run(target: str, folder: Path, arguments: Sequence[str]) -> Plan:
    """Ask Snakemake what it would do.

    Parameters
    ----------
    target
        A file, a folder, or a rule.
    folder
        Working folder.
    arguments
        More of Snakemake's command line: ``--configfile``, ``--config``, ``--forceall``.

    Raises
    ------
    SerflowError
        With what Snakemake said, where it has no plan.
    """
    with tempfile.TemporaryDirectory() as scratch:
        told = Path(scratch) / "jobs.jsonl"
        command = [sys.executable, "-m", "snakemake", target, "--dry-run", "--nocolor", "--quiet", *_QUIET]
        command += ["--directory", str(folder), "--logger", "serflow", "--logger-serflow-jobs", str(told), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        rows = [json.loads(line) for line in told.read_text().splitlines()] if told.is_file() else []
    if done.returncode != 0:
        raise SerflowError(_said(done.stdout + done.stderr))
    return Plan(list(_jobs(rows)), [row["said"] for row in rows if "said" in row])


def _jobs(rows: Sequence[dict[str, object]]) -> Iterator[Planned]:
    for row in rows:
        if "rule_name" not in row:
            continue
        log = row["log"]
        yield Planned(
            rule=str(row["rule_name"]),
            inputs=_files(row["input"]),
            outputs=_files(row["output"]),
            log=log[0] if isinstance(log, list) and log else "",
            reason=str(row["reason"]),
            shell=str(row["shellcmd"] or ""),
            mem_mb=_number(row["mem_mb"]),
            gpu=_number(row["gpu"]),
            threads=_number(row["threads"]),
        )


def _files(value: object) -> tuple[str, ...]:
    return tuple(str(entry) for entry in value) if isinstance(value, list) else ()


def _number(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) else 0


def _said(output: str) -> str:
    """Return what Snakemake said, without its frame of every run and error."""
    lines = [line for line in output.splitlines() if line.strip() and not _FRAME.match(line)]
    return "\n".join(lines) or "snakemake ended without a word"
