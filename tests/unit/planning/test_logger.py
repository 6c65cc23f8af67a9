import json
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

import snakemake_logger_plugin_serflow as plugin
from serflow.planning import finished


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(plugin.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(finished, "mean_seconds", lambda folder: {"train": 60.0})
    return clock


def handler(jobs: Path | None = None, dryrun: bool = False) -> plugin.LogHandler:
    settings = SimpleNamespace(quiet={"reason"}, dryrun=dryrun)
    return plugin.LogHandler(settings, plugin.LogHandlerSettings(jobs))


def tell(handler: plugin.LogHandler, event: LogEvent | None, message: str | None = None, **told: object) -> None:
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, message, None, None)
    vars(record).update(told, event=event)
    handler.emit(record)


def test_a_run_says_now_and_then_how_long_it_takes(clock, capsys):
    listening = handler()
    tell(listening, LogEvent.RESOURCES_INFO, cores=2)
    tell(listening, LogEvent.RUN_INFO, stats={"train": 4, "total": 4})
    tell(listening, LogEvent.JOB_INFO, jobid=1, rule_name="train")
    clock.now += 100
    tell(listening, LogEvent.JOB_FINISHED, job_id=1)
    tell(listening, LogEvent.PROGRESS, done=1, total=4)
    assert capsys.readouterr().err == "3 jobs left, 25% of the work done: about 2 min more\n"
    clock.now += 10
    tell(listening, LogEvent.PROGRESS, done=1, total=4)
    assert capsys.readouterr().err == ""
    clock.now += 30
    tell(listening, LogEvent.PROGRESS, done=1, total=4)
    assert capsys.readouterr().err != ""


def test_a_cluster_has_as_many_slots_as_jobs_may_be_there(clock, capsys):
    listening = handler()
    tell(listening, LogEvent.RESOURCES_INFO, nodes=100)
    tell(listening, LogEvent.RUN_INFO, stats={"train": 4, "total": 4})
    tell(listening, LogEvent.PROGRESS, done=0, total=4)
    assert capsys.readouterr().err.endswith("about 60 s more\n")


def test_a_dry_run_says_nothing(clock, capsys):
    listening = handler(dryrun=True)
    tell(listening, LogEvent.RUN_INFO, stats={"train": 4, "total": 4})
    tell(listening, LogEvent.PROGRESS, done=0, total=4)
    assert capsys.readouterr().err == ""


def test_jobs_are_written_with_what_they_ask_for(tmp_path):
    listening = handler(tmp_path / "jobs", dryrun=True)
    told = {
        "rule_name": "train", "input": ["a"], "output": ["b"], "log": ["l"], "benchmark": None, "reason": "Missing",
        "shellcmd": "python", "threads": 1, "wildcards": {"corpus": "emodb"}, "resources": {"mem_mb": 3000, "gpu": 1},
    }  # fmt: skip
    tell(listening, LogEvent.JOB_INFO, "job", **told)
    tell(listening, None, "Not there yet: x")
    tell(listening, LogEvent.SHELLCMD, "python")
    listening.close()
    job, said = map(json.loads, (tmp_path / "jobs").read_text().splitlines())
    assert job == {
        "rule_name": "train", "input": ["a"], "output": ["b"], "log": ["l"], "benchmark": None, "reason": "Missing",
        "shellcmd": "python", "threads": 1, "wildcards": {"corpus": "emodb"}, "mem_mb": 3000, "gpu": 1, "runtime": None,
    }  # fmt: skip
    assert said == {"said": "Not there yet: x", "level": "INFO"}


def test_what_to_type_where_a_folder_is_locked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = "LockException:\nError: Directory cannot be locked. Please make sure"
    tell(handler(), LogEvent.ERROR, said)
    assert f"`snakemake --unlock --directory {tmp_path}`. The same command" in capsys.readouterr().err
    (tmp_path / "Snakefile").touch()
    tell(handler(), LogEvent.ERROR, said)
    assert "`snakemake --unlock`. The same command" in capsys.readouterr().err


def test_the_logger_is_there_by_its_name_and_light():
    """Snakemake imports it at each start, on a cluster in each job, and before it knows whose Snakefile it reads."""
    script = (
        "import sys\nfrom snakemake_interface_logger_plugins.registry import LoggerPluginRegistry\n"
        "assert LoggerPluginRegistry().is_installed('serflow')\nprint(*{n.partition('.')[0] for n in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert {"serflow", "torch", "pandas", "pyarrow", "scipy", "pydantic", "numpy"} & set(done.stdout.split()) == set()
