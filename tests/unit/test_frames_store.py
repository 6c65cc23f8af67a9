import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serflow.errors import StoreError
from serflow.stores.frames import FrameRow, PackedFrames, iterate_frames, pack_frames, write_frames
from serflow.stores.parquet import read_metadata, write_table

DIM = 5
METADATA = {"feature": "mfb", "corpus": "emodb"}


def make_rows(n_rows, start=0):
    generator = np.random.default_rng(start)
    return [
        FrameRow(f"utt{start + i:03d}", generator.standard_normal((1 + (start + i) % 7, DIM)).astype(np.float32))
        for i in range(n_rows)
    ]


def assert_same(found, expected):
    found = list(found)
    assert [row.utterance for row in found] == [row.utterance for row in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)


@pytest.fixture
def shards(tmp_path):
    paths = [tmp_path / "0000.parquet", tmp_path / "0001.parquet"]
    for index, path in enumerate(paths):
        rows = make_rows(70, start=100 * index)
        write_frames(path, rows, DIM, {**METADATA, "shard": path.stem, "sources": {"audio": str(index)}})
    return paths


@pytest.fixture
def packed(shards, tmp_path):
    pack_frames(shards, tmp_path / "packed.npy", tmp_path / "packed.parquet")
    return tmp_path / "packed.parquet"


@pytest.mark.parametrize("n_rows", [0, 1, 7, 8, 9, 130])
def test_frames_come_back_as_they_were_written(tmp_path, n_rows):
    rows = make_rows(n_rows)
    assert write_frames(tmp_path / "x.parquet", iter(rows), DIM, METADATA) == n_rows
    assert_same(iterate_frames(tmp_path / "x.parquet", expect={**METADATA, "dim": DIM}), rows)


def test_row_groups_hold_8_utterances(shards):
    source = pq.ParquetFile(shards[0])
    assert [source.metadata.row_group(i).num_rows for i in range(source.num_row_groups)] == [8] * 8 + [6]


def test_row_groups_of_large_frames_end_at_16_mib(tmp_path):
    rows = (FrameRow(f"utt{i}", np.zeros((1024, 1024), np.float32)) for i in range(6))
    write_frames(tmp_path / "x.parquet", rows, 1024, METADATA)
    source = pq.ParquetFile(tmp_path / "x.parquet")
    assert [source.metadata.row_group(i).num_rows for i in range(source.num_row_groups)] == [4, 2]


def test_others_can_read_them(shards):
    frame = pd.read_parquet(shards[0])
    assert list(frame.columns) == ["utterance", "n_frames", "dim", "frames"]
    row = make_rows(70)[3]
    np.testing.assert_array_equal(frame["frames"][3].reshape(frame["n_frames"][3], frame["dim"][3]), row.frames)


def test_the_same_frames_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_frames(tmp_path / name, make_rows(70), DIM, METADATA)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_frames_that_are_not_finite_are_refused_by_name(tmp_path, value):
    rows = make_rows(3)
    rows[2].frames[0, 1] = value
    with pytest.raises(StoreError, match="utt002 hold NaN or infinity"):
        write_frames(tmp_path / "x.parquet", rows, DIM, METADATA)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "frames",
    [np.zeros((3, DIM + 1), np.float32), np.zeros(DIM, np.float32), np.zeros((3, DIM)), np.zeros((3, DIM), np.int16)],
)
def test_frames_of_another_shape_or_type_are_refused(tmp_path, frames):
    with pytest.raises(StoreError, match="odd"):
        write_frames(tmp_path / "x.parquet", [FrameRow("odd", frames)], DIM, METADATA)


def test_frames_made_otherwise_than_asked_for_are_refused(shards):
    with pytest.raises(StoreError, match="feature is 'mfb' where 'mfcc'"):
        list(iterate_frames(shards[0], expect={"feature": "mfcc"}))


def test_packed_frames_are_the_shards_one_after_the_other(packed):
    rows = [*make_rows(70), *make_rows(70, start=100)]
    store = PackedFrames.open(packed, expect=METADATA)
    assert len(store) == len(rows)
    assert store.utterances == [row.utterance for row in rows]
    np.testing.assert_array_equal(store.array, np.concatenate([row.frames for row in rows]))
    for index, row in enumerate(rows):
        np.testing.assert_array_equal(store[index], row.frames)
        assert store.row_of[row.utterance] == index


def test_packed_frames_are_mapped_and_cannot_be_written_to(packed):
    store = PackedFrames.open(packed)
    assert isinstance(store.array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        store[0][0, 0] = 0


def test_the_packed_array_is_a_plain_npy_file(packed):
    array = np.load(packed.with_suffix(".npy"), allow_pickle=False)
    assert array.dtype == np.float32
    assert array.shape[1] == DIM


def test_packing_keeps_what_the_shards_share_and_names_them(packed, shards):
    found = read_metadata(packed)
    assert found["kind"] == "packed_frames"
    assert found["feature"] == "mfb"
    assert found["dim"] == DIM
    assert "shard" not in found
    assert found["shards"] == [read_metadata(shard)["data_sha256"] for shard in shards]


def test_packing_twice_gives_the_same_bytes(packed, shards, tmp_path):
    (tmp_path / "again").mkdir()
    pack_frames(shards, tmp_path / "again" / "packed.npy", tmp_path / "again" / "packed.parquet")
    for name in ("packed.npy", "packed.parquet"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_shard_made_otherwise_is_not_packed(shards, tmp_path):
    write_frames(shards[1], make_rows(2), DIM, {**METADATA, "corpus": "cafe"})
    with pytest.raises(StoreError, match=r"0001\.parquet: made with another corpus"):
        pack_frames(shards, tmp_path / "packed.npy", tmp_path / "packed.parquet")
    assert not (tmp_path / "packed.npy").exists()


def test_what_is_not_a_shard_of_features_is_not_packed(tmp_path):
    write_table(tmp_path / "x.parquet", pa.table({"a": [1]}), kind="split")
    with pytest.raises(StoreError, match=r"x\.parquet: holds split, not frames or vectors"):
        pack_frames([tmp_path / "x.parquet"], tmp_path / "packed.npy", tmp_path / "packed.parquet")


def test_a_damaged_shard_is_not_packed(shards, tmp_path):
    damaged = bytearray(shards[1].read_bytes())
    damaged[100] ^= 1
    shards[1].write_bytes(damaged)
    with pytest.raises(StoreError, match=r"0001\.parquet.*SHA-256"):
        pack_frames(shards, tmp_path / "packed.npy", tmp_path / "packed.parquet")


def test_no_shards_cannot_be_packed(tmp_path):
    with pytest.raises(StoreError, match="without shards"):
        pack_frames([], tmp_path / "packed.npy", tmp_path / "packed.parquet")


def test_a_packed_array_that_was_changed_is_refused(packed):
    array = packed.with_suffix(".npy")
    damaged = bytearray(array.read_bytes())
    damaged[-1] ^= 1
    array.write_bytes(damaged)
    with pytest.raises(StoreError, match=r"packed\.npy: does not match"):
        PackedFrames.open(packed)


def test_a_packed_array_that_is_gone_is_named(packed):
    packed.with_suffix(".npy").unlink()
    with pytest.raises(StoreError, match=r"packed\.npy: missing"):
        PackedFrames.open(packed)


def test_packed_frames_made_otherwise_than_asked_for_are_refused(packed):
    with pytest.raises(StoreError, match="corpus is 'emodb' where 'cafe'"):
        PackedFrames.open(packed, expect={"corpus": "cafe"})
