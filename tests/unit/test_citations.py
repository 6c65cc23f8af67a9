import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import serflow
from results_page import Page
from serflow.backbones.base import backbone_names
from serflow.citations import AS_ANOTHER, PACKAGE, cite, entry_file, read_entries
from serflow.cli import app
from serflow.config import Config, check_config
from serflow.errors import ConfigError
from serflow.plugins import plugin_names

FILES = sorted(PACKAGE.rglob("*.bib"))
REQUIRED = {
    "article": {"author", "title", "journal", "year", "doi"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "misc": {"author", "title"},
    "unpublished": {"author", "title", "note"},
}
WITHOUT_DOI = {"pedregosa2011scikit"}


def fields(entry: str) -> tuple[str, dict[str, str]]:
    """Return the kind of an entry and its fields, each ``name = {value}`` with balanced braces."""
    kind, _, body = entry.partition("{")
    found = dict(re.findall(r"^  (\w+) *= \{(.*?)\},?$", body, re.MULTILINE | re.DOTALL))
    return kind.removeprefix("@"), found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_entries_are_whole(file):
    text = file.read_text(encoding="utf-8")
    entries = read_entries(file)
    assert len(entries) == text.count("@") >= 1
    assert "\n\n".join(entries.values()) + "\n" == text
    for key, entry in entries.items():
        kind, found = fields(entry)
        needed = REQUIRED[kind] - ({"doi"} if key in WITHOUT_DOI else set())
        assert needed <= found.keys(), key
        assert entry.count("{") == entry.count("}"), key
        assert len(re.findall(r"^  \w+ *= ", entry, re.MULTILINE)) == len(found), key
        assert re.fullmatch(r"(19|20)\d\d", found.get("year", "2000")), key
        assert re.fullmatch(r"10\.\d{4,5}/\S+", found.get("doi", "10.1234/x")), key
        assert re.fullmatch(r"\d{4}\.\d{4,5}", found.get("eprint", "1234.56789")), key
        assert ("eprint" in found) == (found.get("archiveprefix") == "arXiv"), key
        assert all("," in name or name.startswith("{") for name in re.split(r"\s+and\s+", found["author"])), key


def test_a_key_stands_in_one_file():
    found = {}
    for file in FILES:
        for key in read_entries(file):
            assert key not in found, f"{key}: in {found[key].name} and {file.name}"
            found[key] = file


def test_what_is_cited_as_another_has_no_file_of_its_own():
    for place, other in AS_ANOTHER.items():
        kind, name = place.split("/")
        assert not (PACKAGE / f"{place}.bib").exists()
        assert entry_file(kind, name) == PACKAGE / f"{other}.bib"
        assert entry_file(kind, name) in FILES
        assert name in (plugin_names("serflow.features") if kind == "features" else backbone_names())


def test_every_study_corpus_and_backbone_has_an_entry():
    wanted = [entry_file("studies", f"{name}/paper") for name in Config().plans()]
    wanted += [entry_file("corpora", name) for name in plugin_names("serflow.corpora") if name != "table"]
    wanted += [entry_file("backbones", name) for name in backbone_names()]
    assert [file for file in wanted if file not in FILES] == []


@pytest.mark.parametrize("preset", ["paper", "free", "free_full"])
def test_every_corpus_of_the_presets_has_an_entry(repository, preset):
    config = check_config(yaml.safe_load((repository / f"workflow/presets/{preset}.yaml").read_text()))
    assert cite("results/table1.csv", config).remarks == []


TOOLS = ["serflow", "molder2021snakemake", "paszke2019pytorch", "pedregosa2011scikit"]


@pytest.mark.parametrize(
    ("target", "keys"),
    [
        ("emodb", ["burkhardt2005database"]),
        ("esc50", ["piczak2015esc"]),
        ("bert", ["devlin2019bert", "turc2019well"]),
        ("mfcc", ["mcfee2015librosa"]),
        ("energy_vad", ["povey2011kaldi"]),
        ("wav2vec2_ctc", ["baevski2020wav2vec"]),
        ("results/corpora/cafe/utterances.parquet", ["gournay2018canadian"]),
        ("./results/features/ge2e/emodb/clean/", ["burkhardt2005database", "wan2018generalized", "resemblyzer"]),
        ("results/features/mfb/ravdess/h1", ["livingstone2018ravdess", "piczak2015esc"]),
        ("results/noise/emodb/h2.parquet", ["burkhardt2005database", "piczak2015esc"]),
        ("results/transcripts/wav2vec2/mosei/h1", ["zadeh2018mosei", "piczak2015esc", "baevski2020wav2vec"]),
        ("results/transcripts/reference/mosei/clean", ["zadeh2018mosei"]),
        ("invariance", ["tu2019towards", "busso2008iemocap", "speechocean_mandarin", "povey2011kaldi"]),
        ("results/invariance/table2.csv",
         ["tu2019towards", "busso2008iemocap", "speechocean_mandarin", "povey2011kaldi"]),
        ("results/qc/speakernorm.csv", ["ha_speech", "busso2008iemocap", "baevski2020wav2vec"]),
        ("speakernorm", ["ha_speech", "busso2008iemocap", "baevski2020wav2vec"]),
        ("results/runs/dlc/exp1/single/mosei/h1/metrics.json",
         ["wilf2021towards", "zadeh2018mosei", "piczak2015esc", "hannun2014deep", "mozilla_deepspeech",
          "devlin2019bert", "turc2019well"]),
    ],
)  # fmt: skip
def test_a_target_rests_on(target, keys):
    assert list(cite(target, Config()).entries) == keys + TOOLS


STANDS_FOR = {
    "study": "dlc", "table": "table1", "corpus": "emodb", "recogniser": "wav2vec2", "feature": "mfb",
    "condition": "clean", "profile": "h1", "version": "clean", "cell": "exp1/single/emodb/h1", "extension": "svg",
}  # fmt: skip
WITHOUT_SOURCES = {"benchmarks", "logs"}


def test_every_file_of_the_results_can_be_cited(repository):
    """And all that is known of what it is of: its corpus, its study, and the clips of the noise."""
    page = Page(repository / "results/README.md", list(Config().plans()))
    seen = set()
    for pattern in page.patterns():
        first, *below = pattern.split("/")
        if first in WITHOUT_SOURCES:
            continue
        target = "results/" + re.sub(r"\{(\w+)\}", lambda name: STANDS_FOR.get(name[1], name[1]), pattern)
        entries = cite(target, Config()).entries
        assert set(TOOLS) < entries.keys(), target
        assert "wilf2021towards" in entries or "{study}" not in pattern, target
        assert "burkhardt2005database" in entries or not {"{corpus}", "{cell}"} & set(below), target
        assert "piczak2015esc" in entries or first != "noise", target
        seen.add(first)
    assert {"audit", "versions", "noise", "report", "qc"} < seen


def test_the_headline_table_rests_on_what_its_study_does():
    assert cite("results/table1.csv", Config()) == cite("dlc", Config()) == cite("results/dlc/figure4.svg", Config())


def test_the_overview_of_results_rests_on_all_studies_that_it_shows():
    all_studies = cite("results/report/index.html", Config()).entries
    for study in Config().plans():
        assert cite(f"results/report/{study}.html", Config()).entries.keys() <= all_studies.keys()
    one = Config.model_validate({"report": {"studies": ["dlc"]}})
    assert cite("results/report/index.html", one) == cite("dlc", one)


def test_what_is_cited_follows_the_configuration():
    asked = Config.model_validate({"dlc": {"corpora": ["emodb"]}})
    assert list(cite("dlc", asked).entries)[:3] == ["wilf2021towards", "burkhardt2005database", "piczak2015esc"]
    assert "devlin2019bert" not in cite("dlc", asked).entries
    other = Config.model_validate({"dlc": {"asr": "wav2vec2"}})
    assert {"baevski2020wav2vec"} < cite("dlc", other).entries.keys()
    assert "hannun2014deep" not in cite("dlc", other).entries


def test_what_has_no_entry_or_is_a_stand_in_is_said(repository):
    preset = yaml.safe_load((repository / "workflow/presets/free_full.yaml").read_text(encoding="utf-8"))
    mine = {**preset["corpora"]["nemo"], "title": "My Corpus"}
    asked = Config.model_validate(
        {"corpora": {"mine": mine, "emodb": {"root": "synthetic"}}, "dlc": {"corpora": ["emodb"]}}
    )
    assert cite("mine", asked).remarks == ["mine: cite My Corpus as its publisher asks; serflow has no entry of it"]
    (remark,) = cite("emodb", asked).remarks
    assert remark.startswith("emodb: a stand-in here")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("emobd", "did you mean 'emodb'"),
        ("results/featurs", "did you mean 'features'"),
        ("invarience", "did you mean 'invariance'"),
        ("reslts/table1.csv", "'reslts' is no folder .did you mean 'results'"),
        ("results/tabel1.csv", "did you mean 'table1.csv'"),
        ("results/invarience/table2.csv", "did you mean 'invariance'"),
        ("results/features/mbf/emodb/clean", "'mbf' is no feature .did you mean 'mfb'"),
        ("results/features/mfb/emodbb/clean", "'emodbb' is no corpus .did you mean 'emodb'"),
        ("results/features/mfb/emodb/claen", "'claen' is no condition .did you mean 'clean'"),
        ("results/noise/emodb/h4", "'h4' is no profile"),
        ("results/transcripts/deepspech/wer.csv", "did you mean 'deepspeech'"),
        ("results/versions/claen/dlc", "'claen' is no version .did you mean 'clean'"),
        ("results/audit/dcl.csv", "did you mean 'dlc'"),
        ("results/runs/dcl/exp1/single/iemocap/h1/metrics.json", "did you mean 'dlc'"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(target, said):
    with pytest.raises(ConfigError, match=said):
        cite(target, Config())


def test_the_command_prints_bibtex_and_remarks_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("corpora: {emodb: {root: synthetic}}\ndlc: {corpora: [emodb]}\n")
    (tmp_path / "mine.yaml").write_text("dlc: {asr: reference}\n")
    done = CliRunner().invoke(app, ["cite", "dlc", "--configfile", "mine.yaml"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("@inproceedings{wilf2021towards,\n")
    assert "burkhardt2005database" in done.stdout
    assert "busso2008iemocap" not in done.stdout
    assert "a stand-in here" in done.stderr
    wrong = CliRunner().invoke(app, ["cite", "emobd"])
    assert wrong.exit_code == 1
    assert "did you mean 'emodb'" in wrong.stderr


def test_citation_cff_says_what_the_package_says(repository: Path):
    """Fields and types as the schema of CFF 1.2.0 has them."""
    content = yaml.safe_load((repository / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= content.keys()
    assert content["cff-version"] == "1.2.0"
    assert content["version"] == serflow.__version__
    assert f'version = "{content["version"]}"' in (repository / "pyproject.toml").read_text(encoding="utf-8")
    assert content["license"] in (repository / "LICENSE").read_text(encoding="utf-8")
    assert content["type"] in ("software", "dataset")
    known = {"cff-version", "message", "type", "title", "abstract", "authors", "version", "license", "keywords"}
    assert content.keys() <= known
    assert all(author.keys() == {"name"} for author in content["authors"])
    assert f"version {serflow.__version__}" in read_entries(PACKAGE / "tools.bib")["serflow"]
