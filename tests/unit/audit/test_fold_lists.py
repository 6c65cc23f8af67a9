"""Each fault of a list that was published is found, and a list without faults has none."""

from collections import Counter

import numpy as np
import pytest
from typer.testing import CliRunner

import public_lists
from serflow.audit.fold_lists import GIVEN, audit_list, read_list, read_pairs, read_utterances
from serflow.audit.naming import NAMINGS, read_name
from serflow.audit.near import Near
from serflow.audit.prints import write_near
from serflow.audit.shares import InCommon, compare, in_common, numbered, rows_by_role
from serflow.cli import app
from serflow.errors import ConfigError, CorpusError, StoreError
from serflow.files import write_csv


def whats(audit, *, wrong=True):
    return Counter(finding.what for finding in audit.findings if finding.wrong is wrong)


def said(audit, what):
    return [finding.said for finding in audit.findings if finding.what == what]


# What was published


def test_the_facts_that_lists_are_made_from_add_up():
    names = list(public_lists.iemocap())
    assert len(names) == len(set(names)) == 5531
    assert Counter(name[:6] for name in names) == public_lists.PREFIXES
    assert Counter(read_name(NAMINGS["iemocap"], name)["speaker"] for name in names) == public_lists.SPEAKERS
    assert sum(public_lists.EMODB.values()) == public_lists.EMODB_FOLDS * public_lists.EMODB_TESTED == 535


def test_prefix_folds_look_clean_by_their_own_speakers_and_share_both_by_those_who_speak():
    rows = list(public_lists.prefix_folds())
    assert audit_list(rows).wrong == []
    found = audit_list(rows, naming=NAMINGS["iemocap"])
    assert whats(found) == {"other_speaker": 1, "shared_speaker": 10}
    assert said(found, "shared_speaker")[0] == ("2 of 2 speakers of test are in train too (507 of 507 utterances)")
    assert [fold.sizes["test"] for fold in found.folds] == list(public_lists.PREFIXES.values())


def test_utterances_of_the_wrong_sex_are_counted():
    found = audit_list(list(public_lists.mis_sexed()), naming=NAMINGS["iemocap"])
    assert whats(found) == {"other_speaker": 1, "other_gender": 1, "shared_speaker": 1}
    for what in ("other_speaker", "other_gender"):
        assert said(found, what)[0].startswith("65 of 5,531 utterances have another")
    # they move from validation to the test
    assert said(found, "shared_speaker") == ["1 of 2 speakers of test are in val too (9 of 660 utterances)"]


def test_folds_of_utterances_have_all_speakers_in_training_and_test():
    found = audit_list(list(public_lists.emodb_folds()), naming=NAMINGS["emodb"])
    assert whats(found) == {"shared_speaker": 5}
    assert set(said(found, "shared_speaker")) == {"10 of 10 speakers of test are in train too (107 of 107 utterances)"}
    assert whats(found, wrong=False) == {"shared_sentence": 5}


def test_lists_that_were_swapped_are_noticed():
    found = audit_list(list(public_lists.swapped_msp_improv()), naming=NAMINGS["msp_improv"])
    assert whats(found) == {"swapped": 1}
    assert said(found, "swapped")[0].startswith(
        "the test is 3.3 times as large as training (5,311 and 1,622 utterances)"
    )
    right = [
        {**row, "role": {"train": "test", "test": "train"}[row["role"]]} for row in public_lists.swapped_msp_improv()
    ]
    assert audit_list(right, naming=NAMINGS["msp_improv"]).wrong == []


def test_a_recording_that_is_published_twice_is_found_in_training_and_test():
    found = audit_list(list(public_lists.ravdess()))
    assert said(found, "shared_recording") == ["1 of 384 recordings of test are in train too (1 of 384 utterances)"]


def test_speakers_of_two_numbers_are_found_by_their_recordings():
    found = audit_list(list(public_lists.baved()), naming=NAMINGS["baved"])
    assert whats(found) == {"shared_recording": 1}
    assert said(found, "shared_recording") == ["21 of 21 recordings of test are in train too (21 of 21 utterances)"]


# What is counted


LIST = [
    ("a", "train", "F1", "s1", "One."), ("b", "train", "M1", "s2", "two"), ("c", "val", "F2", "s1", None),
    ("d", "test", "F1", "s1", "one"), ("e", "test", "M2", "s1", "ONE!"), ("f", "test", "M2", None, "three"),
]  # fmt: skip


def rows(**more):
    columns = ("utterance", "role", "speaker", "sentence", "text")
    return [{**dict(zip(columns, row, strict=True)), **more} for row in LIST]


def test_what_is_unknown_is_shared_by_nobody():
    values = numbered({"sentence": ["s1", None, "s2", None, "s1", "s1"]})["sentence"]
    assert in_common(values, np.array([0, 1]), np.array([2, 3, 4, 5])) == InCommon(values=2, both=1, utterances=2)
    assert in_common(values, np.array([1]), np.array([2])) is None
    assert in_common(values, np.array([0]), np.array([3])) is None


def test_training_is_compared_with_both_and_validation_with_the_test():
    facts = numbered({"speaker": ["A", "B", "A", "B", "C"]})
    sets = rows_by_role(["train", "train", "val", "test", "test"])
    assert compare(facts, sets) == {
        ("train", "test"): {"speaker": InCommon(2, 1, 1)},
        ("train", "val"): {"speaker": InCommon(1, 1, 1)},
        ("val", "test"): {"speaker": InCommon(2, 0, 0)},
    }
    assert list(compare(facts, {**sets, "val": sets["val"][:0]})) == [("train", "test")]


def test_a_list_tells_what_it_shares():
    (fold,) = audit_list(rows()).folds
    assert fold.sizes == {"train": 2, "val": 1, "test": 3}
    shared = fold.shared["train", "test"]
    assert shared["speaker"] == InCommon(2, 1, 1)
    assert shared["sentence"] == InCommon(1, 1, 2)
    assert shared["transcript"] == InCommon(2, 1, 2)
    assert shared["utterance"] == InCommon(3, 0, 0)
    assert shared["clip"] is shared["recording"] is shared["near_recording"] is None


def test_an_utterance_in_two_sets_of_a_fold_is_wrong_and_in_two_folds_is_not():
    twice = [
        *rows(fold="1"),
        {"utterance": "a", "role": "dev", "fold": "2"},
        {"utterance": "d", "role": "train", "fold": "2"},
    ]
    assert whats(audit_list(twice)) == {"shared_speaker": 2}
    assert said(audit_list([*rows(), {"utterance": "a", "role": "test"}]), "shared_utterance") == [
        "1 of 4 utterances of test are in train too (1 of 4 utterances)"
    ]


def test_what_sets_may_not_share_is_wrong_whatever_it_is():
    near = audit_list(rows(), near=[("b", "e")])
    assert whats(near) == {"shared_speaker": 1, "shared_near_recording": 1}
    assert whats(near, wrong=False) == {"shared_sentence": 3, "shared_transcript": 1}
    twice = audit_list([*rows(), {"utterance": "b", "role": "test"}])
    assert whats(twice)["shared_utterance"] == 1
    copied = [{**row, "duplicate_of": "b" if row["utterance"] == "f" else ""} for row in rows()]
    assert whats(audit_list(copied))["shared_recording"] == 1


@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        (("train", "eval"), {"train": 1, "test": 1}),
        (("train", "dev", "Eval"), {"train": 1, "val": 1, "test": 1}),
        (("train", "evaluation", "test"), {"train": 1, "val": 1, "test": 1}),
        (("train", "eval", "tst"), {"train": 1, "val": 1, "test": 1}),
    ],
)
def test_what_some_call_the_test_and_others_validation_is_the_test_of_a_list_without_another(names, sizes):
    listed = [{"utterance": str(place), "role": name, "speaker": str(place)} for place, name in enumerate(names)]
    (fold,) = audit_list(listed).folds
    assert fold.sizes == {"train": 0, "val": 0, "test": 0} | sizes


def test_whether_a_list_has_a_test_is_asked_of_all_its_folds():
    """A fold that lacks a role means the same by its names as the others."""
    folds = {"1": ("train", "eval", "test"), "2": ("train", "eval")}
    listed = [
        {"utterance": f"{fold}{role}", "role": role, "fold": fold} for fold, roles in folds.items() for role in roles
    ]
    assert [tuple(fold.sizes.values()) for fold in audit_list(listed).folds] == [(1, 1, 1), (1, 1, 0)]


def test_roles_are_read_in_capitals_too():
    found = audit_list([{**row, "role": row["role"].upper()} for row in rows()])
    assert found == audit_list(rows())


@pytest.mark.parametrize(
    ("n_train", "n_test", "swapped"), [(2, 3, False), (2, 4, True), (0, 4, False), (4, 2, False), (10, 16, True)]
)
def test_a_test_half_as_large_again_as_training_looks_swapped(n_train, n_test, swapped):
    given = [("train", place) for place in range(n_train)] + [("test", place) for place in range(n_test)]
    found = audit_list(
        [{"utterance": f"{role}{place}", "role": role, "speaker": f"{role}{place}"} for role, place in given]
    )
    assert whats(found) == ({"swapped": 1} if swapped else {})


def test_near_duplicates_are_joined_with_identical_ones():
    found = audit_list(
        [{**row, "duplicate_of": "e" if row["utterance"] == "f" else ""} for row in rows()], near=[("b", "e")]
    )
    assert found.folds[0].shared["train", "test"]["recording"] == InCommon(2, 0, 0)
    assert found.folds[0].shared["train", "test"]["near_recording"] == InCommon(2, 1, 2)


def test_a_table_of_utterances_weighs_more_than_the_list_whose_names_for_speakers_may_be_others():
    renamed = {row["utterance"]: {"speaker": f"x{row['speaker']}"} for row in rows()}
    assert whats(audit_list(rows(), renamed)) == {"shared_speaker": 1}
    found = audit_list(rows(), {**renamed, "f": {"speaker": "xF1"}})
    assert said(found, "other_speaker") == ["1 of 6 utterances have another speaker in the list than they have: f"]
    assert said(found, "shared_speaker") == ["1 of 2 speakers of test are in train too (2 of 3 utterances)"]


def test_what_a_table_leaves_empty_is_told_by_the_list():
    found = audit_list(rows(), {row["utterance"]: {"speaker": None} for row in rows()})
    assert said(found, "shared_speaker") == ["1 of 2 speakers of test are in train too (1 of 3 utterances)"]


def test_a_table_weighs_more_than_a_name():
    listed = [{"utterance": "03a01Fa", "role": "train"}, {"utterance": "08a01Fa", "role": "test"}]
    same = {row["utterance"]: {"speaker": "A"} for row in listed}
    assert audit_list(listed, naming=NAMINGS["emodb"]).wrong == []
    assert whats(audit_list(listed, same, NAMINGS["emodb"])) == {"shared_speaker": 1}


def test_most_of_whom_the_list_calls_one_are_meant_and_not_the_first():
    meant = dict(zip("abcdef", "XYYXYY", strict=True))
    listed = [{"utterance": name, "role": "train", "speaker": "1", "session": "1"} for name in "abc"]
    listed += [{"utterance": name, "role": "train", "speaker": "2", "session": "1"} for name in "def"]
    told = {name: {"speaker": speaker, "session": "2" if name == "a" else "1"} for name, speaker in meant.items()}
    found = audit_list(listed, told)
    assert said(found, "other_speaker") == ["2 of 6 utterances have another speaker in the list than they have: a, d"]
    assert said(found, "other_session") == ["1 of 6 utterances have another session in the list than they have: a"]


def test_a_sex_is_the_same_in_a_word_and_in_a_letter():
    names = ["Ses01F_impro01_F000", "Ses01F_impro01_M000", "Ses02F_impro01_F000"]
    listed = [
        {"utterance": name, "role": "train", "gender": sex}
        for name, sex in zip(names, ("female", "M", "Male"), strict=True)
    ]
    found = audit_list(listed, naming=NAMINGS["iemocap"])
    assert said(found, "other_gender") == [
        "1 of 3 utterances have another gender in the list than they have: Ses02F_impro01_F000"
    ]


@pytest.mark.parametrize(
    ("names", "known"),
    [
        ("iemocap", ("Ses05M_script03_2b_F012", {"speaker": "Ses05F", "dialogue": "Ses05M_script03_2b"})),
        ("msp_improv", ("MSP-IMPROV-S14H-M03-T-FM07.wav", {"speaker": "M03", "session": "3", "sentence": "S14"})),
        ("emodb", ("wav/16b10Wb.wav", {"speaker": "16", "sentence": "b10"})),
        ("ravdess", ("Actor_07\\03-01-03-01-02-02-07.wav", {"speaker": "07", "sentence": "02"})),
        ("crema_d", ("1001_DFA_ANG_XX", {"speaker": "1001", "sentence": "DFA"})),
        ("nemo", ("nemo-EB0_anger_17.flac", {"speaker": "EB0", "sentence": "17"})),
        ("baved", ("2/46-m-20-3-2-4601.wav", {"speaker": "46", "sentence": "3", "gender": "m"})),
    ],
)  # fmt: skip
def test_names_tell_who_speaks(names, known):
    name, facts = known
    found = read_name(NAMINGS[names], name)
    assert {fact: found[fact] for fact in facts} == facts
    assert read_name(NAMINGS[names], "other.wav") == {}


# The command


def run(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_the_command_says_what_it_found_and_leaves_with_1(tmp_path):
    listed = list(public_lists.mis_sexed())
    write_csv(tmp_path / "folds.csv", list(listed[0]), (list(row.values()) for row in listed))
    done = run(tmp_path / "folds.csv", "--names", "iemocap")
    assert done.exit_code == 1
    assert (
        "65 of 5,531 utterances have another speaker in the list than they have: Ses03M_impro05b_F000"
        in done.stdout.replace("/data/", "")
    )
    assert '"what": "other_gender"' in run(tmp_path / "folds.csv", "--names", "iemocap", "--json").stdout


def test_a_list_without_faults_leaves_with_0(tmp_path):
    write_csv(
        tmp_path / "f.csv",
        ["utterance", "role", "speaker"],
        [["a", "train", "A"], ["b", "dev", "B"], ["c", "test", "C"]],
    )
    done = run(tmp_path / "f.csv")
    assert (done.exit_code, "nothing is shared" in done.stdout) == (0, True)
    assert read_list(tmp_path / "f.csv")[1] == {"utterance": "b", "role": "dev", "speaker": "B"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "a", "role": "train"}, r"f\.csv: has no column 'utterance'; a list of folds needs utterance and"),
        ({"utterance": None, "role": "train"}, r"f\.csv: 1 of 1 rows name no utterance; fill in the column"),
        ({"utterance": "a", "role": None}, r"f\.csv: 1 of 1 rows name no role; fill in the column"),
        ({"utterance": "a", "role": "tests"}, r"f\.csv: the role 'tests' \(1 rows\) is not known; write one of train,"),
    ],
)  # fmt: skip
def test_a_list_that_is_none_is_refused(row, message):
    with pytest.raises(ConfigError, match=message):
        audit_list([row], name="f.csv")


def test_a_table_of_utterances_is_joined_by_their_names(tmp_path):
    write_csv(tmp_path / "f.csv", ["utterance", "role"], [["a", "train"], ["b", "test"]])
    write_csv(tmp_path / "known.csv", ["utterance", "speaker"], [["a", "A"], ["b", "A"]])
    done = run(tmp_path / "f.csv", "--utterances", tmp_path / "known.csv")
    assert (done.exit_code, "1 of 1 speakers of test are in train too" in done.stdout) == (1, True)
    write_csv(tmp_path / "known.csv", ["name", "speaker"], [["a", "A"]])
    done = run(tmp_path / "f.csv", "--utterances", tmp_path / "known.csv")
    assert (done.exit_code, "has no column 'utterance', by which it is joined" in done.stderr) == (1, True)


def test_what_is_not_told_of_utterances_is_said():
    rows = [{"utterance": "03a01Fa", "role": "train"}, {"utterance": "x", "role": "test"}]
    found = audit_list(rows, {"x": {"text": "yes"}}, NAMINGS["emodb"], near=[("p", "q")])
    assert found.wrong == []
    assert [finding.said for finding in found.findings] == [
        "1 of 2 utterances are not in the table of utterances: 03a01Fa",
        "1 of 2 utterances have names of another form than those of the corpus: x",
        "no pair of the same recording is of the list",
        "who speaks is not known of 1 of 2 utterances, nor whether sets share them: x; a column speaker tells it, "
        "--utterances or --names",
    ]
    told = [{**row, "speaker": name} for row, name in zip(rows, "AB", strict=True)]
    assert audit_list(told, {row["utterance"]: {} for row in rows}, near=[("x", "q")]).findings == []


def test_a_table_or_naming_that_tells_of_no_utterance_is_refused():
    rows = [{"utterance": "a", "role": "train"}]
    with pytest.raises(ConfigError, match=r"f\.csv: all of its 1 utterances are not in the table of utterances \(a\);"):
        audit_list(rows, {"b": {"speaker": "B"}}, name="f.csv")
    with pytest.raises(ConfigError, match=r"f\.csv: all of its 1 utterances have names of another form .*--names"):
        audit_list(rows, naming=NAMINGS["iemocap"], name="f.csv")


def test_an_unknown_naming_is_refused(tmp_path):
    write_csv(tmp_path / "f.csv", ["utterance", "role"], [["a", "train"]])
    done = run(tmp_path / "f.csv", "--names", "emovo")
    assert (done.exit_code, "no such naming; known: iemocap, msp_improv" in done.stderr) == (1, True)


def test_columns_that_may_tell_who_speaks_and_are_not_read_are_named():
    rows = [{"utterance": "a", "role": "train", "spk": "A"}, {"utterance": "b", "role": "test", "spk": "A"}]
    assert said(audit_list(rows), "unknown_speaker") == [
        "who speaks is not known of 2 of 2 utterances, nor whether sets share them: a, b; a column speaker tells it, "
        "--utterances or --names (columns that are not read: spk)"
    ]


def test_an_utterance_that_stands_twice_in_a_set_is_told_and_is_no_fault():
    again = audit_list([*rows(), *rows()[1:2], *rows()[1:2]])
    assert said(again, "repeated") == ["1 of 2 utterances of train stand in it more than once: b"]
    assert whats(again) == whats(audit_list(rows()))


@pytest.mark.parametrize("fact", [fact for fact in GIVEN if fact != "clip"])
def test_rows_that_say_different_things_of_an_utterance_are_wrong_and_the_first_counts(fact):
    row = {"utterance": "a", "role": "train", "fold": "1", "speaker": "A", fact: "one"}
    found = audit_list([row, {**row, "fold": "2", fact: "two"}, {**row, "fold": "3", fact: None}])
    assert said(found, f"two_{fact}s") == [f"1 of 1 utterances have another {fact} in another row of the list: a"]
    assert whats(found) == {f"two_{fact}s": 1}


def test_a_clip_may_be_another_in_each_fold():
    row = {"utterance": "a", "role": "train", "fold": "1", "speaker": "A", "clip": "one"}
    assert audit_list([row, {**row, "fold": "2", "clip": "two"}]).findings == []


def test_a_list_that_was_cut_off_within_a_row_is_refused(tmp_path):
    path = tmp_path / "f.csv"
    whole = "utterance,role,speaker\na,train,A\nb,test,B\n"
    for end in range(whole.index("b,"), len(whole)):
        path.write_text(whole[:end], encoding="utf-8")
        cells = whole[:end].rpartition("\n")[2].count(",") + 1
        if cells < 3 and not whole[:end].endswith("\n"):
            with pytest.raises(CorpusError, match=rf"f\.csv:3: the table ends within this row, {cells} cells where"):
                read_list(path)
    path.write_text(whole.replace(",B\n", "\n"), encoding="utf-8")
    assert read_list(path)[1] == {"utterance": "b", "role": "test", "speaker": None}


def test_a_table_that_says_different_things_of_an_utterance_is_refused(tmp_path):
    write_csv(tmp_path / "k.csv", ["utterance", "speaker"], [["a", "A"], ["b", "B"], ["a", "A"]])
    assert read_utterances(tmp_path / "k.csv")["a"] == {"utterance": "a", "speaker": "A"}
    write_csv(tmp_path / "k.csv", ["utterance", "speaker"], [["a", "A"], ["a", "B"]])
    with pytest.raises(ConfigError, match=r"k\.csv: says different things of 'a' in two rows; leave one of them"):
        read_utterances(tmp_path / "k.csv")


def test_pairs_of_the_same_recording_may_be_anybodys(tmp_path):
    listed, pairs = tmp_path / "f.csv", tmp_path / "pairs.csv"
    write_csv(listed, ["utterance", "role", "speaker"], [["a", "train", "A"], ["b", "test", "B"]])
    pairs.write_text("utterance,other\na,b\n", encoding="utf-8")
    done = run(listed, "--near", pairs)
    assert (done.exit_code, "1 of 1 near recordings of test are in train too" in done.stdout) == (1, True)
    pairs.write_text("one,other\na,b\n", encoding="utf-8")
    done = run(listed, "--near", pairs)
    assert (done.exit_code, "pairs.csv: has no column 'utterance'; pairs of the same" in done.stderr) == (1, True)
    write_near(pairs, ["a", "b"], [Near(0, 1, 9, 1.0, 0.0)])
    assert read_pairs(pairs) == [("a", "b")]
    pairs.write_text("utterance,other\n", encoding="utf-8")
    with pytest.raises(StoreError, match="does not match"):
        read_pairs(pairs)
