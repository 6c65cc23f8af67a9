import bz2
import gzip
import io
import lzma
import random
import tarfile
import warnings
import zipfile

import pytest

from serflow.archives import unpack_tar, unpack_zip
from serflow.errors import SerflowError


def write_tar(path, *members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_files_and_folders_come_out_as_they_went_in(tmp_path):
    members = [(special("./", tarfile.DIRTYPE), b""), (special("model", tarfile.DIRTYPE), b"")]
    members += [("model/one.pt", b"1"), ("./model/two.pt", b"22"), (special("empty", tarfile.DIRTYPE), b"")]
    unpack_tar(write_tar(tmp_path / "a.tar.gz", *members), tmp_path / "out")
    assert (tmp_path / "out/model/one.pt").read_bytes() == b"1"
    assert (tmp_path / "out/model/two.pt").read_bytes() == b"22"
    assert (tmp_path / "out/empty").is_dir()


@pytest.mark.parametrize(
    ("evil", "why"),
    [
        ("../outside", "leave its folder"),
        ("a/../../outside", "leave its folder"),
        ("a/../b", "leave its folder"),
        ("/outside", "absolute"),
        ("C:/outside", "absolute"),
        ("a\\..\\outside", "absolute"),
        (special("away", tarfile.SYMTYPE, "/etc"), "is a link"),
        (special("inside", tarfile.SYMTYPE, "fine"), "is a link"),
        (special("inside", tarfile.LNKTYPE, "fine"), "is a link"),
        (special("device", tarfile.CHRTYPE), "no file or folder"),
        (special("device", tarfile.BLKTYPE), "no file or folder"),
        (special("pipe", tarfile.FIFOTYPE), "no file or folder"),
        ("fine", "twice"),
        ("FINE", "twice, but for capitals"),
        (special("fine", tarfile.DIRTYPE), "twice"),
        ("fine/below", "lies in what is a file"),
        ("/".join("d" * 40), "32 folders deep"),
        ("/".join(["d"] * 5000), "32 folders deep"),
        ("n" * 300, "too long"),
    ],
)
def test_a_member_that_has_no_place_is_refused_before_anything_is_written(tmp_path, evil, why):
    archive = write_tar(tmp_path / "evil.tar.gz", ("fine", b"1"), (evil, b""))
    with pytest.raises(SerflowError, match=rf"evil\.tar\.gz: refused, its member .*{why}"):
        unpack_tar(archive, tmp_path / "in" / "out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["evil.tar.gz"]


def test_a_chain_of_links_does_not_lead_outside(tmp_path):
    """As in CVE-2025-4517, which the filters of ``tarfile`` let through."""
    deep = "/".join(["d" * 200] * 20)
    members = [(special("a", tarfile.SYMTYPE, deep), b""), (special("a/b", tarfile.SYMTYPE, "../" * 30), b"")]
    archive = write_tar(tmp_path / "evil.tar", *members, ("a/b/outside", b"x"), mode="w")
    with pytest.raises(SerflowError, match="is a link"):
        unpack_tar(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["evil.tar"]


def test_a_link_in_the_folder_is_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/one").symlink_to(tmp_path / "outside")
    with pytest.raises(FileExistsError):
        unpack_tar(write_tar(tmp_path / "a.tar", ("one", b"1"), mode="w"), tmp_path / "out")
    assert not (tmp_path / "outside").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("serflow.archives._MAX_BYTES", 1000)
    with pytest.raises(SerflowError, match="unpacks to more than 1,000 bytes"):
        unpack_tar(write_tar(tmp_path / "bomb.tar.gz", ("zeros", bytes(2000))), tmp_path / "out")
    monkeypatch.undo()
    monkeypatch.setattr("serflow.archives._MAX_MEMBERS", 3)
    with pytest.raises(SerflowError, match="or 3 files"):
        unpack_tar(write_tar(tmp_path / "many.tar.gz", *((f"f{i}", b"") for i in range(4))), tmp_path / "out")


def test_an_archive_of_nothing_but_zeros_is_refused_by_what_its_heads_say(tmp_path):
    """A gzip stream shrinks zeros a thousandfold, another in it a millionfold."""
    head = tarfile.TarInfo("zeros")
    head.size = 2 << 30
    (tmp_path / "bomb.tar").write_bytes(head.tobuf() + bytes(1024))
    with pytest.raises(SerflowError, match="unpacks to more than"):
        unpack_tar(tmp_path / "bomb.tar", tmp_path / "out")


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_any_damage_is_one_sentence(tmp_path, compress):
    generator = random.Random(0)
    content = [(f"folder/{i}", generator.randbytes(3000)) for i in range(4)]
    whole = compress(write_tar(tmp_path / "whole.tar", *content, mode="w").read_bytes())
    archive = tmp_path / "damaged.tar"
    for trial in range(150):
        damaged = bytearray(whole)
        if trial % 3 == 0:
            del damaged[generator.randrange(len(damaged)) :]
        else:
            damaged[generator.randrange(min(len(damaged), (600, len(damaged))[trial % 2]))] ^= 1 << generator.randrange(
                8
            )
        archive.write_bytes(damaged)
        try:
            unpack_tar(archive, tmp_path / "out" / str(trial))
        except SerflowError as error:
            assert str(archive) in str(error)  # noqa: PT017


def test_a_truncated_archive_is_named(tmp_path):
    archive = write_tar(tmp_path / "half.tar.gz", ("one", bytes(range(256)) * 40))
    for size in (60, 0, 150):
        archive.write_bytes(archive.read_bytes()[:size])
        with pytest.raises(SerflowError, match=r"half\.tar\.gz: not a whole tar archive"):
            unpack_tar(archive, tmp_path / "out")


def test_an_archive_cut_between_members_is_noticed(tmp_path):
    whole = write_tar(tmp_path / "half.tar", ("one", b"1" * 512), ("two", b"2" * 512), mode="w").read_bytes()
    (tmp_path / "half.tar").write_bytes(whole[: 512 * 3 + 100])
    with pytest.raises(SerflowError, match=r"half\.tar: not a whole tar archive"):
        unpack_tar(tmp_path / "half.tar", tmp_path / "out")


def write_zip(path, *members):
    """``members`` are names or `zipfile.ZipInfo`, and contents."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore", UserWarning)
        for member, content in members:
            archive.writestr(member, content)
    return path


def with_mode(name, mode):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def test_files_and_folders_of_a_zip_come_out_as_they_went_in(tmp_path):
    made = write_zip(
        tmp_path / "a.zip", ("wav/", b""), ("wav/one.wav", b"1"), ("./two", b"22"), (with_mode("x", 0o100755), b"3"),
        ("Jo\u00ebl/one", b"4"),
    )  # fmt: skip
    unpack_zip(made, tmp_path / "out")
    found = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*")}
    assert sorted(found) == ["Jo\u00ebl", "Jo\u00ebl/one", "two", "wav", "wav/one.wav", "x"]
    assert [found[name].read_bytes() for name in ("wav/one.wav", "two", "x")] == [b"1", b"22", b"3"]
    assert not found["x"].stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("evil", "why"),
    [
        ("../outside", "leave its folder"),
        ("a/../b", "leave its folder"),
        ("/outside", "absolute"),
        ("C:/outside", "absolute"),
        ("a\\..\\outside", "absolute"),
        (with_mode("away", 0o120777), "is a link"),
        (with_mode("pipe", 0o010644), "no file or folder"),
        ("fine", "twice"),
        ("FINE", "twice, but for capitals"),
        ("fine/below", "lies in what is a file"),
        ("/".join("d" * 40), "32 folders deep"),
        ("n" * 300, "too long"),
    ],
)
def test_a_member_of_a_zip_that_has_no_place_is_refused_before_anything_is_written(tmp_path, evil, why):
    archive = write_zip(tmp_path / "evil.zip", ("fine", b"1"), (evil, b""))
    with pytest.raises(SerflowError, match=rf"evil\.zip: refused, its member .*{why}"):
        unpack_zip(archive, tmp_path / "in" / "out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["evil.zip"]


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("serflow.archives._MAX_BYTES", 1000)
    with pytest.raises(SerflowError, match="unpacks to more than 1,000 bytes"):
        unpack_zip(write_zip(tmp_path / "bomb.zip", ("zeros", bytes(2000))), tmp_path / "out")


def test_damage_of_a_zip_is_one_sentence(tmp_path):
    generator = random.Random(0)
    whole = write_zip(tmp_path / "whole.zip", *((f"folder/{i}", generator.randbytes(3000)) for i in range(4)))
    content, archive = whole.read_bytes(), tmp_path / "damaged.zip"
    refused = 0
    for trial in range(150):
        damaged = bytearray(content)
        if trial % 3 == 0:
            del damaged[generator.randrange(len(damaged)) :]
        else:
            damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        archive.write_bytes(damaged)
        try:
            unpack_zip(archive, tmp_path / "out" / str(trial))
        except SerflowError as error:
            refused += 1
            assert str(archive) in str(error)  # noqa: PT017
    # in the contents, where most flips are, a checksum tells
    assert refused > 130
