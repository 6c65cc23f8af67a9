import argparse

import numpy as np
import pandas as pd
import pytest

from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.corpora._tables import read_rejected, read_utterances, write_listing, write_rejected
from serflow.corpora.base import Rejected, Utterance
from serflow.errors import CorpusError, StoreError
from serflow.stages import accept_utterances, list_utterances, prepare_audio
from serflow.stores.parquet import read_metadata

NAMES = ["a", "b", "c", "d"]


def shard(folder, name, utterances, rejected=(), corpus="mini", samples_of=None, clipped=()):
    """Write a shard; ``samples_of`` names the utterance whose samples another has."""
    rows = []
    for utterance in utterances:
        place = NAMES.index((samples_of or {}).get(utterance, utterance)) + 1
        pcm16 = np.full(8000 * place, place, dtype=np.int16)
        rows.append(PreparedUtterance(utterance, pcm16, 16000, 1, "PCM_16", 0, 0.5 if utterance in clipped else 0.0))
    audio = folder / f"{name}.parquet"
    write_prepared(audio, rows, {"corpus": corpus, "shard": name})
    write_rejected(folder / f"{name}_rejected.csv", [Rejected(u, f"{u}.wav", "silent") for u in rejected])
    return audio


@pytest.fixture
def prepared(tmp_path):
    emotions = dict(zip(NAMES, ["anger", "anger", "sadness", "anger"], strict=True))
    utterances = [Utterance(name, f"{name}.wav", "s", "en", emotion=emotions[name]) for name in NAMES]
    metadata = {"corpus": "mini", "layout": "emodb", "title": "Mini", "synthetic": False, "warnings": []}
    metadata["content"] = "0123"
    write_listing(tmp_path / "listing.parquet", utterances, metadata)
    write_rejected(tmp_path / "listing_rejected.csv", [Rejected("", "x.wav", "odd name", lost=False)])

    def run(*shards, max_rejected=0.5, same_audio="keep", allow_partial=False):
        given = argparse.Namespace(
            listing=tmp_path / "listing.parquet",
            listing_rejected=tmp_path / "listing_rejected.csv",
            audio=list(shards),
            audio_rejected=[path.with_name(f"{path.stem}_rejected.csv") for path in shards],
            max_rejected=max_rejected,
            same_audio=same_audio,
            allow_partial=allow_partial,
            duplicates=tmp_path / "duplicates.csv",
            utterances=tmp_path / "utterances.parquet",
            rejected=tmp_path / "rejected.csv",
        )
        accept_utterances.main(given)
        return given

    return run


def test_clipped_files_are_said(prepared, tmp_path, caplog):
    prepared(shard(tmp_path, "0000", NAMES, clipped=["a"]))
    assert "mini: 1 of 4 utterances are clipped, with more than 0.1 % of their samples at full scale (a;" in caplog.text


def test_accepted_utterances_keep_listing_order_and_gain_duration_and_shard(prepared, tmp_path):
    given = prepared(shard(tmp_path, "0001", ["d"], rejected=["c"]), shard(tmp_path, "0000", ["b", "a"]))
    rows = read_utterances(given.utterances, columns=["utterance", "duration_s", "shard"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [("a", 0.5, "0000"), ("b", 1.0, "0000"), ("d", 2.0, "0001")]
    assert [entry.reason for entry in read_rejected(given.rejected)] == ["odd name", "silent"]
    described = read_metadata(given.utterances)
    assert described["counts"] == {"labelled": 4, "listed": 4, "accepted": 3, "rejected": 1, "left_out": 1}
    assert described["warnings"] == ["1 of 4 utterances rejected (1 silent)"]
    assert described["partial"] is True
    assert (described["corpus"], described["title"], described["synthetic"]) == ("mini", "Mini", False)
    assert described["content"] == "0123"


def test_whole_corpus_is_not_partial(prepared, tmp_path, caplog):
    given = prepared(shard(tmp_path, "0000", NAMES))
    described = read_metadata(given.utterances)
    assert (described["partial"], described["warnings"]) == (False, [])
    # but what was left out is said
    (warning,) = caplog.messages
    assert warning == f"mini: left out without loss: 1 odd name; see {given.rejected}"


def test_nothing_is_said_where_nothing_was_left_out(prepared, tmp_path, caplog):
    write_rejected(tmp_path / "listing_rejected.csv", [])
    prepared(shard(tmp_path, "0000", NAMES))
    assert caplog.messages == []


@pytest.mark.parametrize("by", ["labels", "audio"])
def test_an_utterance_lost_by_labels_or_audio_makes_the_corpus_partial(prepared, tmp_path, caplog, by):
    lost = [Rejected("e", "e.wav", "t.csv:7: no speaker"), Rejected("f", "f.wav", "t.csv:9: no speaker")]
    write_rejected(tmp_path / "listing_rejected.csv", lost if by == "labels" else [])
    prepared(shard(tmp_path, "0000", ["a", "b"] if by == "audio" else NAMES, ["c", "d"] if by == "audio" else []))
    described = read_metadata(tmp_path / "utterances.parquet")
    expected = "2 of 4 utterances rejected (2 silent)" if by == "audio" else "2 of 6 utterances rejected (2 no speaker)"
    assert (described["partial"], described["warnings"]) == (True, [expected])
    counts = described["counts"]
    assert counts["labelled"] == counts["accepted"] + counts["rejected"]
    assert counts["listed"] == 4
    assert caplog.messages == [f"mini: {expected}; see {tmp_path / 'rejected.csv'}"]


@pytest.mark.parametrize(("max_rejected", "stops"), [(0.0, True), (0.49, True), (0.5, False), (1.0, False)])
def test_more_than_max_rejected_stops_the_run_and_names_key_and_file(prepared, tmp_path, max_rejected, stops):
    part = shard(tmp_path, "0000", ["a", "b"], ["c", "d"])
    if not stops:
        prepared(part, max_rejected=max_rejected)
        return
    with pytest.raises(CorpusError) as stopped:
        prepared(part, max_rejected=max_rejected)
    message = str(stopped.value)
    assert message.startswith("mini: 2 of 4 utterances rejected (2 silent), 50.0 % of them where ")
    assert f"corpora.mini.max_rejected in config.yaml allows {100 * max_rejected:g} %" in message
    assert f"all are listed in {tmp_path / '0000_rejected.csv'}.\n  c (c.wav): silent\n" in message
    assert message.endswith("set corpora.mini.max_rejected: 0.5 to go on without them")
    # the list of all is there for who calls the stage by hand
    assert len(read_rejected(tmp_path / "rejected.csv")) == 3
    assert not (tmp_path / "utterances.parquet").exists()


@pytest.mark.parametrize(
    ("accepted", "rejected", "message"),
    [
        (["a", "b", "c"], [], "1 utterances .* are neither accepted nor rejected: d"),
        (["a", "b", "c", "d"], ["d"], "are accepted or rejected more than once: d"),
        (["a", "b", "c", "d"], ["z"], "are not in the listing: z"),
    ],
)
def test_each_listed_utterance_must_come_back_exactly_once(prepared, tmp_path, accepted, rejected, message):
    with pytest.raises(StoreError, match=message):
        prepared(shard(tmp_path, "0000", accepted, rejected))


def test_corpus_without_usable_audio_is_an_error(prepared, tmp_path):
    with pytest.raises(CorpusError, match=r"none of the 4 listed utterances has usable audio \(4 silent\)"):
        prepared(shard(tmp_path, "0000", [], rejected=NAMES))


def test_audio_of_another_corpus_is_refused(prepared, tmp_path):
    with pytest.raises(StoreError, match="corpus is 'other'"):
        prepared(shard(tmp_path, "0000", NAMES, corpus="other"))


def test_audio_that_is_not_there_may_be_of_a_partial_corpus(prepared, tmp_path):
    absent = [Rejected(f"e{i}", f"e{i}.wav", f"t.csv:{i}: there is no such audio file", absent=True) for i in range(9)]
    write_rejected(tmp_path / "listing_rejected.csv", absent)
    part = shard(tmp_path, "0000", ["a", "b", "c"], ["d"])
    with pytest.raises(CorpusError) as stopped:
        prepared(part)
    message = str(stopped.value)
    assert message.startswith("mini: 10 of 13 utterances rejected (9 there is no such audio file, 1 silent), 76.9 % of")
    assert message.endswith(
        ": 0.77 to go on without them, or corpora.mini.allow_partial: true for the 9 whose audio is not there"
    )
    given = prepared(part, max_rejected=0.25, allow_partial=True)
    described = read_metadata(given.utterances)
    assert (described["partial"], described["counts"]["rejected"]) == (True, 10)
    assert described["warnings"] == ["10 of 13 utterances rejected (9 there is no such audio file, 1 silent)"]
    with pytest.raises(CorpusError, match=r"mini: 1 of 4 utterances rejected \(1 silent\), 25.0 % .*allows 0 %"):
        prepared(part, max_rejected=0.0, allow_partial=True)


def test_one_utterance_alone_stops_no_corpus_unless_none_may_be_lost(prepared, tmp_path):
    part = shard(tmp_path, "0000", ["a", "b", "c"], ["d"])
    assert read_metadata(prepared(part, max_rejected=0.01).utterances)["partial"] is True
    with pytest.raises(CorpusError, match="1 of 4 utterances rejected"):
        prepared(part, max_rejected=0.0)


def test_the_same_audio_under_other_names_is_listed_with_what_differs(prepared, tmp_path, caplog):
    write_rejected(tmp_path / "listing_rejected.csv", [])
    samples_of = {"c": "a", "d": "a"}
    given = prepared(shard(tmp_path, "0000", ["a", "b"]), shard(tmp_path, "0001", ["c", "d"], samples_of=samples_of))
    table = read_utterances(given.utterances, columns=["utterance", "duplicate_of"]).to_pydict()
    assert table == {"utterance": NAMES, "duplicate_of": [None, None, "a", "a"]}
    listed = pd.read_csv(given.duplicates, keep_default_na=False)
    assert listed.to_numpy().tolist() == [["c", "c.wav", "a", "a.wav", "emotion"], ["d", "d.wav", "a", "a.wav", ""]]
    said = "2 of 4 utterances repeat the audio of another (1 with another emotion)"
    assert caplog.messages == [f"mini: {said}; see {given.duplicates}"]
    described = read_metadata(given.utterances)
    # a reader of the tables is told; none is lost
    assert (described["warnings"], described["partial"], described["same_audio"]) == ([said], False, "keep")


def test_where_no_audio_is_the_same_the_list_is_empty(prepared, tmp_path):
    given = prepared(shard(tmp_path, "0000", NAMES), same_audio="drop")
    assert given.duplicates.read_text() == "utterance,path,duplicate_of,duplicate_path,differs\n"
    assert read_metadata(given.utterances)["same_audio"] == "drop"


def test_clipped_utterances_are_counted_over_all_shards(prepared, tmp_path, caplog):
    write_rejected(tmp_path / "listing_rejected.csv", [])
    prepared(shard(tmp_path, "0000", ["a", "b"], clipped="a"), shard(tmp_path, "0001", ["c", "d"], clipped="cd"))
    (warning,) = caplog.messages
    assert warning.startswith("mini: 3 of 4 utterances are clipped, with more than 0.1 % of their samples")
    assert "(a, c, d;" in warning


def test_the_recording_that_ravdess_holds_twice_is_found(real_data, tmp_path):
    about = {"corpus": "ravdess", "layout": "ravdess", "root": real_data / "ravdess" / "Actor_07", "options": {}}
    listing, rejected, audio = (tmp_path / name for name in ("listing.parquet", "rejected.csv", "0000.parquet"))
    stand_in = {"title": None, "language": None, "synthetic": False, "allow_partial": True, "files": None}
    list_utterances.main(argparse.Namespace(**about, **stand_in, listing=listing, rejected=rejected))
    shards = {"shard": "0000", "n_shards": 1, "audio": audio, "rejected": tmp_path / "audio_rejected.csv"}
    decoding = {"listing": listing, "root": about["root"], "options": {"min_duration_s": 0.1}}
    prepare_audio.main(argparse.Namespace(**shards, **decoding))
    given = argparse.Namespace(
        listing=listing,
        listing_rejected=rejected,
        audio=[audio],
        audio_rejected=[shards["rejected"]],
        max_rejected=0.0,
        allow_partial=True,
        same_audio="keep",
        utterances=tmp_path / "utterances.parquet",
        rejected=tmp_path / "all_rejected.csv",
        duplicates=tmp_path / "duplicates.csv",
    )
    accept_utterances.main(given)
    (pair,) = pd.read_csv(given.duplicates, keep_default_na=False).to_dict("records")
    assert (pair["utterance"], pair["duplicate_of"]) == ("03-01-03-01-02-02-07", "03-01-03-01-02-01-07")
