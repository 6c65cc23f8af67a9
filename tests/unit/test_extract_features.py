import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.backbones.base import load_backbone
from serflow.backbones.weights import read_weights
from serflow.errors import AudioError, ConfigError, NoiseError, StoreError, WeightsError
from serflow.features.base import FeatureInfo, load_feature
from serflow.files import read_sealed_json, write_sealed_json
from serflow.noise.mixing import PlanRow, write_plan
from serflow.stages.extract_features import main
from serflow.stages.measure_corpus import main as measure
from serflow.stages.prepare_weights import main as prepare_weights
from serflow.stores.frames import iterate_frames
from serflow.stores.parquet import read_metadata, write_table
from serflow.stores.vectors import iterate_vectors

NAMES = ["utt_a", "utt_b", "utt_c"]
AUDIO = {"corpus": "emodb", "synthetic": True, "shard": "0001", "n_shards": 2}
CLIP = (1000 * np.sin(np.arange(5000))).astype(np.int16)


def speech(index):
    return (3000 * np.random.default_rng(index).standard_normal(8000 + 500 * index)).astype(np.int16)


def plan_row(name, **changed):
    row = PlanRow(name, "natural", "1-1-A-10", 4000, -5.0, 6.0, -5.0, 0.5)
    return row._replace(**changed)


@pytest.fixture
def arguments(tmp_path):
    prepared = [PreparedUtterance(name, speech(i), 16000, 1, "PCM_16", 0) for i, name in enumerate(NAMES)]
    write_prepared(tmp_path / "0001.parquet", prepared, AUDIO)
    pcm16 = pa.array([CLIP.tobytes()], pa.binary())
    clips = pa.table({"clip": ["1-1-A-10"], "group": ["natural"], "fold": [1], "pcm16": pcm16})
    write_table(tmp_path / "clips.parquet", clips, kind="clips", metadata={"synthetic": False, "warnings": []})
    write_plan(tmp_path / "h1.parquet", map(plan_row, NAMES), {"corpus": "emodb", "profile": "h1"})
    return argparse.Namespace(
        feature="mfb",
        extractor=None,
        backbone=None,
        weights=None,
        statistics=None,
        mantissa_bits=None,
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
        "n_shards": 2,
        "rejected": {},
        "stand_ins": ["corpus"],
        "mantissa_bits": None,
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
    write_prepared(arguments.audio, [], AUDIO)
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


class Picky:
    """A feature that has nothing to say of utterances shorter than 8,200 samples."""

    info = FeatureInfo("picky", 16_000, 1, 1.0, "frames", "none")

    def __call__(self, waveform):
        if len(waveform) < 8200:
            raise AudioError("too short to be picked")
        return np.full((1, 1), len(waveform), np.float32)


class PickyBatch(Picky):
    def batch(self, waveforms):
        return [self(waveform) for waveform in waveforms]


@pytest.mark.parametrize("feature", [Picky(), PickyBatch()])
def test_an_utterance_that_has_no_such_feature_is_listed_with_its_reason(arguments, monkeypatch, feature, caplog):
    monkeypatch.setattr("serflow.stages.extract_features.load_feature", lambda *_: feature)
    main(arguments)
    rows = list(iterate_frames(arguments.frames))
    assert [(row.utterance, row.frames.item()) for row in rows] == [("utt_b", 8500), ("utt_c", 9000)]
    assert read_metadata(arguments.frames)["rejected"] == {"utt_a": "too short to be picked"}
    (warning,) = caplog.messages
    assert warning.endswith(f"1 of 3 utterances have no {arguments.feature} (1 too short to be picked); see the log")


def test_values_are_rounded_where_that_is_asked_for(arguments, tmp_path):
    main(arguments)
    whole = [row.frames for row in iterate_frames(arguments.frames)]
    arguments.mantissa_bits, arguments.frames = 10, tmp_path / "rounded.parquet"
    main(arguments)
    rounded = [row.frames for row in iterate_frames(arguments.frames)]
    assert read_metadata(arguments.frames)["mantissa_bits"] == 10
    for before, after in zip(whole, rounded, strict=True):
        assert not np.array_equal(before, after)
        np.testing.assert_allclose(after, before, rtol=2**-11)


def test_another_extractor_than_the_name(arguments):
    arguments.feature, arguments.extractor = "bands", "mfb"
    main(arguments)
    found = read_metadata(arguments.frames)
    assert (found["feature"], found["extractor"], found["dim"]) == ("bands", "mfb", 20)


@pytest.fixture
def with_network(arguments, tmp_path):
    """Arguments for byol with stand-in weights."""
    arguments.weights = tmp_path / "byol.json"
    prepare_weights(
        argparse.Namespace(
            backbone="byol", weights="stand-in", release=None, folder=tmp_path / "byol", record=arguments.weights
        )
    )
    arguments.feature, arguments.parameters = "byol", {}
    arguments.backbone = {"name": "byol", "device": "cpu", "precision": "fp32"}
    return arguments


def test_a_network_gives_vectors_and_the_metadata_name_its_weights(with_network):
    main(with_network)
    rows = list(iterate_vectors(with_network.frames))
    assert [row.utterance for row in rows] == NAMES
    found = read_metadata(with_network.frames)
    assert found["kind"] == "vectors"
    assert found["stand_ins"] == ["corpus", "weights"]
    assert found["backbone"]["name"] == "byol"
    assert found["weights"] == read_weights(with_network.weights).describe()


def test_weights_that_were_changed_after_their_record_are_refused(with_network):
    file = next(path for path in (with_network.weights.parent / "byol").rglob("*") if path.is_file())
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=file.name):
        main(with_network)
    assert not with_network.frames.exists()


def test_a_network_and_its_weights_are_given_together(with_network):
    with_network.weights = None
    with pytest.raises(ConfigError, match="--backbone and --weights together"):
        main(with_network)


# What a whole corpus is standardised by


@pytest.fixture
def byol(tmp_path, noisy_arguments):
    """Arguments of both stages, of a corpus in two shards and of a stand-in for BYOL."""
    second = tmp_path / "0002.parquet"
    quiet = [PreparedUtterance("utt_d", speech(7) // 100, 16000, 1, "PCM_16", 0)]
    write_prepared(second, quiet, {**AUDIO, "shard": "0002"})
    write_plan(tmp_path / "h1.parquet", map(plan_row, [*NAMES, "utt_d"]), {"corpus": "emodb", "profile": "h1"})
    record = tmp_path / "weights.json"
    prepare_weights(
        argparse.Namespace(
            backbone="byol", weights="stand-in", release=None, folder=tmp_path / "weights", files=None, record=record
        )
    )
    noisy_arguments.feature = "byol"
    noisy_arguments.parameters = {"standardise": "corpus"}
    noisy_arguments.backbone = {"name": "byol", "device": "cpu", "precision": "fp32"}
    noisy_arguments.weights = record
    noisy_arguments.statistics = tmp_path / "byol.json"
    whole = argparse.Namespace(**{**vars(noisy_arguments), "audio": [noisy_arguments.audio, second]})
    return noisy_arguments, whole


def test_a_corpus_is_standardised_by_the_averages_over_its_utterances_as_they_are_heard(byol, tmp_path):
    arguments, whole = byol
    measure(whole)
    network = load_backbone("byol", Path(read_weights(arguments.weights).path))
    waveforms = []
    for samples in (*(speech(index) for index in range(3)), speech(7) // 100):
        looped = np.resize(np.roll(CLIP, -4000), len(samples)) / 32768
        waveforms.append((0.5 * (samples / 32768 + looped * 10 ** (6 / 20))).astype(np.float32))
    measured = np.array([network.measure(waveform) for waveform in waveforms])
    found = read_sealed_json(tmp_path / "byol.json")
    assert (found["mean"], found["deviation"]) == pytest.approx(tuple(measured.mean(0)), rel=1e-4)
    assert (found["utterances"], found["condition"], len(found["sources"]["audio"])) == (4, "h1", 2)
    main(arguments)
    told = network.standardised_by(found["mean"], found["deviation"])
    rows = list(iterate_vectors(arguments.frames))
    assert [row.utterance for row in rows] == NAMES
    for row, waveform in zip(rows, waveforms, strict=False):
        np.testing.assert_allclose(row.frames, told([waveform], "vector")[0], atol=1e-3)
    metadata = read_metadata(arguments.frames)
    assert metadata["statistics"] == {name: found[name] for name in ("mean", "deviation")}
    assert metadata["backbone"]["normalisation"] == "corpus"


@pytest.mark.parametrize(("name", "other"), [("corpus", "cafe"), ("condition", "clean"), ("feature", "byol_frames")])
def test_statistics_of_something_else_are_refused(byol, name, other):
    arguments, whole = byol
    measure(whole)
    content = {**read_sealed_json(arguments.statistics), name: other}
    write_sealed_json(arguments.statistics, content)
    with pytest.raises(StoreError, match=rf"byol\.json: of {name} {other} and not "):
        main(arguments)


def test_a_network_whose_input_is_not_standardised_is_refused(byol):
    _, whole = byol
    record = whole.weights
    prepare_weights(
        argparse.Namespace(
            backbone="ge2e", weights="stand-in", release=None, folder=record.parent / "ge2e", files=None, record=record
        )
    )
    whole.feature, whole.backbone = "ge2e", {**whole.backbone, "name": "ge2e"}
    with pytest.raises(ConfigError, match=r"features\.ge2e\.standardise: the input of ge2e is not standardised"):
        measure(whole)


def test_a_corpus_without_sound_is_refused(byol, tmp_path):
    _, whole = byol
    silence = PreparedUtterance("utt_a", np.zeros(8000, np.int16), 16000, 1, "PCM_16", 0)
    write_prepared(tmp_path / "silent.parquet", [silence], AUDIO)
    whole.audio, whole.condition, whole.plan, whole.clips = [tmp_path / "silent.parquet"], "clean", None, None
    with pytest.raises(StoreError, match="no sound in the 1 utterances of emodb"):
        measure(whole)
