import argparse
import hashlib
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serflow.corpora._tables import UTTERANCES_SCHEMA, write_utterances
from serflow.errors import CorpusError
from serflow.splits import ROLES, roles, split_unit, split_units
from serflow.stages import split_utterances
from serflow.stores.parquet import read_metadata, read_table


def units(n):
    return [f"dialogue{i:03d}" for i in range(n)]


def test_iemocap_dialogues_are_cut_at_106_and_121_of_151():
    assert Counter(split_units(units(151), 0).values()) == {"train": 106, "val": 15, "test": 30}


def test_order_is_that_of_the_sha256_of_seed_and_unit():
    split = split_units(units(10), 4)
    ordered = sorted(units(10), key=lambda unit: hashlib.sha256(f"4/{unit}".encode()).digest())
    assert [split[unit] for unit in ordered] == ["train"] * 7 + ["val"] + ["test"] * 2


@pytest.mark.parametrize("n", range(3, 10))
def test_each_role_gets_a_unit_however_few_there_are(n):
    assert set(split_units(units(n), 0).values()) == set(ROLES)


@pytest.mark.parametrize("n", [*range(5, 31), 100, 151, 480])
def test_shares_are_near_70_10_20(n):
    for seed in range(3):
        counts = Counter(split_units(units(n), seed).values())
        assert abs(counts["train"] - 0.7 * n) <= 1
        assert abs(counts["train"] + counts["val"] - 0.8 * n) <= 1


def test_order_of_the_table_does_not_matter():
    assert split_units(reversed(units(12)), 3) == split_units(units(12), 3)


def test_seeds_give_different_splits():
    splits = {tuple(sorted(split_units(units(30), seed).items())) for seed in range(5)}
    assert len(splits) == 5


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_units_are_refused(n):
    with pytest.raises(CorpusError, match="at least 3 dialogues or speakers"):
        split_units(units(n), 0)


def test_rows_of_a_unit_share_its_role():
    rows = ["a", "b", "c", "a", "b", "c", "d"]
    found = roles(rows, 1)
    assert found[:3] == found[3:6]


def test_unit_is_speaker_dialogue_or_the_utterance_itself():
    assert split_unit("speaker", "u", "d", "s") == "s"
    assert split_unit("dialogue", "u", "d", "s") == "d"
    assert split_unit("dialogue", "u", None, "s") == "u"
    with pytest.raises(ValueError, match="no split protocol 'session'"):
        split_unit("session", "u", "d", "s")


@pytest.fixture
def utterances(tmp_path):
    rows = [
        {
            **dict.fromkeys(UTTERANCES_SCHEMA.names),
            "id": f"u{i:02d}", "path": "x.wav", "speaker": f"s{i % 4}", "language": "en",
            "dialogue": f"d{i // 4}", "duration_s": 1.0, "shard": "0000",
        }
        for i in range(40)
    ]  # fmt: skip
    path = tmp_path / "utterances.parquet"
    write_utterances(path, pa.Table.from_pylist(rows, schema=UTTERANCES_SCHEMA), {"corpus": "mini"})
    return path


def arguments_of(utterances, out, protocol="dialogue", seeds=(0, 1), one_split=False):
    return argparse.Namespace(
        utterances=utterances, protocol=protocol, seeds=list(seeds), one_split=one_split, split=out
    )


def test_one_split_gives_every_fold_the_roles_of_the_first_seed(utterances, tmp_path):
    for one_split in (False, True):
        out = tmp_path / f"{one_split}.parquet"
        split_utterances.main(arguments_of(utterances, out, seeds=(3, 0, 1), one_split=one_split))
        rows = read_table(out, kind="split").to_pylist()
        roles = {fold: [row["role"] for row in rows if row["fold"] == fold] for fold in (3, 0, 1)}
        assert (roles[0] == roles[3] and roles[1] == roles[3]) == one_split
        assert read_metadata(out)["one_split"] == one_split


@pytest.mark.parametrize(("protocol", "column"), [("dialogue", "dialogue"), ("speaker", "speaker")])
def test_stage_keeps_units_whole_in_every_fold(utterances, tmp_path, protocol, column):
    out = tmp_path / "split.parquet"
    split_utterances.main(arguments_of(utterances, out, protocol, (0, 7)))
    unit_of = {row["id"]: row[column] for row in pq.read_table(utterances).to_pylist()}
    rows = read_table(out, kind="split", expect={"corpus": "mini", "protocol": protocol, "seeds": [0, 7]}).to_pylist()
    assert [row["utterance"] for row in rows] == list(unit_of) * 2
    for fold in (0, 7):
        of_unit = {(unit_of[row["utterance"]], row["role"]) for row in rows if row["fold"] == fold}
        assert len(of_unit) == len(set(unit_of.values()))
        assert {role for _, role in of_unit} == set(ROLES)
    assert read_metadata(out)["units"] == len(set(unit_of.values()))


def test_stage_writes_the_same_bytes_again(utterances, tmp_path):
    outs = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for out in outs:
        split_utterances.main(arguments_of(utterances, out))
    assert outs[0].read_bytes() == outs[1].read_bytes()
