import argparse
import hashlib
import re
from collections import Counter

import pytest

from made_up_runs import UTTERANCE, write_utterances
from serflow.errors import CorpusError
from serflow.protocols.folds import ROLES
from serflow.protocols.splits import PROTOCOL_PATTERN, divide, draw_name, parse_protocol, split_unit, split_units
from serflow.stages import split_utterances
from serflow.stores.parquet import read_metadata, read_table


def units(n):
    return [f"dialogue{i:03d}" for i in range(n)]


def test_iemocap_dialogues_are_cut_at_106_and_121_of_151():
    assert Counter(split_units(units(151), 0).values()) == {"train": 106, "val": 15, "test": 30}


def test_order_is_that_of_the_sha256_of_draw_and_unit():
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


def test_draws_differ():
    splits = {tuple(sorted(split_units(units(30), seed).items())) for seed in range(5)}
    assert len(splits) == 5


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_units_are_refused(n):
    with pytest.raises(CorpusError, match="at least 3 dialogues or speakers"):
        split_units(units(n), 0)


def test_unit_is_speaker_dialogue_or_the_utterance_itself():
    assert split_unit("speaker", "u", "d", "s") == "s"
    assert split_unit("dialogue", "u", "d", "s") == "d"
    assert split_unit("dialogue", "u", None, "s") == "u"
    with pytest.raises(ValueError, match="no unit 'session' of splits"):
        split_unit("session", "u", "d", "s")


@pytest.mark.parametrize(
    ("name", "unit", "draw"),
    [("dialogue-0", "dialogue", 0), ("speaker-13", "speaker", 13), ("speaker80-2", "speaker", 2)],
)
def test_a_protocols_name_holds_its_draw(name, unit, draw):
    protocol = parse_protocol(name)
    assert (protocol.unit, protocol.draw, protocol.validates) == (unit, draw, None)
    assert draw_name(protocol.kind, draw) == name


@pytest.mark.parametrize("name", ["session-F", "pair-M", "session-both"])
def test_a_protocols_name_holds_who_validates(name):
    protocol = parse_protocol(name)
    assert (protocol.unit, protocol.draw, f"{protocol.kind}-{protocol.validates}") == ("speaker", None, name)


@pytest.mark.parametrize("name", ["dialogue", "dialogue-", "session-0", "dialogue-a", "xdialogue-0", "dialogue-0.5"])
def test_no_such_protocol(name):
    with pytest.raises(ValueError, match=f"no split protocol '{name}'; known: dialogue-0, speaker-0"):
        divide(name, [])


def test_the_pattern_is_of_whole_names():
    """Snakemake anchors it; it has no group that the workflow would have to name."""
    assert re.compile(PROTOCOL_PATTERN).groups == 0
    assert re.fullmatch(PROTOCOL_PATTERN, "session-both")
    assert not re.fullmatch(PROTOCOL_PATTERN, "session-both-0")


ROWS = [{"utterance": f"u{i:02d}", "dialogue": f"d{i // 4}", "speaker": f"s{i % 4}"} for i in range(40)]


@pytest.mark.parametrize("unit", ["dialogue", "speaker"])
def test_a_division_has_the_roles_of_its_units(unit):
    """One fold, of the protocol's name; the units have the roles that the same seed gave them before."""
    (division,) = divide(draw_name(unit, 3), ROWS)
    assert division.fold == f"{unit}-3"
    role_of = split_units({row[unit] for row in ROWS}, 3)
    assert division.roles == [role_of[row[unit]] for row in ROWS]
    assert set(division.roles) == set(ROLES)


def test_without_dialogues_utterances_are_divided():
    rows = [{**row, "dialogue": None} for row in ROWS]
    (division,) = divide("dialogue-1", rows)
    role_of = split_units([row["utterance"] for row in rows], 1)
    assert division.roles == [role_of[row["utterance"]] for row in rows]


@pytest.fixture
def utterances(tmp_path):
    return write_utterances(
        tmp_path,
        rows=[{UTTERANCE: row["utterance"], "dialogue": row["dialogue"], "speaker": row["speaker"]} for row in ROWS],
    )


def split(utterances, out, protocol):
    split_utterances.main(argparse.Namespace(utterances=utterances, protocol=protocol, split=out))
    return read_table(out, kind="split", expect={"corpus": "toy", "protocol": protocol}).to_pylist()


@pytest.mark.parametrize(("unit", "draw"), [("dialogue", 0), ("dialogue", 7), ("speaker", 3)])
def test_the_stage_keeps_units_whole(utterances, tmp_path, unit, draw):
    out = tmp_path / "split.parquet"
    rows = split(utterances, out, f"{unit}-{draw}")
    assert [row["utterance"] for row in rows] == [row["utterance"] for row in ROWS]
    assert {row["fold"] for row in rows} == {f"{unit}-{draw}"}
    of_unit = {(given[unit], row["role"]) for given, row in zip(ROWS, rows, strict=True)}
    assert len(of_unit) == len({row[unit] for row in ROWS})
    assert {role for _, role in of_unit} == set(ROLES)
    assert (read_metadata(out)["unit"], read_metadata(out)["draw"]) == (unit, draw)


def test_the_stage_writes_the_same_bytes_again(utterances, tmp_path):
    outs = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for out in outs:
        split(utterances, out, "dialogue-0")
    assert outs[0].read_bytes() == outs[1].read_bytes()
