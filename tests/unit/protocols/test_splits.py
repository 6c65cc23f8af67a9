import argparse
import hashlib
import re
from collections import Counter
from typing import Literal, get_args, get_origin

import pytest

from made_up_runs import UTTERANCE, write_utterances
from serflow.config import Config
from serflow.errors import CorpusError
from serflow.protocols.folds import ROLES
from serflow.protocols.splits import (
    CHOICES,
    COUNTED,
    COUPLES,
    DRAWN,
    PROTOCOL_PATTERN,
    TESTED_IN_TURN,
    WHOLE_SESSIONS,
    divide,
    draw_name,
    parse_protocol,
    split_unit,
    split_units,
)
from serflow.settings.base import Section
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
    with pytest.raises(CorpusError, match="at least 3 dialogues, sentences or speakers"):
        split_units(units(n), 0)


def test_unit_is_speaker_dialogue_or_the_utterance_itself():
    assert split_unit("speaker", "u", "d", "s") == "s"
    assert split_unit("dialogue", "u", "d", "s") == "d"
    assert split_unit("dialogue", "u", None, "s") == "u"
    with pytest.raises(ValueError, match="no unit 'session' of splits"):
        split_unit("session", "u", "d", "s")


@pytest.mark.parametrize(
    ("name", "unit", "draw"),
    [
        ("dialogue-0", "dialogue", 0),
        ("speaker-13", "speaker", 13),
        ("speaker80-2", "speaker", 2),
        ("speaker64-1", "speaker", 1),
        ("sentence-4", "sentence", 4),
        ("utterance-0", "utterance", 0),
    ],
)
def test_a_protocols_name_holds_its_draw(name, unit, draw):
    protocol = parse_protocol(name)
    assert (protocol.unit, protocol.draw, protocol.validates) == (unit, draw, None)
    assert draw_name(protocol.kind, draw) == name


@pytest.mark.parametrize("name", ["session-F", "pair-M", "session-both"])
def test_a_protocols_name_holds_who_validates(name):
    protocol = parse_protocol(name)
    assert (protocol.unit, protocol.draw, f"{protocol.kind}-{protocol.validates}") == ("speaker", None, name)


@pytest.mark.parametrize(
    ("name", "n_tested"),
    [("last_session", None), ("leave_session", None), ("in_turn-8", 8), ("speaker_folds-5", 5)],
)
def test_a_protocols_name_holds_how_many_are_tested(name, n_tested):
    protocol = parse_protocol(name)
    assert (protocol.unit, protocol.draw, protocol.validates, protocol.n_tested) == ("speaker", None, None, n_tested)


@pytest.mark.parametrize(
    "name",
    ["dialogue", "dialogue-", "session-0", "dialogue-a", "xdialogue-0", "dialogue-0.5", "in_turn", "in_turn-",
     "in_turn--2", "last_session-0", "leave_session-F"],
)  # fmt: skip
def test_no_such_protocol(name):
    with pytest.raises(ValueError, match=f"no split protocol '{name}'; known: dialogue-0, speaker-0"):
        divide(name, [])


def test_the_pattern_is_of_whole_names():
    """Snakemake anchors it; it has no group that the workflow would have to name."""
    assert re.compile(PROTOCOL_PATTERN).groups == 0
    assert all(re.fullmatch(PROTOCOL_PATTERN, name) for name in ("session-both", "last_session", "in_turn-8"))
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


def people(sessions):
    """Return two utterances of each speaker, those of a session together; the sessions are not in order."""
    return [
        {"utterance": f"{speaker}{turn}", "dialogue": None, "speaker": speaker, "session": session, "gender": None}
        for session, speakers in sessions.items()
        for speaker in speakers
        for turn in range(2)
    ]


IEMOCAP = {"5": ["5F", "5M"], "1": ["1M", "1F"], "3": ["3F", "3M"], "2": ["2F", "2M"], "4": ["4F", "4M"]}


def held(name, rows, by="speaker"):
    """Return whom each fold tests, validates and trains on, by its name."""
    return {
        fold: {
            role: sorted({row[by] for row, given in zip(rows, roles, strict=True) if given == role}) for role in ROLES
        }
        for fold, roles in divide(name, rows)
    }


def test_the_last_session_validates_and_the_speakers_of_the_others_are_tested_in_turn():
    rows = people(IEMOCAP)
    found = held("last_session", rows)
    eight = ["1F", "1M", "2F", "2M", "3F", "3M", "4F", "4M"]
    assert list(found) == eight
    assert found == {
        speaker: {"train": [other for other in eight if other != speaker], "val": ["5F", "5M"], "test": [speaker]}
        for speaker in eight
    }


def test_a_session_is_left_out_in_turn_and_the_next_validates():
    found = held("leave_session", people(IEMOCAP), by="session")
    assert list(found) == ["1", "2", "3", "4", "5"]
    assert found["2"] == {"test": ["2"], "val": ["3"], "train": ["1", "4", "5"]}
    assert found["5"] == {"test": ["5"], "val": ["1"], "train": ["2", "3", "4"]}


def test_the_tenth_session_comes_after_the_second():
    sessions = {f"Session{number}": [f"{number:02d}F", f"{number:02d}M"] for number in (10, 2, 1, 9)}
    assert list(held("leave_session", people(sessions))) == ["Session1", "Session2", "Session9", "Session10"]
    assert held("last_session", people(sessions))["02F"]["val"] == ["10F", "10M"]


def test_the_first_speakers_are_tested_in_turn_and_the_others_validate():
    rows = people({None: [f"{number:02d}" for number in reversed(range(24))]})
    found = held("in_turn-8", rows)
    eight = [f"{number:02d}" for number in range(8)]
    assert list(found) == eight
    assert found["03"]["test"] == ["03"]
    assert found["03"]["train"] == ["00", "01", "02", "04", "05", "06", "07"]
    assert all(roles["val"] == [f"{number:02d}" for number in range(8, 24)] for roles in found.values())
    assert held("in_turn-2", rows)["01"]["train"] == ["00"]


def of_dialogues(counts):
    """Return utterances as IEMOCAP's: by the speaker that their dialogue is named by, how many each speaker says."""
    return [
        {"utterance": f"{named}_impro01_{speaker}{i:03d}", "dialogue": f"{named}_impro01", "speaker": speaker,
         "session": speaker[4], "gender": None}
        for named, said in counts.items()
        for speaker, count in said.items()
        for i in range(count)
    ]  # fmt: skip


# Utterances of the four classes by the speaker that dialogues are named by, and speaker: of session 1 as counted in the
# files of Cai et al.; of the others the speakers' totals, half of them in each.
PUBLISHED = {
    "Ses01F": {"Ses01F": 237, "Ses01M": 270}, "Ses01M": {"Ses01F": 291, "Ses01M": 287},
    "Ses02F": {"Ses02F": 240, "Ses02M": 271}, "Ses02M": {"Ses02F": 241, "Ses02M": 271},
    "Ses03F": {"Ses03F": 261, "Ses03M": 314}, "Ses03M": {"Ses03F": 261, "Ses03M": 315},
    "Ses04F": {"Ses04F": 264, "Ses04M": 251}, "Ses04M": {"Ses04F": 264, "Ses04M": 252},
    "Ses05F": {"Ses05F": 295, "Ses05M": 325}, "Ses05M": {"Ses05F": 295, "Ses05M": 326},
}  # fmt: skip


def test_the_dialogue_fold_of_01f_is_the_published_one_and_shares_all_its_speakers():
    rows = of_dialogues(PUBLISHED)
    assert len(rows) == 5531
    fold, roles = divide("dialogue_fold", rows)[0]
    assert fold == "dialogue_01F"
    who = Counter((role, row["speaker"]) for row, role in zip(rows, roles, strict=True))
    assert Counter(roles) == {"test": 507, "train": 5024}
    assert (who["test", "Ses01F"], who["test", "Ses01M"]) == (237, 270)
    assert (who["train", "Ses01F"], who["train", "Ses01M"]) == (291, 287)
    assert len({speaker for role, speaker in who if role == "train"}) == 10


def test_the_speaker_fold_of_01f_tests_all_that_she_says_and_nothing_else():
    rows = of_dialogues(PUBLISHED)
    fold, roles = divide("speaker_fold", rows)[0]
    assert fold == "speaker_01F"
    assert Counter(roles) == {"test": 528, "train": 5003}
    assert {row["speaker"] for row, role in zip(rows, roles, strict=True) if role == "test"} == {"Ses01F"}


@pytest.mark.parametrize(
    ("name", "folds"),
    [
        ("dialogue_fold", [f"dialogue_0{session}{letter}" for session in range(1, 6) for letter in "FM"]),
        ("speaker_fold", [f"speaker_0{session}{letter}" for session in range(1, 6) for letter in "FM"]),
        ("session_fold", [f"session_{session}" for session in range(1, 6)]),
        ("utterance_fold", [f"utterance_{tenth}" for tenth in range(10)]),
    ],
)
def test_each_utterance_is_tested_in_one_fold_and_trained_on_in_the_others(name, folds):
    rows = of_dialogues(PUBLISHED)
    found = divide(name, rows)
    assert [fold for fold, _ in found] == folds
    tested = Counter(row["utterance"] for _, roles in found for row, role in zip(rows, roles, strict=True)
                     if role == "test")  # fmt: skip
    assert set(tested.values()) == {1}
    assert len(tested) == len({row["utterance"] for row in rows})
    assert all(set(roles) == {"train", "test"} for _, roles in found)


def test_tenths_have_all_speakers_and_do_not_depend_on_the_order_of_the_table():
    rows = [{"utterance": f"u{i}", "dialogue": None, "speaker": f"s{i % 4}", "session": None} for i in range(95)]
    found = divide("utterance_fold", rows)
    assert sorted(roles.count("test") for _, roles in found) == [9] * 5 + [10] * 5
    again = divide("utterance_fold", rows[::-1])
    assert [roles[::-1] for _, roles in again] == [roles for _, roles in found]


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        (
            "dialogue_fold",
            {"dialogue": None},
            "u has no dialogue; set speakernorm.folds to speaker_fold or session_fold",
        ),
        ("dialogue_fold", {"dialogue": "MSP_S01"}, "dialogue MSP_S01 is not named by a speaker of the corpus, as"),
        (
            "session_fold",
            {"session": None},
            "u has no session; .*; set speakernorm.folds to dialogue_fold or speaker_f",
        ),
    ],
)
def test_folds_that_a_corpus_does_not_have_are_refused_with_those_that_it_has(name, row, said):
    with pytest.raises(CorpusError, match=said):
        divide(name, [*of_dialogues(PUBLISHED)[::60], {**of_dialogues(PUBLISHED)[0], "utterance": "u", **row}])


@pytest.mark.parametrize("name", ["speaker_fold", "utterance_fold"])
def test_a_corpus_of_one_part_has_nothing_to_train_on(name):
    with pytest.raises(CorpusError, match=r"all utterances are of \w+, and none is left to train on"):
        divide(name, [{"utterance": "u", "dialogue": None, "speaker": "a", "session": None}])


@pytest.mark.parametrize("name", ["last_session", "leave_session", "in_turn-8"])
def test_every_utterance_has_a_role_in_every_fold(name):
    assert all(set(roles) == set(ROLES) for _, roles in divide(name, people(IEMOCAP)))


@pytest.mark.parametrize(
    ("name", "sessions", "said"),
    [
        ("last_session", {None: ["a", "b"]}, "a0 has no session; give the corpus's sessions; set temporal.corpus to"),
        ("leave_session", {None: ["a", "b", "c"]}, "a0 has no session; .*; set temporal.folds to speaker$"),
        ("leave_session", {None: "abcdefghi"}, "a0 has no session; .*; set temporal.folds to in_turn or speaker$"),
        ("last_session", {"1": ["a", "b"]}, r"has 1 session\(s\) \(1\) where at least 2 are needed"),
        ("leave_session", {"1": ["a"], "2": ["b"]}, r"has 2 session\(s\) \(1, 2\) where at least 3 are needed"),
        ("last_session", {"1": ["a"], "2": ["b", "c"]}, "beside session 2, which validates, there is one speaker, a,"),
        ("last_session", {"1": ["a", "b"], "2": ["b", "c"]}, "speaker b is in the sessions 1 and 2"),
        ("leave_session", {"1": ["a"], "2": ["b"], "3": ["a"]}, "speaker a is in the sessions 1 and 3"),
        (
            *("in_turn-8", {None: "abcdefgh"}),
            r"in_turn-8: the corpus has 8 speaker\(s\) where at least 9 are needed, .*; set temporal.tested to 7 or "
            "fewer; set temporal.folds to speaker$",
        ),
        ("in_turn-8", {None: "ab"}, "tested in turn validate; set temporal.corpus to another corpus$"),
        (
            "in_turn-1",
            {None: "abc"},
            r"in_turn-1: of 1 speaker\(s\) none is left to train on .* temporal.tested to 2 or more",
        ),
        ("in_turn-0", {None: "abc"}, r"in_turn-0: of 0 speaker\(s\) none is left to train on"),
    ],
)
def test_a_corpus_that_does_not_allow_a_protocol_is_refused(name, sessions, said):
    with pytest.raises(CorpusError, match=said):
        divide(name, people(sessions))


def spoken(counts, *, speakers=10, sentences=6, text=None):
    """Return utterances: of each intensity and emotion so many, dealt to speakers and sentences in turn."""
    rows = []
    for (intensity, emotion), n in counts.items():
        for number in range(n):
            place = len(rows)
            rows.append({
                "utterance": f"{emotion}-{intensity}-{number:03d}", "speaker": f"{place % speakers:02d}",
                "sentence": str(place // speakers % sentences), "emotion": emotion, "intensity": intensity,
                "text": text, "style": "read", "dialogue": None, "session": None, "gender": None,
            })  # fmt: skip
    return rows


# utterances of EmoDB, and those of CaFE (each of six emotions in two intensities, and neutral)
EMODB = {
    (None, emotion): n
    for emotion, n in {"anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62,
                       "neutral": 79}.items()
}  # fmt: skip
CAFE = {(None, "neutral"): 72} | {
    (intensity, emotion): 72
    for intensity in ("weak", "strong")
    for emotion in ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
}


@pytest.mark.parametrize("seed", range(3))
def test_utterances_of_emodb_are_dealt_to_342_86_and_107(seed):
    rows = spoken(EMODB)
    ((fold, roles),) = divide(f"utterance-{seed}", rows)
    assert fold == f"utterance-{seed}"
    assert Counter(roles) == {"train": 342, "val": 86, "test": 107}
    for (_, emotion), n in EMODB.items():
        of_emotion = Counter(role for row, role in zip(rows, roles, strict=True) if row["emotion"] == emotion)
        assert abs(of_emotion["test"] - 0.2 * n) < 1
        assert abs(of_emotion["val"] - 0.16 * n) < 1.5


def test_a_study_of_strong_cafe_finds_the_shares_in_its_504_utterances():
    """The French test set of the paper has 101 files; the other intensity is dealt too, and takes none of them."""
    rows = spoken(CAFE)
    ((_, roles),) = divide("utterance-0", rows)
    kept = Counter(role for row, role in zip(rows, roles, strict=True) if row["intensity"] != "weak")
    assert kept == {"train": 322, "val": 81, "test": 101}
    tested = Counter(row["emotion"] for row, role in zip(rows, roles, strict=True)
                     if role == "test" and row["intensity"] != "weak")  # fmt: skip
    assert set(tested.values()) == {14, 15}


def test_draws_of_utterances_differ_and_do_not_hang_on_the_order_of_the_table():
    rows = spoken(EMODB)
    by_draw = [dict(zip((row["utterance"] for row in rows), divide(f"utterance-{seed}", rows)[0].roles, strict=True))
               for seed in range(2)]  # fmt: skip
    both = sum(by_draw[0][name] == by_draw[1][name] == "test" for name in by_draw[0])
    assert 10 <= both <= 35
    turned = rows[::-1]
    again = dict(zip((row["utterance"] for row in turned), divide("utterance-0", turned)[0].roles, strict=True))
    assert again == by_draw[0]


def test_utterances_that_are_too_few_for_three_sets_are_refused():
    with pytest.raises(CorpusError, match=r"utterance-0: of 2 utterance\(s\) none is left for val, test; set"):
        divide("utterance-0", spoken({(None, "anger"): 2}))


@pytest.mark.parametrize(
    ("name", "unit", "of_roles"),
    [
        ("sentence-0", "sentence", (4, 1, 1)),
        ("sentence-3", "sentence", (4, 1, 1)),
        ("speaker64-0", "speaker", (6, 2, 2)),
    ],
)
def test_sentences_and_speakers_are_kept_whole(name, unit, of_roles):
    ((found),) = held(name, spoken(EMODB), by=unit).values()
    assert tuple(len(found[role]) for role in ROLES) == of_roles
    assert len({member for of_role in found.values() for member in of_role}) == sum(of_roles)


def talk(*dialogues, alone=()):
    """Return a row of each speaker in each dialogue, and of who talks to nobody."""
    said = [(name, speaker) for name, speakers in enumerate(dialogues) for speaker in speakers]
    return [
        {"utterance": f"u{place}", "dialogue": name if name is None else f"d{name}", "speaker": speaker}
        for place, (name, speaker) in enumerate([*said, *((None, speaker) for speaker in alone)])
    ]


@pytest.mark.parametrize("draw", range(6))
def test_who_talk_to_each_other_are_kept_together_and_those_whom_these_talk_to(draw):
    rows = talk("ab", "cd", "bc", "ef", "gh", "g", alone="i")
    (division,) = divide(f"partners-{draw}", rows)
    roles = {}
    for row, role in zip(rows, division.roles, strict=True):
        roles.setdefault(row["speaker"], set()).add(role)
    assert all(len(of_speaker) == 1 for of_speaker in roles.values())
    assert roles["a"] == roles["b"] == roles["c"] == roles["d"]
    assert roles["e"] == roles["f"]
    assert roles["g"] == roles["h"]
    assert {role for of_speaker in roles.values() for role in of_speaker} == set(ROLES)


def test_without_dialogues_partners_are_split_as_speakers():
    rows = talk(alone="abcdefghij")
    assert divide("partners-2", rows)[0].roles == divide("speaker-2", rows)[0].roles


def test_too_few_groups_of_partners_are_refused():
    with pytest.raises(CorpusError, match=r"5 speaker\(s\) in 2 group\(s\) that talk .* set dlc.split to dia"):
        divide("partners-0", talk("ab", "cd", "de"))


def test_a_sentence_is_what_is_said_where_the_text_is_known():
    """Of scripted dialogues, which speakers share, every line is one sentence."""
    rows = spoken(EMODB, text="as before")
    for place, row in enumerate(rows):
        row["text"] = f"Line {place % 7}!"
    ((found),) = held("sentence-1", rows, by="text").values()
    assert tuple(len(found[role]) for role in ROLES) == (4, 2, 1)


def test_a_corpus_whose_sentences_are_not_known_is_told_so():
    rows = spoken(EMODB)
    rows[3]["sentence"] = None
    said = (
        r"sentence-0: of anger-None-003 no sentence is known \(1 of 535 utterances are so\); set multigating.split to "
    )
    with pytest.raises(CorpusError, match=f"{said}utterance or speaker64 or speaker_folds$"):
        divide("sentence-0", rows)


def test_folds_of_speakers_are_tested_in_turn_and_the_next_validates():
    found = held("speaker_folds-5", people({None: [f"{number:02d}" for number in reversed(range(12))]}))
    assert [roles["test"] for roles in found.values()] == [
        ["00", "01", "02"], ["03", "04"], ["05", "06", "07"], ["08", "09"], ["10", "11"]
    ]  # fmt: skip
    assert list(found) == ["1", "2", "3", "4", "5"]
    assert found["5"]["val"] == ["00", "01", "02"]
    for roles in found.values():
        assert sorted(name for of_role in roles.values() for name in of_role) == [f"{n:02d}" for n in range(12)]


@pytest.mark.parametrize(
    ("name", "speakers", "said"),
    [
        (
            "speaker_folds-5",
            "abcd",
            r"4 speaker\(s\) in 5 folds; .* a speaker in each; set multigating.folds to 4 or fewer",
        ),
        (
            "speaker_folds-2",
            "abcd",
            r"4 speaker\(s\) in 2 folds; three folds are needed at least, and a speaker in each; ",
        ),
        ("speaker_folds-5", "ab", r"2 speaker\(s\) in 5 folds; .* a speaker in each; set multigating.split"),
    ],
)
def test_folds_of_too_few_speakers_are_refused(name, speakers, said):
    rows = [row | {"emotion": "anger", "intensity": None, "text": None, "style": None, "sentence": "1"}
            for row in people({None: speakers})]  # fmt: skip
    with pytest.raises(CorpusError, match=said):
        divide(name, rows)


def test_what_is_advised_are_the_values_of_the_keys_that_choose_a_protocol():
    """Held to the types of the configuration: a key, value or protocol that is left out would be advised wrongly."""
    taken = {}
    for name, field in Config.model_fields.items():
        for key, found in fields_of(field.annotation, name):
            kinds = set(literals(found))
            if kinds and kinds <= KINDS:
                taken[key] = kinds
    assert taken == {choice.key: set(choice.kinds) for choice in CHOICES}
    assert {kind for choice in CHOICES for kind in choice.kinds} == KINDS
    keys = {key for name, field in Config.model_fields.items() for key, _ in fields_of(field.annotation, name)}
    assert {choice.corpus for choice in CHOICES} <= keys


KINDS = {*DRAWN, *COUPLES, *WHOLE_SESSIONS, *TESTED_IN_TURN, *COUNTED}


def literals(annotation):
    """Yield the words that a key may have, one of them or a list."""
    for part in get_args(annotation):
        yield from [part] if get_origin(annotation) is Literal else literals(part)


def fields_of(annotation, key):
    """Yield the keys of a section of the configuration with their types."""
    yield key, annotation
    if isinstance(annotation, type) and issubclass(annotation, Section):
        for name, field in annotation.model_fields.items():
            yield from fields_of(field.annotation, f"{key}.{name}")


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


def test_the_stage_writes_a_row_an_utterance_and_fold(tmp_path):
    rows = people(IEMOCAP)
    given = [{UTTERANCE: row["utterance"], "speaker": row["speaker"], "session": row["session"]} for row in rows]
    out = tmp_path / "split.parquet"
    found = split(write_utterances(tmp_path, rows=given), out, "last_session")
    assert len(found) == 8 * len(rows)
    assert {row["fold"] for row in found if row["role"] == "test" and row["utterance"] == "3M1"} == {"3M"}
    assert (read_metadata(out)["unit"], read_metadata(out)["draw"]) == ("speaker", None)
