"""What is installed: pinned, and no file but those with the digests that are written down."""

import re

import pytest
import yaml

from conftest import REPOSITORY

ENVS = REPOSITORY / "envs"
LOCKS = sorted(ENVS.glob("*.lock"))


def requirements(text):
    """Yield each requirement with its digests."""
    for block in re.sub(r"\\\n", " ", text).splitlines():
        if block and not block.startswith("#"):
            words = re.split(r"\s+(?=--hash=)", block)
            yield words[0].partition(";")[0].strip(), words[1:]


def test_there_are_lock_files():
    assert {path.stem for path in LOCKS} == {"requirements", "peers", "cuda", "torch-cpu", "slurm"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_requirement_is_pinned_with_the_digests_of_its_files(lock):
    found = list(requirements(lock.read_text()))
    assert found
    for requirement, digests in found:
        assert re.fullmatch(r"[a-z0-9.-]+==[^\s=*<>]+", requirement), requirement
        assert digests, requirement
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}\s*", digest) for digest in digests), requirement


def test_what_is_needed_is_locked():
    locked = {name.partition("==")[0] for lock in LOCKS for name, _ in requirements(lock.read_text())}
    project = (REPOSITORY / "pyproject.toml").read_text()
    needed = re.findall(r'^    "([A-Za-z0-9-]+)(?:\[\w+\])?[>=]=', project, re.MULTILINE)
    assert len(needed) > 20
    assert {name.lower() for name in needed} <= locked


def test_make_installs_lock_files_by_their_digests_alone():
    makefile = (REPOSITORY / "Makefile").read_text()
    assert "LOCKED := $(PIP_INSTALL) --require-hashes" in makefile
    lines = [line for line in makefile.splitlines() if re.search(r"-r envs/", line)]
    assert {lock.stem for lock in LOCKS} == {name for line in lines for name in re.findall(r"-r envs/([a-z-]+)", line)}
    for line in lines:
        assert line.count("-r envs/") == line.count("$(LOCKED)"), line


def test_conda_installs_the_same():
    listed = yaml.safe_load((ENVS / "serflow.yaml").read_text())["dependencies"]
    (pip,) = (entry["pip"] for entry in listed if isinstance(entry, dict))
    assert pip == [f"-r ${{SERFLOW_LOCKS}}/{name}.lock" for name in ("requirements", "cuda")]
