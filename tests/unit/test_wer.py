"""Error rates of an utterance, of many, and the table of them."""

import argparse
import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serflow.errors import NoiseError, StoreError
from serflow.noise.mixing import PlanRow, write_plan
from serflow.stages.tabulate_wer import main
from serflow.transcripts.scoring import Errors, count_errors
from serflow.transcripts.store import TranscriptRow, write_transcripts


@pytest.mark.parametrize(
    ("reference", "text", "errors"),
    [
        # word edits, words, character edits, characters
        ("the cat sat", "the cat sat", (0, 3, 0, 11)),
        ("the cat sat", "the bat", (2, 3, 5, 11)),
        ("the cat", "the fat cat", (1, 2, 4, 7)),
        ("The CAT, sat!", "the cat sat", (0, 3, 0, 11)),
        ("don't", "dont", (1, 1, 1, 5)),
        ("a b", "", (2, 2, 3, 3)),
        ("", "a b", (2, 0, 3, 0)),
        ("", "", (0, 0, 0, 0)),
        ("Straße", "strasse", (1, 1, 2, 6)),
    ],
)
def test_edits_are_counted_over_normalised_words_and_characters(reference, text, errors):
    assert count_errors(reference, text) == Errors(*errors)


def edit_distance(left, right):
    """Return the minimum edit distance by Wagner and Fischer's table."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


sentences = st.lists(st.sampled_from(["a", "bb", "abc", "it's"]), max_size=8).map(" ".join)


@given(sentences, sentences)
def test_edits_are_the_fewest_that_lead_from_one_to_the_other(reference, text):
    errors = count_errors(reference, text)
    assert errors.word_edits == edit_distance(reference.split(), text.split())
    assert errors.character_edits == edit_distance(reference, text)
    assert (errors.words, errors.characters) == (len(reference.split()), len(reference))


def test_rates_of_many_weigh_words_and_not_utterances():
    long, short = count_errors("a b c d e f g h", "a b c d e f g h"), count_errors("a b", "c d")
    assert (long.wer, short.wer) == (0.0, 1.0)
    assert long.plus(short).wer == pytest.approx(2 / 10)
    assert count_errors("a", "b c d").wer == 3.0


def test_words_made_up_where_nothing_was_said_count_each():
    assert count_errors("", "a b").wer == 2.0
    assert count_errors("", "").wer == 0.0
    assert count_errors("", "a b").plus(count_errors("c d e f", "c d e f")).wer == pytest.approx(2 / 4)


def row(name, text, reference, confidence=-1.0):
    errors = None if reference is None else count_errors(reference, text)
    rates = (None, None) if errors is None else (errors.wer, errors.cer)
    return TranscriptRow(name, text, confidence, reference, *rates, 1.0)


ROWS = [
    row("a", "one two", "one two three", -1.0),
    row("b", "one", "one", -2.0),
    row("c", "x y", "four five six seven", -4.5),
]
CONDITIONS = {"a": ("natural", -5.0), "b": ("natural", -5.0), "c": ("human", -20.0)}


class Store:
    """Writes transcripts and plans below a folder."""

    def __init__(self, folder):
        self.folder = folder

    def shard(self, rows, corpus="crema_d", condition="clean", shard="0000", **changed):
        metadata = {
            "recogniser": "wav2vec2",
            "corpus": corpus,
            "condition": condition,
            "stand_ins": [],
            "shard": shard,
            "n_shards": 1,
            "rejected": {},
            **changed,
        }
        path = self.folder / corpus / condition / f"{shard}.parquet"
        write_transcripts(path, [rows], lambda: metadata)
        return path

    def plan(self, names=CONDITIONS, corpus="crema_d", profile="h1"):
        rows = [PlanRow(name, kind, "1-1-A-10", 0, snr, 0.0, snr, 1.0) for name, (kind, snr) in names.items()]
        path = self.folder / f"{corpus}_{profile}.parquet"
        write_plan(path, rows, {"corpus": corpus, "profile": profile})
        return path

    def table(self, transcripts, plans=()):
        table = self.folder / "wer.csv"
        main(argparse.Namespace(transcripts=transcripts, plans=list(plans), code="c0de", table=table))
        with open(table, newline="") as handle:
            return list(csv.DictReader(handle))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_a_row_a_profile_and_one_a_condition(store):
    shards = [store.shard(ROWS), store.shard(ROWS[:2], condition="h1", n_shards=2)]
    shards.append(store.shard(ROWS[2:], condition="h1", shard="0001", n_shards=2))
    table = store.table(shards, [store.plan()])
    found = [(r["profile"], r["condition"], r["snr_db"], r["n_utterances"], r["words"], r["wer"]) for r in table]
    assert found == [
        ("clean", "none", "", "3", "8", "62.50"),  # 1 + 0 + 4 edits
        ("h1", "all", "", "3", "8", "62.50"),
        ("h1", "human", "-20.0", "1", "4", "100.00"),
        ("h1", "natural", "-5.0", "2", "4", "25.00"),
    ]
    assert [r["mean_confidence"] for r in table] == ["-2.5", "-2.5", "-4.5", "-1.5"]
    # " three" of the 13 + 3 characters of a and b; of c, jiwer's own count is tested above
    assert table[3]["cer"] == "37.50"
    assert {(r["synthetic"], r["note"]) for r in table} == {("False", "")}


def test_corpora_without_references_have_no_rate(store):
    silent = [r._replace(reference=None, wer=None, cer=None) for r in ROWS]
    half = [ROWS[0], *silent[1:]]
    table = store.table([store.shard(silent, corpus="a"), store.shard(half, corpus="b")])
    assert [(r["n_utterances"], r["words"], r["wer"], r["cer"], r["note"]) for r in table] == [
        ("3", "0", "", "", "no text"),
        ("3", "3", "33.33", "46.15", "reference text of 1 of 3 utterances"),
    ]


def test_stand_ins_and_rejected_utterances_are_noted(store):
    marks = ["corpus", "noise", "weights"]
    shard = store.shard(ROWS, condition="h1", stand_ins=marks, rejected={"d": "too short"})
    every, human, _ = store.table([shard], [store.plan()])
    assert every["synthetic"] == "True"
    assert every["note"] == ("synthetic corpus; synthetic noise; stand-in weights; without a transcript: 1")
    assert human["note"] == "synthetic corpus; synthetic noise; stand-in weights"


def test_the_reference_itself_has_no_confidence(store):
    (only,) = store.table([store.shard([r._replace(confidence=None, text=r.reference) for r in ROWS])])
    assert (only["wer"], only["cer"], only["mean_confidence"]) == ("0.00", "0.00", "")


def test_a_store_without_utterances_has_a_row_all_the_same(store):
    (only,) = store.table([store.shard([])])
    assert (only["n_utterances"], only["words"], only["wer"], only["mean_confidence"]) == ("0", "0", "", "")


def test_a_plan_that_is_absent_or_lacks_an_utterance_is_named(store):
    noisy = store.shard(ROWS, condition="h1")
    with pytest.raises(StoreError, match=r"no noise plan of crema_d, h1.*results/noise/crema_d/h1\.parquet"):
        store.table([noisy], [store.plan(profile="h2")])
    with pytest.raises(NoiseError, match="no row for utterance 'c'"):
        store.table([noisy], [store.plan({"a": ("human", -5.0), "b": ("human", -5.0)})])
    assert not (store.folder / "wer.csv").exists()
