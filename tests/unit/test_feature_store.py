import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serflow.errors import StoreError
from serflow.stores.features import FeatureStore
from serflow.stores.frames import ROW_GROUP, FrameRow, pack_frames, write_frames
from serflow.stores.parquet import write_table
from serflow.stores.vectors import write_vectors

DIM = 4
N_SHARDS = 3
METADATA = {
    "feature": "mfb",
    "parameters": {"n_mels": 4},
    "hop_s": 0.01,
    "units": "ln power",
    "corpus": "emodb",
    "condition": "h1",
    "code": "c0de",
    "weights": {"release": "base", "sha256": "1" * 64},
    "n_shards": N_SHARDS,
}


def make_rows(shard, n_rows=5, kind="frames"):
    generator = np.random.default_rng(shard)
    return [
        FrameRow(
            f"utt{shard}{i:02d}",
            generator.standard_normal((1 if kind == "vectors" else 2 + (i * 7) % 5, DIM)).astype(np.float32),
        )
        for i in range(n_rows)
    ]


def write_shard(folder, shard, kind="frames", n_rows=5, **changed):
    metadata = {
        **METADATA,
        "hop_s": 0.01 if kind == "frames" else None,
        "shard": f"{shard:04d}",
        "rejected": {f"bad{shard}": "too short"},
        "sources": {"audio": f"audio{shard}", "plan": "plan"},
        **changed,
    }
    write = write_frames if kind == "frames" else write_vectors
    write(folder / f"{shard:04d}.parquet", make_rows(shard, n_rows, kind), DIM, metadata)


@pytest.fixture(params=["frames", "vectors"])
def kind(request):
    return request.param


@pytest.fixture
def folder(tmp_path, kind):
    folder = tmp_path / "results" / "features" / "mfb" / "emodb" / "h1"
    for shard in range(N_SHARDS):
        write_shard(folder, shard, kind)
    return folder


@pytest.fixture
def rows(kind):
    return [row for shard in range(N_SHARDS) for row in make_rows(shard, kind=kind)]


@pytest.fixture
def index(folder, tmp_path):
    index = tmp_path / "results" / "packed" / "mfb" / "emodb" / "h1.parquet"
    pack_frames(sorted(folder.iterdir()), index.with_suffix(".npy"), index)
    return index


def assert_holds(store, rows, kind):
    assert store.kind == kind
    assert store.dim == DIM
    assert store.hop_s == (0.01 if kind == "frames" else None)
    assert len(store) == store.n_utterances == len(rows)
    assert store.utterances() == [row.utterance for row in rows]
    for found, row in zip(store.iterate(), rows, strict=True):
        assert found.utterance == row.utterance
        np.testing.assert_array_equal(found.frames, row.frames)
    for row in reversed(rows):
        np.testing.assert_array_equal(store.read(row.utterance), row.frames)
    store.verify()


def test_a_folder_of_shards_is_one_store(folder, rows, kind):
    store = FeatureStore.open(folder, expect={"corpus": "emodb"})
    assert_holds(store, rows, kind)
    assert [shard.name for shard in store.shards] == ["0000.parquet", "0001.parquet", "0002.parquet"]
    assert store.rejected == {"bad0": "too short", "bad1": "too short", "bad2": "too short"}
    assert store.metadata["parameters"] == {"n_mels": 4}
    assert "shard" not in store.metadata


def test_one_shard_can_be_opened_alone(folder, kind):
    store = FeatureStore.open(folder / "0001.parquet")
    assert_holds(store, make_rows(1, kind=kind), kind)
    assert store.rejected == {"bad1": "too short"}


def test_the_packed_form_reads_alike(index, rows, kind):
    store = FeatureStore.open(index)
    assert store.packed
    assert_holds(store, rows, kind)
    assert store.rejected == {"bad0": "too short", "bad1": "too short", "bad2": "too short"}


def test_vectors_are_a_matrix_with_names_and_frames_are_not(folder, index, rows, kind):
    for path in (folder, index):
        store = FeatureStore.open(path)
        if kind == "frames":
            with pytest.raises(StoreError, match="holds frames"):
                store.vectors()
        else:
            names, values = store.vectors()
            assert names == [row.utterance for row in rows]
            np.testing.assert_array_equal(values, np.concatenate([row.frames for row in rows]))


def test_the_folder_is_one_table_for_others(folder, rows):
    assert pd.read_parquet(folder)["utterance"].tolist() == [row.utterance for row in rows]


def test_an_utterance_that_is_not_there_is_named_with_the_nearest(folder):
    with pytest.raises(StoreError, match=r"no utterance 'utt1030'; did you mean 'utt103'"):
        FeatureStore.open(folder).read("utt1030")
    with pytest.raises(StoreError, match="it has 15"):
        FeatureStore.open(folder).read("zzzzz")


def test_a_rejected_utterance_is_said_to_be_so(folder, index):
    for path in (folder, index):
        with pytest.raises(StoreError, match="bad1 was rejected: too short"):
            FeatureStore.open(path).read("bad1")


def test_a_missing_shard_is_named_with_the_command_that_builds_it(folder):
    (folder / "0001.parquet").unlink()
    with pytest.raises(StoreError, match=r"shard 0001 of 3 is missing.*snakemake .*/results/features/mfb/emodb/h1"):
        FeatureStore.open(folder)


def test_shards_that_do_not_say_how_many_they_are_must_be_consecutive(tmp_path):
    for shard in (0, 2):
        write_shard(tmp_path, shard, n_shards=None)
    with pytest.raises(StoreError, match="shard 0001 of 3 is missing"):
        FeatureStore.open(tmp_path)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"parameters": {"n_mels": 5}}, "parameters"),
        ({"code": "other"}, "code"),
        ({"weights": {"release": "large"}}, "weights"),
        ({"weights": None}, "weights"),
        ({"corpus": "cafe"}, "corpus"),
        ({"more": 1}, "more"),
        ({"sources": {"audio": "a", "plan": "other"}}, "source plan"),
    ],
)
def test_a_shard_made_otherwise_is_refused(folder, kind, changed, word):
    write_shard(folder, 1, kind, **changed)
    with pytest.raises(StoreError, match=rf"0001\.parquet: made with another {word} than .*0000\.parquet"):
        FeatureStore.open(folder)


def test_a_shard_rounded_otherwise_is_refused(tmp_path):
    write_shard(tmp_path, 0)
    metadata = {**METADATA, "shard": "0001", "sources": {"audio": "a", "plan": "plan"}}
    write_frames(tmp_path / "0001.parquet", make_rows(1), DIM, metadata, mantissa_bits=10)
    with pytest.raises(StoreError, match="another mantissa_bits"):
        FeatureStore.open(tmp_path)


def test_what_was_not_expected_is_refused(folder, index):
    for path in (folder, folder / "0001.parquet", index):
        with pytest.raises(StoreError, match="corpus is 'emodb' where 'cafe' was asked for"):
            FeatureStore.open(path, expect={"corpus": "cafe"})


def test_a_half_written_shard_is_refused_when_the_store_is_opened(folder):
    whole = (folder / "0002.parquet").read_bytes()
    (folder / "0002.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=r"0002\.parquet: not a whole Parquet file"):
        FeatureStore.open(folder)


def test_a_writer_at_work_leaves_nothing_that_is_taken_for_a_shard(folder, rows):
    (folder / ".0000.parquet.tmp-abc").write_bytes(b"half")
    (folder / ".0001.parquet").write_bytes(b"half")
    assert FeatureStore.open(folder).n_utterances == len(rows)


def test_damaged_values_are_found_when_they_are_read_and_only_then(folder, rows):
    shard = folder / "0001.parquet"
    offset = pq.read_metadata(shard).row_group(0).column(pq.read_metadata(shard).num_columns - 1).data_page_offset
    damaged = bytearray(shard.read_bytes())
    damaged[offset + 40] ^= 1
    shard.write_bytes(damaged)
    store = FeatureStore.open(folder)
    np.testing.assert_array_equal(store.read("utt000"), rows[0].frames)
    with pytest.raises(StoreError, match=r"0001\.parquet: the data do not match their SHA-256"):
        store.read("utt100")
    with pytest.raises(StoreError, match=r"0001\.parquet.*SHA-256"):
        list(store.iterate())
    with pytest.raises(StoreError, match=r"0001\.parquet.*SHA-256"):
        store.verify()


def test_verify_looks_again_at_what_was_already_read(folder):
    store = FeatureStore.open(folder)
    store.verify()
    shard = folder / "0000.parquet"
    damaged = bytearray(shard.read_bytes())
    damaged[30] ^= 1
    shard.write_bytes(damaged)
    with pytest.raises(StoreError, match="SHA-256"):
        store.verify()


def test_a_damaged_packed_array_is_found(index):
    array = index.with_suffix(".npy")
    damaged = bytearray(array.read_bytes())
    damaged[-1] ^= 1
    array.write_bytes(damaged)
    with pytest.raises(StoreError, match=r"h1\.npy: does not match"):
        FeatureStore.open(index).verify()


def test_files_of_others_are_refused(folder, tmp_path):
    shutil.copy(folder / "0000.parquet", folder / "notes.parquet")
    with pytest.raises(StoreError, match=r"is shard 0000, and so is"):
        FeatureStore.open(folder)
    pq.write_table(pa.table({"a": [1]}), folder / "notes.parquet")
    with pytest.raises(StoreError, match="not written by serflow"):
        FeatureStore.open(folder)
    write_table(folder / "notes.parquet", pa.table({"a": [1]}), kind="split")
    with pytest.raises(StoreError, match=r"notes\.parquet: holds 'split', not features"):
        FeatureStore.open(folder)


def test_a_shard_under_a_foreign_name_is_refused(folder):
    (folder / "0002.parquet").rename(folder / "backup.parquet")
    with pytest.raises(StoreError, match=r"backup\.parquet is none of the 3 shards"):
        FeatureStore.open(folder)


def test_the_packed_index_does_not_belong_among_the_shards(folder, index):
    shutil.copy(index, folder / "packed.parquet")
    with pytest.raises(StoreError, match=r"packed\.parquet: holds 'packed_frames'"):
        FeatureStore.open(folder)


def test_an_utterance_in_two_shards_is_refused(folder, kind):
    metadata = {**METADATA, "hop_s": 0.01 if kind == "frames" else None, "shard": "0001", "sources": {"plan": "plan"}}
    write = write_frames if kind == "frames" else write_vectors
    write(folder / "0001.parquet", make_rows(0, 1, kind), DIM, metadata)
    with pytest.raises(StoreError, match=r"0001\.parquet: utterance 'utt000' is also in 0000\.parquet"):
        FeatureStore.open(folder).utterances()


def test_a_folder_without_shards_says_what_it_has(folder):
    with pytest.raises(StoreError, match=r"holds no shard of features; it has folders h1: give one of them"):
        FeatureStore.open(folder.parent)
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(StoreError, match=r"holds no shard of features; build it with `snakemake"):
        FeatureStore.open(folder)


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"nothing\.parquet: no such file"):
        FeatureStore.open(tmp_path / "nothing.parquet")


def test_a_store_without_utterances_can_be_opened(tmp_path, kind):
    write_shard(tmp_path, 0, kind, n_rows=0, n_shards=1)
    store = FeatureStore.open(tmp_path)
    assert store.utterances() == []
    assert list(store.iterate()) == []


def test_packing_wants_all_shards(folder, tmp_path):
    with pytest.raises(StoreError, match="2 shards given of a store of 3"):
        pack_frames(sorted(folder.iterdir())[:2], tmp_path / "x.npy", tmp_path / "x.parquet")


@pytest.fixture
def large(tmp_path):
    """Two shards of 16 row groups of 0.6 MB each: 20 MB, which do not compress."""
    generator = np.random.default_rng(0)
    for shard in range(2):
        rows = (FrameRow(f"u{shard}{i}", generator.random((58, DIM * 10), np.float32)) for i in range(1024))
        metadata = {"feature": "mfb", "shard": f"{shard:04d}", "n_shards": 2}
        write_frames(tmp_path / "large" / f"{shard:04d}.parquet", rows, DIM * 10, metadata)
    return tmp_path / "large"


def test_a_store_is_never_whole_in_memory(large, tmp_path):
    size = 2 * 1024 * 58 * DIM * 10 * 4
    store = FeatureStore.open(large)
    before = pa.total_allocated_bytes()
    peak = 0
    for _ in store.iterate():
        peak = max(peak, pa.total_allocated_bytes() - before)
    store.read("u10")
    peak = max(peak, pa.total_allocated_bytes() - before)
    assert 0 < peak < size / 6


def test_packing_does_not_hold_the_store(large, tmp_path, monkeypatch):
    size = 2 * 1024 * 58 * DIM * 10 * 4
    peaks = []
    take = np.ascontiguousarray
    before = pa.total_allocated_bytes()

    def watched(*arguments, **keywords):
        peaks.append(pa.total_allocated_bytes() - before)
        return take(*arguments, **keywords)

    monkeypatch.setattr("serflow.stores.frames.np.ascontiguousarray", watched)
    pack_frames(sorted(large.iterdir()), tmp_path / "x.npy", tmp_path / "x.parquet")
    assert len(peaks) == 2048
    assert 0 < max(peaks) < size / 6


def test_reading_one_utterance_reads_one_row_group_and_no_footer_again(large, monkeypatch):
    store = FeatureStore.open(large)
    store.read("u10")
    groups = []
    read = pq.ParquetFile.read_row_group
    monkeypatch.setattr("serflow.stores.parquet.pq.read_metadata", None)

    def watched(self, group, **keywords):
        groups.append(group)
        return read(self, group, **keywords)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    assert store.read("u1100").shape == (58, DIM * 10)
    assert store.read("u1101").shape == (58, DIM * 10)
    assert groups == [100 // ROW_GROUP]
