"""Whoever writes says in a sentence that the disk is full: each library has an error of its own for it."""

import ast
import errno
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch

from serflow.backbones.base import backbone_module, backbone_names
from serflow.errors import SerflowError
from serflow.files import atomic_folder, atomic_path, digested_path, write_csv, write_sealed_json, write_text
from serflow.report.style import save_svg
from serflow.state import stamps, take_stock
from serflow.stores.frames import FrameRow, write_frames
from serflow.stores.parquet import write_table
from serflow.stores.vectors import write_vectors
from serflow.training.checkpoints import Checkpoint, save_weights

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "serflow"
ROOM = 16_384
NOISE = np.random.default_rng(0).standard_normal((200, 100)).astype(np.float32)
TEXT = "x" * 100_000
WRITERS_OF_FILES = ("atomic_path", "digested_path", "atomic_folder", "stand_in_tree")
_OF_ANYTHING = ("write_bytes", "savefig", "save_file", "copyfile", "copyfileobj", "to_csv", "to_parquet")
_OF_MODULES = (("soundfile", "write"), ("torch", "save"), ("np", "save"), ("np", "savez"))
# functions that are handed a temporary, or make one
HANDED = {
    "archives.py": {"_write"},
    "exchange/export.py": {"_copy"},
    "files.py": {"_fault_of_disk", "atomic_path"},
    "report/style.py": {"save_svg"},
    "stores/parquet.py": {"_seal_footer"},
    "training/checkpoints.py": {"__init__", "save"},
    "training/fit.py": {"fit"},
    **{f"backbones/{path.name}": {"write_stand_in"} for path in (PACKAGE / "backbones").glob("*.py")},
}
# stand-in corpora are written into the temporary of `stand_in_tree`
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "synthetic")


def sound(path: Path, kind: str, subtype: str) -> None:
    with digested_path(path) as temporary:
        soundfile.write(temporary, 0.1 * NOISE.ravel(), 16_000, format=kind, subtype=subtype)


def figure(path: Path) -> None:
    drawn, axes = plt.subplots()
    axes.plot(NOISE)
    with digested_path(path) as temporary:
        save_svg(drawn, temporary)
    plt.close(drawn)


def hdf5(path: Path) -> None:
    with atomic_folder(path) as folder, h5py.File(folder / "a.csd", "w") as file:
        file["a"] = NOISE


def array(path: Path) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.save(handle, NOISE)


def tree(path: Path) -> None:
    with atomic_folder(path) as folder:
        soundfile.write(folder / "a.wav", 0.1 * NOISE.ravel(), 16_000, subtype="PCM_16")


def record(path: Path) -> None:
    folder = path.parent / "read"
    take_stock(folder, None, stamps(folder)).write(path)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: write_text(path, TEXT),
    "CSV": lambda path: write_csv(path, ["a"], [[TEXT]]),
    "JSON": lambda path: write_sealed_json(path, {"a": TEXT}),
    "record": record,
    "Parquet": lambda path: write_table(path, pa.table({"a": NOISE.ravel()}), kind="some"),
    "frames": lambda path: write_frames(path, [FrameRow("a", NOISE)], 100, {}),
    "vectors": lambda path: write_vectors(path, [FrameRow(str(i), row) for i, row in enumerate(NOISE)], 100, {}),
    "array": array,
    "safetensors": lambda path: save_weights(path, {"a": torch.from_numpy(NOISE)}, {}),
    "checkpoint": lambda path: Checkpoint(path, "k").save({"a": torch.from_numpy(NOISE)}),
    "SVG": figure,
    "FLAC": lambda path: sound(path, "FLAC", "PCM_24"),
    "WAV": lambda path: sound(path, "WAV", "PCM_24"),
    "stand-in corpus": tree,
    "HDF5": hdf5,
}


def stand_in(name: str, path: Path) -> None:
    with atomic_folder(path) as folder:
        backbone_module(name).write_stand_in(folder, seed=0)


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file grow beyond ``size`` bytes: writes fail as on a full disk, wherever the test runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "read").mkdir()
    for number in range(300):
        (tmp_path / "read" / f"{number}.txt").write_text("")
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.mark.parametrize("what", WRITERS)
def test_a_file_that_cannot_grow_is_one_sentence_and_leaves_nothing(folder: Path, what: str) -> None:
    path = folder / "out.bin"
    with file_limit(ROOM), pytest.raises(SerflowError, match=r"^\S+/out\.bin: cannot be written: larger than") as error:
        WRITERS[what](path)
    assert "\n" not in str(error.value)
    assert sorted(entry.name for entry in folder.iterdir()) == ["out", "read"]
    WRITERS[what](path)
    assert path.exists()


# DeepSpeech's would be trained first, for minutes
@pytest.mark.parametrize("what", [name for name in backbone_names() if name != "deepspeech"])
def test_a_stand_in_for_weights_that_finds_no_room_is_one_sentence(folder: Path, what: str) -> None:
    with file_limit(256), pytest.raises(SerflowError, match=r"^\S+/out/model: cannot be written: larger than"):
        stand_in(what, folder / "out" / "model")
    assert list((folder / "out").iterdir()) == []


def test_all_writers_on_a_disk_that_is_really_full(folder: Path) -> None:
    disk = folder / "out"
    mount = ["mount", "-t", "tmpfs", "-o", f"size={2 * ROOM}", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        (disk / "read").symlink_to(folder / "read")
        for what, write in WRITERS.items():
            with pytest.raises(SerflowError, match=r"^\S+/out\.bin: no space left on the disk"):
                write(disk / "out.bin")
            assert [entry.name for entry in disk.iterdir()] == ["read"], what
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_another_fault_of_a_writer_stays_what_it_is(tmp_path: Path) -> None:
    for path in (atomic_path, digested_path, atomic_folder):
        with pytest.raises(ZeroDivisionError), path(tmp_path / "a"):
            raise ZeroDivisionError
        with pytest.raises(SerflowError, match=r"/a: cannot be written: .* of that name"), path(tmp_path / "a"):
            raise OSError(errno.EIO, "no disk of that name")
    assert list(tmp_path.iterdir()) == []


def _writes(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    module = getattr(function.value, "id", "") if isinstance(function, ast.Attribute) else ""
    texts = [arg.value for arg in [*call.args, *(k.value for k in call.keywords)] if isinstance(arg, ast.Constant)]
    if name in ("open", "fdopen", "FileIO", "File"):
        return any(isinstance(text, str) and set("wax+") & set(text) and set(text) <= set("rwaxbt+") for text in texts)
    return name in _OF_ANYTHING or (module, name) in _OF_MODULES or (name == "write_text" and module != "")


def _unguarded(node: ast.AST, function: str = "", guarded: bool = False) -> Iterator[tuple[str, int]]:
    for child in ast.iter_child_nodes(node):
        inner, safe = function, guarded
        if isinstance(child, ast.FunctionDef):
            inner, safe = child.name, False
        if isinstance(child, ast.With):
            opened = [item.context_expr.func for item in child.items if isinstance(item.context_expr, ast.Call)]
            safe = safe or any(getattr(func, "id", "") in WRITERS_OF_FILES for func in opened)
        if isinstance(child, ast.Call) and _writes(child) and not safe:
            yield inner, child.lineno
        yield from _unguarded(child, inner, safe)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nothing_is_written_but_by_way_of_a_temporary(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    found = _unguarded(ast.parse(path.read_text(encoding="utf-8")))
    assert [f"{name}:{line}" for function, line in found if function not in HANDED.get(name, set())] == []
