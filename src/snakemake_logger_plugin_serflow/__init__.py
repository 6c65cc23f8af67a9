"""A logger of Snakemake: says how long a run still takes, and writes the jobs of a plan as JSON.

``snakemake --logger serflow`` adds its lines to Snakemake's own, which stay as they are: now and then how long the run
still takes, and what to type where a killed one has left the folder locked. ``profiles/default`` asks for it. With
``--logger-serflow-jobs FILE`` every job that Snakemake tells of is written to a file, a line of JSON each:
``serflow forecast`` and ``serflow why`` read a dry run so.

Snakemake imports this before it knows the Snakefile, whose checkout may be another than the installed one: nothing of
serflow is imported before a run begins.
"""

import json
import shlex
import sys
import time
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

if TYPE_CHECKING:
    from serflow.planning.remaining import Remaining

_EVERY_S = 30.0
_LOCKED = "Directory cannot be locked"
_OF_JOB = ("rule_name", "input", "output", "log", "benchmark", "reason", "shellcmd", "threads")
_RESOURCES = ("mem_mb", "gpu", "runtime")


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the command line, which begin with ``--logger-serflow-``."""

    # Snakemake makes its option of `Optional`, and knows no other way to write it
    jobs: Optional[Path] = field(  # noqa: UP045
        default=None, metadata={"help": "Write the jobs to this file, a line of JSON each", "required": False}
    )


class LogHandler(LogHandlerBase):
    """Listens to the events of a run."""

    def __post_init__(self) -> None:
        """Look for recorded times; open the file of jobs, if there is to be one."""
        path = getattr(self.settings, "jobs", None)
        # closed by `close`, which Snakemake calls
        self._jobs: TextIO | None = None if path is None else open(path, "w", encoding="utf-8")  # noqa: SIM115
        self._remaining: Remaining | None = None
        self._slots = 1
        self._said = 0.0

    def emit(self, record: LogRecord) -> None:
        """Take in an event."""
        try:
            if self._jobs is not None:
                self._write(record)
            elif _LOCKED in record.getMessage():
                self._say(f"After a kill, when no other run is at work: {_unlock()}. The same command then goes on.")
            elif not self.common_settings.dryrun:
                self._follow(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the file of jobs."""
        if self._jobs is not None:
            self._jobs.close()
        super().close()

    def _write(self, record: LogRecord) -> None:
        assert self._jobs is not None
        event = getattr(record, "event", None)
        row: dict[str, Any]
        if event == LogEvent.JOB_INFO:
            told = vars(record)
            row = {name: _plain(told[name]) for name in _OF_JOB}
            row |= {"wildcards": {key: str(value) for key, value in told["wildcards"].items()}}
            row |= {name: _plain(told["resources"].get(name)) for name in _RESOURCES}
        elif event is None and record.msg:
            row = {"said": record.getMessage(), "level": record.levelname}
        else:
            return
        self._jobs.write(json.dumps(row) + "\n")

    def _follow(self, record: LogRecord) -> None:
        event, told, now = getattr(record, "event", None), vars(record), time.monotonic()
        if event == LogEvent.RESOURCES_INFO:
            self._slots = told.get("nodes") or told.get("cores") or self._slots
        elif event == LogEvent.RUN_INFO:
            from serflow.planning.finished import mean_seconds
            from serflow.planning.remaining import Remaining

            self._remaining = Remaining(mean_seconds(Path()), told["stats"], self._slots)
        elif self._remaining is None:
            return
        elif event == LogEvent.JOB_INFO:
            self._remaining.begin(told["jobid"], told["rule_name"], now)
        elif event == LogEvent.JOB_ERROR:
            self._remaining.fail(told["jobid"])
        elif event == LogEvent.JOB_FINISHED:
            self._remaining.end(told["job_id"], now)
        elif event == LogEvent.PROGRESS and now - self._said >= _EVERY_S:
            line = self._remaining.line(now)
            if line is not None:
                self._said = now
                self._say(line)

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    @property
    def writes_to_stream(self) -> bool:
        """False: Snakemake's own lines go on beside ours."""
        return False

    @property
    def writes_to_file(self) -> bool:
        """False: there is no log of ours."""
        return False

    @property
    def has_filter(self) -> bool:
        """True: what ``--quiet`` hides is listened to as well."""
        return True

    @property
    def has_formatter(self) -> bool:
        """True: the lines are written here."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """False."""
        return False


def _unlock() -> str:
    """Return the command that unlocks the working folder, wherever Snakemake was called from."""
    folder = Path.cwd()
    here = (folder / "Snakefile").is_file()
    return "`snakemake --unlock`" if here else f"`snakemake --unlock --directory {shlex.quote(str(folder))}`"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return [str(entry) for entry in value] if isinstance(value, (list, tuple)) else str(value)
