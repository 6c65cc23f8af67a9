"""What leaves the house: no audio and no words, and a crate that others can read."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up_lab import write_lab
from typer.testing import CliRunner

from serflow.cli import app
from serflow.errors import StoreError
from serflow.exchange.compare import compare
from serflow.exchange.export import _SAID, METADATA, export, without_words
from serflow.files import digested_path, read_sealed_json, write_csv
from serflow.runs.scores import read_run
from serflow.stores.parquet import read_metadata, read_table, write_table

SECRET = "the words that were said"


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    results = write_lab(tmp_path / "ours", ["alone", "adversary"], texts=[SECRET] * 12)
    write_csv(results / "dlc/table1.csv", ["System", "UA"], [["Alone", "75.00"]])
    (results / "dlc/curves.svg").write_text("<svg/>")
    (tmp_path / "Snakefile").write_text("rule all: ...\n")
    export(tmp_path / "ours", tmp_path / "crate", tmp_path / "Snakefile", ["dlc"])
    return tmp_path / "crate"


def test_no_words_and_no_audio_leave(crate: Path) -> None:
    files = [path.relative_to(crate).as_posix() for path in crate.rglob("[!.]*") if path.is_file()]
    cells = [
        f"runs/dlc/{name}/toy/{file}"
        for name in ("alone", "adversary")
        for file in ("metrics.json", "predictions.parquet")
    ]
    assert sorted(files) == sorted(
        [*cells, "splits/toy/speaker-0.parquet", "dlc/table1.csv", "state.json", "Snakefile", METADATA]
    )
    kept = pq.read_schema(crate / cells[1]).names
    assert "heard" not in kept
    assert {"utterance", "prediction", "speaker", "edits"} <= set(kept)
    for path in crate.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
    for parquet in crate.rglob("*.parquet"):
        assert SECRET not in str(pq.read_table(parquet).to_pylist())


def test_of_corpora_of_other_studies_nothing_leaves(tmp_path: Path) -> None:
    write_lab(tmp_path, corpus="toy")
    write_lab(
        tmp_path, corpus="private", study="temporal", values=2.0, texts=[SECRET] * 12, held_out=6, snrs={"human": 3.0}
    )
    (tmp_path / "Snakefile").write_text("rule all: ...\n")
    export(tmp_path, tmp_path / "crate", tmp_path / "Snakefile", ["dlc"])
    assert (tmp_path / "crate/splits/toy/speaker-0.parquet").is_file()
    state = read_sealed_json(tmp_path / "crate/state.json")
    assert {layer: list(entries) for layer, entries in state["layers"].items()} == {
        **{key: ["toy"] for key in ("corpora", "rejected", "utterances")},
        "noise plans": ["toy in h1"],
        "features": ["mel of toy, clean"],
        "splits": ["toy, speaker-0"],
    }
    assert list(state["cells"]) == ["dlc/alone/toy"]
    assert list((tmp_path / "crate").rglob("*private*")) == []
    assert "private" not in (tmp_path / "crate" / METADATA).read_text()


def test_a_column_that_is_not_known_to_be_wordless_stays() -> None:
    table = pa.table({"utterance": ["u"], "remark": ["x"], "gates": [[0.5]], "n": [1], "said": [["a"]]})
    assert without_words(table).column_names == ["utterance", "gates", "n"]


def test_of_what_predictions_say_of_themselves_only_what_is_known_leaves(crate: Path) -> None:
    path = crate.parent / "ours/results/runs/dlc/alone/toy/predictions.parquet"
    said = {key: value for key, value in read_metadata(path).items() if key in (*_SAID, "kind")}
    write_table(path, read_table(path), kind=said.pop("kind"), metadata={**said, "heard_first": SECRET})
    export(crate.parent / "ours", crate.parent / "again", crate.parent / "Snakefile", ["dlc"])
    kept = read_metadata(crate.parent / "again/runs/dlc/alone/toy/predictions.parquet")
    assert set(kept) == {*_SAID, "kind", "schema_version", "data_sha256"}


@pytest.mark.parametrize(
    "private", ["/home/someone/corpora/x.wav", "~/corpora/a b.wav", "file:///data/x/y", "it is '/mnt/lab/private/'"]
)
@pytest.mark.parametrize("where", ["remarks", "options", "predictions", "split", "table", "page", "Snakefile"])
def test_no_path_of_the_machine_leaves(tmp_path: Path, private: str, where: str) -> None:
    lab: dict[str, Any] = {"remarks": {"remarks": [private]}, "options": {"options": {"weights": private}}}
    results = write_lab(tmp_path / "ours", **lab.get(where, {}))
    (tmp_path / "Snakefile").write_text(f"# {private}\n" if where == "Snakefile" else "rule all: ...\n")
    if where == "table":
        write_csv(results / "dlc/table1_vs_paper.csv", ["System", "note"], [["Alone", f"1 {private}, 2 closed"]])
    if where == "page":
        with digested_path(results / "dlc/protocol.md") as page:
            page.write_text(f"| {private} |\n")
    changed = {"predictions": "runs/dlc/alone/toy/predictions.parquet", "split": "splits/toy/speaker-0.parquet"}
    if where in changed:
        path = results / changed[where]
        table, said = read_table(path), read_metadata(path)
        names = pa.array([private, *table.column("utterance").to_pylist()[1:]])
        table = table.set_column(table.column_names.index("utterance"), "utterance", names)
        kept = {
            key: value for key, value in said.items() if "sha256" not in key and key not in ("kind", "schema_version")
        }
        write_table(path, table, kind=said["kind"], metadata=kept)
        if where == "split":
            # of splits those leave that a run was made from
            write_split_of(results, read_metadata(path)["data_sha256"])
    with pytest.raises(StoreError, match=r"holds a path of this machine, \S+, and is not exported; delete it"):
        export(tmp_path / "ours", tmp_path / "crate", tmp_path / "Snakefile", ["dlc"])
    assert not (tmp_path / "crate").exists()


def write_split_of(results: Path, digest: str) -> None:
    path = results / "runs/dlc/alone/toy/predictions.parquet"
    said = {key: value for key, value in read_metadata(path).items() if key in (*_SAID, "kind")}
    said["provenance"]["sources"]["split"] = digest
    write_table(path, read_table(path), kind=said.pop("kind"), metadata=said)


@pytest.mark.parametrize(
    "open_to_all",
    ["results/dlc/table1.csv", "https://example.org/a/b", "3/4 of it, and/or 1/2/3", "exp1/single/toy/h1", "(a)/b/c"],
)
def test_what_is_no_path_of_a_machine_may_be_said(tmp_path: Path, open_to_all: str) -> None:
    write_lab(tmp_path / "ours", remarks=[open_to_all])
    (tmp_path / "Snakefile").write_text("rule all: ...\n")
    export(tmp_path / "ours", tmp_path / "crate", tmp_path / "Snakefile", ["dlc"])
    assert open_to_all in (tmp_path / "crate/runs/dlc/alone/toy/metrics.json").read_text()


def test_what_was_exported_is_whole_and_compares_with_its_origin(crate: Path) -> None:
    run = read_run(crate / "runs/dlc/alone/toy/metrics.json")
    assert [fit.run for fit in run.fits] == [0, 1]
    said = compare(crate.parent / "ours", crate)
    assert said[0].endswith("alike in all that both have")
    other = write_lab(crate.parent / "theirs", ["alone"], texts=["other"] * 12)
    assert "first diverge in their utterances" in compare(crate, other)[0]


def test_the_crate_is_json_ld_of_the_profiles(crate: Path) -> None:
    said = json.loads((crate / METADATA).read_text())
    entities = {entity["@id"]: entity for entity in said["@graph"]}
    assert len(entities) == len(said["@graph"])
    root = entities["./"]
    assert entities[METADATA]["about"] == {"@id": "./"}
    assert {"https://w3id.org/ro/wfrun/process/0.5", "https://w3id.org/ro/wfrun/workflow/0.5"} <= {
        profile["@id"] for profile in root["conformsTo"]
    }
    assert "ComputationalWorkflow" in entities[root["mainEntity"]["@id"]]["@type"]
    action = entities[root["mentions"]["@id"]]
    assert (action["@type"], action["instrument"]) == ("CreateAction", root["mainEntity"])
    parts = {part["@id"] for part in root["hasPart"]}
    assert parts == {
        path.relative_to(crate).as_posix() for path in crate.rglob("[!.]*") if path.is_file() and path.name != METADATA
    }
    assert {result["@id"] for result in action["result"]} == parts - {"Snakefile", "state.json"}
    # every reference leads to an entity
    assert all(part in entities for part in parts)
    assert {"name", "description", "datePublished", "license"} <= root.keys()


def test_nothing_is_written_over(crate: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is there already"):
        export(tmp_path / "ours", crate, tmp_path / "Snakefile", ["dlc"])
    with pytest.raises(StoreError, match="no runs of temporal"):
        export(tmp_path / "ours", tmp_path / "new", tmp_path / "Snakefile", ["temporal"])
    with pytest.raises(StoreError, match="no such file; give serflow's own"):
        export(tmp_path / "ours", tmp_path / "new", tmp_path / "none", ["dlc"])


def test_the_command_knows_the_studies(crate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    common = ["--results", str(tmp_path / "ours/results")]
    done = CliRunner().invoke(app, ["export", "second", *common])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "second" / METADATA).is_file()
    done = CliRunner().invoke(app, ["export", "third", "--study", "dcl", *common])
    assert done.exit_code == 1
    assert "did you mean 'dlc'?" in " ".join(done.stderr.split())
