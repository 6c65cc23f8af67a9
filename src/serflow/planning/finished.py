"""What earlier runs left of their jobs: Snakemake's own records, in ``.snakemake/metadata``.

Snakemake writes one for each output: the rule, the command, its inputs and parameters, when the job began and ended.
It compares them with what a job would be now, and so does ``serflow why``.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDS = Path(".snakemake") / "metadata"


@dataclass
class Finished:
    """A job that has finished.

    Parameters
    ----------
    rule, command, log
        As they were.
    inputs
        Files that it read.
    params
        What Snakemake holds against the job of now: values without names, as Python writes them.
    began, ended
        When (s since 1970).
    outputs
        Files that it made.
    """

    rule: str
    command: str
    log: str
    inputs: list[str]
    params: list[str]
    began: float
    ended: float
    outputs: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From its start to its end, by the clock."""
        return self.ended - self.began


def _name(path: Path) -> str | None:
    """Return the output that a record is of: its name in Base64, in folders that begin with ``@`` if it is long."""
    parts = [part.removeprefix("@") for part in path.parts]
    try:
        return base64.urlsafe_b64decode("".join(parts)).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # a run that is at work, or a full disk, may leave half a record: Snakemake takes it for none as well
        return None
    return content if isinstance(content, dict) else None


def read_finished(folder: Path) -> Iterator[Finished]:
    """Yield the jobs that were finished in a working folder, each once.

    Parameters
    ----------
    folder
        That of ``snakemake --directory``; it need not be there.
    """
    found: dict[str, Finished] = {}
    records = folder / RECORDS
    for path in sorted(records.rglob("*")) if records.is_dir() else ():
        content = _read(path) if path.is_file() else None
        output = _name(path.relative_to(records))
        if content is None or output is None or content.get("incomplete"):
            continue
        began, ended = content.get("starttime"), content.get("endtime")
        if not isinstance(began, (int, float)) or not isinstance(ended, (int, float)):
            continue
        log = (content.get("log") or [""])[0]
        # every job has a log of its own, whose name it is known by
        job = found.setdefault(
            log or output,
            Finished(
                rule=str(content.get("rule")),
                command=content.get("shellcmd") or "",
                log=log,
                inputs=list(content.get("input") or ()),
                params=list(content.get("params") or ()),
                began=began,
                ended=ended,
            ),
        )
        job.began, job.ended = min(job.began, began), max(job.ended, ended)
        job.outputs.append(output)
    yield from found.values()


def mean_seconds(folder: Path) -> dict[str, float]:
    """Return the mean time (s) of a finished job of each rule."""
    times: dict[str, list[float]] = {}
    for job in read_finished(folder):
        times.setdefault(job.rule, []).append(job.seconds)
    return {rule: sum(taken) / len(taken) for rule, taken in times.items()}
