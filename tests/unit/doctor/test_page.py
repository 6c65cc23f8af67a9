"""One page, an exit code, and the same for programs."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from doctor_place import NAMES, noise, told, wav
from serflow.cli import app
from serflow.config import read_config
from serflow.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


def lines_of(shown):
    return [line.rstrip() for line in shown.splitlines()]


def test_the_configuration_as_it_comes_is_a_page_with_nothing_wrong(place):
    shutil.copy(ROOT / "config.yaml", "config.yaml")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    lines = lines_of(result.stdout)
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    headings = [line.split("  ")[0] for line in lines if line[:1].isupper()]
    assert headings == ["Corpora", "Weights", "Noise", "Machine"]
    assert all(
        line.split()[0] in ("ok", "note") for line in lines if line[:1].islower() and "nothing wrong" not in line
    )
    assert lines[-1].startswith("nothing wrong, ")
    assert lines[-1].endswith("notes (config.yaml)")
    stand_ins = " ".join(" ".join(lines).split())
    assert (
        "stand-ins iemocap, msp_improv, mosei, emodb, cafe, ravdess, crema_d, mandarin: made by the workflow"
        in stand_ins
    )


def test_the_worst_stands_first_beside_the_name_and_steps_stand_whole(place):
    place.audio("s1_anger").unlink()
    place.config["corpora"]["a_corpus_with_a_long_name_in_a_folder_with_a_long_name"] = place.config["corpora"].pop(
        "mine"
    )
    place.config["dlc"]["corpora"] = ["a_corpus_with_a_long_name_in_a_folder_with_a_long_name"]
    lines = lines_of(place.say(status=1))
    first = next(line for line in lines if "a_corpus_with" in line)
    assert first.startswith("WRONG a_corpus_with_a_long_name_in_a_folder_with_a_long_name")
    step = "corpora: {a_corpus_with_a_long_name_in_a_folder_with_a_long_name: {allow_partial: true}}"
    assert [line.strip() for line in lines if line.strip() == step] == [step]
    assert lines[-1].startswith("1 wrong, which would stop a run, ")


def test_what_is_cut_on_the_page_is_whole_in_detail(place):
    for place_of, name in enumerate(NAMES[4:]):
        place.rows[name]["emotion"] = f"{'x' * 30}{place_of}"
    place.write_labels()
    place.config["corpora"]["mine"] |= {"allow_partial": True, "max_rejected": 0.9}
    assert "(whole: serflow doctor mine)" in " ".join(place.say().split())
    whole = place.say("mine")
    assert "whole:" not in whole
    assert "undecided" in whole


def test_details_are_shown_of_what_is_named_or_of_all(place):
    assert "mine: speaker" not in place.say()
    assert "mine: speaker" in place.say("mine")
    assert "mine: speaker" in place.say("--all")


def test_what_was_named_is_looked_at_and_nothing_else(place):
    assert set(place.doctor("mine")) == {"mine"}
    assert set(place.doctor("esc50", "ge2e")) == {"esc50", "ge2e"}
    assert "lock" in place.doctor("machine")
    found = set(place.doctor("dlc"))
    assert {"mine", "esc50", "lock", "disk"} <= found
    assert not {"ge2e", "wav2vec"} & found
    # its features rest on networks
    place.config["corpora"] |= {name: {"root": "synthetic"} for name in ("iemocap", "emodb", "cafe")}
    assert {"allosaurus", "wav2vec", "ge2e", "byol", "iemocap", "emodb", "cafe"} <= set(place.doctor("multigating"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mime", "did you mean 'mine'?"),
        ("over.yaml", "give a file as `--configfile over.yaml`"),
    ],
)
def test_an_unknown_name_is_refused_with_what_was_meant(place, name, words):
    place.say()
    result = CliRunner().invoke(app, ["doctor", name])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert words in result.stderr


def test_the_configuration_is_merged_as_snakemake_does(place):
    Path("first.yaml").write_text("corpora: {mine: {root: first}}\n")
    Path("second.yaml").write_text("corpora: {mine: {root: second}}\n")
    files = ["--configfile", "first.yaml", "--configfile", "second.yaml"]
    assert "no folder second" in place.mine(*files, status=1)[0][1]
    shutil.copytree(place.root, "given/mine")
    assert "no folder given/second" in place.mine(*files, "--config", "data_root=given", status=1)[0][1]
    line = 'corpora={"mine": {"root": "mine"}}'
    assert place.mine(*files, "--config", line, "--config", "data_root=given")[0][0] == "ok"


def test_a_wrong_configuration_is_one_message_and_status_1(place):
    place.say()
    Path("over.yaml").write_text("corpora:\n  mine: {rot: x}\n")
    result = CliRunner().invoke(app, ["doctor", "--configfile", "over.yaml"])
    assert result.exit_code == 1
    assert "over.yaml:2: unknown key corpora.mine.rot" in result.stderr


def test_without_a_configuration_of_its_own_a_folder_has_that_of_the_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, documents = read_config()
    assert [document.name for document in documents] == ["config.yaml"]
    assert config == read_config([ROOT / "config.yaml"])[0]
    (tmp_path / "config.yaml").write_text("data_root: /elsewhere\n")
    assert read_config()[0].data_root == "/elsewhere"
    with pytest.raises(ConfigError, match="no_file"):
        read_config([Path("no_file.yaml")])


def test_what_cannot_be_read_at_all_does_not_keep_from_the_rest(place, monkeypatch):
    def broken(*given, **options):
        raise PermissionError(13, "Permission denied", "weights")

    monkeypatch.setattr("serflow.doctor.examine.diagnose_network", broken)
    found = place.doctor(status=1)
    assert found["ge2e"][0][0] == "wrong"
    assert "Permission denied" in found["ge2e"][0][1]
    assert found["mine"][0][0] == "ok"


def test_programs_are_told_the_same(place):
    place.audio("s1_anger").unlink()
    wav(place.audio("s1_neutral"), noise(0), 16_000)
    found = json.loads(place.say("mine", "--json", status=1))
    assert (found["wrong"], found["notes"], found["configuration"]) == (1, 1, "config.yaml")
    (mine,) = found["found"]
    assert (mine["section"], mine["name"]) == ("Corpora", "mine")
    assert [finding["mark"] for finding in mine["findings"]] == ["ok", "wrong", "note"]
    tables = {table["title"]: table for table in mine["tables"]}
    assert tables["mine: rejected"]["rows"][0][0] == "s1_anger"
    assert len(NAMES) == 12
    assert told([(each["mark"], each["said"], each["steps"]) for each in mine["findings"]], "rejected")
