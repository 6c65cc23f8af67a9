"""Audio packed for training, beside the packed features."""

from pathlib import Path

import numpy as np
import pytest

from serflow.audio.prepared import iterate_prepared
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
