"""Where weights come from, what is recorded, and what is refused; a web server of this machine plays the publisher."""

import argparse
import csv
import hashlib
import io
import json
import subprocess
import tarfile
import time
from dataclasses import replace

import huggingface_hub
import numpy as np
import pytest
from publisher import publish

from deepspeech_parts import random_model
from results_page import Page
from serflow import transfer
from serflow.backbones import _deepspeech_training
from serflow.backbones._fetch import fetch
from serflow.backbones.base import (
    Recogniser,
    Release,
    TextEncoder,
    backbone_kind,
    backbone_module,
    backbone_names,
    load_backbone,
    load_recogniser,
    load_text_encoder,
    releases,
    weights_form,
)
from serflow.backbones.weights import (
    LEDGER_COLUMNS,
    Weights,
    git_digest,
    ledger_markdown,
    read_weights,
    unfit_path,
)
from serflow.config import Config, check_config
from serflow.errors import ConfigError, SerflowError, WeightsError
from serflow.files import sweep, write_sealed_json
from serflow.stages.list_weights import main as list_weights
from serflow.stages.prepare_weights import main as prepare_weights

CONTENT = bytes(range(256)) * 50
LOADERS = {"audio": load_backbone, "recogniser": load_recogniser, "text": load_text_encoder}
# the stand-in of deepspeech is trained, and read by its own library: test_deepspeech*.py
WITH_STAND_IN = [name for name in backbone_names() if name != "deepspeech"]


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def publisher():
    with publish({"/model.pt": CONTENT}) as publisher:
        yield publisher


@pytest.fixture
def release(publisher):
    return Release("toy", f"{publisher.address}/model.pt", sha256(CONTENT), len(CONTENT), "MIT", "numbers")


def kept(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_download_is_checked_kept_and_used_again(publisher, release, tmp_path):
    source, file = fetch("byol", release, tmp_path / "kept")
    assert (source, file.read_bytes()) == ("download", CONTENT)
    assert fetch("byol", release, tmp_path / "kept") == (source, file)
    assert len(publisher.asked) == 1
    file.write_bytes(CONTENT[:-1])
    assert fetch("byol", release, tmp_path / "kept")[1].read_bytes() == CONTENT
    assert len(publisher.asked) == 2


def test_a_download_that_broke_off_goes_on(publisher, release, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "_BLOCK", 100)
    publisher.breaks_after = 5000
    with pytest.raises(WeightsError, match=r"5,000 bytes are kept, and the next attempt goes on from there\. "):
        fetch("byol", release, tmp_path / "kept")
    assert (tmp_path / "kept/.toy.part/files/model.pt").read_bytes() == CONTENT[:5000]
    assert sweep(tmp_path / "kept", before=time.time() + 60) == []
    publisher.breaks_after = None
    assert fetch("byol", release, tmp_path / "kept")[1].read_bytes() == CONTENT
    assert publisher.asked == [None, "bytes=5000-"]
    assert kept(tmp_path / "kept") == ["model.pt", "toy"]


def test_a_server_without_ranges_begins_anew(publisher, release, tmp_path, monkeypatch):
    part = tmp_path / "kept/.toy.part/files/model.pt"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:5000])
    publisher.knows_ranges = False
    assert fetch("byol", release, tmp_path / "kept")[1].read_bytes() == CONTENT


def test_what_broke_off_is_not_patched_with_another_file(publisher, release, tmp_path):
    part = tmp_path / "kept/.toy.part/files/model.pt"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"something else")
    with pytest.raises(WeightsError, match="it was not kept"):
        fetch("byol", release, tmp_path / "kept")
    assert kept(tmp_path / "kept") == []
    assert fetch("byol", release, tmp_path / "kept")[1].read_bytes() == CONTENT


def test_a_download_from_the_hub_that_broke_off_goes_on(release, tmp_path, monkeypatch):
    """The hub's client keeps what came beside the files, and goes on with it."""
    from_hub = replace(release, hub=("publisher/toy", "main"))
    begun = []

    def snapshot_download(repository, *, revision, local_dir, allow_patterns):
        begin = local_dir / ".cache/huggingface/download/model.incomplete"
        begun.append(begin.is_file())
        begin.parent.mkdir(parents=True, exist_ok=True)
        begin.write_bytes(CONTENT[:5000])
        if len(begun) == 1:
            raise OSError("the line is dead")
        (local_dir / "model.safetensors").write_bytes(CONTENT)
        (local_dir / "config.json").write_text("{}")

    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda repository, revision: ["model.safetensors"])
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(WeightsError, match=r"cannot be fetched from the hub \(the line is dead\)"):
        fetch("bert", from_hub, tmp_path / "kept")
    assert fetch("bert", from_hub, tmp_path / "kept") == ("hub", tmp_path / "kept/toy")
    assert begun == [False, True]
    assert kept(tmp_path / "kept") == ["config.json", "model.safetensors", "toy"]


def test_the_digest_may_be_the_one_of_git(release, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    told = subprocess.run(["git", "hash-object", str(file)], check=True, capture_output=True, text=True).stdout.strip()
    assert git_digest(file) == told
    assert fetch("byol", replace(release, digest=f"git:{told}"), tmp_path / "kept")[1].is_file()


@pytest.mark.parametrize("content", [CONTENT[:-1], b"<html>404</html>", b""], ids=["truncated", "html", "empty"])
def test_what_does_not_match_its_digest_is_not_kept(publisher, release, tmp_path, content):
    publisher.files["/model.pt"] = content
    with pytest.raises(WeightsError) as error:
        fetch("byol", release, tmp_path / "kept")
    assert sha256(content) in str(error.value)
    assert sha256(CONTENT) in str(error.value)
    assert "backbones.byol.weights" in str(error.value)
    assert kept(tmp_path / "kept") == []


def test_a_page_that_is_not_there_is_told_with_what_to_do(release, tmp_path):
    missing = replace(release, address=release.address.replace("model", "no_model"))
    with pytest.raises(WeightsError, match=r"no_model\.pt: cannot be downloaded \(404.*12,800 bytes") as error:
        fetch("byol", missing, tmp_path / "kept")
    assert f"at {tmp_path / 'kept' / 'toy' / 'no_model.pt'}" in str(error.value)
    assert "backbones.byol.weights" in str(error.value)


def test_without_a_network_the_file_may_be_put_where_the_message_says(release, tmp_path):
    release = replace(release, address="http://127.0.0.1:1/model.pt")
    with pytest.raises(WeightsError, match="cannot be downloaded") as error:
        fetch("byol", release, tmp_path / "kept")
    place = tmp_path / "kept" / "toy" / "model.pt"
    assert str(place) in str(error.value)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(CONTENT)
    assert fetch("byol", release, tmp_path / "kept") == ("download", place)


def test_what_has_no_digest_or_asks_for_consent_is_not_downloaded(publisher, release, tmp_path):
    with pytest.raises(WeightsError, match=r"gives no digest.*set backbones\.byol\.weights to its path"):
        fetch("byol", replace(release, digest=None), tmp_path)
    with pytest.raises(WeightsError, match=r"its licence \(NTT\).*set backbones\.byol\.weights to its path"):
        fetch("byol", replace(release, licence="NTT", redistributable=False), tmp_path)
    assert publisher.asked == []


def test_an_installed_package_with_the_same_bytes_spares_the_download(publisher, release, tmp_path, monkeypatch):
    package = tmp_path / "site" / "some_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (package / "w.pt").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    packaged = replace(release, package=("some_package", "w.pt"))
    source, file = fetch("byol", packaged, tmp_path / "kept")
    assert (source, file.read_bytes(), publisher.asked) == ("package", CONTENT, [])
    (package / "w.pt").write_bytes(b"another version")
    assert fetch("byol", packaged, tmp_path / "other")[0] == "download"


def test_an_archive_is_unpacked_and_its_member_is_used(publisher, release, tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("inner/model.pt")
        info.size = len(CONTENT)
        archive.addfile(info, io.BytesIO(CONTENT))
    publisher.files["/model.tar.gz"] = packed.getvalue()
    address = f"{publisher.address}/model.tar.gz"
    archived = replace(release, address=address, digest=sha256(packed.getvalue()), member="inner")
    _, folder = fetch("allosaurus", archived, tmp_path / "kept")
    assert (folder / "model.pt").read_bytes() == CONTENT
    with pytest.raises(WeightsError, match="holds no other, only inner"):
        fetch("allosaurus", replace(archived, member="other"), tmp_path / "kept")


def prepare(tmp_path, weights, backbone="byol", release=None):
    record = tmp_path / "resources" / f"{backbone}.json"
    folder = tmp_path / "resources" / backbone
    prepare_weights(
        argparse.Namespace(
            backbone=backbone,
            weights=str(weights),
            release=release,
            folder=folder,
            files=folder / "files.json",
            record=record,
        )
    )
    return record


def test_a_path_to_a_file_is_recorded_with_the_release_that_it_is(tmp_path, monkeypatch):
    file = tmp_path / "gewichte für mich.pth"
    file.write_bytes(CONTENT)
    found = read_weights(prepare(tmp_path, file))
    assert (found.source, found.release, found.licence, found.synthetic) == ("path", "unknown", "unknown", False)
    assert found.files == {file.name: hashlib.sha256(CONTENT).hexdigest()}
    known = Release("toy", "https://example.org/model.pt", sha256(CONTENT), None, "MIT", "numbers")
    monkeypatch.setattr(backbone_module("byol"), "RELEASES", (known,))
    found = read_weights(prepare(tmp_path, file))
    assert (found.source, found.release, found.licence, found.trained_on) == ("path", "toy", "MIT", "numbers")
    assert str(tmp_path) not in json.dumps(found.describe())


def test_a_path_to_a_folder_is_recorded_file_by_file(tmp_path, repository):
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    for name in ("b.json", "inner/a.bin", ".hidden"):
        (folder / name).write_bytes(name.encode())
    record = prepare(tmp_path, folder, "bert")
    assert list(read_weights(record).files) == ["b.json", "inner/a.bin"]
    assert list(Page(repository / "resources/README.md", []).faults_of(record, "weights/bert.json")) == []


def test_a_wrong_path_or_a_folder_that_is_no_model_names_the_key(tmp_path):
    with pytest.raises(WeightsError, match=r"backbones\.byol\.weights: no file or folder .*nowhere"):
        prepare(tmp_path, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"no file there; set backbones\.bert\.weights"):
        prepare(tmp_path, tmp_path / "empty", "bert")
    (tmp_path / "home").mkdir()
    for index in range(1001):
        (tmp_path / "home" / str(index)).touch()
    with pytest.raises(WeightsError, match="1001 files, so hardly a model"):
        prepare(tmp_path, tmp_path / "home", "bert")


@pytest.mark.parametrize("backbone", backbone_names())
def test_a_folder_for_a_file_and_a_file_for_a_folder_are_refused_before_the_first_job(tmp_path, backbone, monkeypatch):
    # DeepSpeech's is trained for a minute; its form is that of any model
    monkeypatch.setattr(_deepspeech_training, "train_stand_in", lambda seed: random_model())
    path = backbone_module(backbone).write_stand_in(tmp_path, seed=0)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    form = weights_form(backbone)
    assert unfit_path(backbone, path) is None
    assert (unfit_path(backbone, tmp_path / "folder") is None) is ("folder" in form)
    assert (unfit_path(backbone, tmp_path / "file") is None) is ("file" in form)
    other = tmp_path / ("folder" if form == "file" else "file")
    if form != "file or folder":
        config = Config().model_dump()
        config["backbones"][backbone]["weights"] = str(other)
        wanted = f"backbones.{backbone}.weights: {other} is a {other.name}; {backbone} needs the {form} of a release"
        assert str(check_config(config).absent_weights(backbone)).startswith(wanted)
        with pytest.raises(WeightsError, match="of a release; give a path, download or stand-in"):
            prepare(tmp_path, other, backbone)


def test_the_digest_of_a_known_release_is_the_ledgers(tmp_path):
    for backbone in backbone_names():
        for release in releases(backbone).values():
            files = {"weights.pt": "0" * 64}
            rest = {"source": "download", "path": "", "bytes": 0, "licence": "", "trained_on": "", "address": ""}
            weights = Weights(backbone, release=release.name, files=files, synthetic=False, **rest)
            assert weights.describe()["digest"] == release.digest or release.digest is None
    unknown = Weights("byol", release="unknown", files=files, synthetic=False, **rest)
    assert unknown.digest == "sha256:" + "0" * 64


def test_an_unknown_release_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"backbones\.byol\.release: no release 'byol_x'; known: .*byol_s_2048"):
        prepare(tmp_path, "download", release="byol_x")


def test_what_changes_or_goes_after_the_record_is_noticed(tmp_path):
    file = tmp_path / "model.pth"
    file.write_bytes(CONTENT)
    record = prepare(tmp_path, file)
    file.write_bytes(CONTENT[::-1])
    with pytest.raises(WeightsError, match=r"model\.pth: does not match the SHA-256 in .*byol\.json"):
        read_weights(record)
    file.unlink()
    with pytest.raises(WeightsError, match=r"model\.pth is missing, which .*byol\.json names"):
        read_weights(record)
    write_sealed_json(record, {"backbone": "byol"})
    with pytest.raises(WeightsError, match=r"byol\.json: not a record of weights"):
        read_weights(record)
    record.write_text("{")
    with pytest.raises(SerflowError, match=r"byol\.json: does not match its SHA-256"):
        read_weights(record)


def test_a_killed_run_leaves_the_old_stand_in_and_no_half_of_a_new_one(tmp_path, monkeypatch):
    record = prepare(tmp_path, "stand-in")
    before = read_weights(record)

    def fail(folder, seed):
        (folder / "half").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(backbone_module("byol"), "write_stand_in", fail)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, "stand-in")
    assert read_weights(record) == before
    assert not [path for path in (tmp_path / "resources" / "byol").iterdir() if path.name != "stand-in"]


@pytest.mark.parametrize("backbone", backbone_names())
def test_the_releases_of_every_backbone_are_well_formed(backbone):
    for name, release in releases(backbone).items():
        assert name == release.name
        assert release.address.startswith("https://")
        assert release.licence
        assert release.trained_on
        if release.digest is not None:
            kind, _, digits = release.digest.partition(":")
            assert len(digits) == {"sha256": 64, "git": 40}[kind]
            assert set(digits) <= set("0123456789abcdef")
    assert len(releases(backbone)) == len(backbone_module(backbone).RELEASES)


def load(backbone, path):
    return LOADERS[backbone_kind(backbone)](backbone, path)


@pytest.mark.parametrize("backbone", WITH_STAND_IN)
def test_the_stand_in_of_every_backbone_is_recorded_loaded_and_the_same_each_time(backbone, tmp_path):
    weights = read_weights(prepare(tmp_path / "one", "stand-in", backbone))
    assert weights.synthetic
    assert (weights.source, weights.release) == ("stand-in", "stand-in")
    assert weights.bytes < 8e6
    assert read_weights(prepare(tmp_path / "two", "stand-in", backbone)).digest == weights.digest
    network = load(backbone, tmp_path.__class__(weights.path))
    assert json.dumps(dict(network.description))
    if isinstance(network, TextEncoder):
        assert [values.shape[1] for values in network.encode(["some words", ""])] == [network.dim] * 2
        return
    waveform = np.random.default_rng(0).standard_normal(network.sample_rate).astype(np.float32) / 10
    if isinstance(network, Recogniser):
        (transcript,) = network.transcribe([waveform])
        assert transcript.text == " ".join(transcript.text.lower().split())
        assert np.isfinite(transcript.confidence)
        assert network.description["confidence"]
        return
    for name, output in network.outputs.items():
        (result,) = network([waveform], name)
        assert result.shape[1] == output.dim
        assert (output.hop_s is None) == (output.kind == "vector")


def test_a_network_of_another_kind_is_refused_with_those_of_the_kind(tmp_path):
    path = tmp_path.__class__(read_weights(prepare(tmp_path, "stand-in", "wav2vec2_ctc")).path)
    assert not isinstance(load_recogniser("wav2vec2_ctc", path), TextEncoder)
    with pytest.raises(ConfigError, match=r"'wav2vec2_ctc' is of the kind recogniser, not audio; of that kind: .*ge2e"):
        load_backbone("wav2vec2_ctc", path)
    with pytest.raises(
        ConfigError, match=r"'wav2vec2' is of the kind audio, not recogniser; of that kind: .*wav2vec2_ctc"
    ):
        load_recogniser("wav2vec2", path)
    with pytest.raises(ConfigError, match="'wav2vec2_ctc' is of the kind recogniser, not text; of that kind: bert"):
        load_text_encoder("wav2vec2_ctc", path)
    assert backbone_names("text") == ["bert"]
    assert not set(backbone_names("audio")) & {"bert", "wav2vec2_ctc", "deepspeech"}


@pytest.mark.parametrize("backbone", WITH_STAND_IN)
@pytest.mark.parametrize("damage", ["truncated", "html", "empty"])
def test_damaged_weights_of_every_backbone_are_named(backbone, damage, tmp_path):
    weights = read_weights(prepare(tmp_path, "stand-in", backbone))
    path = tmp_path.__class__(weights.path)
    largest = (
        path if path.is_file() else max((f for f in path.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
    )
    content = largest.read_bytes()
    largest.write_bytes({"truncated": content[: len(content) // 2], "html": b"<html></html>", "empty": b""}[damage])
    with pytest.raises(WeightsError, match=rf"backbones\.{backbone}\.weights"):
        load(backbone, path)


def test_the_ledger_has_a_row_for_every_release(tmp_path, repository):
    list_weights(argparse.Namespace(ledger=tmp_path / "ledger.csv"))
    with open(tmp_path / "ledger.csv", newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert tuple(rows[0]) == LEDGER_COLUMNS
    page = Page(repository / "resources/README.md", [])
    assert list(page.faults_of(tmp_path / "ledger.csv", "weights/ledger.csv")) == []
    assert [(row["backbone"], row["release"]) for row in rows] == [
        (backbone, release) for backbone in backbone_names() for release in releases(backbone)
    ]
    defaults = [row["backbone"] for row in rows if row["default"] == "True"]
    assert defaults == list(dict.fromkeys(row["backbone"] for row in rows))
    assert {row[name] for row in rows for name in ("default", "redistributable")} == {"True", "False"}
    assert ledger_markdown() in (repository / "resources/README.md").read_text(), "put `ledger_markdown()` there"
