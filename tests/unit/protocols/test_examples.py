from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from made_up_runs import UTTERANCE, write_packed, write_split, write_utterances
from serflow.errors import StoreError, TrainingError
from serflow.protocols.examples import (
    NO_LABEL,
    SAME_AUDIO,
    look_up,
    read_draw,
    read_examples,
    read_roles,
    without_rejected,
)
from serflow.protocols.labels import iemocap_four, own_words
from serflow.stores.frames import PackedFrames
from serflow.stores.parquet import write_table

WORDS = ["anger", "other", "sadness", None, "anger"]


def corpus(folder, words=WORDS, duplicate_of=None, **said):
    rows = [
        {UTTERANCE: f"u{i}", "emotion": word, "speaker": f"s{i % 2}", "dialogue": f"d{i // 2}", "turn": i % 2}
        for i, word in enumerate(words)
    ]
    for row in rows:
        row["duplicate_of"] = (duplicate_of or {}).get(row[UTTERANCE])
    return write_utterances(folder, rows=rows, **said)


def own(layout, rows):
    return own_words(rows)


def test_examples_are_the_labelled_utterances_in_corpus_order(tmp_path):
    found = read_examples(corpus(tmp_path), own)
    assert (found.corpus, found.utterances, found.classes) == ("toy", ["u0", "u2", "u4"], ("anger", "sadness"))
    assert found.targets.tolist() == [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    assert found.excluded == {NO_LABEL: 2}
    assert (found.facts["speaker"], found.facts["dialogue"], found.facts["turn"]) == (
        ["s0", "s0", "s0"], ["d0", "d1", "d2"], [0, 0, 0],
    )  # fmt: skip
    assert found.facts["gender"] == [None] * 3


@pytest.mark.parametrize("same_audio", ["keep", "drop"])
def test_of_the_same_audio_studies_keep_all_or_the_first_that_has_a_label(tmp_path, same_audio):
    path = corpus(tmp_path, duplicate_of={"u2": "u1", "u4": "u0"}, same_audio=same_audio)
    found = read_examples(path, own)
    if same_audio == "keep":
        assert (found.utterances, found.excluded) == (["u0", "u2", "u4"], {NO_LABEL: 2})
    else:
        # u1 has no label of the study
        assert (found.utterances, found.excluded) == (["u0", "u2"], {NO_LABEL: 2, SAME_AUDIO: 1})


def test_labels_are_those_of_the_layout(tmp_path):
    """A corpus of one's own, laid out as IEMOCAP is, has its labels."""
    seen = []

    def label(layout, rows):
        seen.append((layout, len(rows)))
        return iemocap_four(excitement=True)

    assert len(read_examples(corpus(tmp_path, layout="iemocap"), label).classes) == 4
    assert seen == [("iemocap", 5)]


def test_one_class_and_other_files_are_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"toy: a classifier needs utterances of two classes.*; of 3 utterances 2 "):
        read_examples(corpus(tmp_path, ["anger", None, "anger"]), own)
    with pytest.raises(StoreError, match="kind is 'split' where 'utterances' was asked for"):
        read_examples(write_split(tmp_path, {"dialogue-0": {"u0": "train"}}), own)
    path = corpus(tmp_path / "whole")
    with pytest.raises(StoreError, match="corpus is 'toy' where 'other' was asked for"):
        read_examples(path, own, {"corpus": "other"})
    bare = tmp_path / "bare.parquet"
    write_table(bare, pa.table({UTTERANCE: ["u0"]}), kind="utterances", metadata={"corpus": "toy"})
    with pytest.raises(StoreError, match="has no column 'emotion'"):
        read_examples(bare, own)


def test_a_column_that_an_older_table_lacks_is_none(tmp_path):
    path = tmp_path / "old.parquet"
    columns = {UTTERANCE: ["u0", "u1"], "emotion": ["a", "b"], "sentiment": [None] * 2, "valence_ratings": [None] * 2}
    write_table(path, pa.table(columns), kind="utterances", metadata={"corpus": "toy"})
    assert read_examples(path, own).facts["text"] == [None, None]


def test_what_a_store_rejected_is_counted_out_by_reason(tmp_path):
    """A recogniser may have no words for an utterance, Praat no pulses; what a store just lacks is another matter."""
    frames = {f"u{i}": np.ones((2, 3)) for i in (0, 1)}
    stores = {
        "no pulses": PackedFrames.open(write_packed(tmp_path, "a", frames, rejected={"u2": "too short", "u9": "none"})),
        "no transcript": PackedFrames.open(write_packed(tmp_path, "b", frames, rejected={"u2": "silent"})),
        "no mfb": PackedFrames.open(write_packed(tmp_path, "c", frames)),
    }
    found = without_rejected(read_examples(corpus(tmp_path), own), stores)
    # u4 is in none of the stores, and is left in
    assert found.utterances == ["u0", "u4"]
    assert found.targets.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert found.facts["dialogue"] == ["d0", "d2"]
    assert (found.excluded, found.rejected) == ({NO_LABEL: 2, "no pulses": 1}, ("u2",))


def test_places_by_name():
    assert look_up(["b", "a"], {"a": 3, "b": 5}, Path("x.parquet")).tolist() == [5, 3]
    assert look_up([], {}, Path("x.parquet")).dtype == np.int64
    with pytest.raises(StoreError, match=r"x\.parquet: 2 of 3 utterances are missing, the first is c"):
        look_up(["a", "c", "d"], {"a": 0}, Path("x.parquet"))


def test_roles_by_fold(tmp_path):
    path = write_split(tmp_path, {"one": {"a": "train", "b": "test"}, "two": {"b": "val", "c": "test"}})
    found = read_roles(path, "toy", ["c", "a", "b"])
    assert {fold: roles.tolist() for fold, roles in found.items()} == {
        "one": ["", "train", "test"],
        "two": ["test", "", "val"],
    }


def test_an_utterance_without_a_role_in_any_fold_and_another_corpus_are_refused(tmp_path):
    path = write_split(tmp_path, {"one": {"a": "train"}})
    with pytest.raises(StoreError, match=r"dialogue-0\.parquet: 1 of 2 utterances are missing, the first is b"):
        read_roles(path, "toy", ["a", "b"])
    with pytest.raises(StoreError, match="corpus is 'toy' where 'other'"):
        read_roles(path, "other", ["a"])


def test_what_is_left_out_for_one_reason_twice_adds_up(tmp_path):
    found = read_examples(corpus(tmp_path), own)
    one = found.take(np.array([True, False, True]), "silent")
    assert one.take(np.array([False, True]), "silent").excluded == {NO_LABEL: 2, "silent": 2}
    assert one.take(np.array([True, True]), "other").excluded == {NO_LABEL: 2, "silent": 1}


def test_a_draw_is_a_split_of_one_fold(tmp_path):
    path = write_split(tmp_path, {"dialogue-0": {"a": "train", "b": "test"}})
    assert read_draw(path, "toy", ["b", "a"]).tolist() == ["test", "train"]
    with pytest.raises(StoreError, match="corpus is 'toy' where 'other'"):
        read_draw(path, "other", ["a"])
    several = write_split(tmp_path / "several", {"one": {"a": "train"}, "two": {"a": "test"}})
    with pytest.raises(StoreError, match=r"dialogue-0\.parquet: 2 folds where one draw was asked for; delete it"):
        read_draw(several, "toy", ["a"])
