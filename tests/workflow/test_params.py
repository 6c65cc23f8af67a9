"""What Snakemake records of every job, so that a change of it is seen."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Workflow, environment, results_page
from serflow.config import Config

pytestmark = pytest.mark.workflow

# everything that can be given by path is, whether it is there or not
BY_PATH = """
synthetic: {utterances: 40}
corpora:
  emodb: {root: no/such/folder}
  mine:
    layout: table
    root: /no/such/folder
    shards: 2
    options: {table: data.csv, audio: "{file}", columns: {speaker: speaker, emotion: emotion, dialogue: d, turn: t}}
noise: {esc50: {root: no/such/folder}}
backbones: {byol: {weights: no/such/file}}
transcripts: {deepspeech: {engine: no/such/library.so}}
dlc: {corpora: [iemocap, emodb, mine], profiles: [h1], asr: reference}
"""
TARGETS = (
    *(
        "results/table1.csv",
        "features",
        "results/dlc/pilot/iemocap.svg",
        "results/dlc/robustness.svg",
        "results/dlc/shift.svg",
        "invariance",
        "results/invariance/search.csv",
        "temporal",
        "multigating",
        "speakernorm",
        "results/noise/mine/h1/audio",
        "results/packed/audio/iemocap.npy",
        "results/pulses/iemocap/0000.parquet",
        "results/dlc/table1_gain.csv",
        "results/dlc/noise_classifier_gain.csv",
        "results/noise/iemocap/levels.csv",
        "results/statistics/byol/iemocap/clean.json",
        "results/report/index.html",
        "claims",
        "qc",
        *(f"results/{study}/table2.tex" for study in ("invariance", "multigating", "speakernorm")),
        "results/dlc/table1.tex",
        "results/temporal/context.md",
        "audit",
        "premiums",
    ),
    *("resources/synthetic/esc50.json", "resources/deepspeech/libdeepspeech.so"),
    *(f"results/transcripts/{recogniser}/wer.csv" for recogniser in ("deepspeech", "wav2vec2")),
)


def tell(workflow: Workflow, *arguments: str) -> dict[str, Any]:
    """Return rules, jobs and params of a dry run."""
    told = workflow.folder / "params.json"
    _, *command = workflow.command(*arguments, "-n", "-q")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("tell_params.py")), str(told), *command],
        check=False, capture_output=True, text=True, env=environment(), timeout=1800,
    )  # fmt: skip
    assert told.is_file(), done.stdout + done.stderr
    return json.loads(told.read_text())


@pytest.fixture(scope="module")
def told(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    workflow = Workflow(repository, tmp_path_factory.mktemp("params"), BY_PATH)
    return tell(workflow, *TARGETS)


def params(told: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, Any, bool]]:
    for job in told["jobs"]:
        for name, param in job["params"].items():
            yield job, name, param["value"], param["recorded"]


def test_every_rule_is_looked_at(told: dict[str, Any]) -> None:
    assert set(told["rules"]) <= {job["rule"] for job in told["jobs"]}


def test_the_page_of_results_knows_what_every_rule_makes(repository: Path, told: dict[str, Any]) -> None:
    page = results_page(repository)
    made = {path.removeprefix("results/") for job in told["jobs"] for path in job["output"] if path[:8] == "results/"}
    # a folder of audio is made as one
    of_pages = {f"report/{study}_audio" for study in Config().plans()}
    assert {name for name in made if page.pattern_of(name) is None} == {"noise/mine/h1/audio", *of_pages}


def test_every_param_is_plain_json(told: dict[str, Any]) -> None:
    """Snakemake leaves out of its record what is no builtin type: a change of it would rerun nothing."""
    assert not {(job["rule"], name) for job, name, value, _ in params(told) if "not JSON" in json.dumps(value)}


def test_what_is_not_recorded_holds_files_of_the_job_alone(told: dict[str, Any]) -> None:
    """Snakemake does not record what is made of `input` and `output`: nothing of the configuration may hide there."""
    for job, name, value, recorded in params(told):
        if recorded or (name == "root" and "state" in job["params"]):
            continue
        files = [file for names in (job["input"], job["output"]) for file in names]
        # a training's inputs, and what stands beside a table, are `name=path`
        words = value if name == "inputs" else str(value).split()
        words = [word.partition("=")[2] if name in ("inputs", "beside") and "=" in word else word for word in words]
        for word in words:
            assert word.startswith("--") or any(file.startswith(word) for file in files), (job["rule"], name, value)


def test_what_lies_outside_the_workflow_is_told_by_its_state(told: dict[str, Any]) -> None:
    states = {(job["rule"], job["params"]["state"]["value"]) for job in told["jobs"] if "state" in job["params"]}
    assert states == {
        ("list_utterances", "absent"), ("list_utterances", "synthetic"),
        ("prepare_audio", "absent"), ("prepare_audio", "synthetic"),
        ("prepare_clips", "absent"),
        ("prepare_weights", "absent"), ("prepare_weights", ""),
    }  # fmt: skip


def kind(value: Any) -> Any:
    """What can be told from a param's value alone: values of one kind could be swapped."""
    if isinstance(value, list):
        return ["list", *{str(kind(entry)) for entry in value}]
    if not isinstance(value, str):
        return type(value).__name__
    if value.startswith("--") or re.match("[a-z0-9]+=", value):
        return re.split("[= ]", value)[0]
    if value.startswith("{"):
        content = json.loads(value)
        return ["json", *sorted(content), *sorted({type(entry).__name__ for entry in content.values()})]
    if value.startswith("[["):
        return ["json lists", json.loads(value)[0][0].partition("=")[0]]
    return "text"


def test_no_two_params_of_a_job_could_be_swapped(told: dict[str, Any]) -> None:
    """Snakemake compares the values of a job's params as a set, without their names."""
    for job in told["jobs"]:
        given = [
            (name, param["value"])
            for name, param in job["params"].items()
            # digests are none of the configuration's; what a flag gives where it is off cannot be told from another
            if param["recorded"] and name not in ("code", "state", "engine", "published") and param["value"] != ""
        ]
        kinds = [str(kind(value)) for _, value in given]
        assert len(set(kinds)) == len(kinds), (job["rule"], given)


def test_every_job_says_its_memory_and_time_and_one_core(told: dict[str, Any]) -> None:
    for job in told["jobs"]:
        if job["command"]:
            asked = job["resources"]
            assert asked["mem_mb"] >= 500, job["rule"]
            assert asked["runtime"] >= 5, job["rule"]
            assert asked["_cores"] == 1, job["rule"]


def test_every_network_may_ask_for_a_gpu(told: dict[str, Any]) -> None:
    asking = {job["rule"] for job in told["jobs"] if "gpu" in job["resources"]}
    networks = {job["rule"] for job in told["jobs"] if '"device"' in (job["command"] or "")}
    assert {f"train_{study}" for study in ("invariance", "temporal", "multigating", "speakernorm")} <= networks
    assert networks <= asking
