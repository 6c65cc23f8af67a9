from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.errors import StoreError
from serflow.stores._rounding import round_mantissa
from serflow.stores.frames import FrameRow, PackedFrames, iterate_frames, pack_frames, write_frames
from serflow.stores.parquet import read_metadata, write_batches
from serflow.stores.vectors import iterate_vectors, vectors_schema, write_vectors

DIM = 6
METADATA = {"feature": "ge2e", "corpus": "emodb"}
SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)
LARGEST = float(np.finfo(np.float32).max)


def make_rows(n_rows, start=0):
    generator = np.random.default_rng(start)
    return [
        FrameRow(f"utt{start + i:04d}", generator.standard_normal((1, DIM)).astype(np.float32)) for i in range(n_rows)
    ]


def assert_same(found, expected):
    found = list(found)
    assert [row.utterance for row in found] == [row.utterance for row in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)


@pytest.mark.parametrize("n_rows", [0, 1, 1023, 1024, 1025])
def test_vectors_come_back_as_they_were_written(tmp_path, n_rows):
    rows = make_rows(n_rows)
    assert write_vectors(tmp_path / "x.parquet", iter(rows), DIM, METADATA) == n_rows
    assert_same(iterate_vectors(tmp_path / "x.parquet", expect={**METADATA, "dim": DIM}), rows)
    found = read_metadata(tmp_path / "x.parquet")
    assert found["kind"] == "vectors"
    assert found["mantissa_bits"] is None


def test_a_vector_may_have_one_axis(tmp_path):
    rows = make_rows(3)
    write_vectors(tmp_path / "x.parquet", [FrameRow(row.utterance, row.frames[0]) for row in rows], DIM, METADATA)
    assert_same(iterate_vectors(tmp_path / "x.parquet"), rows)


def test_row_groups_hold_1024_utterances_or_16_mib(tmp_path):
    write_vectors(tmp_path / "x.parquet", make_rows(1100), DIM, METADATA)
    described = pq.read_metadata(tmp_path / "x.parquet")
    assert [described.row_group(i).num_rows for i in range(described.num_row_groups)] == [1024, 76]
    wide = [FrameRow(f"utt{i}", np.zeros((1, 1 << 20), np.float32)) for i in range(6)]
    write_vectors(tmp_path / "wide.parquet", wide, 1 << 20, METADATA)
    described = pq.read_metadata(tmp_path / "wide.parquet")
    assert [described.row_group(i).num_rows for i in range(described.num_row_groups)] == [4, 2]


def test_the_values_are_stored_as_byte_streams_under_zstd(tmp_path):
    write_vectors(tmp_path / "x.parquet", make_rows(9), DIM, METADATA)
    column = pq.read_metadata(tmp_path / "x.parquet").row_group(0).column(1)
    assert column.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in column.encodings


def test_pandas_polars_and_duckdb_read_a_folder_of_shards_as_one_table(tmp_path):
    rows = make_rows(7)
    write_vectors(tmp_path / "0000.parquet", rows[:4], DIM, METADATA)
    write_vectors(tmp_path / "0001.parquet", rows[4:], DIM, METADATA)
    names = [row.utterance for row in rows]
    expected = np.concatenate([row.frames for row in rows])
    frame = pd.read_parquet(tmp_path)
    assert frame["utterance"].tolist() == names
    np.testing.assert_array_equal(np.stack(frame["vector"]), expected)
    table = pl.read_parquet(tmp_path / "*.parquet")
    assert table.schema["vector"] == pl.Array(pl.Float32, DIM)
    np.testing.assert_array_equal(table["vector"].to_numpy(), expected)
    found = duckdb.sql(f"select utterance, vector from '{tmp_path}/*.parquet' order by utterance").fetchall()
    assert [row[0] for row in found] == names
    np.testing.assert_array_equal(np.array([row[1] for row in found], np.float32), expected)


def test_the_same_vectors_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_vectors(tmp_path / name, make_rows(30), DIM, METADATA)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused_by_name(tmp_path, value):
    rows = make_rows(3)
    rows[1].frames[0, 2] = value
    with pytest.raises(StoreError, match="utt0001 hold NaN or infinity"):
        write_vectors(tmp_path / "x.parquet", rows, DIM, METADATA)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "vector",
    [
        np.zeros((1, DIM + 1), np.float32),
        np.zeros((2, DIM), np.float32),
        np.zeros((0, DIM), np.float32),
        np.zeros((1, DIM)),
        np.zeros((1, 1, DIM), np.float32),
        np.float32(0)[...],
    ],
)
def test_vectors_of_another_shape_or_type_are_refused(tmp_path, vector):
    with pytest.raises(StoreError, match="odd"):
        write_vectors(tmp_path / "x.parquet", [FrameRow("odd", vector)], DIM, METADATA)


def test_frames_are_not_read_as_vectors_nor_vectors_as_frames(tmp_path):
    write_vectors(tmp_path / "v.parquet", make_rows(2), DIM, METADATA)
    write_frames(tmp_path / "f.parquet", make_rows(2), DIM, METADATA)
    with pytest.raises(StoreError, match="kind is 'frames' where 'vectors'"):
        list(iterate_vectors(tmp_path / "f.parquet"))
    with pytest.raises(StoreError, match="kind is 'vectors' where 'frames'"):
        list(iterate_frames(tmp_path / "v.parquet"))


@pytest.mark.parametrize("write", [write_frames, write_vectors])
def test_metadata_may_tell_what_happened_while_the_rows_were_made(tmp_path, write):
    rejected = {}

    def rows():
        yield from make_rows(2)
        rejected["utt9"] = "no such feature"

    write(tmp_path / "x.parquet", rows(), DIM, lambda: {**METADATA, "rejected": rejected})
    assert read_metadata(tmp_path / "x.parquet")["rejected"] == {"utt9": "no such feature"}


def test_metadata_of_any_artefact_may_be_asked_for_at_the_end(tmp_path):
    seen = []

    def batches():
        seen.append(1)
        return iter([])

    write_batches(tmp_path / "x.parquet", vectors_schema(2), batches(), kind="some", metadata=lambda: {"seen": seen})
    assert read_metadata(tmp_path / "x.parquet")["seen"] == [1]


def test_packed_vectors_are_utterances_of_one_frame(tmp_path):
    rows = make_rows(7)
    shards = [tmp_path / "0000.parquet", tmp_path / "0001.parquet"]
    for index, (shard, part) in enumerate(zip(shards, (rows[:4], rows[4:]), strict=True)):
        metadata = {**METADATA, "shard": shard.stem, "n_shards": 2, "rejected": {f"bad{index}": "too short"}}
        write_vectors(shard, part, DIM, metadata)
    pack_frames(shards, tmp_path / "clean.npy", tmp_path / "clean.index.parquet")
    packed = PackedFrames.open(tmp_path / "clean.index.parquet", expect={"packs": "vectors", "dim": DIM})
    assert packed.array.shape == (7, DIM)
    assert packed.metadata["rejected"] == {"bad0": "too short", "bad1": "too short"}
    for index, row in enumerate(rows):
        np.testing.assert_array_equal(packed[index], row.frames)


@settings(deadline=None, max_examples=200)
@given(
    values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50),
    bits=st.integers(1, 23),
)
def test_rounding_keeps_the_relative_error_below_half_a_step_and_is_done_once(values, bits):
    values = np.array(values, np.float32)
    rounded = round_mantissa(values, bits)
    assert np.isfinite(rounded).all()
    np.testing.assert_array_equal(round_mantissa(rounded, bits), rounded)
    exact, found = values.astype(np.float64), rounded.astype(np.float64)
    normal = (np.abs(exact) >= SMALLEST_NORMAL) & (np.abs(exact) < 2.0**127)
    assert (np.abs(found - exact)[normal] <= 2.0 ** -(bits + 1) * np.abs(exact)[normal]).all()
    small = np.abs(exact) < SMALLEST_NORMAL
    assert (np.abs(found - exact)[small] <= 2.0 ** (-149 + max(0, 22 - bits))).all()
    huge = np.abs(exact) >= 2.0**127
    assert (np.abs(found - exact)[huge] <= 2.0**-bits * np.abs(exact)[huge]).all()


def test_rounding_leaves_only_the_bits_that_were_asked_for():
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    assert not (round_mantissa(values, 12).view(np.uint32) & np.uint32((1 << 11) - 1)).any()
    assert (round_mantissa(values, 12) != values).any()
    np.testing.assert_array_equal(round_mantissa(values, 23), values)


def test_rounding_is_to_nearest_and_ties_go_to_even():
    step = 2.0**-3
    values = np.array([1 + step / 2, 1 + 3 * step / 2, 1 + 0.4 * step, 1 + 0.6 * step, -1 - step / 2], np.float32)
    assert round_mantissa(values, 3).tolist() == [1, 1 + 2 * step, 1, 1 + step, -1]


def test_rounding_keeps_zeros_and_their_signs_and_never_makes_infinity():
    values = np.array([0.0, -0.0, LARGEST, -LARGEST, 1e-45, -1e-45], np.float32)
    rounded = round_mantissa(values, 1)
    assert rounded[:2].view(np.uint32).tolist() == [0, 0x80000000]
    assert rounded[2] == -rounded[3] == np.float32(1.5 * 2.0**127)
    assert np.abs(rounded[4:]).max() <= 2.0**-128


def test_rounding_does_not_touch_its_input_and_keeps_its_shape():
    values = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    before = values.copy()
    for bits in (8, 23):
        assert round_mantissa(values, bits).shape == (3, 4)
        assert not np.shares_memory(round_mantissa(values, bits), values)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("write", [write_frames, write_vectors])
@pytest.mark.parametrize("bits", [0, 24, -1])
def test_bits_that_float32_has_not_are_refused(tmp_path: Path, write, bits):
    with pytest.raises(StoreError, match=r"stores\.mantissa_bits is"):
        write(tmp_path / "x.parquet", make_rows(1), DIM, METADATA, mantissa_bits=bits)


def test_rounded_frames_are_smaller_and_say_so(tmp_path):
    generator = np.random.default_rng(0)
    rows = [FrameRow(f"u{i}", generator.standard_normal((200, 40)).astype(np.float32)) for i in range(20)]
    write_frames(tmp_path / "whole.parquet", rows, 40, METADATA)
    write_frames(tmp_path / "rounded.parquet", rows, 40, METADATA, mantissa_bits=12)
    sizes = [(tmp_path / f"{name}.parquet").stat().st_size for name in ("rounded", "whole")]
    assert sizes[0] < 0.8 * sizes[1]
    assert read_metadata(tmp_path / "rounded.parquet")["mantissa_bits"] == 12
    for row, found in zip(rows, iterate_frames(tmp_path / "rounded.parquet"), strict=True):
        np.testing.assert_array_equal(found.frames, round_mantissa(row.frames, 12))
