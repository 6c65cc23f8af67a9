import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from serflow.backbones.base import load_text_encoder
from serflow.backbones.weights import read_weights
from serflow.cli import app
from serflow.errors import StoreError, WeightsError
from serflow.files import write_sealed_json
from serflow.stages.embed_text import main
from serflow.stages.pack_features import main as pack_features
from serflow.stages.prepare_weights import main as prepare_weights
from serflow.stores.features import FeatureStore
from serflow.stores.frames import iterate_frames
from serflow.stores.parquet import read_metadata
from serflow.transcripts.store import TranscriptRow, write_transcripts

TEXTS = ["we walked along the river", "", "quizzical jackdaws", "a " * 300]
METADATA = {
    "recogniser": "wav2vec2",
    "backbone": {"name": "wav2vec2_ctc", "precision": "fp32", "confidence": "ln P"},
    "parameters": {},
    "weights": {"release": "stand-in", "source": "stand-in", "synthetic": True},
    "corpus": "crema_d",
    "condition": "h1",
    "language": "en",
    "stand_ins": ["corpus", "noise"],
    "code": "beefbeefbeefbeef",
    "n_shards": 2,
}


def write_shard(path, shard, texts, **changed):
    rows = [TranscriptRow(f"utt_{shard}_{i}", text, -1.0, None, None, None, 1.0) for i, text in enumerate(texts)]
    sources = {"audio": shard * 16, "utterances": "u" * 64, "plan": "p" * 64, "clips": "c" * 64}
    given = {**METADATA, "shard": shard, "rejected": {f"utt_{shard}_x": "too short"}, "sources": sources, **changed}
    write_transcripts(path, [rows], lambda: given)
    return path


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resources")
    options = {"backbone": "bert", "weights": "stand-in", "release": None}
    prepare_weights(argparse.Namespace(**options, folder=folder / "bert", record=folder / "bert.json"))
    return folder / "bert.json"


@pytest.fixture
def arguments(tmp_path, record):
    folder = tmp_path / "results" / "features" / "bert" / "crema_d" / "h1"
    return argparse.Namespace(
        feature="bert",
        transcripts=write_shard(tmp_path / "0000.parquet", "0000", TEXTS),
        weights=record,
        options={"backbone": "bert", "device": "cpu", "precision": "fp32"},
        code="0123456789abcdef",
        frames=folder / "0000.parquet",
    )


@pytest.fixture
def store(arguments, tmp_path):
    """Both shards of a store."""
    main(arguments)
    arguments.transcripts = write_shard(tmp_path / "0001.parquet", "0001", TEXTS[:1])
    arguments.frames = arguments.frames.with_name("0001.parquet")
    main(arguments)
    return arguments.frames.parent


def test_a_row_a_token_in_the_order_of_the_transcripts(arguments):
    main(arguments)
    rows = list(iterate_frames(arguments.frames))
    encoder = load_text_encoder("bert", Path(read_weights(arguments.weights).path))
    assert [row.utterance for row in rows] == [f"utt_0000_{i}" for i in range(4)]
    assert [len(row.frames) for row in rows[1:]] == [2, 19, 128]
    for row, text in zip(rows, TEXTS, strict=True):
        np.testing.assert_allclose(row.frames, encoder.encode([text])[0], atol=1e-5)


def test_metadata_are_those_of_a_feature_with_the_recogniser(arguments):
    main(arguments)
    found = read_metadata(arguments.frames)
    given = read_metadata(arguments.transcripts)
    expected = {
        "kind": "frames",
        "feature": "bert",
        "extractor": "bert",
        "parameters": {"max_tokens": 128},
        "hop_s": None,
        "units": "activation",
        "dim": 512,
        "weights": read_weights(arguments.weights).describe(),
        "recogniser": "wav2vec2",
        "transcripts": {key: given[key] for key in ("backbone", "parameters", "weights", "code")},
        "corpus": "crema_d",
        "condition": "h1",
        "stand_ins": ["corpus", "noise", "weights"],
        "code": "0123456789abcdef",
        "shard": "0000",
        "n_shards": 2,
        "rejected": {"utt_0000_x": "too short"},
        "sources": {"transcripts": given["data_sha256"]},
    }
    assert {key: found[key] for key in expected} == expected
    assert found["backbone"]["name"] == "bert"


def test_a_job_imports_neither_transformers_nor_pandas(arguments):
    command = [sys.executable, "-X", "importtime", "-m", "serflow.stages.embed_text"]
    for name, value in vars(arguments).items():
        command += [f"--{name}", json.dumps(value) if name == "options" else str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # a package that was looked for in vain has a line too, but none of its modules has
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    packages = {name.partition(".")[0] for name in imported if "." in name}
    assert {"torch", "tokenizers", "pyarrow"} <= packages
    assert packages & {"transformers", "pandas", "scipy", "sklearn"} == set()
    assert read_metadata(arguments.frames)["extractor"] == "bert"


def test_transcripts_made_with_a_stand_in_are_marked_once(arguments):
    write_shard(arguments.transcripts, "0000", TEXTS[:1], stand_ins=["weights"])
    main(arguments)
    assert read_metadata(arguments.frames)["stand_ins"] == ["weights"]


def test_texts_of_the_reference_have_no_recogniser_to_describe(arguments):
    rows = [TranscriptRow("utt", "the river", None, "the river", 0.0, 0.0, 1.0)]
    metadata = {key: METADATA[key] for key in METADATA if key not in ("backbone", "parameters", "weights")}
    metadata |= {"recogniser": "reference", "shard": "0000", "rejected": {}, "sources": {"audio": "a"}}
    write_transcripts(arguments.transcripts, [rows], lambda: metadata)
    main(arguments)
    assert read_metadata(arguments.frames)["transcripts"] == {"code": "beefbeefbeefbeef"}


def test_the_store_is_read_and_packed_like_any_other(store, tmp_path):
    opened = FeatureStore.open(store, expect={"feature": "bert", "recogniser": "wav2vec2"})
    assert (opened.n_utterances, opened.dim, opened.hop_s) == (5, 512, None)
    assert opened.rejected == {"utt_0000_x": "too short", "utt_0001_x": "too short"}
    array, index = tmp_path / "h1.npy", tmp_path / "h1.parquet"
    pack_features(argparse.Namespace(shards=sorted(store.iterdir()), array=array, index=index))
    packed = FeatureStore.open(index)
    assert np.array_equal(packed.read("utt_0001_0"), opened.read("utt_0001_0"))
    np.testing.assert_allclose(packed.read("utt_0000_0"), opened.read("utt_0001_0"), atol=1e-5)
    assert packed.metadata["recogniser"] == "wav2vec2"


def test_shards_by_other_recognisers_are_not_one_store(store, arguments, tmp_path):
    write_shard(tmp_path / "0001.parquet", "0001", TEXTS[:1], recogniser="deepspeech")
    main(arguments)
    with pytest.raises(StoreError, match="made with another recogniser"):
        FeatureStore.open(store)


def test_inspect_says_whose_words_they_are_and_counts_tokens(store, tmp_path):
    shown = CliRunner().invoke(app, ["inspect", str(store), "--json"])
    facts = json.loads(shown.stdout)["facts"]
    assert (facts["text_by"], facts["hop"], facts["utterances"]) == ("wav2vec2", None, 5)
    assert facts["frames"] == {"min": 2, "median": 7, "max": 128, "total": 163}
    assert "one row a token" in CliRunner().invoke(app, ["inspect", str(store)]).stdout
    picture = tmp_path / "bert.svg"
    drawn = CliRunner().invoke(app, ["inspect", str(store), "--plot", str(picture)])
    assert drawn.exit_code == 0, drawn.output
    content = picture.read_text()
    assert "512 columns a token" in content
    assert "time (s)" not in content


def test_the_network_is_that_of_the_weights_where_none_is_named(arguments):
    del arguments.options["backbone"]
    main(arguments)
    assert read_metadata(arguments.frames)["extractor"] == "bert"


def test_the_same_shard_gives_the_same_bytes(arguments, tmp_path):
    main(arguments)
    first = arguments.frames.read_bytes()
    arguments.frames = tmp_path / "again.parquet"
    main(arguments)
    assert arguments.frames.read_bytes() == first


def test_an_empty_shard_gives_an_empty_store(arguments):
    write_shard(arguments.transcripts, "0000", [])
    main(arguments)
    assert list(iterate_frames(arguments.frames)) == []


def test_what_is_no_transcript_or_was_damaged_is_refused(arguments, tmp_path):
    main(arguments)
    arguments.transcripts = arguments.frames
    with pytest.raises(StoreError, match="kind is 'frames' where 'transcripts' was asked for"):
        main(arguments)
    arguments.transcripts = write_shard(tmp_path / "again.parquet", "0000", TEXTS)
    arguments.transcripts.write_bytes(arguments.transcripts.read_bytes()[:-9])
    with pytest.raises(StoreError, match="not a whole Parquet file"):
        main(arguments)


def test_weights_that_are_not_there_are_named(arguments, tmp_path):
    lost = json.loads(arguments.weights.read_text()) | {"path": str(tmp_path / "nowhere")}
    arguments.weights = tmp_path / "lost.json"
    write_sealed_json(arguments.weights, {key: value for key, value in lost.items() if key != "content_sha256"})
    with pytest.raises(WeightsError, match=r"config\.json is missing"):
        main(arguments)
