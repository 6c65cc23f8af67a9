import csv
import errno
import math
import os
import resource
import select
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from serflow.errors import SerflowError, StoreError
from serflow.files import (
    atomic_path,
    check_digest,
    digest_path,
    exclusive,
    read_json,
    read_sealed_json,
    require_folder,
    require_writable,
    sha256_file,
    sweep,
    two_digits,
    write_csv,
    write_sealed_json,
    write_text,
)


def test_failed_writer_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_killed_writer_leaves_no_file_under_the_final_name(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    script = (
        "import os, signal\nfrom serflow.files import atomic_path\n"
        f"with atomic_path({str(target)!r}) as t:\n t.write_text('half')\n os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode != 0
    assert not target.exists()


def test_full_disk_is_one_clear_sentence(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_path(tmp_path / "table.csv"), open("/dev/full", "w") as full:
            full.write("x")

    with pytest.raises(SerflowError, match=r"table\.csv: no space left on the disk"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_really_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        with pytest.raises(SerflowError, match="no space left on the disk"):
            write_text(disk / "big.csv", "x" * 1_000_000)
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_file_size_limit_is_told_with_the_path(tmp_path: Path) -> None:
    script = (
        "import resource, signal\nfrom serflow.files import write_text\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))\n"
        f"write_text({str(tmp_path / 'big.csv')!r}, 'x' * 100_000)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert "big.csv: cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_read_only_results_folder_is_told_before_the_first_job(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a read-only file system cannot be mounted here")
    try:
        with pytest.raises(SerflowError, match=r"results: not writable .*--directory DIR"):
            require_writable(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(SerflowError, match="a file stands where a folder is needed"):
        write_text(tmp_path / "results" / "table.csv", "x")


def test_what_stands_where_a_folder_should_be_is_told_beforehand(tmp_path: Path) -> None:
    require_folder(tmp_path / "absent")
    require_folder(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    for name in ("file", "link"):
        with pytest.raises(SerflowError, match=rf"{name}: a file stands where a folder is needed; move it away"):
            require_folder(tmp_path / name)


def test_unwritable_folder_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("serflow.files.tempfile.mkstemp", refuse)
    with pytest.raises(SerflowError, match=r"table\.csv: not writable .*--directory DIR"):
        write_text(tmp_path / "table.csv", "x")


def test_written_files_get_the_permissions_of_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\ufeff{}", '{"a": ' + "1" * 5000 + "}"])
def test_bad_json_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(SerflowError, match=r"bad\.json: not valid JSON"):
        read_json(tmp_path / "bad.json")


def test_a_csv_says_nothing_of_what_is_absent_and_spells_bools_in_one_way(tmp_path: Path) -> None:
    row = [None, math.nan, np.float64("nan"), True, np.bool_(False), 0.1, "a;b"]
    write_csv(tmp_path / "a.csv", list("abcdefg"), [row])
    assert (tmp_path / "a.csv").read_text() == "a,b,c,d,e,f,g\n,,,True,False,0.1,a;b\n"


def test_any_text_of_a_csv_is_read_back(tmp_path: Path) -> None:
    texts = ["a\rb", "a\r\nb", "a\nb", "\r", 'a"b', "a,b", "a\x85b", "a\u2028b", "\ufeffa", " a ", ""]
    write_csv(tmp_path / "a.csv", ["text", "n"], [(text, 0) for text in texts])
    with open(tmp_path / "a.csv", encoding="utf-8", newline="") as handle:
        assert [row[0] for row in csv.reader(handle)] == ["text", *texts]


def test_a_name_in_another_code_is_written_with_backslashes(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["path"], [[os.fsdecode(b"gl\xfcck.wav")]])
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "path\ngl\\udcfcck.wav\n"


def test_a_digest_lies_beside_a_file_as_sha256sum_reads_it(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["n"], [[1]])
    check_digest(tmp_path / "a.csv")
    beside = digest_path(tmp_path / "a.csv")
    assert beside.read_text() == f"{sha256_file(tmp_path / 'a.csv')}  a.csv\n"
    for damage in (lambda: beside.write_bytes(b"\xff"), lambda: beside.write_text(""), beside.unlink):
        damage()
        with pytest.raises(StoreError, match=r"a\.csv: .*delete it and run the same command again"):
            check_digest(tmp_path / "a.csv")


def test_a_file_changed_after_it_was_written_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["n"], [[1]])
    (tmp_path / "a.csv").write_text("n\n2\n")
    with pytest.raises(StoreError, match=r"a\.csv: does not match the SHA-256 in \.a\.csv\.sha256"):
        check_digest(tmp_path / "a.csv")


KILLED = """
import os, signal, sys
from pathlib import Path
from serflow.files import atomic_folder, atomic_path
with atomic_path({0!r} + "/table.csv") as file, atomic_folder({0!r} + "/tree") as folder:
    file.write_text("half")
    (folder / "half").write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_writer_leaves_is_swept_and_what_is_written_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED.format(str(tmp_path))]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    later = time.time() + 10
    left = sorted(tmp_path.iterdir())
    assert len(left) == 2
    assert sweep(tmp_path, later) == []
    writer.kill()
    writer.communicate()
    assert sweep(tmp_path, min(path.stat().st_mtime for path in left)) == []
    assert sweep(tmp_path, later) == left
    assert list(tmp_path.iterdir()) == []


HOLDS = """
import sys
from serflow.files import exclusive
with exclusive({!r}):
    print("there", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_worked_in_by_one_process_at_a_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    command = [sys.executable, "-c", HOLDS.format(str(tmp_path / "fits"))]
    first, second = (subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2))
    assert first.stdout is not None
    assert second.stdout is not None
    ready, _, _ = select.select([first.stdout, second.stdout], [], [])
    holder, waiter = (first, second) if ready == [first.stdout] else (second, first)
    assert len(ready) == 1
    holder.kill()
    holder.communicate()
    assert waiter.communicate(b"")[0] == b"there\n"
    with exclusive(tmp_path / "fits"):
        assert caplog.text == ""
    with (tmp_path / "a").open("w"), pytest.raises(SerflowError, match="a file stands where a folder is needed"):
        with exclusive(tmp_path / "a"):
            pass


def test_only_temporaries_and_digests_of_nothing_are_swept(tmp_path: Path) -> None:
    kept = ["a.csv", ".a.csv.sha256", ".hidden", "b.tmp-12345678", ".snakemake/x", "sub/.c.sha256x"]
    gone = [".b.csv.sha256", "sub/.d.parquet.tmp-abcdefgh", "sub/.tree.tmp-abcdefgh/new/x"]
    for name in [*kept, *gone]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".link.tmp-abcdefgh").symlink_to(tmp_path / "a.csv")
    sweep(tmp_path, time.time() + 10)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(
        [*kept, ".link.tmp-abcdefgh"]
    )
    assert sweep(tmp_path / "absent", time.time()) == []


@pytest.mark.parametrize("row", [(1,), (1, 2, 3)])
def test_a_row_of_another_length_than_the_heading_is_refused(tmp_path: Path, row: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"a\.csv: a row of {len(row)} cells under 2 columns"):
        write_csv(tmp_path / "a.csv", ["a", "b"], [row])
    assert list(tmp_path.iterdir()) == []


def test_percent_has_two_digits_and_no_minus_zero() -> None:
    given = [12.345, 50.0, -0.001, -2.5, np.float64(1 / 3), math.nan, None]
    assert list(map(two_digits, given)) == ["12.35", "50.00", "0.00", "-2.50", "0.33", "", ""]


def test_sha256_of_a_part(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abcdef")
    (tmp_path / "b").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a", end=3) == sha256_file(tmp_path / "b")


SEALED = {"study": "dlc", "cell": {"method": "single", "corpus": "iemocap"}, "fits": [{"run": 0, "hits": [1.0, 3.0]}]}


def test_sealed_json_is_read_as_it_was_written_in_its_order(tmp_path: Path) -> None:
    write_sealed_json(tmp_path / "a.json", SEALED)
    found = read_sealed_json(tmp_path / "a.json")
    assert found == SEALED
    assert list(found["cell"]) == ["method", "corpus"]
    write_sealed_json(tmp_path / "b.json", found)
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()


def test_each_flipped_bit_and_each_cut_of_sealed_json_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_sealed_json(path, SEALED)
    whole = path.read_bytes()
    damaged = [whole[:place] for place in range(len(whole))]
    for place in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            damaged.append(bytes(flipped))
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(StoreError, match=r"metrics\.json: does not match its SHA-256"):
            read_sealed_json(path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("3.0", "3.5"),
        ('"run": 0', '"run": 1'),
        ('"iemocap"', '"emodb"'),
        ("content_sha256", "content"),
        ('"run": 0,', ""),
    ],
)
def test_sealed_json_that_was_changed_is_refused(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "metrics.json"
    write_sealed_json(path, SEALED)
    assert path.read_text().count(before) == 1
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(StoreError, match=r"metrics\.json: does not match its SHA-256"):
        read_sealed_json(path)


@pytest.mark.parametrize("text", ["{}", "[]", '{"study": "dlc"}'])
def test_json_that_was_never_sealed_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SerflowError, match="does not match its SHA-256"):
        read_sealed_json(tmp_path / "a.json")
    with pytest.raises(SerflowError, match=r"absent\.json: cannot be read"):
        read_sealed_json(tmp_path / "absent.json")
