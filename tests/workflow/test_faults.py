"""Bad days on one machine: after each a run ends with the bytes of an undisturbed one, or says what to do."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from harness import Workflow, contents, environment
from own_data import CONFIG, write_corpus, write_esc50, write_noise

pytestmark = pytest.mark.workflow

# after labels, every recording and every noise have been read
TARGET = "results/features/mfb/mine/h1"
DAY_S = 86_400


def write_data(folder: Path) -> None:
    write_corpus(folder / "data/mine")
    write_esc50(folder / "data/esc50")


@pytest.fixture
def workflow(repository: Path, tmp_path: Path) -> Workflow:
    write_data(tmp_path)
    return Workflow(repository, tmp_path, CONFIG.format(weights="stand-in"))


@pytest.fixture(scope="module")
def undisturbed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    write_data(folder)
    run = Workflow(repository, folder, CONFIG.format(weights="stand-in"))
    run.run(TARGET, "--cores", "2")
    return contents(run)


@contextmanager
def started(workflow: Workflow, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run Snakemake beside the test, in a session that does not outlive the block."""
    command = workflow.command(TARGET, "--cores", "1", *arguments)
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(), start_new_session=True
    )
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        assert running.stdout is not None
        running.stdout.close()


def wait_for(running: subprocess.Popen[str], found: Callable[[], bool]) -> None:
    end = time.monotonic() + 600
    while not found():
        assert running.poll() is None, "the run ended before anything could happen to it"
        assert time.monotonic() < end
        time.sleep(0.01)


def stages(parent: int, stage: str) -> list[int]:
    """Return the processes of a stage below a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            session = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[3])
        except OSError:
            continue
        if session == parent and f"serflow.stages.{stage}".encode() in words and words[0].endswith(b"python"):
            found.append(int(folder.name))
    return found


def test_a_termination_lets_jobs_end_and_the_same_command_goes_on(
    workflow: Workflow, undisturbed: dict[str, bytes]
) -> None:
    with started(workflow) as running:
        wait_for(running, lambda: (workflow.folder / "results/corpora/mine/listing.parquet").is_file())
        running.send_signal(signal.SIGTERM)
        running.communicate()
    assert running.returncode != 0
    assert not (workflow.folder / TARGET).exists()
    workflow.run(TARGET, "--cores", "2")
    assert contents(workflow) == undisturbed
    assert workflow.plan(TARGET) == {}


def test_a_job_that_outlives_its_memory_is_tried_again(workflow: Workflow, undisturbed: dict[str, bytes]) -> None:
    """The kernel kills what takes too much; tests/slurm sees the second attempt ask for more."""
    with started(workflow, "--retries", "1", "--resources", "mem_mb=64000") as running:
        wait_for(running, lambda: bool(stages(running.pid, "extract_features")))
        for process in stages(running.pid, "extract_features"):
            os.kill(process, signal.SIGKILL)
        said, _ = running.communicate()
    assert running.returncode == 0, said[-6000:]
    assert "Trying to restart job" in said
    assert contents(workflow) == undisturbed


def test_a_clock_that_is_set_back_is_told_and_nothing_is_lost(
    repository: Path, workflow: Workflow, undisturbed: dict[str, bytes]
) -> None:
    """What was made before it is of tomorrow: Snakemake would make anew what it makes today, and so says no."""
    workflow.run(TARGET, "--cores", "2", "--until", "prepare_audio", "prepare_clips")
    made = contents(workflow)
    for path in workflow.folder.rglob("*"):
        status = path.lstat()
        os.utime(path, (status.st_atime + DAY_S, status.st_mtime + DAY_S), follow_symlinks=False)
    said = workflow.run(TARGET, "--cores", "2", ok=False)
    assert "clock skew" in said
    assert contents(workflow).items() >= made.items()
    (command,) = re.findall(r"`(find .* touch .*)`", (repository / "docs/running.md").read_text())
    subprocess.run(shlex.split(command), cwd=workflow.folder, check=True)
    workflow.run(TARGET, "--cores", "2")
    assert contents(workflow) == undisturbed
    assert workflow.plan(TARGET) == {}


def test_a_recording_that_changes_under_a_run_is_read_by_the_next_one(repository: Path, workflow: Workflow) -> None:
    with started(workflow) as running:
        wait_for(running, lambda: (workflow.folder / "results/corpora/mine/listing.parquet").is_file())
        write_noise(workflow.folder / "data/mine/wav/ben1.wav", 99)
        running.communicate()
    workflow.run(TARGET, "--cores", "2")
    assert workflow.plan(TARGET) == {}

    changed = Workflow(repository, workflow.folder / "changed", workflow.config.read_text())
    shutil.copytree(workflow.folder / "data", changed.folder / "data")
    changed.run(TARGET, "--cores", "2")
    assert samples(workflow) == samples(changed)
    assert samples(workflow) != {}


def samples(workflow: Workflow) -> dict[str, bytes]:
    """Return what was made of the audio; the record of what was read has times in it."""
    made = contents(workflow)
    return {name: made[name] for name in made if name.startswith(("audio/", "features/", "noise/mine/"))}


def test_a_second_run_is_refused_and_the_first_one_goes_on(workflow: Workflow, undisturbed: dict[str, bytes]) -> None:
    with started(workflow) as running:
        locks = workflow.folder / ".snakemake/locks"
        wait_for(running, lambda: locks.is_dir() and any(locks.iterdir()))
        # it does not end before the second has looked
        running.send_signal(signal.SIGSTOP)
        said = workflow.run(TARGET, "--cores", "1", ok=False)
        running.send_signal(signal.SIGCONT)
        assert "--unlock" in said
        running.communicate()
    assert running.returncode == 0
    assert contents(workflow) == undisturbed


@pytest.fixture
def disk(workflow: Workflow, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder of the run as a file system of its own, with little room."""
    folder, room = request.param
    path = workflow.folder / folder
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.parametrize(
    ("disk", "target"),
    [
        (("results", "96k"), TARGET),
        (("resources", "64k"), "resources/synthetic/esc50.json"),
        ((".snakemake", "40k"), TARGET),
    ],
    indirect=["disk"],
    ids=["results", "resources", ".snakemake"],
)
def test_a_full_disk_stops_a_run_and_room_lets_it_go_on(
    repository: Path, workflow: Workflow, disk: Path, target: str, undisturbed: dict[str, bytes]
) -> None:
    said = workflow.run(target, "--cores", "1", ok=False)
    assert "no space left" in said.lower()
    assert not (workflow.folder / target).exists()
    subprocess.run(["mount", "-o", "remount,size=200M", str(disk)], check=True)
    if (workflow.folder / ".snakemake/locks").is_dir() and any((workflow.folder / ".snakemake/locks").iterdir()):
        workflow.run("--unlock", "--cores", "1")
    workflow.run(target, "--cores", "2")
    assert workflow.plan(target) == {}
    if target == TARGET:
        assert contents(workflow) == undisturbed
    else:
        fresh = Workflow(repository, workflow.folder / "fresh", workflow.config.read_text())
        fresh.run(target, "--cores", "2")
        assert contents(workflow, "resources") == contents(fresh, "resources")
