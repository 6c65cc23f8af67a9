import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serflow.errors import StoreError
from serflow.stores.parquet import (
    check,
    count_rows,
    iterate_batches,
    read_groups,
    read_metadata,
    read_table,
    write_batches,
    write_table,
)

TABLE = pa.table({"utterance": ["a", "b", "c"], "value": [1.5, 2.5, None]})


@pytest.fixture
def path(tmp_path):
    write_table(tmp_path / "some" / "table.parquet", TABLE, kind="some", metadata={"corpus": "emodb", "n": [1, 2]})
    return tmp_path / "some" / "table.parquet"


def test_a_table_comes_back_as_it_was_written(path):
    assert read_table(path, kind="some", expect={"corpus": "emodb", "n": [1, 2]}).equals(TABLE)
    assert read_table(path, columns=["value"]).column_names == ["value"]


def test_others_can_read_it(path):
    assert pd.read_parquet(path)["utterance"].tolist() == ["a", "b", "c"]
    assert pq.read_table(path).num_rows == 3


def test_batches_are_row_groups_in_order(tmp_path):
    path = tmp_path / "x.parquet"
    batches = [TABLE.slice(0, 2), TABLE.slice(0, 0), TABLE.slice(2)]
    assert write_batches(path, TABLE.schema, batches, kind="some") == 3
    assert [batch.num_rows for batch in iterate_batches(path, kind="some")] == [2, 1]
    assert read_table(path).equals(TABLE)


def test_no_rows_at_all_can_be_written_and_read(tmp_path):
    write_batches(tmp_path / "x.parquet", TABLE.schema, [], kind="some")
    assert read_table(tmp_path / "x.parquet", kind="some").num_rows == 0


def test_the_same_table_gives_the_same_bytes(path, tmp_path):
    write_table(tmp_path / "again.parquet", TABLE, kind="some", metadata={"n": [1, 2], "corpus": "emodb"})
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()


def test_metadata_hold_what_the_writer_said(path):
    found = read_metadata(path)
    assert found["corpus"] == "emodb"
    assert found["kind"] == "some"
    assert len(found["data_sha256"]) == 64
    assert check(path, "some") == found


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"absent\.parquet: no such file"):
        read_table(tmp_path / "absent.parquet")


@pytest.mark.parametrize("kept", [0, 3, 11, 200, -1])
def test_a_half_written_file_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StoreError, match="half-written"):
        read_table(path)


def test_each_flipped_bit_is_noticed_wherever_it_is(path):
    """Of data, statistics, schema and metadata alike."""
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(StoreError):
            read_table(path)


def test_metadata_edited_by_hand_are_refused_though_the_data_are_whole(path):
    whole = path.read_bytes()
    for before, after in ((b'"emodb"', b'"ravde"'), (b"[1, 2]", b"[1, 3]")):
        assert whole.count(before) == 1
        path.write_bytes(whole.replace(before, after))
        for read in (read_metadata, count_rows, check, lambda path: list(read_groups(path, columns=["value"]))):
            with pytest.raises(StoreError, match="the metadata do not match their SHA-256"):
                read(path)


def test_a_column_is_checked_by_itself(path):
    """So that names can be listed without reading all values."""
    groups = read_groups(path, columns=["utterance"])
    assert [table.column(0).to_pylist() for table in groups] == [["a", "b", "c"]]
    chunk = pq.read_metadata(path).row_group(0).column(0)
    damaged = bytearray(path.read_bytes())
    damaged[chunk.data_page_offset + chunk.total_compressed_size - chunk.data_page_offset + 3] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match="cannot be read"):
        list(read_groups(path, columns=["utterance"]))
    assert [table.num_rows for table in read_groups(path, columns=["value"])] == [3]


def test_a_file_of_another_program_is_refused(tmp_path):
    pq.write_table(TABLE, tmp_path / "x.parquet")
    with pytest.raises(StoreError, match="not written by serflow"):
        read_table(tmp_path / "x.parquet")


def test_another_kind_is_refused(path):
    with pytest.raises(StoreError, match="kind is 'some' where 'split' was asked for"):
        read_table(path, kind="split")


@pytest.mark.parametrize("expect", [{"corpus": "cafe"}, {"n": [1]}, {"seed": 0}])
def test_other_metadata_than_expected_are_refused(path, expect):
    with pytest.raises(StoreError, match=next(iter(expect))):
        read_table(path, expect=expect)
    with pytest.raises(StoreError, match=next(iter(expect))):
        list(iterate_batches(path, expect=expect))


def test_a_later_schema_version_is_refused(path, monkeypatch):
    monkeypatch.setattr("serflow.stores.parquet.SCHEMA_VERSION", 2)
    with pytest.raises(StoreError, match="schema_version is 1 where 2"):
        read_table(path)


def test_a_failing_writer_leaves_nothing(tmp_path):
    def batches():
        yield TABLE
        raise StoreError("stop")

    with pytest.raises(StoreError, match="stop"):
        write_batches(tmp_path / "x.parquet", TABLE.schema, batches(), kind="some")
    assert list(tmp_path.iterdir()) == []


def test_the_metadata_entry_is_json_under_the_key_serflow(path):
    entries = json.loads(pq.read_metadata(path).metadata[b"serflow"])
    assert entries["schema_version"] == 1
