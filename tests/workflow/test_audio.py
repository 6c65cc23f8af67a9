"""Audio packed for training, beside the packed features."""

from pathlib import Path

import numpy as np
import pytest

from serflow.audio.prepared import iterate_prepared
from serflow.features.pitch_pulse import build
from serflow.stores.pulses import CorpusPulses
from serflow.stores.waveforms import PackedWaveforms

# isort: split
from harness import Workflow

pytestmark = pytest.mark.workflow

# the worst names that a config can have: a feature of the folder's name, two shards
CONFIG = """
synthetic: {utterances: 42}
corpora: {emodb: {shards: 2}}
features: {audio: {extractor: mfcc}}
"""
INDEX = "results/packed/audio/emodb.parquet"


def test_packed_audio_and_a_feature_called_audio_are_two_things(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, CONFIG)
    assert workflow.plan(INDEX) == {
        "make_synthetic_corpus": 1,
        "list_utterances": 1,
        "prepare_audio": 2,
        "pack_audio": 1,
    }
    jobs = workflow.plan("results/packed/audio/emodb/clean.parquet")
    assert (jobs["pack_features"], jobs["extract_features"]) == (1, 2)
    assert "pack_audio" not in jobs


def test_the_prepared_audio_of_a_corpus_is_packed_once(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, CONFIG)
    workflow.run(INDEX, "--cores", "1")
    assert workflow.plan(INDEX, "results/packed/audio/emodb.npy") == {}
    shards = sorted((tmp_path / "results/audio/emodb").glob("*.parquet"))
    items = [item for shard in shards for item in iterate_prepared(shard)]
    store = PackedWaveforms.open(tmp_path / INDEX, expect={"corpus": "emodb", "synthetic": True, "n_shards": 2})
    assert store.utterances == [item.utterance for item in items]
    for row, item in enumerate(items):
        np.testing.assert_array_equal(store[row], item.pcm16)
    assert workflow.faults() == []


def test_pulses_are_found_as_the_feature_of_them_is_told(repository: Path, tmp_path: Path) -> None:
    workflow = Workflow(repository, tmp_path, CONFIG.replace("mfcc}", "mfcc}, pitch_pulse: {floor_hz: 60.0}"))
    shards = [f"results/pulses/emodb/{shard:04d}.parquet" for shard in range(2)]
    workflow.run(*shards, "--cores", "1")
    assert workflow.plan(*shards) == {}
    # of the feature's parameters, these are the pulses' own
    assert workflow.plan(*shards, '--config=features={"pitch_pulse": {"n_mels": 20}}') == {}
    assert workflow.plan(*shards, '--config=features={"pitch_pulse": {"ceiling_hz": 500}}') == {"find_pulses": 2}
    pulses = CorpusPulses.open([tmp_path / shard for shard in shards], expect={"corpus": "emodb", "synthetic": True})
    assert pulses.metadata["parameters"] == {"floor_hz": 60.0, "ceiling_hz": 600.0}
    feature = build({"floor_hz": 60.0})
    items = [item for shard in shards for item in iterate_prepared(tmp_path / shard.replace("pulses", "audio"))]
    assert pulses.utterances == [item.utterance for item in items]
    for row, item in enumerate(items):
        np.testing.assert_array_equal(pulses.train(row, item.waveform), feature.pulse_train(item.waveform))
    assert workflow.faults() == []
