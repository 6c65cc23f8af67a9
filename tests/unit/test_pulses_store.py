"""Pitch pulses of a corpus: found by the stage, kept by the store, cut like the waveforms they belong to."""

import argparse
import logging
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from serflow.audio.prepared import PreparedUtterance, iterate_prepared, write_prepared
from serflow.cli import app
from serflow.errors import AudioError, ConfigError, StoreError
from serflow.features.pitch_pulse import PitchPulse, build
from serflow.inspection.describe import describe
from serflow.stages.find_pulses import main
from serflow.stores.parquet import read_metadata
from serflow.stores.pulses import CorpusPulses, PulseRow, iterate_pulses, write_pulses

PITCHES = (110, 0, 240, 170, 0, 130)
"""Hz of the utterances; 0 is noise, in which Praat finds no pulse."""


def sound(pitch, n_samples=12_000, seed=0):
    """Return a buzz of 20 partials over noise, ``(n_samples,)`` int16."""
    time = np.arange(n_samples) / 16_000
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    partials = sum(np.cos(2 * np.pi * partial * pitch * time) / partial for partial in range(1, 21)) if pitch else 0
    return (500 * noise * (1 if not pitch else 0.01) + 3000 * partials).astype(np.int16)


@pytest.fixture
def audio(tmp_path):
    """Three utterances in each of two shards."""
    shards = [tmp_path / "audio" / f"{place:04d}.parquet" for place in range(2)]
    for place, shard in enumerate(shards):
        rows = range(3 * place, 3 * place + 3)
        items = [
            PreparedUtterance(f"u{row}", sound(PITCHES[row], 12_000 + row), 16_000, 1, "PCM_16", 0) for row in rows
        ]
        write_prepared(shard, items, {"corpus": "toy", "synthetic": True, "shard": shard.stem, "n_shards": 2})
    return shards


def find(audio, folder, **changed):
    given = {"parameters": {"floor_hz": 75.0, "ceiling_hz": 600.0}, "code": "0123456789abcdef", **changed}
    shards = [folder / "results" / "pulses" / "toy" / shard.name for shard in audio]
    for shard, pulses in zip(audio, shards, strict=True):
        main(argparse.Namespace(audio=shard, pulses=pulses, **given))
    return shards


@pytest.fixture
def shards(audio, tmp_path):
    return find(audio, tmp_path)


def test_the_train_of_an_utterance_is_that_of_the_feature(audio, shards):
    feature, pulses = build({}), CorpusPulses.open(shards)
    items = [item for shard in audio for item in iterate_prepared(shard)]
    assert pulses.utterances == [item.utterance for item in items]
    for row, item in enumerate(items):
        assert pulses.row_of[item.utterance] == row
        assert pulses.lengths[row] == len(item.pcm16)
        assert (len(pulses[row]) > 50) == bool(PITCHES[row])
        train = pulses.train(row, item.waveform)
        assert train.dtype == np.float32
        np.testing.assert_array_equal(train, feature.pulse_train(item.waveform))


@pytest.mark.parametrize(("start", "length"), [(0, 12_000), (0, 100), (5_000, 3_000), (11_000, 1_000), (700, 1)])
def test_the_train_of_a_crop_is_the_crop_of_the_train(audio, shards, start, length):
    pulses = CorpusPulses.open(shards)
    for row, item in enumerate(item for shard in audio for item in iterate_prepared(shard)):
        crop = slice(start, start + length)
        found = pulses.train(row, 0.25 * item.waveform[crop], start)
        np.testing.assert_array_equal(found, 0.25 * pulses.train(row, item.waveform)[crop])


def test_crops_begin_and_end_at_a_pulse_as_asked():
    pulses = CorpusPulses([PulseRow("u", 20, np.array([0, 4, 9, 19]))], {})
    waveform = np.arange(1, 21, dtype=np.float32)
    for start, stop, values in [
        (4, 9, {4: 5}),
        (4, 10, {4: 5, 9: 10}),
        (5, 9, {}),
        (0, 20, {0: 1, 4: 5, 9: 10, 19: 20}),
    ]:
        expected = np.zeros(20, np.float32)
        expected[list(values)] = list(values.values())
        np.testing.assert_array_equal(pulses.train(0, waveform[start:stop], start), expected[start:stop])


def test_metadata_say_how_they_were_found_and_how_many_have_none(audio, shards):
    found = read_metadata(shards[1])
    expected = {
        "kind": "pulses",
        "corpus": "toy",
        "synthetic": True,
        "parameters": {"floor_hz": 75.0, "ceiling_hz": 600.0},
        "code": "0123456789abcdef",
        "shard": "0001",
        "n_shards": 2,
        "n_utterances": 3,
        "n_without": 1,
        "rejected": {},
        "sources": {"audio": read_metadata(audio[1])["data_sha256"]},
    }
    assert {key: found[key] for key in expected} == expected
    of_all = CorpusPulses.open(shards).metadata
    assert (of_all["n_utterances"], of_all["n_without"]) == (6, 2)
    assert of_all["sources"] == {"audio": [read_metadata(shard)["data_sha256"] for shard in audio]}


def test_floor_and_ceiling_are_those_that_are_asked_for(audio, tmp_path):
    first, second = (
        CorpusPulses.open(find(audio, tmp_path / str(ceiling), parameters={"floor_hz": 75.0, "ceiling_hz": ceiling}))
        for ceiling in (600.0, 150.0)
    )
    assert np.median(np.diff(first[2])) == pytest.approx(16_000 / 240, abs=1)
    # an octave lower: two periods
    assert np.median(np.diff(second[2])) == pytest.approx(16_000 / 120, abs=1)
    with pytest.raises(ConfigError, match="floor_hz"):
        find(audio, tmp_path, parameters={"floor_hz": 700.0})


def test_the_same_shard_gives_the_same_bytes(audio, shards, tmp_path):
    for one, other in zip(shards, find(audio, tmp_path / "again"), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_what_praat_cannot_analyse_is_rejected_with_its_reason(audio, tmp_path, monkeypatch, caplog):
    def refuse(self, waveform):
        if len(waveform) == 12_001:
            raise AudioError("Praat could not look for pitch pulses: no")
        return np.array([3, 7])

    monkeypatch.setattr(PitchPulse, "nearest_samples", refuse)
    with caplog.at_level(logging.WARNING):
        shards = find(audio, tmp_path)
    said = CorpusPulses.open(shards).metadata
    assert said["rejected"] == {"u1": "Praat could not look for pitch pulses: no"}
    assert (said["n_utterances"], said["n_without"]) == (5, 0)
    assert "toy: Praat cannot look for the pulses of 1 of 3 utterances" in caplog.text


def test_an_empty_shard_is_legal(tmp_path):
    write_prepared(tmp_path / "0000.parquet", [], {"corpus": "toy", "synthetic": True, "shard": "0000", "n_shards": 1})
    (shard,) = find([tmp_path / "0000.parquet"], tmp_path)
    assert len(CorpusPulses.open([shard])) == 0
    assert describe(shard).as_json()["facts"]["pulses"] == 0


@pytest.mark.parametrize("pulses", [[3, 2], [3, 3], [-1, 4], [4, 10]])
def test_pulses_that_cannot_be_are_refused(tmp_path, pulses):
    with pytest.raises(StoreError, match=r"x\.parquet: pulses of u1 are no rising samples of its 10"):
        write_pulses(tmp_path / "x.parquet", [PulseRow("u1", 10, np.array(pulses))], dict)
    assert not (tmp_path / "x.parquet").exists()


def test_many_utterances_are_read_as_they_were_written(tmp_path):
    generator = np.random.default_rng(0)
    rows = [PulseRow(f"u{i}", 900, np.flatnonzero(generator.random(900) < 0.01 * (i % 3))) for i in range(1_200)]
    counts = write_pulses(tmp_path / "x.parquet", rows, dict)
    found = list(iterate_pulses(tmp_path / "x.parquet"))
    assert counts == {"n_utterances": 1_200, "n_without": sum(not len(row.pulses) for row in rows)}
    assert counts["n_without"] >= 400
    assert [row[:2] for row in found] == [row[:2] for row in rows]
    for row, other in zip(rows, found, strict=True):
        np.testing.assert_array_equal(row.pulses, other.pulses)


def test_all_shards_of_one_corpus_are_needed_and_each_once(audio, shards, tmp_path):
    with pytest.raises(StoreError, match=r"1 shards given of a corpus of 2; give all of them"):
        CorpusPulses.open(shards[:1])
    twin = shutil.copy(shards[0], tmp_path / "twin.parquet")
    with pytest.raises(StoreError, match=r"twin\.parquet: is shard 0000, and so is"):
        CorpusPulses.open([shards[0], twin])
    other = find(audio, tmp_path / "other", parameters={"floor_hz": 60.0})
    with pytest.raises(StoreError, match=r"0001\.parquet: made with another parameters"):
        CorpusPulses.open([shards[0], other[1]])
    with pytest.raises(StoreError, match="no shard is given"):
        CorpusPulses.open([])
    with pytest.raises(StoreError, match="corpus is 'toy' where 'emodb'"):
        CorpusPulses.open(shards, expect={"corpus": "emodb"})


def test_the_description_names_who_has_no_pulse(shards):
    about = describe(shards[0].parent).as_json()
    facts = about["facts"]
    assert about["warnings"][0].startswith("synthetic corpus")
    assert (facts["corpus"], facts["rows"], facts["shards"], facts["without_a_pulse"]) == ("toy", 6, 2, 2)
    assert facts["pulses"] == sum(len(row.pulses) for shard in shards for row in iterate_pulses(shard))
    assert 110 < facts["median_pitch"] < 240
    assert facts["duration"]["total"] == pytest.approx(sum(12_000 + row for row in range(6)) / 16_000)
    assert about["tables"] == [{"title": "Without a pulse", "columns": ["utterance"], "rows": [["u1"], ["u4"]]}]
    assert describe(shards[0]).as_json()["facts"]["without_a_pulse"] == 1


def test_verify_knows_where_a_shard_belongs(shards):
    folder = shards[0].parents[2]
    assert CliRunner().invoke(app, ["verify", str(folder)]).exit_code == 0
    (folder / "pulses" / "other").mkdir()
    shutil.copy(shards[0], folder / "pulses" / "other" / "0000.parquet")
    done = CliRunner().invoke(app, ["verify", str(folder)])
    assert done.exit_code == 1
    assert "is pulses/toy/0000.parquet by what it says" in " ".join(done.output.split())
