"""Who trains, who is held out and who is tested in the speaker-normalisation paper, and the utterances that it has."""

from dataclasses import asdict

import numpy as np
import pytest

from made_up_runs import UTTERANCE, write_split, write_utterances
from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.backbones.wav2vec2 import write_stand_in
from serflow.backbones.weights import describe_files
from serflow.errors import TrainingError
from serflow.files import write_sealed_json
from serflow.protocols.labels import IEMOCAP_COUNTS
from serflow.protocols.splits import divide
from serflow.stores.waveforms import pack_waveforms
from serflow.studies.speakernorm import card
from serflow.studies.speakernorm.data import Files, load_cell
from serflow.studies.speakernorm.labels import NO_TEXT, read_utterances
from serflow.studies.speakernorm.options import Options
from serflow.studies.speakernorm.protocol import folds

CLASSES = ("neutral", "happiness", "anger", "sadness")


def iemocap():
    """Return a small corpus as IEMOCAP: two sessions, dialogues named by either speaker, in which both speak."""
    return [
        {"utterance": f"Ses0{session}{named}_impro01_{letter}{i:03d}", "dialogue": f"Ses0{session}{named}_impro01",
         "speaker": f"Ses0{session}{letter}", "session": str(session), "emotion": CLASSES[i % 4],
         "gender": {"F": "female", "M": "male"}[letter]}
        for session in (1, 2) for named in "FM" for letter in "FM" for i in range(12)
    ]  # fmt: skip


def rows_of(kind, rows, runs=(0,), **changes):
    roles = {division.fold: np.array(division.roles) for division in divide(kind, rows)}
    names, speakers = ([row[key] for row in rows] for key in ("utterance", "speaker"))
    return list(folds(kind, runs, roles, names, speakers, Options.model_validate(changes)))


def said(rows, part):
    return {rows[row]["speaker"] for row in part}


def test_the_published_fold_trains_on_the_speakers_that_it_tests():
    rows = iemocap()
    (fold,) = rows_of("dialogue_fold", rows)
    assert fold.fit == (0, "dialogue_01F")
    assert (len(fold.train), len(fold.val), len(fold.test)) == (72, 0, 24)
    assert said(rows, fold.test) == {"Ses01F", "Ses01M"}
    assert len(said(rows, fold.train)) == 4


def test_the_true_fold_tests_a_speaker_and_holds_out_utterances_of_the_others():
    rows = iemocap()
    (fold,) = rows_of("speaker_fold", rows)
    assert fold.fit == (0, "speaker_01F")
    assert said(rows, fold.test) == {"Ses01F"}
    assert said(rows, fold.train) == said(rows, fold.val) == {"Ses01M", "Ses02F", "Ses02M"}
    assert (len(fold.train), len(fold.val), len(fold.test)) == (66, 6, 24)
    assert sorted([*fold.train, *fold.val, *fold.test]) == list(range(96))


def test_what_is_held_out_hangs_on_the_utterances_alone():
    rows = iemocap()
    (fold,) = rows_of("session_fold", rows)
    again = rows_of("session_fold", rows[::-1])[0]
    assert {rows[row]["utterance"] for row in fold.val} == {rows[::-1][row]["utterance"] for row in again.val}
    half = rows_of("session_fold", rows, held_out=0.5)[0]
    assert set(fold.val) < set(half.val)
    assert len(half.val) == len(half.train) == 24


def test_all_folds_and_runs_are_taken_in_turn():
    rows = iemocap()
    found = rows_of("speaker_fold", rows, runs=(3, 4), tested="all")
    names = [f"speaker_0{session}{letter}" for session in (1, 2) for letter in "FM"]
    assert [fold.fit for fold in found] == [(run, name) for run in (3, 4) for name in names]


def test_training_utterances_that_are_watched_are_held_out_of_every_kind_of_folds():
    (fold,) = rows_of("dialogue_fold", iemocap(), watch="held_out")
    assert (len(fold.train), len(fold.val)) == (66, 6)


def test_a_speaker_of_one_utterance_is_trained_on():
    rows = [*iemocap(), {**iemocap()[0], "utterance": "x", "speaker": "Ses03F", "session": "3"}]
    (fold,) = rows_of("speaker_fold", rows)
    assert len(rows) - 1 in fold.train


@pytest.mark.parametrize(
    ("roles", "speakers", "match"),
    [
        (["train", "train", "train"], "abb", "run 0, fold x: no utterance that the study uses is in test; set speaker"),
        (["test", "test", "test"], "abb", "run 0, fold x: no utterance that the study uses is in train; set speaker"),
        (["train", "train", "test"], "aab", "training has one speaker, and a speaker head needs two at least"),
        (["train", "train", "train", "train", "test"], "aabba", "speaker a is in training and test; delete the split"),
    ],
)
def test_folds_that_cannot_be_trained_are_refused(roles, speakers, match):
    names = [f"u{i}" for i in range(len(roles))]
    with pytest.raises(TrainingError, match=match):
        list(folds("speaker_fold", [0], {"x": np.array(roles)}, names, list(speakers), Options()))


# Utterances


def table(folder, rows, **said):
    return write_utterances(folder, rows=[{UTTERANCE: f"u{i}", **row} for i, row in enumerate(rows)], **said)


def test_utterances_without_a_transcript_are_left_out_and_counted(tmp_path):
    rows = [{"emotion": "anger", "text": "yes"}, {"emotion": "sadness"}, {"emotion": "sadness", "text": "no"}]
    found = read_utterances(table(tmp_path, rows), None)
    assert found.utterances == ["u0", "u2"]
    assert found.excluded[NO_TEXT] == 1
    assert found.facts["text"] == ["yes", "no"]


def test_texts_of_fixed_sentences_are_taken_by_their_codes(tmp_path):
    rows = [{"emotion": "anger", "sentence": "TIE"}, {"emotion": "sadness", "sentence": "DFA"}]
    found = read_utterances(table(tmp_path, rows, layout="crema_d"), None)
    assert found.facts["text"] == ["That is exactly what happened", "Don't forget a jacket"]


def test_a_corpus_without_transcripts_is_refused_with_what_to_write(tmp_path):
    rows = [{"emotion": "anger", "sentence": "a"}, {"emotion": "sadness"}]
    with pytest.raises(TrainingError, match=r"no utterance of toy has a transcript, .*set speakernorm\.corpus"):
        read_utterances(table(tmp_path, rows), None)


@pytest.mark.parametrize("whole", [True, False])
def test_a_whole_iemocap_must_have_the_papers_utterances(tmp_path, whole):
    rows = [
        {"speaker": speaker, "emotion": name, "text": "yes"}
        for speaker, counts in IEMOCAP_COUNTS.items()
        for name, count in zip(CLASSES, counts, strict=True)
        for _ in range(count)
    ]
    if whole:
        assert len(read_utterances(table(tmp_path, rows, layout="iemocap"), None).utterances) == 5531
        return
    with pytest.raises(TrainingError, match="Ses01F has 170 utterances of neutral, and should have 171"):
        read_utterances(table(tmp_path, rows[1:], layout="iemocap"), None)


def test_a_cell_reads_waveforms_transcripts_and_roles(tmp_path):
    rows = [{"emotion": ("anger", "sadness")[i % 2], "speaker": f"s{i}", "text": f"Yes, {i} sir."} for i in range(4)]
    names = [f"u{i}" for i in range(4)]
    shard = tmp_path / "audio" / "0000.parquet"
    prepared = (
        PreparedUtterance(name, np.full(100 + i, i, dtype=np.int16), 16_000, 1, "PCM_16", 0)
        for i, name in enumerate(names[::-1])
    )
    write_prepared(shard, prepared, {"corpus": "toy", "synthetic": False, "shard": "0000", "n_shards": 1})
    pack_waveforms([shard], tmp_path / "toy.npy", tmp_path / "toy.parquet")
    folder = write_stand_in(tmp_path / "weights", seed=0)
    record = tmp_path / "wav2vec2.json"
    write_sealed_json(record, asdict(describe_files("wav2vec2", "stand-in", None, folder)))
    split = write_split(tmp_path, {"speaker_0": dict(zip(names, ["test", "train", "train", "train"], strict=True))},
                        protocol="speaker_fold")  # fmt: skip
    files = Files(table(tmp_path, rows), split, tmp_path / "toy.parquet", record)
    data = load_cell(files, Options(), [2])
    assert data.utterances == names
    assert data.n_samples.tolist() == [103, 102, 101, 100]
    assert data.texts == ["YES SIR"] * 4
    assert data.spelling.read(data.spelt[0]) == "YES SIR"
    assert data.roles["speaker_0"].tolist() == ["test", "train", "train", "train"]
    assert (data.runs, data.weights) == ((2,), folder)


def test_the_card_has_a_section_for_each_kind_of_folds(tmp_path):
    rows = iemocap()
    told = [
        {UTTERANCE: row["utterance"], "text": "yes",
         **{key: row[key] for key in ("speaker", "session", "gender", "emotion", "dialogue")}}
        for row in rows
    ]  # fmt: skip
    kinds = ("dialogue_fold", "speaker_fold")
    splits = tuple(
        write_split(
            tmp_path,
            {
                fold: {row["utterance"]: role for row, role in zip(rows, roles, strict=True)}
                for fold, roles in divide(kind, rows)
            },
            protocol=kind,
        )
        for kind in kinds
    )
    files = card.Files((write_utterances(tmp_path, rows=told),), splits)
    own = Options().as_json(["emotions", "tested", "held_out", "watch"])
    found = card.make_card(files, {"toy": "Toy"}, {"toy": [0]}, {"toy": own}, {"selection metric": "none"})
    assert "## Toy, dialogue_fold" in found.page
    assert "both are in training as well" in found.page
    assert "UA there is over the other 0 classes" not in found.page
    assert [(row["fold"], row["n_test"], row["shared_speakers"]) for row in found.rows] == [
        ("dialogue_01F", 24, 2), ("speaker_01F", 24, 0)
    ]  # fmt: skip
