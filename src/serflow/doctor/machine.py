"""The machine and the working folder: disk, locks, cores, memory, PyTorch and GPU, optional packages."""

import importlib.metadata
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from serflow.config import Config
from serflow.doctor.corpora import INSTALL_PRAAT
from serflow.doctor.findings import Diagnosis
from serflow.errors import SerflowError
from serflow.features._praat import load_parselmouth
from serflow.files import require_folder, require_writable
from serflow.inspection.description import show_bytes, some

GB = 1_000_000_000
LEAST_FREE, LITTLE_FREE = 1 * GB, 10 * GB
"""Bytes of free disk below which nothing is begun, and below which it is said; what a run needs is not reckoned."""
LITTLE_MEMORY = 4 * GB
"""Bytes of memory below which it is said; jobs of networks ask for 3 GB at their first attempt."""
PREPARED_BYTES_PER_S = 32_000
"""Prepared audio is 16-bit samples at 16 kHz, before compression."""
INSTALL_CUDA = "pip install --no-deps --require-hashes -r envs/cuda.lock"
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_PROCESSES = Path("/proc")
_GPU = Path("/dev/nvidia0")
_FOLDERS = ("results", "resources", ".snakemake")
_LOCKS = Path(".snakemake/locks")


def diagnose_machine(config: Config, audio_s: float) -> Iterator[Diagnosis]:
    """Yield what is found of each part.

    Parameters
    ----------
    config
        Says which devices and precisions are asked for.
    audio_s
        Speech (s) that a run has yet to prepare.
    """
    yield _disk(audio_s)
    yield _folders()
    yield _lock()
    yield _processor()
    yield _torch(config)
    yield _packages()


def _disk(audio_s: float) -> Diagnosis:
    about = Diagnosis("disk")
    free, needed = shutil.disk_usage(Path()).free, audio_s * PREPARED_BYTES_PER_S
    audio = f"; the audio to prepare takes up to {show_bytes(round(needed))}, features and runs more" if needed else ""
    said = f"{show_bytes(free)} free in {Path().absolute()}{audio}"
    if free < max(needed, LEAST_FREE):
        about.wrong(f"{said}. Free some space, or work in another folder:", "snakemake --directory DIR ...")
    elif free < LITTLE_FREE:
        about.note(f"{said}; less than {show_bytes(LITTLE_FREE)} is soon full")
    else:
        about.ok(said)
    return about


def _folders() -> Diagnosis:
    about = Diagnosis("folders")
    for name in _FOLDERS:
        try:
            require_folder(name)
            # what is not there is made by a run, and not by looking
            require_writable(name if Path(name).is_dir() else Path())
        except SerflowError as error:
            about.wrong(str(error))
    if not about.findings:
        about.ok(f"{', '.join(_FOLDERS)} can be written")
    return about


def _lock() -> Diagnosis:
    about = Diagnosis("lock")
    if not any(_LOCKS.glob("*.lock")):
        about.ok("no run is under way here")
    elif (at_work := _snakemake_here()) is not None:
        about.wrong(f"a run is at work in this folder (process {at_work}): let it end, or work in another folder")
    else:
        made = Path("Makefile").is_file() and Path("Snakefile").is_file()
        about.wrong(
            "locked by a run that was killed, or works here from another machine. If none does, unlock the folder; the "
            "next run goes on where that one was:",
            "make unlock" if made else "snakemake --unlock",
        )
    return about


def _snakemake_here() -> int | None:
    """Return the number of a process of Snakemake that works in this folder, where the system tells (Linux)."""
    here = Path().resolve()
    for folder in _PROCESSES.glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if any(word.rpartition(b"/")[2] == b"snakemake" for word in words) and (folder / "cwd").resolve() == here:
                return int(folder.name)
        except OSError:
            continue
    return None


def _memory() -> int:
    """Return the memory (bytes) that processes here may use together."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(_CGROUP_LIMIT.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return installed
    return min(limit, installed)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> Diagnosis:
    about = Diagnosis("processor")
    memory, cores = _memory(), _cores()
    said = f"{cores} {'core' if cores == 1 else 'cores'}, {show_bytes(memory)} of memory"
    if memory < LITTLE_MEMORY:
        about.note(f"{said}; jobs of networks ask for 3 GB, so give Snakemake one core")
    else:
        about.ok(said)
    return about


def _torch(config: Config) -> Diagnosis:
    """Say which PyTorch there is, whether it finds a GPU, and what of the devices that are asked for it lacks."""
    import torch

    from serflow.devices import missing_in_bfloat16, usable_device

    about = Diagnosis("torch")
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    lacks = missing_in_bfloat16("cuda" if gpus else "cpu")
    bf16 = "bf16" if lacks is None else f"no bf16 (it cannot compute {lacks} in it here)"
    said = f"PyTorch {torch.__version__}, {some(gpus) or 'no GPU'}, {bf16}"
    if _GPU.exists() and not gpus:
        about.note(f"{said}: this machine has a GPU, and PyTorch cannot use it. The build with CUDA:", INSTALL_CUDA)
    else:
        about.ok(said)
    asked = [(f"backbones.{name}", settings) for name, settings in config.backbones.items()]
    asked += [(f"{plan.name}.training", getattr(config, plan.name).training) for plan in config.plans().values()]
    for section, settings in asked:
        try:
            usable_device(settings.device, settings.precision, section)
        except SerflowError as error:
            about.wrong(str(error))
    return about


def _packages() -> Diagnosis:
    about = Diagnosis("packages")
    try:
        load_parselmouth()
    except SerflowError:
        about.note("no Praat, which the feature pitch_pulse and stand-ins of corpora need (GPL-3)", INSTALL_PRAAT)
    try:
        peer = f"allosaurus {importlib.metadata.version('allosaurus')}"
    except importlib.metadata.PackageNotFoundError:
        peer = "no allosaurus"
    praat = "" if about.findings else f"praat-parselmouth {importlib.metadata.version('praat-parselmouth')} (GPL-3), "
    about.ok(f"{praat}{peer} (GPL-3; tests alone use it)")
    return about
