"""Getting DeepSpeech's library: from the package index, from a wheel on disk, and what is refused."""

import argparse
import os
import platform
import sys
import zipfile

import pytest

from deepspeech_parts import shared_engine
from serflow.backbones._deepspeech_engine import open_engine
from serflow.backbones.base import backbone_kind, releases
from serflow.errors import WeightsError
from serflow.stages.fetch_deepspeech import MEMBER, SHA256, main
from serflow.stages.prepare_weights import main as prepare_weights

on_linux = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="DeepSpeech's library is for Linux x86_64"
)


def wheel(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def fetch(engine, wheel=None):
    main(argparse.Namespace(engine=engine, wheel=wheel))


@on_linux
def test_the_library_is_taken_out_of_a_wheel(tmp_path_factory, tmp_path):
    content = shared_engine(tmp_path_factory).read_bytes()
    source = wheel(tmp_path / "deepspeech.whl", {MEMBER: content, "../escape.txt": "not written"})
    fetch(tmp_path / "resources" / "libdeepspeech.so", source)
    assert (tmp_path / "resources" / "libdeepspeech.so").read_bytes() == content
    assert open_engine(tmp_path / "resources" / "libdeepspeech.so").DS_Version()
    found = sorted(path.name for path in tmp_path.rglob("*"))
    assert found == [".libdeepspeech.so.sha256", "deepspeech.whl", "libdeepspeech.so", "resources"]
    assert not (tmp_path.parent / "escape.txt").exists()

    changed = wheel(tmp_path / "changed.whl", {MEMBER: content[:-1] + bytes([content[-1] ^ 1])})
    with pytest.raises(WeightsError, match=rf"changed\.whl: .*and not {SHA256}; it was not kept"):
        fetch(tmp_path / "changed.so", changed)
    assert not list(tmp_path.glob("*changed.so*"))


@on_linux
@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({MEMBER: "small"}, r"has 5 bytes and not 33,771,024"),
        ({"deepspeech/__init__.py": ""}, r"no wheel with deepspeech/lib/libdeepspeech\.so"),
    ],
)
def test_another_wheel_is_refused(tmp_path, members, said):
    with pytest.raises(WeightsError, match=rf"other\.whl: .*{said}.*--wheel"):
        fetch(tmp_path / "lib.so", wheel(tmp_path / "other.whl", members))
    assert not list(tmp_path.glob("*lib.so*"))


@on_linux
@pytest.mark.parametrize("content", [b"", b"<html>Not Found</html>", None], ids=["empty", "html", "absent"])
def test_what_is_no_wheel_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "other.whl").write_bytes(content)
    with pytest.raises(WeightsError, match=r"other\.whl: no wheel .*--wheel .*dlc\.asr to wav2vec2 or reference"):
        fetch(tmp_path / "lib.so", tmp_path / "other.whl")


@on_linux
def test_without_a_network_the_next_step_is_said(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WeightsError, match=r"pip cannot download it \(ERROR: .*--wheel FILE --engine OUT.*dlc\.asr"):
        fetch(tmp_path / "lib.so")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "aarch64"), ("Windows", "AMD64")])
def test_on_another_machine_it_says_what_works_there(tmp_path, monkeypatch, system, machine):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(WeightsError, match=rf"Linux x86_64 and this is {system} {machine}; set dlc\.asr to wav2vec2"):
        fetch(tmp_path / "lib.so")


def test_the_published_model_is_taken_by_path_only(tmp_path):
    assert backbone_kind("deepspeech") == "recogniser"
    assert list(releases("deepspeech")) == ["0.9.3", "0.9.3-scorer"]
    arguments = argparse.Namespace(
        backbone="deepspeech",
        weights="download",
        release=None,
        folder=tmp_path / "weights",
        record=tmp_path / "deepspeech.json",
    )
    with pytest.raises(WeightsError, match=r"gives no digest .*0\.9\.3-models\.pbmm .*backbones\.deepspeech\.weights"):
        prepare_weights(arguments)
