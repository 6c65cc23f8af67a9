"""Who trains and who is tested in the speaker-invariance paper, and the counts that it gives."""

from collections import Counter

import numpy as np
import pytest

from serflow.errors import CorpusError, TrainingError
from serflow.protocols.splits import divide
from serflow.studies.invariance.labels import IMPROVISED, check_improvised, emotion_labels
from serflow.studies.invariance.protocol import Whole, folds

CLASSES = ("neutral", "happiness", "anger", "sadness")


def iemocap():
    """The improvised part of IEMOCAP as its metadata tell of it."""
    return [
        {"utterance": f"{speaker}_{name}_{i}", "speaker": speaker, "session": speaker[4], "emotion": name,
         "dialogue": None, "gender": "female" if speaker[-1] == "F" else "male"}
        for speaker, counts in IMPROVISED.items()
        for name, count in zip(CLASSES, counts, strict=True)
        for i in range(count)
    ]  # fmt: skip


def rows_of(protocol, rows, runs=(0,), **how):
    roles = {division.fold: np.array(division.roles) for division in divide(protocol, rows)}
    return list(folds([row["speaker"] for row in rows], dict.fromkeys(runs, roles), **how))


def test_the_improvised_part_is_that_of_the_paper():
    """2,943 utterances (section 3.1); class counts of the specification."""
    rows = iemocap()
    assert len(rows) == 2943
    assert Counter(row["emotion"] for row in rows) == {"neutral": 1099, "happiness": 947, "sadness": 608, "anger": 289}
    check_improvised([row["speaker"] for row in rows], [row["emotion"] for row in rows])


def test_a_copy_with_other_utterances_is_refused():
    rows = iemocap()[1:]
    with pytest.raises(TrainingError, match="Ses01F has 118 utterances of neutral, and should have 119"):
        check_improvised([row["speaker"] for row in rows], [row["emotion"] for row in rows])


@pytest.mark.parametrize(("validates", "n_test"), [("F", 1460), ("M", 1483)])
def test_five_folds_of_a_session_are_tested_on_one_speaker_each(validates, n_test):
    rows = iemocap()
    found = rows_of(f"session-{validates}", rows)
    assert [fold.fit.fold for fold in found] == [f"{session}-{validates}" for session in range(1, 6)]
    assert sum(len(fold.test) for fold in found) == n_test
    for fold in found:
        said = {role: {rows[row]["speaker"] for row in part} for role, part in fold.roles().items()}
        assert len(said["train"]) == 8
        assert said["val"] == {f"Ses0{fold.fit.fold[0]}{validates}"}
        assert said["test"] == {f"Ses0{fold.fit.fold[0]}{'M' if validates == 'F' else 'F'}"}


def test_both_holds_every_speaker_out_once():
    rows = iemocap()
    found = rows_of("session-both", rows)
    tested = [rows[row]["utterance"] for fold in found for row in fold.test]
    assert len(found) == 10
    assert sorted(tested) == sorted(row["utterance"] for row in rows)


def people(*genders, session=None):
    return [
        {"utterance": f"u{i}", "speaker": f"s{i:02d}", "gender": gender, "dialogue": None,
         "session": session and session[i]}
        for i, gender in enumerate(genders)
    ]  # fmt: skip


def test_pairs_are_made_by_name_and_who_is_left_over_trains():
    rows = people("female", "male", "female", "female", "male")
    found = divide("pair-F", rows)
    assert [division.fold for division in found] == ["01-F", "02-F"]
    assert found[0].roles == ["val", "test", "train", "train", "train"]
    assert found[1].roles == ["train", "train", "val", "train", "test"]
    assert divide("pair-M", rows)[0].roles == ["test", "val", "train", "train", "train"]


@pytest.mark.parametrize(
    ("protocol", "rows", "said"),
    [
        (
            *("session-F", people("female", "male", "male", "female")),
            "u0 has no session; give the corpus's sessions; set invariance.held_out to pair or other_pair$",
        ),
        (
            *("session-F", people("female", "female", "male", "male", session="1122")),
            "session 1 has female, female, where a woman .*; set invariance.held_out to pair or other_pair$",
        ),
        (
            *("session-F", people("female", "female", session="12")),
            "session 1 has female, where a woman .*; set invariance.corpus to another corpus$",
        ),
        (
            *("session-F", people("female", None, session="11")),
            "session 1 has female, unknown, .*; set invariance.corpus to another corpus$",
        ),
        ("session-F", people("female", "male", session="11"), r"one session \(1\) cannot be held out and trained on"),
        (
            *("pair-F", people("female", None, "male")),
            "the gender of 1 of 3 speakers is not known, the first is s01; give it; set invariance.corpus to another",
        ),
        ("pair-F", people("female", "female"), "there are no pairs of 2 women and 0 men; set invariance.corpus to"),
        ("pair-F", people("female", "male", "male"), r"one pair \(01\) cannot be held out"),
        ("pair-M", people(*"fmfm", session="1122"), "the gender of 4 of 4 speakers is not known"),
        (
            *("speaker80-0", people("female", "male")),
            "at least 3 dialogues, sentences or speakers are needed; set invariance.many_speakers.corpus to another "
            "corpus$",
        ),
        (
            *("speaker-0", people("female", "male")),
            "protocol speaker-0: .*; set dlc.corpora to another corpus, or invariance.many_speakers.corpus to another "
            "corpus, or temporal.corpus to another corpus$",
        ),
    ],
)
def test_a_corpus_that_does_not_allow_a_protocol_is_refused(protocol, rows, said):
    with pytest.raises(CorpusError, match=said):
        divide(protocol, rows)


def test_two_hundred_of_250_speakers_train():
    rows = people(*["female"] * 250)
    (division,) = divide("speaker80-0", rows)
    assert Counter(division.roles) == {"train": 200, "val": 25, "test": 25}
    assert division.roles != divide("speaker80-1", rows)[0].roles


def test_fewer_speakers_are_among_more_and_runs_draw_their_own():
    rows = people(*["female"] * 60)
    taken = {
        (count, run): {rows[row]["speaker"] for row in fold.train}
        for count in (4, 16)
        for run, fold in enumerate(rows_of("speaker80-0", rows, (0, 1), n_speakers=count))
    }
    assert [len(found) for found in taken.values()] == [4, 4, 16, 16]
    assert taken[4, 0] < taken[16, 0]
    assert taken[4, 0] != taken[4, 1]
    with pytest.raises(TrainingError, match=r"64 speakers .* there are 48; set invariance.speakers to 48 or fewer"):
        rows_of("speaker80-0", rows, n_speakers=64)


def test_a_count_of_speakers_that_is_not_there_leaves_its_fold_empty():
    rows = people(*["female"] * 60)
    (there,) = rows_of("speaker80-0", rows, n_speakers=48, may_lack=True)
    assert len(there.train) == 48
    (lacking,) = rows_of("speaker80-0", rows, n_speakers=49, may_lack=True)
    assert lacking.fit == there.fit
    assert [len(part) for part in lacking.roles().values()] == [0, 0, 0]


def test_a_search_takes_the_first_fold():
    found = rows_of("session-F", iemocap(), (3,), used="first")
    assert [fold.fit for fold in found] == [(3, "1-F")]


def test_a_speaker_in_two_sets_and_an_empty_set_are_refused():
    names = ["a", "b", "c", "a"]
    for roles, said in (
        (["train", "train", "val", "test"], "speaker a is in two sets"),
        (["val", "train", "train", "test"], "speaker a is in two sets"),
        (["train", "train", "test", "val"], "speaker a is in two sets"),
        (["train", "train", "val", ""], "no utterance of the study is in test; see features.energy_vad, invariance.st"),
        (["train", "val", "test", "train"], "one speaker, and .* needs two at least; set invariance.corpus or"),
    ):
        with pytest.raises(TrainingError, match=said):
            list(folds(names, {0: {"x": np.array(roles)}}))


def test_an_empty_set_names_whose_utterances_are_left_out_and_why():
    everyone = {0: {"x": np.array(["train", "train", "val", "test", "test"])}}
    used = {0: {"x": np.array(["train", "train", "test"])}}
    excluded = {"no label of the study": 0, "no speech by the energy VAD": 2}
    whole = Whole(["a", "b", "c", "d", "d"], everyone, excluded)
    said = (
        r"run 0, fold x: no utterance of the study is in val, all that c says is left out \(of the corpus, no speech "
        r"by the energy VAD: 2\); see features.energy_vad"
    )
    with pytest.raises(TrainingError, match=said):
        list(folds(["a", "b", "d"], used, whole=whole))


def test_labels_are_the_four_of_iemocap_or_the_words_asked_for():
    rows = [{"emotion": name} for name in ("anger", "excitement", "surprise", "other", None, "sadness")]
    four = emotion_labels("iemocap", rows, None)
    assert four.classes == ("anger", "happiness", "neutral", "sadness")
    assert four.target_of({"emotion": "excitement"}) == (0, 1, 0, 0)
    assert emotion_labels("table", rows, None).classes == ("anger", "excitement", "sadness", "surprise")
    some = emotion_labels("table", rows, ["surprise", "anger"])
    assert some.classes == ("anger", "surprise")
    assert some.target_of({"emotion": "sadness"}) is None
    with pytest.raises(TrainingError, match=r"^invariance.emotions, or many_speakers.emotions: no utterance is fear"):
        emotion_labels("table", rows, ["fear", "anger"])
