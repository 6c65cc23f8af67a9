"""A small table on a real Slurm of two nodes on this machine, whatever happens to it: the bytes of a local run.

Corpus and audio are made on this machine alone; what follows, to the table, is Slurm's.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster import CONF, DAEMONS, Cluster, Job, is_running, last_lines, run, slurm, wait_until
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

TABLE = "results/table1.csv"
TRAINING = "results/runs/dlc/exp1/single/iemocap/h1/metrics.json"
# of a run, what Slurm is to make
OF_SLURM = ("features", "packed", "noise/iemocap", "splits", "runs", "dlc", "table1.csv")
# it is not far to the other node
HERE = ("--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10")
# there is no accounting here
BY_SQUEUE = ("--slurm-status-command", "squeue")
# an accounting that is away for so many questions; then what it says of the jobs of a run is what squeue does
SACCT = """#!/bin/sh
[ "$1" = -X ] || exit 1
echo asked >> {asked}
if [ "$(wc -l < {asked})" -le {away} ]; then
  echo "sacct: error: Problem talking to the database: Connection refused" >&2
  exit 1
fi
for name; do :; done
exec squeue --states=all --noheader --format='%i|%T' --name "$name"
"""
AWAY = 8


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def config(repository: Path) -> str:
    return (repository / "workflow/presets/smallest.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def local(repository: Path, config: str, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow(repository, tmp_path_factory.mktemp("local"), config)
    workflow.run(TABLE, "--cores", "2")
    return workflow


@pytest.fixture
def workflow(local: Workflow, config: str, tmp_path: Path) -> Workflow:
    """Return that local run in a folder of its own."""
    shutil.copytree(local.folder, tmp_path / "work")
    return Workflow(local.checkout, tmp_path / "work", config)


class Submitted:
    """A Snakemake that has its jobs run by Slurm; it does not outlive the ``with`` that it stands in."""

    def __init__(
        self, workflow: Workflow, cluster: Cluster, *arguments: str, variables: dict[str, str] | None = None
    ) -> None:
        self.cluster = cluster
        self.said = workflow.folder / f"said-{len([*workflow.folder.glob('said-*')])}.txt"
        command = workflow.command(*arguments, "--profile", str(workflow.checkout / "profiles/slurm"), *HERE)
        with open(self.said, "w") as said:
            self.process = subprocess.Popen(
                command, stdout=said, stderr=subprocess.STDOUT, env={**environment(), **(variables or {})}
            )

    def __enter__(self) -> "Submitted":
        return self

    def __exit__(self, *raised: object) -> None:
        self.process.kill()
        self.process.wait()

    def running(self, what: str, is_it: Callable[[Job], bool], count: int = 1) -> list[Job]:
        """Wait for so many jobs that are such to run at the same time."""
        found: list[Job] = []

        def look() -> bool:
            assert self.process.poll() is None, f"Snakemake has ended before {what}\n{self.tell()}"
            found[:] = [job for job in self.cluster.jobs("RUNNING") if is_it(job)]
            return len(found) >= count

        wait_until(look, f"{what}, running", 300, self.tell)
        return found

    def ended(self, job: Job) -> str:
        """Wait for a job to end, and return how it did."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [each.state for each in self.cluster.jobs() if each.id == job.id]
            return bool(found) and found[0] not in ("PENDING", "RUNNING", "SUSPENDED", "COMPLETING")

        wait_until(look, f"the end of job {job.id} of {job.rule}", 300, self.tell)
        return found[0]

    def finish(self) -> None:
        wait_until(lambda: self.process.poll() is not None, "the end of Snakemake", 600, self.tell)
        assert self.process.returncode == 0, self.tell()

    def tell(self) -> str:
        return "\n".join([self.cluster.tell(), "Snakemake:", *last_lines(self.said, 40)])


def daemons(cluster: Cluster) -> dict[str, int]:
    """Return the process ids of a cluster that runs."""
    found = {name: cluster.process(name) for name in DAEMONS}
    assert None not in found.values()
    return {name: process for name, process in found.items() if process is not None}


def left(started: dict[str, int]) -> list[str]:
    """Return what has not gone of daemons that were started, and of their configuration."""
    running = [name for name, process in started.items() if is_running(process, name.split("-")[0])]
    return running + [path.name for path in CONF.iterdir() if path.is_symlink()]


def test_a_cluster_goes_with_jobs_that_its_controller_has_forgotten(tmp_path: Path) -> None:
    pid = tmp_path / "job"
    with slurm(tmp_path) as cluster:
        run("sbatch", "--output", "/dev/null", "--wrap", f"echo $$ > {pid}; exec sleep 600")
        started = daemons(cluster)
        wait_until(lambda: pid.exists() and is_running(int(pid.read_text() or 0), "sleep"), "a job", tell=cluster.tell)
        cluster.stop("slurmctld", signal.SIGKILL)
    assert left(started) == []
    assert cluster.process("slurmctld") is None
    assert not is_running(int(pid.read_text()), "sleep")


def test_a_cluster_goes_with_a_process_that_is_told_to_end(tmp_path: Path) -> None:
    """As ``timeout`` tells it in the Makefile."""
    stays = "with slurm(Path(sys.argv[1])):\n    print('up', flush=True)\n    time.sleep(600)\n"
    script = f"import sys, time\nfrom pathlib import Path\nfrom cluster import slurm\n{stays}"
    variables = {**environment(), "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=variables) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        started = daemons(Cluster(tmp_path))
        process.terminate()
        assert process.wait(timeout=180) != 0
    assert left(started) == []


def test_whatever_happens_to_jobs_nodes_and_controller_the_table_is_that_of_a_local_run(
    cluster: Cluster, local: Workflow, workflow: Workflow
) -> None:
    for name in OF_SLURM:
        made = workflow.folder / "results" / name
        made.unlink() if made.is_file() else shutil.rmtree(made)
    with Submitted(workflow, cluster, TABLE, *BY_SQUEUE) as first:
        cancelled, drained = first.running("a job on each node", lambda job: True, count=2)
        run("scancel", cancelled.id)
        run("scontrol", "update", f"nodename={drained.node}", "state=drain", "reason=test")
        assert first.ended(cancelled) == "CANCELLED"
        (again,) = first.running(
            "the cancelled job", lambda job: job.comment == cancelled.comment and job.id != cancelled.id
        )
        assert first.ended(drained) == "COMPLETED"
        assert again.node != drained.node
        run("scontrol", "update", f"nodename={drained.node}", "state=resume")

        (lost, *_) = first.running("a job of a later rule", lambda job: job.rule == "pack_features")
        run("scontrol", "update", f"nodename={lost.node}", "state=down", "reason=test")
        assert first.ended(lost) == "NODE_FAIL"
        run("scontrol", "update", f"nodename={lost.node}", "state=resume")

        trainings = first.running("both trainings", lambda job: job.rule == "train_dlc", count=2)
        assert {(job.partition, job.gpus) for job in trainings} == {("gpu", "gres:gpu:1")}
        # they are all that there is for now, and stay so: no job comes or goes while the controller is away
        for job in trainings:
            run("scontrol", "suspend", job.id)
        for job in trainings:
            cluster.save(job)
        cluster.stop("slurmctld", signal.SIGKILL)
        cluster.start_controller()
        for job in trainings:
            run("scontrol", "resume", job.id)
        assert first.ended(trainings[0]) == "COMPLETED"
        # and Snakemake itself is killed here

    workflow.run("--unlock", "--cores", "1")
    with Submitted(workflow, cluster, TABLE, *BY_SQUEUE) as second:
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


def test_an_accounting_that_is_away_is_waited_for_and_a_gpu_is_asked_for_by_gres_where_the_cluster_wants_that(
    cluster: Cluster, local: Workflow, workflow: Workflow, tmp_path: Path
) -> None:
    """As the profile stands, jobs are asked after by `sacct`; here that is a stand-in of ours."""
    asked = tmp_path / "asked"
    asked.touch()
    sacct = tmp_path / "bin/sacct"
    sacct.parent.mkdir()
    sacct.write_text(SACCT.format(asked=asked, away=AWAY))
    sacct.chmod(0o755)
    shutil.rmtree(workflow.folder / Path(TRAINING).parent)
    before = {job.id for job in cluster.jobs()}
    given = ("--default-resources", "slurm_partition=cpu", "gpu_partition=gpu", "gpu_gres=gpu:1")
    often = ("--max-status-checks-per-second", "2")
    path = {"PATH": f"{sacct.parent}:{os.environ['PATH']}"}
    with Submitted(workflow, cluster, TRAINING, *given, *often, variables=path) as submitted:
        submitted.finish()
    assert len(asked.read_text().splitlines()) > AWAY
    (job,) = (job for job in cluster.jobs() if job.id not in before)
    assert (job.rule, job.state, job.partition, job.gpus) == ("train_dlc", "COMPLETED", "gpu", "gres:gpu:1")
    assert contents(workflow) == contents(local)
