"""Weights and ESC-50: there or not, whole or not, and what to type."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from doctor_place import noise, told, wav
from serflow.backbones.base import releases
from serflow.noise.published import GROUPS

BACKBONES = ("ge2e", "byol", "wav2vec", "wav2vec2", "allosaurus", "deepspeech", "wav2vec2_ctc", "bert")


def weights_of(place, backbone, given, status=0, **more):
    """Return what is found of one network, whose weights are as given."""
    place.config["backbones"] = {name: {"weights": "stand-in"} for name in BACKBONES}
    place.config["backbones"][backbone] = {"weights": given, **more}
    return place.doctor(backbone, status=status)[backbone]


def test_a_stand_in_of_a_network_is_a_note(place):
    ((mark, said, _),) = weights_of(place, "byol", "stand-in")
    assert mark == "note"
    assert said.startswith("a stand-in")


def test_weights_that_come_with_a_package_are_known_by_their_digest(place, monkeypatch):
    ((mark, said, _),) = weights_of(place, "ge2e", "download")
    assert mark == "ok"
    assert "release resemblyzer (Apache-2.0), from the installed package resemblyzer" in said
    monkeypatch.setattr("serflow.doctor.weights.in_package", lambda release: None)
    ((mark, said, _),) = weights_of(place, "ge2e", "download")
    assert mark == "note"
    assert "a run downloads from https://github.com/resemble-ai/Resemblyzer" in said
    assert "17.1 MB; without a network put it at resources/weights/ge2e/resemblyzer/pretrained.pt" in said


def test_a_download_is_held_against_its_digest(place, monkeypatch):
    kept = Path("resources/weights/ge2e/resemblyzer/pretrained.pt")
    kept.parent.mkdir(parents=True)
    (package,) = importlib.util.find_spec("resemblyzer").submodule_search_locations
    shutil.copy(Path(package) / "pretrained.pt", kept)
    monkeypatch.setattr("serflow.doctor.weights.in_package", lambda release: None)
    assert weights_of(place, "ge2e", "download")[0][1].endswith("downloaded, as its digest says")
    kept.write_bytes(kept.read_bytes()[:-1])
    ((mark, said, _),) = weights_of(place, "ge2e", "download")
    assert mark == "note"
    assert "what lies there has another digest" in said


def test_what_no_run_downloads_is_wrong_with_what_to_write(place):
    mark, said, steps = told(weights_of(place, "deepspeech", "download", status=1), "no digest to check")
    assert mark == "wrong"
    assert "fetch it yourself from https://github.com/mozilla" in said
    assert steps == [
        "backbones: {deepspeech: {weights: /path/to/it}}",
        "backbones: {deepspeech: {weights: stand-in}}",
    ]


def test_a_release_of_the_hub_is_told_with_its_revision(place):
    ((mark, said, _),) = weights_of(place, "wav2vec2", "download")
    hub = next(iter(releases("wav2vec2").values())).hub
    assert mark == "note"
    assert hub[0] in said
    assert hub[1] in said


def test_a_path_of_weights_is_there_and_a_release_or_neither(place):
    ((mark, said, steps),) = weights_of(place, "byol", "nowhere.pth", status=1)
    assert mark == "wrong"
    assert said == "config.yaml:7: backbones.byol.weights: no file or folder nowhere.pth"
    assert steps == ["backbones: {byol: {weights: /path/to/them}}"]
    Path("mine.pth").write_bytes(bytes(2000))
    ((mark, said, _),) = weights_of(place, "byol", "mine.pth")
    assert mark == "note"
    assert said.startswith("mine.pth (2.0 KB): no release that serflow knows")


def test_a_folder_of_weights_has_files(place):
    Path("models").mkdir()
    assert weights_of(place, "allosaurus", "models", status=1)[0][:2] == ("wrong", "no file in models")
    Path("models/model.pt").write_bytes(bytes(2000))
    ((mark, said, _),) = weights_of(place, "allosaurus", "models")
    assert mark == "note"
    assert "a folder, of which no digest is published" in said


def test_real_weights_are_known_by_their_digest(place, real_data):
    (file,) = (real_data / "weights/byol-s").glob("*.pth")
    ((mark, said, _),) = weights_of(place, "byol", str(file))
    assert mark == "ok"
    assert "(MIT), as its digest says" in said


def test_the_library_of_deepspeech_is_there_or_fetched(place):
    assert told(weights_of(place, "deepspeech", "stand-in"), "fetched from PyPI")[0] == "note"
    library = Path("resources/deepspeech/libdeepspeech.so")
    library.parent.mkdir(parents=True)
    library.touch()
    assert told(weights_of(place, "deepspeech", "stand-in"), "its library")[0] == "ok"
    place.config["transcripts"] = {"deepspeech": {"engine": "lib.so"}}
    mark, _, steps = told(weights_of(place, "deepspeech", "stand-in", status=1), "no file lib.so")
    assert (mark, steps) == ("wrong", ["transcripts: {deepspeech: {engine: null}}"])
    Path("lib.so").touch()
    assert told(weights_of(place, "deepspeech", "stand-in"), "its library: lib.so")[0] == "ok"


# --- noise


def make_esc50(root: Path, absent: int = 0) -> None:
    """Write ESC-50 in its layout, 2,000 clips listed; of the three groups 1,200 tiny ones, less ``absent``."""
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    sample = noise(0, 0.1)
    for target in range(50):
        for take in range(40):
            stem = f"{take % 5 + 1}-{1000 + take}-A-{target}"
            lines.append(f"{stem}.wav,{take % 5 + 1},{target},class_{target},False,{1000 + take},A")
            if target // 10 in GROUPS and (target != 10 or take >= absent):
                wav(root / f"audio/{stem}.wav", sample)
    (root / "meta").mkdir()
    (root / "meta/esc50.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def esc50(place):
    place.config["noise"] = {"esc50": {"root": "esc50"}}
    return place


def test_all_of_esc50_is_as_published(esc50):
    make_esc50(Path("esc50"))
    ((mark, said, _),) = esc50.doctor("esc50")["esc50"]
    assert mark == "ok"
    counted = "1,200 clips of the three groups of noises (natural 400, human 400, interior 400)"
    assert said == f"{counted}; 2,000 are listed, as published"


def test_missing_and_damaged_clips_are_counted_by_group(esc50):
    make_esc50(Path("esc50"), absent=3)
    damaged = Path("esc50/audio/1-1000-A-30.wav")
    damaged.write_bytes(damaged.read_bytes()[:60])
    findings = esc50.doctor("esc50", status=1)["esc50"]
    mark, said, steps = told(findings, "not as published")
    assert mark == "wrong"
    assert "natural: 397 of 400 clips, interior: 399 of 400 clips" in said
    assert steps == ["serflow fetch esc50 --into data", "noise: {esc50: {allow_partial: true}}"]
    assert told(findings, "4 clips rejected (3 no such file, 1 truncated)")[0] == "note"
    esc50.config["noise"]["esc50"]["allow_partial"] = True
    assert told(esc50.doctor("esc50")["esc50"], "allow_partial lets pass")[0] == "note"


def test_a_silent_clip_is_found_where_samples_are_read(esc50):
    make_esc50(Path("esc50"))
    wav(Path("esc50/audio/1-1000-A-30.wav"), np.zeros(4000))
    assert [mark for mark, *_ in esc50.doctor("esc50")["esc50"]] == ["ok"]
    findings = esc50.doctor("esc50", "--audio", status=1)["esc50"]
    assert "interior: 399 of 400" in told(findings, "not as published")[1]
    assert told(findings, "1 clips rejected (1 digital silence)")


def test_what_is_no_esc50_says_so(esc50):
    ((mark, said, steps),) = esc50.doctor("esc50", status=1)["esc50"]
    assert mark == "wrong"
    assert "noise.esc50.root: no folder esc50" in said
    assert steps == ["serflow fetch esc50 --into data", "noise: {esc50: {root: /path/to/it}}"]
    Path("esc50").mkdir()
    ((mark, said, steps),) = esc50.doctor("esc50", status=1)["esc50"]
    assert mark == "wrong"
    assert "not ESC-50" in said
    assert steps == ["serflow fetch esc50 --into data"]


def test_a_table_of_other_clips_is_a_note(esc50):
    make_esc50(Path("esc50"))
    meta = Path("esc50/meta/esc50.csv")
    meta.write_text("\n".join(meta.read_text().splitlines()[:-1]) + "\n")
    findings = esc50.doctor("esc50")["esc50"]
    assert told(findings, "lists 1999 clips of 2000 published")[0] == "note"
    assert "meta/esc50.csv is another" in findings[0][1]


def test_a_stand_in_of_the_noise_is_a_note(place):
    assert place.doctor("esc50")["esc50"][0][0] == "note"
