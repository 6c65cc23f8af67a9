"""A small table on a real Slurm of two nodes on this machine, whatever happens to it: the bytes of a local run."""

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import CONF, Cluster, Job, is_running, run, slurm, wait_until
from harness import Workflow, contents, environment

COMMANDS = ("slurmctld", "slurmd", "munged", "sbatch")
WITHOUT = [command for command in COMMANDS if shutil.which(command) is None]
pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(
        bool(WITHOUT) or os.getuid() != 0 or importlib.util.find_spec("snakemake_executor_plugin_slurm") is None,
        reason="no Slurm of this machine alone: make test-slurm",
    ),
    pytest.mark.skipif((CONF / "slurm.conf").exists(), reason=f"{CONF}/slurm.conf is another Slurm's"),
]

CONFIG = """
synthetic: {utterances: 96}
dlc:
  corpora: [iemocap]
  profiles: [h1]
  methods: [single]
  controls: []
  stand_in: {seeds: [0], maps: 8, max_epochs: 2}
"""
TABLE = "results/table1.csv"
TRAINING = "results/runs/dlc/exp1/single/iemocap/h1/metrics.json"
# there is no accounting here, and it is not far to the other node
HERE = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def local(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow(repository, tmp_path_factory.mktemp("local"), CONFIG)
    workflow.run(TABLE, "--cores", "2")
    return workflow


class Submitted:
    """A Snakemake that has its jobs run by Slurm; it does not outlive the ``with`` that it stands in."""

    def __init__(self, workflow: Workflow, cluster: Cluster, *arguments: str) -> None:
        self.cluster = cluster
        self.said = workflow.folder / f"said-{len([*workflow.folder.glob('said-*')])}.txt"
        profile = ("--profile", str(workflow.checkout / "profiles/slurm"))
        with open(self.said, "w") as said:
            self.process = subprocess.Popen(
                workflow.command(*arguments, *profile, *HERE), stdout=said, stderr=subprocess.STDOUT, env=environment()
            )

    def __enter__(self) -> "Submitted":
        return self

    def __exit__(self, *raised: object) -> None:
        self.process.kill()
        self.process.wait()

    def running(self, *rules: str) -> Job:
        """Wait for a job of one of the rules to run."""
        found: list[Job] = []

        def look() -> bool:
            assert self.process.poll() is None, self.said.read_text()[-6000:]
            found[:] = [job for job in self.cluster.jobs("RUNNING") if job.rule in rules]
            return bool(found)

        wait_until(look, f"a job of {rules}", seconds=600)
        return found[0]

    def ended(self, job: Job) -> str:
        """Wait for a job to end, and return how it did."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [each.state for each in self.cluster.jobs() if each.id == job.id]
            return found[0] not in ("PENDING", "RUNNING", "COMPLETING")

        wait_until(look, f"the end of job {job.id} of {job.rule}", seconds=600)
        return found[0]

    def finish(self) -> None:
        self.process.wait(timeout=1800)
        assert self.process.returncode == 0, self.said.read_text()[-6000:]


def test_a_cluster_goes_as_it_came(tmp_path: Path) -> None:
    daemons = ("slurmd-n1", "slurmd-n2", "slurmctld", "munged")
    with slurm(tmp_path) as cluster:
        run("sbatch", "--output", "/dev/null", "--wrap", "sleep 600")
        started = {name: cluster.process(name) for name in daemons}
        assert None not in started.values()
        wait_until(lambda: bool(cluster.jobs("RUNNING")), "a job that runs")
    for name, process in started.items():
        assert process is not None
        assert not is_running(process, name.split("-")[0])
    assert not [path for path in CONF.iterdir() if path.is_symlink()]


def test_whatever_happens_to_jobs_nodes_and_controller_the_table_is_that_of_a_local_run(
    repository: Path, tmp_path: Path, cluster: Cluster, local: Workflow
) -> None:
    workflow = Workflow(repository, tmp_path, CONFIG)
    with Submitted(workflow, cluster, TABLE) as first:
        cancelled = first.running("make_synthetic_corpus")
        run("scancel", cancelled.id)
        assert first.ended(cancelled) == "CANCELLED"

        drained = first.running("prepare_audio")
        run("scontrol", "update", f"nodename={drained.node}", "state=drain", "reason=test")
        assert first.ended(drained) == "COMPLETED"
        elsewhere = first.running("accept_utterances", "extract_features", "prepare_clips")
        assert elsewhere.node != drained.node
        run("scontrol", "update", f"nodename={drained.node}", "state=resume")

        lost = first.running("extract_features", "pack_features")
        run("scontrol", "update", f"nodename={lost.node}", "state=down", "reason=test")
        assert first.ended(lost) == "NODE_FAIL"
        run("scontrol", "update", f"nodename={lost.node}", "state=resume")

        first.running(lost.rule)
        cluster.stop("slurmctld", signal.SIGKILL)
        cluster.start_controller()

        training = first.running("train_dlc")
        assert (training.partition, training.gpus) == ("gpu", "gres:gpu:1")
        # and Snakemake itself is killed here

    # its jobs go on, and the next one's train the same cell
    workflow.run("--unlock", "--cores", "1")
    with Submitted(workflow, cluster, TABLE) as second:
        second.finish()
    assert contents(workflow) == contents(local)
    assert workflow.plan(TABLE) == {}

    jobs = cluster.jobs()
    for failed in (cancelled, lost):
        again = next(job for job in jobs if job.comment == failed.comment and int(job.id) > int(failed.id))
        assert (again.state, megabytes(again)) == ("COMPLETED", 2 * megabytes(failed))
    assert {job.partition for job in jobs if job.gpus is None} == {"cpu"}
    assert {job.rule for job in jobs if job.gpus} == {"train_dlc"}


def megabytes(job: Job) -> float:
    return float(job.memory[:-1]) * {"M": 1, "G": 1024}[job.memory[-1]]


def test_a_gpu_is_asked_for_by_gres_where_the_cluster_wants_that(
    tmp_path: Path, cluster: Cluster, local: Workflow
) -> None:
    shutil.copytree(local.folder, tmp_path / "work")
    workflow = Workflow(local.checkout, tmp_path / "work", CONFIG)
    shutil.rmtree(workflow.folder / Path(TRAINING).parent)
    before = {job.id for job in cluster.jobs()}
    defaults = ("slurm_partition=cpu", "gpu_partition=gpu", "gpu_gres=gpu:1")
    with Submitted(workflow, cluster, TRAINING, "--default-resources", *defaults) as submitted:
        submitted.finish()
    (job,) = (job for job in cluster.jobs() if job.id not in before)
    assert (job.rule, job.state, job.partition, job.gpus) == ("train_dlc", "COMPLETED", "gpu", "gres:gpu:1")
    assert contents(workflow) == contents(local)
