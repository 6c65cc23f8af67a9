"""A Slurm of two nodes on one machine, which listens on the loopback alone; for root, and for tests.

Every daemon is stopped by the process id that it wrote, and only while that process still is the daemon.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

CONF = Path("/etc/slurm")
NODES = ("n1", "n2")
# in the order in which they end
DAEMONS = ("slurmd-n1", "slurmd-n2", "slurmctld", "munged")
# jobs end in `squeue` for so long that nobody misses it: there is no accounting
SLURM_CONF = """\
ClusterName=serflow
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={ports[0]}
SlurmctldPidFile={root}/slurmctld.pid
SlurmctldLogFile={root}/slurmctld.log
StateSaveLocation={root}/state
SlurmdPidFile={root}/slurmd-%n.pid
SlurmdLogFile={root}/slurmd-%n.log
SlurmdSpoolDir={root}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=1
SlurmctldTimeout=60
KillWait=5
MinJobAge=3600
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory={memory_mb} Gres=gpu:1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory={memory_mb} Gres=gpu:1
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=n1,n2 MaxTime=INFINITE State=UP
"""


def run(*command: str | Path, ok: bool = True) -> str:
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True, timeout=120)
    assert not ok or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120, tell: Callable[[], str] = str) -> None:
    """Wait until a condition holds; where it does not in time, say what was waited for and what ``tell`` returns."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}\n{tell()}"
        time.sleep(0.2)


def is_running(process: int, name: str) -> bool:
    """Say whether a process is there, has that name and is no zombie."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.split("(")[1].split(")")[0] == name and status.rsplit(")", 1)[1].split()[0] != "Z"


def _is_gone(process: int, name: str) -> bool:
    return not is_running(process, name)


def last_lines(file: Path, count: int) -> list[str]:
    return file.read_text(errors="replace").splitlines()[-count:]


class Job:
    """A job as ``scontrol`` shows it."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.id, self.state, self.partition = fields["JobId"], fields["JobState"], fields["Partition"]
        self.node, self.gpus = fields.get("NodeList"), fields.get("TresPerJob") or fields.get("TresPerNode")
        # as Snakemake's plugin comments its jobs
        self.comment = fields.get("Comment", "")
        self.rule = self.comment.removeprefix("rule_").partition("_wildcards_")[0]
        self.memory = fields["MinMemoryNode"]


class Cluster:
    """The daemons of a Slurm, with what they write below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def up(self) -> None:
        for name in ("state", "spool-n1", "spool-n2", "munge", "gpu"):
            (self.root / name).mkdir()
        self.root.chmod(0o755)
        self._start_munge()
        sockets = [socket.socket() for _ in range(3)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        ports = [opened.getsockname()[1] for opened in sockets]
        for opened in sockets:
            opened.close()
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 3 // 4
        conf = SLURM_CONF.format(
            host=socket.gethostname().split(".")[0], root=self.root, ports=ports, memory_mb=memory_mb
        )
        (self.root / "slurm.conf").write_text(conf)
        # a GPU is a device, whatever it does
        for node in NODES:
            os.mknod(self.root / f"gpu/{node}", 0o20666, os.makedev(1, 3))
        gres = [f"NodeName={node} Name=gpu Flags=nvidia_gpu_env File={self.root}/gpu/{node}\n" for node in NODES]
        (self.root / "gres.conf").write_text("".join(gres))
        # jobs lose SLURM_CONF on their way, so the files have to be where Slurm looks
        CONF.mkdir(exist_ok=True)
        for name in ("slurm.conf", "gres.conf"):
            (CONF / name).symlink_to(self.root / name)
        self.start_controller()
        for node in NODES:
            run("slurmd", "-N", node)
        wait_until(
            lambda: run("sinfo", "-h", "-N", "-p", "cpu", "-o", "%T", ok=False).split() == ["idle"] * 2,
            "idle nodes",
            tell=self.tell,
        )

    def down(self) -> None:
        """End all jobs, then the daemons; whatever does not end as it should, the rest goes all the same."""
        with ExitStack() as steps:
            # the last first: jobs before the daemons that would end them
            for name in ("slurm.conf", "gres.conf"):
                steps.callback(self._unlink, name)
            for daemon in reversed(DAEMONS):
                steps.callback(self.stop, daemon, signal.SIGTERM)
            steps.callback(self._end_jobs)

    def _end_jobs(self) -> None:
        if not (self.root / "slurmctld.pid").exists():
            return
        if self.process("slurmctld") is None:
            self.start_controller()
        over = time.monotonic() + 60
        while left := self.jobs("PENDING", "RUNNING", "SUSPENDED", "COMPLETING"):
            assert time.monotonic() < over, f"jobs that do not end\n{self.tell()}"
            for job in left:
                run("scancel", job.id, ok=False)
            time.sleep(0.5)
        # and what runs without the controller's knowledge, as after it was killed
        for node in NODES:
            for line in run("scontrol", "listpids", "*", node, ok=False).splitlines()[1:]:
                with suppress(ProcessLookupError):
                    os.kill(int(line.split()[0]), signal.SIGKILL)
        wait_until(lambda: not self._steps(), "the end of what runs on the nodes", 30, self.tell)

    def _steps(self) -> list[Path]:
        """Return the sockets of the steps of jobs that run on the nodes."""
        return [path for node in NODES for path in (self.root / f"spool-{node}").glob(f"{node}_*.*")]

    def _unlink(self, name: str) -> None:
        if (CONF / name).is_symlink() and (CONF / name).readlink() == self.root / name:
            (CONF / name).unlink()

    def process(self, name: str) -> int | None:
        """Return the id of a daemon, where it runs."""
        file = self.root / f"{name}.pid"
        text = file.read_text().strip() if file.is_file() else ""
        return int(text) if text and is_running(int(text), name.split("-")[0]) else None

    def stop(self, name: str, sent: signal.Signals) -> None:
        process = self.process(name)
        if process is not None:
            os.kill(process, sent)
            ended = partial(_is_gone, process, name.split("-")[0])
            try:
                wait_until(ended, f"end of {name}", seconds=30)
            except AssertionError:
                os.kill(process, signal.SIGKILL)
                wait_until(ended, f"end of {name}, killed", seconds=30)

    def start_controller(self) -> None:
        run("slurmctld")
        wait_until(lambda: "UP" in run("scontrol", "ping", ok=False), "the controller", tell=self.tell)

    def save(self, job: Job) -> None:
        """Wait until the controller has written down what it knows of a job, which it does within seconds.

        One that is killed before that has lost the job, or takes it for one that waits.
        """
        # what is written first may have been put together before
        for _ in range(2):
            before = self._saved()
            run("scontrol", "update", f"jobid={job.id}", "timelimit=+1")
            wait_until(partial(self._saved_since, before), "the controller's record of jobs", tell=self.tell)

    def _saved_since(self, before: int) -> bool:
        return self._saved() > before

    def _saved(self) -> int:
        file = self.root / "state/job_state"
        return file.stat().st_mtime_ns if file.exists() else 0

    def tell(self) -> str:
        """Say what there is to know where something is waited for in vain."""
        said = [run("squeue", "--states=all", ok=False), run("sinfo", "--Node", "--long", ok=False)]
        logs = [self.root / f"{name}.log" for name in ("slurmctld", "slurmd-n1", "slurmd-n2")]
        said += [f"{log.name}:\n" + "\n".join(last_lines(log, 15)) for log in logs if log.exists()]
        return "\n".join(said)

    def jobs(self, *states: str) -> list[Job]:
        """Return the jobs that are known, or those in one of the states, the oldest first."""
        found = []
        for line in run("scontrol", "show", "job", "-o", ok=False).splitlines():
            fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if "JobId" in fields and (not states or fields["JobState"] in states):
                found.append(Job(fields))
        return sorted(found, key=lambda job: int(job.id))

    def _start_munge(self) -> None:
        folder = self.root / "munge"
        (folder / "key").write_bytes(os.urandom(1024))
        (folder / "key").chmod(0o400)
        folder.chmod(0o711)
        options = {
            "key-file": folder / "key",
            "socket": folder / "socket",
            "pid-file": self.root / "munged.pid",
            "log-file": self.root / "munged.log",
            "seed-file": folder / "seed",
        }
        run("munged", "--force", *(f"--{name}={value}" for name, value in options.items()))
        wait_until((folder / "socket").is_socket, "munge")


@contextmanager
def slurm(root: Path) -> Iterator[Cluster]:
    """A Slurm that is gone afterwards, also where the process is told to end (SIGTERM)."""
    cluster = Cluster(root)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
        signal.signal(signal.SIGTERM, before)
