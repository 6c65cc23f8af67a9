"""What jobs ask of a cluster or a workstation, and what a profile decides."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_params import tell

from harness import Workflow
from serflow.settings.features import gpus_here

pytestmark = pytest.mark.workflow

CONFIG = """
synthetic: {utterances: 96}
dlc:
  corpora: [iemocap]
  profiles: [h1]
  methods: [single, hffn_single]
  controls: []
"""
TRAINING = "results/runs/dlc/exp1/single/iemocap/h1/metrics.json"
TARGETS = ("results/table1.csv", "results/features/ge2e/iemocap/clean")
GPUS = ("--resources", "gpu=4", "--default-resources", "slurm_partition=cpu", "gpu_partition=long-gpu")

Jobs = list[dict[str, Any]]
Ask = Callable[..., Jobs]


@pytest.fixture(scope="module")
def ask(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """What the jobs of a plan ask for, of those that run a command."""

    def asked(*targets_and_options: str, config: str = CONFIG) -> Jobs:
        workflow = Workflow(repository, tmp_path_factory.mktemp("asked"), config)
        jobs = tell(workflow, *targets_and_options)["jobs"]
        return sorted((job for job in jobs if job["command"]), key=lambda job: job["output"])

    return asked


@pytest.fixture(scope="module")
def with_gpus(ask: Ask) -> Jobs:
    return ask(*TARGETS, *GPUS)


def of_networks(job: dict[str, Any]) -> bool:
    """Say whether a job computes on a device; DeepSpeech's engine knows the CPU alone."""
    return '"device"' in job["command"] and "--recogniser deepspeech" not in job["command"]


def test_networks_ask_for_a_gpu_where_the_profile_says_that_there_are_some(with_gpus: Jobs) -> None:
    networks = {job["rule"] for job in with_gpus if of_networks(job)}
    assert networks == {"train_dlc", "extract_features", "embed_text"}
    for job in with_gpus:
        gpu = job["resources"].get("gpu", 0)
        assert gpu == of_networks(job), job["output"]
        assert job["resources"]["slurm_partition"] == ("long-gpu" if gpu else "cpu"), job["output"]
        assert "gres" not in job["resources"]


def test_a_gpu_is_asked_for_by_gres_where_the_profile_says_so(ask: Ask) -> None:
    for job in ask(*TARGETS, *GPUS, "gpu_gres=gpu:a100:1"):
        asked = job["resources"]
        assert asked.get("gres", "") == ("gpu:a100:1" if of_networks(job) else "")
        assert asked.get("gpu", 0) == 0
        assert asked["slurm_partition"] == ("long-gpu" if of_networks(job) else "cpu")


def test_without_gpus_none_is_asked_for_and_another_cluster_makes_nothing_stale(ask: Ask, with_gpus: Jobs) -> None:
    jobs = ask(*TARGETS, "--resources", "gpu=0")
    assert {job["resources"].get("gpu", 0) for job in jobs} == {0}
    assert [job["params"] for job in jobs] == [job["params"] for job in with_gpus]


def test_of_what_nobody_said_the_gpus_of_this_machine_are_asked_for(ask: Ask) -> None:
    """None where there are none: jobs that share the only GPU of a machine without one would wait for each other."""
    asked = {job["resources"].get("gpu", 0) for job in ask(*TARGETS) if of_networks(job)}
    assert asked == {int(gpus_here() > 0)}


def test_a_device_that_is_named_is_asked_for_whatever_there_is(ask: Ask) -> None:
    named = f"{CONFIG}  training: {{device: cuda}}\nbackbones: {{bert: {{device: cpu}}}}\n"
    jobs = ask(TARGETS[0], config=named)
    asked = {job["rule"]: job["resources"]["gpu"] for job in jobs if of_networks(job)}
    assert asked == {"train_dlc": 1, "embed_text": 0}


def test_gpus_of_this_machine_are_counted_as_the_driver_shows_them(tmp_path: Path) -> None:
    assert gpus_here(tmp_path) == 0
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "nvme0"):
        (tmp_path / name).write_text("")
    assert gpus_here(tmp_path) == 3


@pytest.mark.parametrize("name", ["slurm", "workstation"])
def test_a_profile_sets_no_key_that_the_default_one_would_override(repository: Path, name: str) -> None:
    profiles = [yaml.safe_load((repository / f"profiles/{each}/config.yaml").read_text()) for each in ("default", name)]
    assert not profiles[0].keys() & profiles[1].keys()


def test_the_profile_of_a_workstation_is_one(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, CONFIG)
    profile = ("--profile", str(repository / "profiles/workstation"))
    jobs = [job for job in tell(workflow, TRAINING, *profile)["jobs"] if job["command"]]
    assert {job["rule"]: job["resources"]["gpu"] for job in jobs if of_networks(job)} == {"train_dlc": 1}
    assert max(job["resources"]["mem_mb"] for job in jobs) < 64000


CONDA = """#!{python}
import json, os, re, stat, sys
from pathlib import Path

given = sys.argv[1:]
if given == ["info", "--json"]:
    print(json.dumps({{"conda_prefix": "{prefix}", "platform": "linux-64"}}))
elif given == ["--version"]:
    print("conda 25.1.0")
elif given[:2] == ["config", "--get"]:
    print(json.dumps({{"get": {{"channel_priority": "strict"}}}}))
elif given[:1] == ["clean"]:
    pass
elif given[:2] == ["env", "create"]:
    file, prefix = (Path(given[given.index(f"--{{name}}") + 1]) for name in ("file", "prefix"))
    locks = re.findall(r"- (-r .*)", file.read_text())
    (file.parent / "pip.txt").write_text("\\n".join(locks))
    from pip._internal.network.session import PipSession
    from pip._internal.req.req_file import parse_requirements
    named = [each.requirement for each in parse_requirements(str(file.parent / "pip.txt"), PipSession())]
    Path("{prefix}/pip.json").write_text(json.dumps(named))
    (prefix / "bin").mkdir(parents=True)
    python = prefix / "bin/python"
    python.write_text('#!/bin/sh\\necho "$0" >> {prefix}/pythons\\nexec {python} "$@"\\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
else:
    sys.exit(f"no such command: {{given}}")
"""


def test_with_conda_jobs_run_in_its_environment(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands for conda reads a copy of the file, as pip would, and makes a `python`."""
    prefix = tmp_path / "conda"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/conda").write_text(CONDA.format(python=sys.executable, prefix=prefix))
    (prefix / "bin/conda").chmod(0o755)
    (prefix / "bin/activate").write_text('export PATH="$1/bin:$PATH"\n')
    monkeypatch.setenv("PATH", f"{prefix}/bin", prepend=os.pathsep)
    workflow = Workflow(repository, tmp_path / "work", CONFIG)
    target = "resources/synthetic/esc50.json"
    workflow.run(target, "--cores", "1", "--sdm", "conda")
    (python,) = (prefix / "pythons").read_text().split()
    assert Path(python).is_relative_to(tmp_path / "work/.snakemake/conda")
    named = json.loads((prefix / "pip.json").read_text())
    assert {"torch", "numpy", "snakemake"} <= {name.partition("==")[0] for name in named}
    content = (tmp_path / "work" / target).read_bytes()
    # without it, the interpreter that runs Snakemake does
    other = Workflow(repository, tmp_path / "other", CONFIG)
    other.run(target, "--cores", "1")
    assert (prefix / "pythons").read_text().split() == [python]
    assert (tmp_path / "other" / target).read_bytes() == content
