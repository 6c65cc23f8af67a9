import shutil
import tracemalloc
from argparse import Namespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from serflow.audio.prepared import AUDIO_KIND, AUDIO_SCHEMA, PreparedUtterance, iterate_prepared, write_prepared
from serflow.cli import app
from serflow.errors import StoreError
from serflow.inspection.describe import describe
from serflow.inspection.describers.waveforms import describe_waveforms
from serflow.stages.pack_audio import main as pack_audio
from serflow.stores.parquet import iterate_batches, read_metadata, write_batches, write_table
from serflow.stores.waveforms import PackedWaveforms, pack_waveforms

METADATA = {"corpus": "emodb", "synthetic": False, "n_shards": 2, "options": {"min_duration_s": 0.1}}


def utterances(n, start=0):
    generator = np.random.default_rng(start)
    return [
        PreparedUtterance(
            f"utt{start + i:03d}",
            generator.integers(-32768, 32768, 1600 + 7 * i, dtype=np.int16),
            *(44_100, 1, "PCM_16", 0),
        )
        for i in range(n)
    ]


def write_shards(folder, **changed):
    folder.mkdir(exist_ok=True)
    paths = [folder / "0000.parquet", folder / "0001.parquet"]
    for index, path in enumerate(paths):
        metadata = {**METADATA, "shard": path.stem, "sources": f"digest of the files of shard {index}", **changed}
        write_prepared(path, utterances(70, 100 * index), metadata)
    return paths


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / "shards")


@pytest.fixture
def packed(shards, tmp_path):
    pack_waveforms(shards, tmp_path / "emodb.npy", tmp_path / "emodb.parquet")
    return tmp_path / "emodb.parquet"


def test_the_packed_audio_is_the_shards_one_after_the_other(packed, shards):
    items = [item for shard in shards for item in iterate_prepared(shard)]
    store = PackedWaveforms.open(packed, expect={"corpus": "emodb"})
    assert len(store) == len(items) == 140
    assert store.utterances == [item.utterance for item in items]
    assert store.sample_rate == 16_000
    np.testing.assert_array_equal(store.array, np.concatenate([item.pcm16 for item in items]))
    for row, item in enumerate(items):
        assert store.row_of[item.utterance] == row
        assert store[row].dtype == np.int16
        np.testing.assert_array_equal(store[row], item.pcm16)
        # the same numbers as every feature is computed from
        np.testing.assert_array_equal(store.waveform(row), item.waveform)


def test_the_array_is_mapped_and_an_utterance_is_a_view_of_it(packed):
    store = PackedWaveforms.open(packed)
    assert isinstance(store.array, np.memmap)
    assert np.shares_memory(store[3], store.array)
    with pytest.raises(ValueError, match="read-only"):
        store[3][0] = 0


def test_a_crop_is_float32_in_one_array_of_its_own(packed):
    store = PackedWaveforms.open(packed)
    crop = store.waveform(5, start=200, length=1000)
    assert type(crop) is np.ndarray
    assert crop.dtype == np.float32
    assert -1 <= crop.min() < crop.max() < 1
    np.testing.assert_array_equal(crop, store[5][200:1200].astype(np.float32) / 32768)
    np.testing.assert_array_equal(store.waveform(5, start=1600), store.waveform(5)[1600:])
    crop[:] = 0
    assert store[5].any()


def test_a_crop_does_not_read_the_whole(tmp_path):
    long = PreparedUtterance("long", np.ones(8_000_000, np.int16), 16_000, 1, "PCM_16", 0)
    write_prepared(tmp_path / "0000.parquet", [long], {**METADATA, "n_shards": 1, "shard": "0000"})
    pack_waveforms([tmp_path / "0000.parquet"], tmp_path / "x.npy", tmp_path / "x.parquet")
    store = PackedWaveforms.open(tmp_path / "x.parquet")
    tracemalloc.start()
    store.waveform(0, start=4_000_000, length=1000)
    assert tracemalloc.get_traced_memory()[1] < 20_000
    tracemalloc.stop()


@pytest.mark.parametrize(("start", "length"), [(-1, 10), (0, 1636), (1635, 1), (1000, -1), (1636, None)])
def test_samples_of_the_neighbours_cannot_be_had(packed, start, length):
    """Utterance 5 has 1635 samples; those after them are the next one's."""
    store = PackedWaveforms.open(packed)
    assert len(store.waveform(5, 0, 1635)) == 1635
    assert len(store.waveform(5, 1635, 0)) == 0
    with pytest.raises(StoreError, match=r"utt005: samples -?\d+ to \d+ were asked for and it has 1635"):
        store.waveform(5, start, length)


def test_the_index_says_what_the_shards_said_and_names_them(packed, shards):
    found = read_metadata(packed)
    assert {key: found[key] for key in ("kind", "corpus", "sample_rate", "synthetic", "n_shards", "options")} == {
        "kind": "packed_audio",
        "corpus": "emodb",
        "sample_rate": 16_000,
        "synthetic": False,
        "n_shards": 2,
        "options": METADATA["options"],
    }
    assert found["sources"] == {"audio": [read_metadata(shard)["data_sha256"] for shard in shards]}
    assert "shard" not in found


def test_a_stand_in_stays_one(tmp_path):
    shards = write_shards(tmp_path / "shards", synthetic=True)
    pack_waveforms(shards, tmp_path / "x.npy", tmp_path / "x.parquet")
    assert read_metadata(tmp_path / "x.parquet")["synthetic"] is True


def test_others_can_read_it(packed, shards):
    index = pd.read_parquet(packed)
    assert list(index.columns) == ["utterance", "offset", "n_samples"]
    array = np.load(packed.with_suffix(".npy"), allow_pickle=False)
    row = index.iloc[75]
    item = list(iterate_prepared(shards[1]))[5]
    assert row.utterance == item.utterance
    np.testing.assert_array_equal(array[row.offset : row.offset + row.n_samples], item.pcm16)


def test_the_stage_packs_the_same_bytes(packed, shards, tmp_path):
    (tmp_path / "again").mkdir()
    array, index = tmp_path / "again" / "emodb.npy", tmp_path / "again" / "emodb.parquet"
    pack_audio(Namespace(shards=shards, array=array, index=index))
    for path in (array, index):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_memory_does_not_grow_with_the_corpus(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(-9999, 9999, 500_000, dtype=np.int16)
    held = []

    def watched(*arguments, **options):
        for batch in iterate_batches(*arguments, **options):
            held.append(pa.total_allocated_bytes())
            yield batch

    monkeypatch.setattr("serflow.stores.waveforms.iterate_batches", watched)

    def most_held(n):
        rows = (PreparedUtterance(f"utt{i}", noise, 16_000, 1, "PCM_16", 0) for i in range(n))
        write_prepared(tmp_path / "0000.parquet", rows, {**METADATA, "n_shards": 1, "shard": "0000"})
        before = pa.total_allocated_bytes()
        held.clear()
        pack_waveforms([tmp_path / "0000.parquet"], tmp_path / "x.npy", tmp_path / "x.parquet")
        return max(held) - before

    assert 0 < most_held(90) < 1.5 * most_held(30)


def test_shards_made_otherwise_are_not_packed(shards, tmp_path):
    write_prepared(shards[1], utterances(3), {**METADATA, "shard": "0001", "options": {"min_duration_s": 1}})
    with pytest.raises(StoreError, match=r"0001\.parquet: made with another options"):
        pack_waveforms(shards, tmp_path / "x.npy", tmp_path / "x.parquet")
    assert not (tmp_path / "x.npy").exists()


def test_all_shards_of_a_corpus_are_needed_and_each_once(shards, tmp_path):
    with pytest.raises(StoreError, match=r"1 shards given of a corpus of 2; give all of them"):
        pack_waveforms(shards[:1], tmp_path / "x.npy", tmp_path / "x.parquet")
    twin = shutil.copy(shards[0], tmp_path / "twin.parquet")
    with pytest.raises(StoreError, match=r"twin\.parquet: is shard 0000, and so is"):
        pack_waveforms([shards[0], twin], tmp_path / "x.npy", tmp_path / "x.parquet")
    with pytest.raises(StoreError, match="without shards"):
        pack_waveforms([], tmp_path / "x.npy", tmp_path / "x.parquet")


def test_what_is_not_audio_is_not_packed(tmp_path):
    write_table(tmp_path / "x.parquet", pa.table({"a": [1]}), kind="split")
    with pytest.raises(StoreError, match=r"x\.parquet: holds split, not audio; give shards of results/audio"):
        pack_waveforms([tmp_path / "x.parquet"], tmp_path / "y.npy", tmp_path / "y.parquet")


def test_audio_at_two_rates_and_no_audio_at_all_are_not_packed(tmp_path):
    row = {"utterance": "a", "sample_rate": 8000, "n_samples": 2, "pcm16": b"\1\0\1\0", "source_rate": 8000}
    rows = [row | {"source_channels": 1, "source_subtype": "PCM_16", "clipped_samples": 0, "sample_rate": rate}
            for rate in (8000, 16_000)]  # fmt: skip
    metadata = {**METADATA, "n_shards": 1, "shard": "0000"}
    for name, listed, told in (("two", rows, "audio at 8000 and 16000 Hz"), ("none", [], "no utterance")):
        table = pa.Table.from_pylist(listed, schema=AUDIO_SCHEMA)
        write_batches(tmp_path / name, AUDIO_SCHEMA, [table], kind=AUDIO_KIND, metadata=metadata)
        with pytest.raises(StoreError, match=f"the shards of emodb hold {told}"):
            pack_waveforms([tmp_path / name], tmp_path / "x.npy", tmp_path / "x.parquet")
    assert not list(tmp_path.glob("*x.*"))


def damage(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_damage_is_found_in_shards_index_and_array(packed, shards, tmp_path):
    damage(shards[1], 500)
    with pytest.raises(StoreError, match=r"0001\.parquet.*SHA-256"):
        pack_waveforms(shards, tmp_path / "x.npy", tmp_path / "x.parquet")
    assert not (tmp_path / "x.npy").exists()
    damage(packed.with_suffix(".npy"), -1)
    with pytest.raises(StoreError, match=r"emodb\.npy: does not match"):
        PackedWaveforms.open(packed)
    packed.with_suffix(".npy").unlink()
    with pytest.raises(StoreError, match=r"emodb\.npy: missing beside"):
        PackedWaveforms.open(packed)
    damage(packed, 50)
    with pytest.raises(StoreError, match=r"emodb\.parquet.*SHA-256"):
        PackedWaveforms.open(packed)


def test_an_index_of_another_corpus_is_refused(packed):
    with pytest.raises(StoreError, match="corpus is 'emodb' where 'cafe'"):
        PackedWaveforms.open(packed, expect={"corpus": "cafe"})


# ---- what the command line says


@pytest.fixture
def results(tmp_path):
    """A results folder: packed audio, and a table that lists one utterance more and one less."""
    shards = write_shards(tmp_path / "shards", synthetic=True)
    folder = tmp_path / "results" / "packed" / "audio"
    folder.mkdir(parents=True)
    pack_waveforms(shards, folder / "emodb.npy", folder / "emodb.parquet")
    names = [*PackedWaveforms.open(folder / "emodb.parquet").utterances[1:], "utt999"]
    same = {"speaker": "a", "emotion": "anger", "duration_s": 1.0, "shard": "0000"}
    table = pa.Table.from_pylist([{"utterance": name, **same} for name in names])
    (tmp_path / "results" / "corpora" / "emodb").mkdir(parents=True)
    write_table(tmp_path / "results/corpora/emodb/utterances.parquet", table, kind="utterances")
    return tmp_path / "results"


def test_the_description_says_how_long_and_how_loud_and_what_is_missing(results, packed):
    about = describe_waveforms(results / "packed/audio/emodb.parquet")
    facts = about.as_json()["facts"]
    assert about.warnings[0].startswith("synthetic corpus")
    assert about.warnings[1:] == ["missing without a reason: utt999", "not in the corpus's utterance table: utt000"]
    assert (facts["corpus"], facts["utterances"], facts["sample_rate"], facts["missing"]) == ("emodb", 140, 16_000, 1)
    n_samples = np.array([1600 + 7 * i for i in range(70)] * 2)
    assert facts["duration"]["total"] == pytest.approx(n_samples.sum() / 16_000)
    assert facts["duration"]["median"] == pytest.approx(np.median(n_samples) / 16_000)
    assert 0 <= facts["peaks"]["min"] <= facts["peaks"]["max"] < 0.1
    alone = describe_waveforms(packed)
    assert alone.as_json()["facts"]["compared_with_corpus"] is False
    assert not alone.warnings


def test_verify_reads_the_array_too(results):
    assert CliRunner().invoke(app, ["verify", str(results)]).exit_code == 0
    damage(results / "packed/audio/emodb.npy", -1)
    done = CliRunner().invoke(app, ["verify", str(results)])
    assert done.exit_code == 1
    assert "emodb.npy: does not match" in done.output


def test_inspect_finds_the_describer_by_what_the_index_holds(packed):
    assert describe(packed) == describe_waveforms(packed)
