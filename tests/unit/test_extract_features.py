import argparse

import numpy as np
import pyarrow as pa
import pytest

from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.errors import ConfigError, NoiseError, StoreError
from serflow.features.base import load_feature
from serflow.noise.mixing import PlanRow, write_plan
from serflow.stages.extract_features import main
from serflow.stores.frames import iterate_frames
from serflow.stores.parquet import read_metadata, write_table

NAMES = ["utt_a", "utt_b", "utt_c"]
CLIP = (1000 * np.sin(np.arange(5000))).astype(np.int16)


def speech(index):
    return (3000 * np.random.default_rng(index).standard_normal(8000 + 500 * index)).astype(np.int16)


def plan_row(name, **changed):
    row = PlanRow(name, "natural", "1-1-A-10", 4000, -5.0, 6.0, -5.0, 0.5)
    return row._replace(**changed)


@pytest.fixture
def arguments(tmp_path):
    prepared = [PreparedUtterance(name, speech(i), 16000, 1, "PCM_16", 0) for i, name in enumerate(NAMES)]
    write_prepared(tmp_path / "0001.parquet", prepared, {"corpus": "emodb", "shard": "0001", "n_shards": 2})
    clips = pa.table({"clip": ["1-1-A-10"], "group": ["natural"], "pcm16": pa.array([CLIP.tobytes()], pa.binary())})
    write_table(tmp_path / "clips.parquet", clips, kind="clips", metadata={"synthetic": False})
    write_plan(tmp_path / "h1.parquet", map(plan_row, NAMES), {"corpus": "emodb", "profile": "h1"})
    return argparse.Namespace(
        feature="mfb",
        parameters={"n_mels": 20},
        corpus="emodb",
        condition="clean",
        audio=tmp_path / "0001.parquet",
        plan=None,
        clips=None,
        code="0123456789abcdef",
        frames=tmp_path / "out" / "0001.parquet",
    )


@pytest.fixture
def noisy_arguments(arguments, tmp_path):
    arguments.condition = "h1"
    arguments.plan = tmp_path / "h1.parquet"
    arguments.clips = tmp_path / "clips.parquet"
    return arguments


def test_clean_frames_are_the_features_of_the_prepared_audio(arguments):
    main(arguments)
    rows = list(iterate_frames(arguments.frames))
    assert [row.utterance for row in rows] == NAMES
    feature = load_feature("mfb", {"n_mels": 20})
    for index, row in enumerate(rows):
        np.testing.assert_array_equal(row.frames, feature((speech(index) / np.float32(32768)).astype(np.float32)))


def test_noise_is_mixed_as_the_plan_says(noisy_arguments):
    main(noisy_arguments)
    feature = load_feature("mfb", {"n_mels": 20})
    for index, row in enumerate(iterate_frames(noisy_arguments.frames)):
        clean = speech(index) / 32768
        looped = np.resize(np.roll(CLIP, -4000), len(clean)) / 32768
        noisy = (0.5 * (clean + looped * 10 ** (6 / 20))).astype(np.float32)
        np.testing.assert_allclose(row.frames, feature(noisy), atol=1e-3)


def test_metadata_say_how_the_frames_were_made(arguments):
    main(arguments)
    found = read_metadata(arguments.frames)
    expected = {
        "kind": "frames",
        "feature": "mfb",
        "parameters": {"n_mels": 20},
        "sample_rate": 16000,
        "dim": 20,
        "hop_s": 0.01,
        "corpus": "emodb",
        "condition": "clean",
        "code": "0123456789abcdef",
        "shard": "0001",
        "sources": {"audio": read_metadata(arguments.audio)["data_sha256"]},
    }
    assert {key: found[key] for key in expected} == expected
    assert found["units"]


def test_metadata_of_noisy_frames_name_plan_and_clips(noisy_arguments):
    main(noisy_arguments)
    sources = read_metadata(noisy_arguments.frames)["sources"]
    files = {"audio": noisy_arguments.audio, "plan": noisy_arguments.plan, "clips": noisy_arguments.clips}
    assert sources == {name: read_metadata(path)["data_sha256"] for name, path in files.items()}


def test_the_same_shard_gives_the_same_bytes(noisy_arguments, tmp_path):
    main(noisy_arguments)
    first = noisy_arguments.frames.read_bytes()
    noisy_arguments.frames = tmp_path / "again.parquet"
    main(noisy_arguments)
    assert noisy_arguments.frames.read_bytes() == first


def test_an_empty_shard_gives_an_empty_store(arguments):
    write_prepared(arguments.audio, [], {"corpus": "emodb", "shard": "0001"})
    main(arguments)
    assert list(iterate_frames(arguments.frames)) == []


def test_an_utterance_without_a_row_in_the_plan_is_named_and_nothing_is_left(noisy_arguments):
    write_plan(noisy_arguments.plan, map(plan_row, NAMES[:2]), {"corpus": "emodb", "profile": "h1"})
    with pytest.raises(NoiseError, match="utt_c"):
        main(noisy_arguments)
    assert list(noisy_arguments.frames.parent.iterdir()) == []


@pytest.mark.parametrize("metadata", [{"corpus": "cafe", "profile": "h1"}, {"corpus": "emodb", "profile": "h2"}])
def test_a_plan_of_another_corpus_or_profile_is_refused(noisy_arguments, metadata):
    write_plan(noisy_arguments.plan, map(plan_row, NAMES), metadata)
    with pytest.raises(StoreError, match=r"corpus|profile"):
        main(noisy_arguments)


def test_audio_of_another_corpus_is_refused(arguments):
    arguments.corpus = "cafe"
    with pytest.raises(StoreError, match="corpus is 'emodb'"):
        main(arguments)


def test_a_profile_needs_plan_and_clips_and_clean_takes_neither(arguments, noisy_arguments):
    noisy_arguments.clips = None
    with pytest.raises(ConfigError, match="--plan and --clips"):
        main(noisy_arguments)
    noisy_arguments.condition = "clean"
    with pytest.raises(ConfigError, match="neither with clean"):
        main(noisy_arguments)
