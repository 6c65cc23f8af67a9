import io
import tarfile

import pytest

from serflow.archives import unpack_tar
from serflow.errors import SerflowError


def write_tar(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_files_and_folders_come_out_as_they_went_in(tmp_path):
    unpack_tar(write_tar(tmp_path / "a.tar.gz", ("model/one.pt", b"1"), ("model/two.pt", b"22")), tmp_path / "out")
    assert (tmp_path / "out/model/one.pt").read_bytes() == b"1"
    assert (tmp_path / "out/model/two.pt").read_bytes() == b"22"


@pytest.mark.parametrize(
    "evil",
    [
        "../outside",
        "a/../../outside",
        link("away", "/etc"),
        link("away", "../../.."),
        link("device", "", tarfile.CHRTYPE),
    ],
)
def test_a_member_that_leaves_the_folder_is_refused_before_anything_is_written(tmp_path, evil):
    archive = write_tar(tmp_path / "evil.tar.gz", ("fine", b"1"), (evil, b""))
    with pytest.raises(SerflowError, match=r"evil\.tar\.gz: refused"):
        unpack_tar(archive, tmp_path / "in" / "out")
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "in" / "out" / "fine").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("serflow.archives._MAX_BYTES", 1000)
    with pytest.raises(SerflowError, match="unpacks to more than"):
        unpack_tar(write_tar(tmp_path / "bomb.tar.gz", ("zeros", bytes(2000))), tmp_path / "out")


def test_a_truncated_archive_is_named(tmp_path):
    archive = write_tar(tmp_path / "half.tar.gz", ("one", bytes(range(256)) * 40))
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(SerflowError, match=r"half\.tar\.gz: not a whole tar archive"):
        unpack_tar(archive, tmp_path / "out")
