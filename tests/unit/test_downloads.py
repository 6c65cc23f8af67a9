"""Corpora that are fetched: what is checked, goes on, is refused; a web server of this machine plays the publisher."""

import hashlib
import io
import json
import zipfile

import pytest
import yaml
from publisher import publish
from typer.testing import CliRunner

from serflow import downloads, transfer
from serflow.cli import app
from serflow.config import check_config
from serflow.corpora.base import load_corpus
from serflow.downloads import SOURCES, Source, config_lines, fetch, source_of
from serflow.errors import SerflowError
from serflow.files import read_sealed_json
from serflow.settings.written import merged, read

EMODB = {f"emodb/wav/{stem}.wav": stem.encode() * 40 for stem in ("03a01Fa", "03a01Nc", "08a02Wc")}
EMODB |= {"emodb/db.yaml": b"name: emodb\n", "emodb/db.emotion.csv": b"file,emotion\n"}
ESC50 = {"ESC-50-master/meta/esc50.csv": b"filename,fold\n", "ESC-50-master/audio/1-100032-A-0.wav": bytes(100)}


def zipped(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.fixture
def publisher(monkeypatch):
    """A publisher of EmoDB, with its digest, and of ESC-50, whose table is known."""
    with publish({"/emodb.zip": zipped(EMODB), "/esc50.zip": zipped(ESC50)}) as publisher:
        archive = publisher.files["/emodb.zip"]
        table = hashlib.sha256(ESC50["ESC-50-master/meta/esc50.csv"]).hexdigest()
        monkeypatch.setitem(
            downloads.SOURCES,
            "emodb",
            SOURCES["emodb"]._replace(
                address=f"{publisher.address}/emodb.zip",
                digest=f"md5:{hashlib.md5(archive).hexdigest()}",
                size=len(archive),
            ),
        )
        monkeypatch.setitem(
            downloads.SOURCES,
            "esc50",
            SOURCES["esc50"]._replace(address=f"{publisher.address}/esc50.zip", holds=("meta/esc50.csv", table)),
        )
        yield publisher


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_corpus_lies_where_the_configuration_looks_and_is_written_down(publisher, tmp_path):
    fetched = fetch("emodb", tmp_path / "data")
    archive = publisher.files["/emodb.zip"]
    assert (fetched.root, fetched.new) == (tmp_path / "data/emodb", True)
    assert fetched.sha256 == hashlib.sha256(archive).hexdigest()
    assert names_in(tmp_path / "data") == ["emodb", "emodb.json"]
    assert names_in(fetched.root) == ["db.emotion.csv", "db.yaml", "wav"]
    assert (fetched.root / "wav/03a01Fa.wav").read_bytes() == EMODB["emodb/wav/03a01Fa.wav"]
    assert len(load_corpus("emodb").list(fetched.root, {}).utterances) == 3
    record = read_sealed_json(tmp_path / "data/emodb.json")
    assert (record["bytes"], record["sha256"]) == (len(archive), fetched.sha256)
    assert record["checked_by"] == f"md5:{hashlib.md5(archive).hexdigest()}"
    assert record["address"] == f"{publisher.address}/emodb.zip"


def test_what_is_there_is_not_fetched_again(publisher, tmp_path):
    first = fetch("emodb", tmp_path)
    assert fetch("emodb", tmp_path) == first._replace(new=False)
    assert len(publisher.asked) == 1


def test_a_folder_of_someone_elses_stays_as_it_is(publisher, tmp_path):
    (tmp_path / "emodb/wav").mkdir(parents=True)
    with pytest.raises(SerflowError, match=r"emodb: is there already, and `serflow fetch` did not put it there"):
        fetch("emodb", tmp_path)
    assert publisher.asked == []
    assert names_in(tmp_path) == ["emodb"]


def test_another_archive_is_refused_and_not_kept(publisher, tmp_path):
    publisher.files["/emodb.zip"] = zipped({**EMODB, "emodb/wav/03a01Fa.wav": b"changed"})
    with pytest.raises(SerflowError, match=r"emodb\.zip: has the md5 \w{32} and not \w{32}; it was not unpacked"):
        fetch("emodb", tmp_path)
    assert names_in(tmp_path) == []


def test_a_download_that_broke_off_goes_on(publisher, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "_BLOCK", 50)
    publisher.breaks_after = 200
    with pytest.raises(SerflowError, match=r"cannot be downloaded .* 200 bytes are kept, and the same command goes on"):
        fetch("emodb", tmp_path)
    assert names_in(tmp_path) == ["emodb.zip.part"]
    publisher.breaks_after = None
    assert fetch("emodb", tmp_path).sha256 == hashlib.sha256(publisher.files["/emodb.zip"]).hexdigest()
    assert publisher.asked == [None, "bytes=200-"]
    # parts of what a server compresses are none of the file
    assert set(publisher.encodings) == {"identity"}
    assert names_in(tmp_path) == ["emodb", "emodb.json"]


@pytest.mark.parametrize("left", [200, None])
def test_a_server_without_ranges_begins_anew_and_one_that_is_done_is_believed_by_its_digest(publisher, tmp_path, left):
    """Of a whole file nothing is left to come."""
    archive = publisher.files["/emodb.zip"]
    (tmp_path / "emodb.zip.part").write_bytes(archive[:left])
    publisher.knows_ranges = left is None
    assert fetch("emodb", tmp_path).sha256 == hashlib.sha256(archive).hexdigest()


def test_what_broke_off_is_not_patched_with_another_file(publisher, tmp_path):
    (tmp_path / "emodb.zip.part").write_bytes(b"something else")
    with pytest.raises(SerflowError, match="has the md5"):
        fetch("emodb", tmp_path)
    fetch("emodb", tmp_path)
    assert publisher.asked == ["bytes=14-", None]


def test_without_a_digest_a_download_begins_anew(publisher, tmp_path):
    (tmp_path / "esc50.zip.part").write_bytes(publisher.files["/esc50.zip"][:50])
    fetch("esc50", tmp_path)
    assert publisher.asked == [None]
    assert names_in(tmp_path / "esc50") == ["audio", "meta"]


def test_a_table_of_labels_is_held_against_its_digest(publisher, tmp_path):
    publisher.files["/esc50.zip"] = zipped({**ESC50, "ESC-50-master/meta/esc50.csv": b"changed"})
    with pytest.raises(SerflowError, match=r"its meta/esc50\.csv has the SHA-256 \w{64} and not \w{64}"):
        fetch("esc50", tmp_path)
    assert [name for name in names_in(tmp_path) if not name.endswith(".part")] == []


def test_an_archive_without_the_corpus_is_refused(publisher, tmp_path):
    publisher.files["/esc50.zip"] = zipped({"README.md": b"moved"})
    with pytest.raises(
        SerflowError, match=r"holds no meta/esc50\.csv, only README\.md; the publisher may have changed"
    ):
        fetch("esc50", tmp_path)
    assert not (tmp_path / "esc50").exists()


def test_an_archive_that_would_write_elsewhere_is_refused(publisher, tmp_path):
    publisher.files["/esc50.zip"] = zipped({**ESC50, "../../outside": b"x"})
    with pytest.raises(SerflowError, match=r"refused, its member '\.\./\.\./outside' would leave its folder"):
        fetch("esc50", tmp_path / "in")
    assert not list(tmp_path.rglob("outside"))
    assert not (tmp_path / "in/esc50").exists()


def test_without_a_network_it_is_said_what_to_put_where(publisher, tmp_path, monkeypatch):
    source = SOURCES["emodb"]._replace(address="http://127.0.0.1:1/emodb.zip")
    monkeypatch.setitem(downloads.SOURCES, "emodb", source)
    with pytest.raises(SerflowError) as raised:
        fetch("emodb", tmp_path)
    put = tmp_path / "emodb.zip"
    assert str(raised.value) == (
        "http://127.0.0.1:1/emodb.zip: cannot be downloaded (no connection). Without a network: put the file "
        f"({source.digest}, {source.size:,} bytes) at {put} and give the same command again."
    )
    put.write_bytes(publisher.files["/emodb.zip"])
    assert fetch("emodb", tmp_path).new
    # what a person put there stays
    assert names_in(tmp_path) == ["emodb", "emodb.json", "emodb.zip"]


def test_an_archive_put_there_by_hand_is_checked_and_kept(publisher, tmp_path):
    (tmp_path / "emodb.zip").write_bytes(zipped({"other": b""}))
    with pytest.raises(SerflowError, match=rf"{tmp_path}/emodb\.zip: has the md5"):
        fetch("emodb", tmp_path)
    assert names_in(tmp_path) == ["emodb.zip"]
    assert publisher.asked == []


def test_a_page_that_is_gone_is_said(publisher, tmp_path):
    del publisher.files["/emodb.zip"]
    with pytest.raises(SerflowError, match=r"cannot be downloaded \(404"):
        fetch("emodb", tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("iemocap", r"has to be asked for at https://sail\.usc\.edu/iemocap/; then set corpora\.iemocap\.root"),
        ("crema_d", r"Git LFS: `git clone https://github\.com/CheyneyComputerScience/CREMA-D`, then `git lfs pull"),
        ("mandarin", "SpeechOcean sells it"),
        ("table", "unknown corpus 'table'"),
        ("ravdes", "did you mean 'ravdess'"),
    ],
)
def test_what_cannot_be_fetched_says_how_to_come_by_it(name, said):
    with pytest.raises(SerflowError, match=said):
        source_of(name)


def test_sources_have_a_secure_address_a_licence_and_a_digest_in_full():
    for name, source in SOURCES.items():
        assert source.address.startswith("https://"), name
        assert source.licence
        kind, _, digest = (source.digest or "md5:" + 32 * "0").partition(":")
        assert len(digest) == 2 * hashlib.new(kind).digest_size
        assert source.holds is None or len(source.holds[1]) == 64
    assert [name for name, source in SOURCES.items() if not source.checked] == ["cafe"]


def test_the_lines_to_write_are_a_configuration(repository, tmp_path):
    there = [downloads.Fetched(name, tmp_path / name, "", new=True) for name in ("esc50", "nemo", "emodb")]
    (tmp_path / "mine.yaml").write_text(config_lines(there, tmp_path / "a: b"))
    written = read(tmp_path / "mine.yaml")
    assert list(written.content["corpora"]) == ["emodb", "nemo"]
    config = check_config(merged([read(repository / "config.yaml"), written]))
    assert (config.data_root, config.corpora["emodb"].root) == (str(tmp_path / "a: b"), "emodb")
    assert (config.corpora["nemo"].layout, config.noise.esc50.root) == ("table", "esc50")
    assert "noise" not in yaml.safe_load(config_lines(there[2:], tmp_path))


def test_the_command_shows_licences_first_and_prints_a_configuration(publisher, tmp_path):
    shown = CliRunner().invoke(app, ["fetch"])
    assert shown.exit_code == 0
    assert publisher.asked == []
    assert all(name in shown.stdout for name in SOURCES)
    result = CliRunner().invoke(app, ["fetch", "emodb", "esc50", "--into", str(tmp_path / "data")])
    assert result.exit_code == 0, result.output
    assert yaml.safe_load(result.stdout) == {
        "data_root": str(tmp_path / "data"),
        "corpora": {"emodb": {"root": "emodb"}},
        "noise": {"esc50": {"root": "esc50"}},
    }
    assert result.stderr.index("CC BY-NC 3.0") < result.stderr.index("fetched, SHA-256 of the archive")
    digest = json.loads((tmp_path / "data/emodb.json").read_text())["sha256"]
    assert digest in result.stderr


def test_a_corpus_without_a_published_digest_is_said_to_be_unchecked(publisher, tmp_path, monkeypatch):
    address = f"{publisher.address}/esc50.zip"
    source = Source("CaFE", "https://example.org", "CC BY-NC-SA 4.0", address, "meta")
    monkeypatch.setitem(downloads.SOURCES, "cafe", source)
    result = CliRunner().invoke(app, ["fetch", "cafe", "--into", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "; no digest is published to hold it against: compare this one" in result.stderr
    assert read_sealed_json(tmp_path / "cafe.json")["checked_by"] == "no digest is published"


def test_all_names_are_looked_at_before_anything_is_fetched(publisher, tmp_path):
    result = CliRunner().invoke(app, ["fetch", "emodb", "mosei", "--into", str(tmp_path)])
    assert result.exit_code == 1
    assert publisher.asked == []
    assert "mosei: it has to be asked for" in result.stderr
