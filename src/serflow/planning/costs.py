"""What jobs have cost: recorded with this package (``costs.csv``), and by the runs of a working folder.

``costs.csv`` is made by ``benchmarks/_costs.py`` from finished runs, and says by which processor, versions and commit.
What a working folder has recorded of a kind of work takes its place: it is of the machine that does the rest.

The time of a job is ``start_s`` and, for each hour of audio or each job, ``per_unit_s``: seconds of processor time,
where stages logged it, else of a clock. A line is drawn through jobs of different amounts, so that what every job takes
is not reckoned again for each hour of a large corpus.
"""

import csv
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from serflow.config import Config
from serflow.errors import SerflowError
from serflow.files import read_json
from serflow.planning.commands import Command, read_command
from serflow.planning.finished import Finished, read_finished
from serflow.planning.hours import Hours
from serflow.planning.work import HOUR, Amount, Work, Works, is_training

TABLE = Path(__file__).with_name("costs.csv")
OWN = "recorded in this folder"
UTTERANCES = "utterances"
"""Rows of this stage say how long the utterances of a stand-in are: hours an utterance."""
_STARTED = re.compile(r"started in ([\d.]+) s")
_TAKEN = re.compile(r"done in ([\d.]+) s(?:; ([\d.]+) s of processor time in all)?")
_CUDA = re.compile(r"computes on cuda")
_MB = 1e6
_S_PER_H = 3600.0
_UNLIKE = 2.0
Key = tuple[str, str, str]


class Measured(NamedTuple):
    """What one finished job cost.

    ``amount`` is in hours of audio or jobs, ``seconds`` of processor time (of a clock where ``gpu``), ``start_s`` of it
    until the stage was at work, ``peak_mb`` the memory of its process at most, None where nothing recorded it, and
    ``disk_mb`` the size of its outputs, of ``made`` fits, hours or jobs.
    """

    key: Key
    unit: str
    amount: float
    seconds: float
    start_s: float
    peak_mb: float | None
    disk_mb: float
    made: float
    gpu: bool


class Cost(NamedTuple):
    """What a kind of work costs: see the module."""

    unit: str
    jobs: int
    amount: float
    start_s: float
    per_unit_s: float
    peak_mb: float | None
    disk_mb_per_made: float
    gpu: bool
    source: str

    def seconds(self, amount: float) -> float:
        """Return the time (s) of a job of this amount."""
        return self.start_s + self.per_unit_s * amount


COLUMNS = ("stage", "kind", "size", *Cost._fields)


def summed(measured: Iterable[Measured], source: str) -> dict[Key, Cost]:
    """Return what each kind of work costs, from all jobs of it together."""
    found: dict[Key, list[Measured]] = {}
    for job in measured:
        found.setdefault(job.key, []).append(job)
    costs = {}
    for key, jobs in found.items():
        amount = sum(job.amount for job in jobs)
        fixed_s, per_unit_s = line([job.amount for job in jobs], [job.seconds - job.start_s for job in jobs])
        peaks = [job.peak_mb for job in jobs if job.peak_mb is not None]
        costs[key] = Cost(
            unit=jobs[0].unit,
            jobs=len(jobs),
            amount=amount,
            start_s=fixed_s + sum(job.start_s for job in jobs) / len(jobs),
            per_unit_s=per_unit_s,
            peak_mb=max(peaks, default=None),
            disk_mb_per_made=sum(job.disk_mb for job in jobs) / sum(job.made for job in jobs),
            gpu=any(job.gpu for job in jobs),
            source=source,
        )
    return costs


def line(amounts: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Return what every job takes (s), and what it takes for each unit (s): neither is below 0.

    It is the line of least squares; through the origin where the amounts are much alike, or where it would begin below.
    """
    n, whole = len(amounts), sum(seconds)
    mean, mean_s = sum(amounts) / n, whole / n
    spread = sum((amount - mean) ** 2 for amount in amounts)
    if max(amounts) >= _UNLIKE * min(amounts):
        slope = sum((amount - mean) * (time - mean_s) for amount, time in zip(amounts, seconds, strict=True)) / spread
        if slope < 0:
            return mean_s, 0.0
        if mean_s - slope * mean >= 0:
            return mean_s - slope * mean, slope
    return 0.0, whole / sum(amounts)


@functools.cache
def recorded() -> dict[Key, Cost]:
    """Return the costs that come with the package."""
    return read_costs(TABLE)


def read_costs(path: Path) -> dict[Key, Cost]:
    """Read a table of costs."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            (row["stage"], row["kind"], row["size"]): Cost(
                unit=row["unit"],
                jobs=int(row["jobs"]),
                amount=float(row["amount"]),
                start_s=float(row["start_s"]),
                per_unit_s=float(row["per_unit_s"]),
                peak_mb=float(row["peak_mb"]) if row["peak_mb"] else None,
                disk_mb_per_made=float(row["disk_mb_per_made"]),
                gpu=row["gpu"] == "True",
                source=row["source"],
            )
            for row in csv.DictReader(file)
        }


def utterance_s(costs: Mapping[Key, Cost]) -> dict[str, float]:
    """Return the mean length (s) of an utterance of each stand-in that was recorded."""
    return {kind: cost.per_unit_s for (stage, kind, _), cost in costs.items() if stage == UTTERANCES}


def measure(folder: Path, config: Config, hours: Hours) -> list[Measured]:
    """Return what the finished jobs of a working folder cost.

    Parameters
    ----------
    folder
        That of ``snakemake --directory``.
    config
        With which they ran.
    hours
        How long the corpora of the folder are.
    """
    works = Works(config, hours)
    found = []
    for job in read_finished(folder):
        command = read_command(job.command)
        work = works.of(job.rule, command)
        amount = _amount(folder, command, work, hours)
        if amount:
            found.append(_measured(folder, job, work, amount))
    return found


def _amount(folder: Path, command: Command | None, work: Work, hours: Hours) -> float | None:
    """Return how much a finished job did; None where that cannot be told."""
    if work.amount is None or work.unit != HOUR or command is None or not is_training(command.stage):
        return None if work.amount is None else work.amount.most
    trained = 0.0
    for file in command.options.get("metrics", ()):
        try:
            metrics = read_json(folder / file)
            # a joint training has one for each corpus, a batch one for each cell
            length_s = hours.utterance_s(str(metrics["cell"]["corpus"]))
            of_fits = [fit["sizes"]["train"] * fit["periods"] for fit in metrics["fits"]]
        except (SerflowError, OSError, KeyError, TypeError):
            return None
        if length_s is None:
            return None
        trained += sum(of_fits) * length_s / _S_PER_H
    training = (command.json("options") or {}).get("training") or {}
    # a period of speakernorm is so many updates, and all epochs are gone through
    return work.amount.most if "eval_updates" in training else trained


def _measured(folder: Path, job: Finished, work: Work, amount: float) -> Measured:
    log = _text(folder / job.log)
    started, taken = _STARTED.search(log), _TAKEN.search(log)
    gpu = _CUDA.search(log) is not None
    start_s = float(started[1]) if started else 0.0
    seconds = job.seconds
    if taken and taken[2] and not gpu:
        seconds = float(taken[2])
    return Measured(
        key=work.key,
        unit=work.unit,
        amount=amount,
        seconds=seconds,
        start_s=min(start_s, seconds),
        peak_mb=_peak_mb(folder, job.log),
        disk_mb=sum(_size(folder / output) for output in job.outputs) / _MB,
        made=work.made,
        gpu=gpu,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _peak_mb(folder: Path, log: str) -> float | None:
    """Return the memory (MB) that Snakemake's benchmark of a job says, None where the rule has none."""
    benchmark = Path(log.replace("results/logs/", "results/benchmarks/", 1)).with_suffix(".tsv")
    try:
        with (folder / benchmark).open(encoding="utf-8", newline="") as file:
            return max(float(row["max_rss"]) for row in csv.DictReader(file, delimiter="\t"))
    except (OSError, KeyError, ValueError, TypeError):
        return None


def _size(path: Path) -> int:
    try:
        if path.is_dir():
            return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        return path.stat().st_size
    except OSError:
        return 0


def known_costs(folder: Path, config: Config) -> tuple[dict[Key, Cost], Hours]:
    """Return what is known of costs, with the folder's own records in the place of the package's; and of hours."""
    table = recorded()
    hours = Hours(config, folder, utterance_s(table))
    own = summed(measure(folder, config, hours), OWN)
    return {**table, **own}, hours


__all__ = ["Amount", "Cost", "Key", "Measured", "known_costs", "measure", "read_costs", "recorded", "summed"]
