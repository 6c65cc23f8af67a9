"""What of the machine and the working folder would stop a run."""

import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from doctor_place import NAMES, noise, told, wav
from serflow.doctor import machine

Usage = namedtuple("Usage", "free")
GB = machine.GB


def disk_of(place, monkeypatch, free, *names, status=0):
    monkeypatch.setattr("serflow.doctor.machine.shutil.disk_usage", lambda path: Usage(free))
    return place.doctor(*names, status=status)["disk"]


@pytest.mark.parametrize(
    ("free", "expected", "status"), [(20 * GB, "ok", 0), (9 * GB, "note", 0), (GB - 1, "wrong", 1)]
)
def test_little_disk_is_told_and_hardly_any_is_wrong(place, monkeypatch, free, expected, status):
    ((mark, said, steps),) = disk_of(place, monkeypatch, free, "machine", status=status)
    assert mark == expected
    assert steps == (["snakemake --directory DIR ..."] if status else [])
    assert str(place.folder) in said


def test_the_audio_that_is_yet_to_be_prepared_has_to_fit(place, monkeypatch):
    monkeypatch.setattr("serflow.doctor.machine.LEAST_FREE", 0)
    for seed, name in enumerate(NAMES):
        wav(place.audio(name), noise(seed, seconds=1))
    # 12 s of 16-bit samples at 16 kHz
    assert disk_of(place, monkeypatch, 384_000, "dlc")[0][0] == "note"
    ((mark, said, _),) = disk_of(place, monkeypatch, 383_999, "dlc", status=1)
    assert mark == "wrong"
    assert "takes up to 384.0 KB" in said
    place.run_stages()
    assert disk_of(place, monkeypatch, 383_999, "dlc")[0][0] == "note"


def test_folders_have_to_be_folders_that_can_be_written(place, monkeypatch):
    assert place.doctor("machine")["folders"][0][0] == "ok"
    assert not Path("results").exists()
    Path("results").write_text("")
    ((mark, said, _),) = place.doctor("machine", status=1)["folders"]
    assert mark == "wrong"
    assert said == "results: a file stands where a folder is needed; move it away."
    Path("results").unlink()
    Path("resources").mkdir()

    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("serflow.files.tempfile.TemporaryFile", refuse)
    said = [said for _, said, _ in place.doctor("machine", status=1)["folders"]]
    assert [text.partition(":")[0] for text in said] == [".", "resources", "."]
    assert "snakemake --directory DIR" in said[1]


def test_a_lock_that_a_killed_run_left_is_told_with_what_to_type(place):
    assert place.doctor("machine")["lock"][0][0] == "ok"
    locks = Path(".snakemake/locks")
    locks.mkdir(parents=True)
    assert place.doctor("machine")["lock"][0][0] == "ok"
    (locks / "0.output.lock").write_text("results/table1.csv\n")
    ((mark, said, steps),) = place.doctor("machine", status=1)["lock"]
    assert mark == "wrong"
    assert said.startswith("locked by a run that was killed")
    assert steps == ["snakemake --unlock"]
    for name in ("Makefile", "Snakefile"):
        Path(name).touch()
    assert place.doctor("machine", status=1)["lock"][0][2] == ["make unlock"]


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="no /proc tells of processes")
def test_nobody_is_told_to_unlock_a_run_that_lives(place, tmp_path_factory):
    Path(".snakemake/locks").mkdir(parents=True)
    Path(".snakemake/locks/0.output.lock").write_text("results/table1.csv\n")
    program = tmp_path_factory.mktemp("bin") / "snakemake"
    program.write_text("print(flush=True); input()")
    with subprocess.Popen(
        [sys.executable, str(program)], cwd=place.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as run:
        run.stdout.readline()
        ((mark, said, steps),) = place.doctor("machine", status=1)["lock"]
        run.communicate(b"\n")
    assert (mark, steps) == ("wrong", [])
    assert f"process {run.pid}" in said


def test_little_memory_is_told_and_the_limit_of_a_container_counts(place, monkeypatch, tmp_path):
    assert (
        "cores" in place.doctor("machine")["processor"][0][1] or "core," in place.doctor("machine")["processor"][0][1]
    )
    limit = tmp_path / "memory.max"
    monkeypatch.setattr("serflow.doctor.machine._CGROUP_LIMIT", limit)
    limit.write_text("max\n")
    most = machine._memory()
    limit.write_text("2000000000\n")
    assert machine._memory() == 2 * GB < most
    ((mark, said, _),) = place.doctor("machine")["processor"]
    assert mark == "note"
    assert "2.0 GB of memory" in said


@pytest.fixture
def no_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("serflow.doctor.machine._GPU", tmp_path / "no_gpu")
    return tmp_path / "no_gpu"


def test_a_gpu_that_torch_cannot_use_is_told_with_what_to_install(place, no_gpu):
    ((mark, said, _),) = place.doctor("machine")["torch"]
    assert mark == "ok"
    assert "no GPU" in said
    no_gpu.touch()
    ((mark, said, steps),) = place.doctor("machine")["torch"]
    assert mark == "note"
    assert steps == ["pip install --no-deps --require-hashes -r envs/cuda.lock"]


def test_a_gpu_that_is_asked_for_has_to_be_there(place, no_gpu):
    place.config["temporal"] = {"corpus": "mine", "folds": "in_turn", "training": {"device": "cuda"}}
    findings = place.doctor("machine", status=1)["torch"]
    mark, said, _ = told(findings, "cuda was asked for")
    assert mark == "wrong"
    assert said.startswith("temporal.training.device: cuda was asked for and torch finds no GPU")


def test_bf16_has_to_be_computed_here(place, no_gpu, monkeypatch):
    monkeypatch.setattr("serflow.devices.missing_in_bfloat16", lambda device: "an LSTM")
    assert "no bf16 (it cannot compute an LSTM in it here)" in place.doctor("machine")["torch"][0][1]
    place.config["dlc"]["training"] = {"precision": "bf16"}
    findings = place.doctor("machine", status=1)["torch"]
    assert told(findings, "dlc.training.precision: bf16 was asked for")[0] == "wrong"


def test_packages_that_may_be_absent_are_told(place, monkeypatch):
    ((mark, said, _),) = place.doctor("machine")["packages"]
    assert mark == "ok"
    assert "praat-parselmouth" in said
    assert "GPL-3" in said
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    mark, said, steps = told(place.doctor("machine")["packages"], "no Praat")
    assert (mark, steps) == ("note", ["pip install 'serflow[praat]'"])
