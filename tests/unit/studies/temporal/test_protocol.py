"""Who trains, who validates and who is tested in the temporal-context paper, and the utterances that it has."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from made_up_runs import UTTERANCE, write_split, write_utterances
from serflow.errors import TrainingError
from serflow.protocols.labels import IEMOCAP_COUNTS
from serflow.protocols.splits import divide
from serflow.studies.temporal.card import Files, make_card
from serflow.studies.temporal.labels import check_counts, emotion_labels, read_utterances
from serflow.studies.temporal.protocol import folds

CLASSES = ("neutral", "happiness", "anger", "sadness")


def iemocap():
    """IEMOCAP as its metadata tell of it."""
    return [
        {"utterance": f"{speaker}_{name}_{i}", "speaker": speaker, "session": speaker[4], "emotion": name,
         "dialogue": None, "gender": "female" if speaker[-1] == "F" else "male"}
        for speaker, counts in IEMOCAP_COUNTS.items()
        for name, count in zip(CLASSES, counts, strict=True)
        for i in range(count)
    ]  # fmt: skip


def roles_of(protocol, rows):
    return {division.fold: np.array(division.roles) for division in divide(protocol, rows)}


def rows_of(protocol, rows, runs=(0,), n_folds=None):
    roles = roles_of(protocol, rows)
    return list(folds([row["speaker"] for row in rows], dict.fromkeys(runs, roles), n_folds))


# Utterances


def test_iemocap_has_the_utterances_of_the_paper():
    """5,531 utterances (section 3.1); class counts of the specification, happiness with excitement."""
    rows = iemocap()
    assert len(rows) == sum(map(sum, IEMOCAP_COUNTS.values())) == 5531
    assert Counter(row["emotion"] for row in rows) == {"neutral": 1708, "happiness": 1636, "anger": 1103,
                                                       "sadness": 1084}  # fmt: skip
    check_counts([row["speaker"] for row in rows], [row["emotion"] for row in rows])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda rows: rows[1:], "Ses01F has 170 utterances of neutral, and should have 171"),
        (lambda rows: rows[:-1], "Ses05M has 112 utterances of sadness, and should have 113"),
        (lambda rows: [*rows, {**rows[-1], "emotion": "anger"}], "Ses05M has 93 utterances of anger, and should have"),
        (
            lambda rows: [{**rows[0], "speaker": "Ses01M"}, *rows[1:]],
            "Ses01F has 170 utterances of neutral, .*; set `corpora: {iemocap: {allow_partial: true}}`",
        ),
    ],
)
def test_a_copy_with_other_utterances_is_refused(changed, said):
    rows = changed(iemocap())
    with pytest.raises(TrainingError, match=said):
        check_counts([row["speaker"] for row in rows], [row["emotion"] for row in rows])


@pytest.mark.parametrize("said", [{"synthetic": True}, {"partial": True}, {}])
def test_only_a_whole_iemocap_must_have_the_papers_utterances(tmp_path, said):
    few = [
        {UTTERANCE: f"u{i}", "speaker": "Ses01F", "emotion": name}
        for i, name in enumerate(["anger", "excitement", "surprise", "neutral"])
    ]
    path = write_utterances(tmp_path, "iemocap", few, layout="iemocap", **said)
    if not said:
        with pytest.raises(TrainingError, match="Ses01F has 1 utterances of neutral, and should have 171"):
            read_utterances(path, None)
        return
    found = read_utterances(path, None)
    assert found.classes == ("anger", "happiness", "neutral", "sadness")
    assert found.utterances == ["u0", "u1", "u3"]
    assert found.targets.argmax(1).tolist() == [0, 1, 2]


def test_a_whole_iemocap_is_read(tmp_path):
    rows = [{**row, UTTERANCE: row["utterance"]} for row in iemocap()]
    told = [{name: row[name] for name in (UTTERANCE, "speaker", "session", "gender", "emotion")} for row in rows]
    happy = next(row for row in told if row["emotion"] == "happiness")
    happy["emotion"] = "excitement"
    found = read_utterances(write_utterances(tmp_path, "iemocap", told, layout="iemocap"), None)
    assert len(found.utterances) == 5531


def test_only_the_words_asked_for_are_read(tmp_path):
    rows = [
        {UTTERANCE: f"u{i}", "emotion": name} for i, name in enumerate(["anger", "fear", "sadness", "anger", "other"])
    ]
    path = write_utterances(tmp_path, rows=rows)
    assert read_utterances(path, None).classes == ("anger", "fear", "sadness")
    found = read_utterances(path, ["sadness", "anger"])
    assert (found.classes, found.utterances) == (("anger", "sadness"), ["u0", "u2", "u3"])


def test_labels_are_the_four_of_iemocap_or_the_words_asked_for():
    rows = [{"emotion": name} for name in ("anger", "excitement", "surprise", "other", None, "sadness")]
    four = emotion_labels("iemocap", rows, None)
    assert four.classes == ("anger", "happiness", "neutral", "sadness")
    assert four.target_of({"emotion": "excitement"}) == (0, 1, 0, 0)
    assert emotion_labels("table", rows, None).classes == ("anger", "excitement", "sadness", "surprise")
    some = emotion_labels("table", rows, ["surprise", "anger"])
    assert some.classes == ("anger", "surprise")
    assert some.target_of({"emotion": "surprise"}) == (0, 1)
    assert some.target_of({"emotion": "sadness"}) is None
    with pytest.raises(TrainingError, match=r"temporal.emotions: no utterance is fear; there are anger, excitement"):
        emotion_labels("table", rows, ["fear", "anger"])


# Folds


def said_of(rows, fold):
    """Return the speakers of a fold by role."""
    return {role: {rows[row]["speaker"] for row in part} for role, part in fold.roles().items()}


def test_the_last_session_validates_and_each_speaker_of_the_others_is_tested_in_turn():
    """Section 3.2: seven speakers train."""
    rows = iemocap()
    first = sorted(IEMOCAP_COUNTS)[:8]
    found = rows_of("last_session", rows)
    assert [fold.fit for fold in found] == [(0, speaker) for speaker in first]
    for fold in found:
        assert said_of(rows, fold) == {
            "train": set(first) - {fold.fit.fold},
            "val": {"Ses05F", "Ses05M"},
            "test": {fold.fit.fold},
        }
        assert sum(map(len, fold.roles().values())) == 5531
    assert sum(len(fold.test) for fold in found) == 5531 - 1241


def test_a_session_is_tested_and_the_next_one_validates():
    rows = iemocap()
    found = rows_of("leave_session", rows)
    assert sorted(row for fold in found for row in fold.test) == list(range(5531))
    for fold, validates in zip(found, "23451", strict=True):
        said = said_of(rows, fold)
        assert {speaker[4] for speaker in said["test"]} == set(fold.fit.fold)
        assert {speaker[4] for speaker in said["val"]} == {validates}
        assert len(said["train"]) == 6


def test_a_run_has_as_many_folds_as_are_asked_for():
    rows = iemocap()
    found = rows_of("last_session", rows, runs=(3, 5), n_folds=2)
    assert [fold.fit for fold in found] == [(3, "Ses01F"), (3, "Ses01M"), (5, "Ses01F"), (5, "Ses01M")]
    assert len(rows_of("last_session", rows, runs=(3, 5))) == 16


def test_rows_are_of_the_role_that_the_split_gives():
    """Utterances without a role in a fold are in none of its sets."""
    roles = {"x": np.array(["test", "val", "train", "", "train", "val"])}
    (found,) = folds(["a", "b", "c", "d", "c", "e"], {4: roles})
    assert {role: part.tolist() for role, part in found.roles().items()} == {
        "train": [2, 4], "val": [1, 5], "test": [0]
    }  # fmt: skip


@pytest.mark.parametrize(("one", "other"), list(permutations(["train", "val", "test"], 2)))
def test_a_speaker_in_any_two_sets_is_refused(one, other):
    names = ["a", "b", "c", "d", "e", "e"]
    roles = np.array(["train", "train", "val", "test", one, other])
    with pytest.raises(TrainingError, match="run 7, fold x: speaker e is in two sets"):
        list(folds(names, {7: {"x": roles}}))


@pytest.mark.parametrize("absent", ["train", "val", "test"])
def test_an_empty_set_is_refused(absent):
    roles = np.array([role for role in ("train", "val", "test") if role != absent])
    with pytest.raises(TrainingError, match=f"run 7, fold x: no utterance that the study uses is in {absent} .*folds"):
        list(folds(["a", "b"], {7: {"x": roles}}))


# The protocol card


@pytest.mark.parametrize(
    ("protocols", "runs", "folds_used", "said", "n_rows"),
    [
        (["last_session"], (0, 1), None, "the last session validates, and each speaker of the others is", 8),
        (["last_session"], (0, 1), 1, "the last session validates, and each speaker of the others is", 2),
        (["leave_session"], (0,), None, "a fold a session, all of which is tested; the next session validates", 3),
        (["in_turn-4"], (0,), None, "each of the first 4 speakers is tested in turn, and the others validate", 4),
        (["speaker-2", "speaker-3"], (2, 3), None, "whole speakers, 70/10/20, a draw a run", 2),
    ],
)
def test_the_card_tells_of_the_folds_that_are_trained(tmp_path, protocols, runs, folds_used, said, n_rows):
    rows = [
        {"utterance": f"s{session}{gender}_{i}", "speaker": f"s{session}{gender}", "session": str(session),
         "dialogue": None, "gender": {"F": "female", "M": "male"}[gender], "emotion": ("anger", "sadness")[i % 2]}
        for session in range(3) for gender in "FM" for i in range(4)
    ]  # fmt: skip
    told = [
        {UTTERANCE: row["utterance"], **{key: row[key] for key in ("speaker", "session", "gender", "emotion")}}
        for row in rows
    ]
    splits = tuple(
        write_split(
            tmp_path,
            {
                fold: {row["utterance"]: role for row, role in zip(rows, roles.tolist(), strict=True)}
                for fold, roles in roles_of(protocol, rows).items()
            },
            protocol=protocol,
        )
        for protocol in protocols
    )
    files = Files((write_utterances(tmp_path, rows=told),), splits)
    options = {"toy": {"emotions": None, "folds_used": folds_used}}
    card = make_card(files, {"toy": "Toy"}, {"toy": runs}, options, {"selection metric": "best validation UA"})
    assert said in card.page
    assert "| selection metric | best validation UA |" in card.page
    expected = [fold for place, run in enumerate(runs)
                for fold in rows_of(protocols[place % len(protocols)], rows, (run,), folds_used)]  # fmt: skip
    assert len(card.rows) == len(expected) == n_rows
    for row, fold in zip(card.rows, expected, strict=True):
        assert (row["run"], row["fold"]) == fold.fit
        assert [row[f"n_{role}"] for role in ("train", "val", "test")] == [len(part) for part in fold.roles().values()]
        assert row["shared_speakers"] == 0
