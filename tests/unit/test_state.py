import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serflow import state
from serflow.state import ABSENT, Stamp, look, stamps, take_stock


@pytest.fixture
def folder(tmp_path):
    for name in ("a.txt", "b/c.txt", "b/d.wav"):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "folder"


@pytest.fixture
def record(tmp_path):
    return tmp_path / "out/files.json"


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that are read."""
    names = []
    sha256_file = state.sha256_file

    def listen(path):
        names.append(Path(path).name)
        return sha256_file(path)

    monkeypatch.setattr(state, "sha256_file", listen)
    return names


def read(folder, record, *reads):
    """Take stock and leave the record, as a stage does."""
    stock = take_stock(folder, record, stamps(folder, reads or state.EVERYTHING))
    stock.write(record)
    return stock


def touch(path, seconds=1):
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + seconds * 10**9))


def test_the_first_look_and_the_stage_agree_and_reading_changes_nothing(folder, record, hashed):
    first = look(folder, record)
    assert hashed == []
    stock = read(folder, record)
    assert hashed == ["a.txt", "c.txt", "d.wav"]
    assert look(folder, record) == first == (stock.id, [])
    assert len(hashed) == 3
    record.unlink()
    assert look(folder, record) == first


def test_new_times_are_looked_at_once(folder, record, hashed):
    before = read(folder, record)
    touch(folder / "a.txt")
    hashed.clear()
    assert look(folder, record) == (before.id, [])
    assert hashed == ["a.txt"]
    assert look(folder, record) == (before.id, [])
    assert hashed == ["a.txt"]
    after = take_stock(folder, record, stamps(folder))
    assert (after.id, after.content, hashed) == (before.id, before.content, ["a.txt"])
    record.unlink()
    assert look(folder, record).id != before.id


def test_where_the_record_cannot_be_written_times_are_looked_at_again(folder, record, hashed, monkeypatch):
    before = read(folder, record)
    touch(folder / "a.txt")
    hashed.clear()

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("serflow.files.tempfile.mkstemp", refuse)
    assert look(folder, record) == look(folder, record) == (before.id, [])
    assert hashed == ["a.txt", "a.txt"]
    monkeypatch.undo()
    assert take_stock(folder, record, stamps(folder)).id == before.id


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda folder: (folder / "a.txt").write_text("longer than it was"), "changed: a.txt"),
        (lambda folder: (folder / "a.txt").write_text("txt.a"), "changed: a.txt"),
        (lambda folder: (folder / "e").write_text(""), "new: e"),
        (lambda folder: (folder / "a.txt").unlink(), "gone: a.txt"),
        (lambda folder: (folder / "b").rename(folder / "x"), "new: x/c.txt, x/d.wav"),
    ],
)
def test_a_change_of_content_is_a_new_state_which_the_stage_records(folder, record, edit, said):
    before = read(folder, record)
    edit(folder)
    changed = look(folder, record)
    assert changed.id != before.id
    assert changed.changes[0] == said
    after = read(folder, record)
    assert after.id == changed.id
    assert after.content != before.content
    assert look(folder, record) == (changed.id, [])


def test_equal_size_and_time_do_not_hide_other_content(folder, record):
    """The time of the entry tells it, which nobody can set."""
    before = read(folder, record)
    status = (folder / "a.txt").stat()
    while (folder / "a.txt").stat().st_ctime_ns == status.st_ctime_ns:
        (folder / "a.txt").write_text("txt.a")
        os.utime(folder / "a.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    changed = look(folder, record)
    assert changed == (changed.id, ["changed: a.txt"])
    assert read(folder, record).id == changed.id != before.id
    (folder / "a.txt").write_text("a.txt")
    assert look(folder, record).id not in (before.id, changed.id)


def test_files_whose_content_is_known_are_not_read_again(folder, record, hashed):
    read(folder, record)
    (folder / "a.txt").write_text("another label")
    hashed.clear()
    read(folder, record)
    assert hashed == ["a.txt"]


@pytest.mark.parametrize("content", ["while it was read", "txt.a"])
def test_what_changes_while_it_is_read_is_seen_at_the_next_look(folder, record, content):
    found = stamps(folder)
    (folder / "a.txt").write_text(content)
    stock = take_stock(folder, record, found)
    assert stock.files["a.txt"] == (found["a.txt"], None)
    stock.write(record)
    assert look(folder, record).changes == ["changed: a.txt"]


def test_content_is_told_without_times_or_place(folder, record, tmp_path):
    other = tmp_path / "other"
    for name in ("b/d.wav", "b/c.txt", "a.txt"):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_bytes((folder / name).read_bytes())
        touch(other / name, 60)
    before = read(folder, record)
    there = take_stock(other, None, stamps(other))
    assert there.content == before.content
    assert there.id != before.id
    assert look(other, record) == (before.id, [])


def test_only_what_is_read_counts(folder, record):
    before = read(folder, record, "*.WAV", "a*")
    assert [*before.files] == ["a.txt", "b/d.wav"]
    (folder / "b/c.txt").unlink()
    assert look(folder, record, ("*.WAV", "a*")) == (before.id, [])
    assert look(folder, record, ("*.wav",)).changes == ["gone: a.txt"]


def test_a_file_may_stand_for_a_folder_and_nothing_for_either(folder, record):
    file = folder / "a.txt"
    before = read(file, record)
    assert [*before.files] == ["a.txt"]
    assert look(file, record) == (before.id, [])
    file.unlink()
    assert look(file, record) == (ABSENT, [])
    assert take_stock(file, record, stamps(file)).files == {}
    assert look(folder / "a\0b", record) == (ABSENT, [])


def test_links_hidden_files_and_what_the_workflow_makes(folder, record, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/e.txt").write_text("e")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(folder)
    (folder / "broken").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe")
    for name in (".hidden", "__MACOSX/x", "results/x", "sub/results/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    monkeypatch.chdir(folder)
    before = read(Path(), record)
    names = ["a.txt", "b/c.txt", "b/d.wav", "broken", "link/e.txt", "pipe", "sub/results/x"]
    assert sorted(before.files) == names
    assert before.files["broken"] == before.files["pipe"] == (Stamp(None, None, None), None)
    assert look(folder, record) == (before.id, [])
    (folder / "nowhere").write_text("")
    assert look(folder, record).changes == ["new: nowhere", "changed: broken"]


def test_names_that_are_not_utf8(folder, record):
    (folder / "caf\udce9").write_text("")
    before = read(folder, record)
    assert look(folder, record) == (before.id, [])
    (folder / "caf\udce9").unlink()
    assert look(folder, record).changes == ["gone: caf\\udce9"]


def test_what_cannot_be_read_is_part_of_the_state_until_it_can(folder, record, monkeypatch):
    scandir = os.scandir
    sha256_file = state.sha256_file

    def shut(path, *rest):
        if Path(path).name in ("b", "a.txt"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scandir(path) if Path(path).is_dir() else sha256_file(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", shut)
        patch.setattr(state, "sha256_file", shut)
        before = read(folder, record)
        assert before.files["b/"] == (Stamp(None, None, None), None)
        assert before.files["a.txt"].sha256 is None
        assert look(folder, record) == (before.id, [])
    assert look(folder, record).changes == ["new: b/c.txt, b/d.wav", "gone: b/"]
    with monkeypatch.context() as patch:
        patch.setattr(state, "sha256_file", shut)
        before = read(folder, record)
        assert look(folder, record) == (before.id, [])
    assert look(folder, record).changes == ["changed: a.txt"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": "x"}', '{"id": "x", "files": {"a": [1]}}', '{"files": 3}'])
def test_a_broken_record_counts_as_none(folder, record, content):
    fresh = look(folder, record)
    record.parent.mkdir()
    record.write_text(content)
    assert look(folder, record) == fresh
    assert read(folder, record).id == fresh.id


def test_a_file_in_place_of_the_results_folder_is_no_record(folder, tmp_path):
    (tmp_path / "results").write_text("")
    assert look(folder, tmp_path / "results/corpora/files.json").changes == []


def test_many_changes_are_counted(folder, record):
    read(folder, record)
    for number in range(5):
        (folder / f"n{number}").write_text("")
    assert look(folder, record).changes == ["new: n0, n1, n2 and 2 more"]


def test_the_record_is_a_line_a_file(folder, record):
    stock = read(folder, record)
    lines = record.read_text().splitlines()
    assert len(lines) == len(stock.files) + 3
    assert json.loads(record.read_text())["files"]["a.txt"][0] == 5


def test_stamps_hold_size_and_times(folder):
    status = (folder / "a.txt").stat()
    assert stamps(folder)["a.txt"] == (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def test_what_the_snakefile_imports_is_light():
    code = "import sys, serflow.state, serflow.noise.published; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"numpy", "pyarrow", "pandas", "torch", "tqdm", "soundfile"} & set(loaded)
