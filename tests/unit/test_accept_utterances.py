import argparse

import pyarrow as pa
import pytest

from serflow.corpora._tables import read_rejected, read_utterances, write_listing, write_rejected
from serflow.corpora.base import Rejected, Utterance
from serflow.errors import CorpusError, StoreError
from serflow.stages import accept_utterances
from serflow.stores.parquet import read_metadata, write_table

AUDIO_SCHEMA = pa.schema([("utterance", pa.string()), ("n_samples", pa.int32()), ("pcm16", pa.binary())])
NAMES = ["a", "b", "c", "d"]


def shard(folder, name, utterances, rejected=(), corpus="mini"):
    rows = [{"utterance": u, "n_samples": 8000 * (NAMES.index(u) + 1), "pcm16": b"\0\0"} for u in utterances]
    audio = folder / f"{name}.parquet"
    table = pa.Table.from_pylist(rows, schema=AUDIO_SCHEMA)
    write_table(audio, table, kind="audio", metadata={"corpus": corpus, "shard": name})
    write_rejected(folder / f"{name}_rejected.csv", [Rejected(u, f"{u}.wav", "silent") for u in rejected])
    return audio


@pytest.fixture
def prepared(tmp_path):
    utterances = [Utterance(name, f"{name}.wav", "s", "en") for name in NAMES]
    metadata = {"corpus": "mini", "layout": "emodb", "title": "Mini", "synthetic": False, "warnings": []}
    metadata["content"] = "0123"
    write_listing(tmp_path / "listing.parquet", utterances, metadata)
    write_rejected(tmp_path / "listing_rejected.csv", [Rejected("", "x.wav", "odd name", lost=False)])

    def run(*shards, max_rejected=0.5):
        given = argparse.Namespace(
            listing=tmp_path / "listing.parquet",
            listing_rejected=tmp_path / "listing_rejected.csv",
            audio=list(shards),
            audio_rejected=[path.with_name(f"{path.stem}_rejected.csv") for path in shards],
            max_rejected=max_rejected,
            utterances=tmp_path / "utterances.parquet",
            rejected=tmp_path / "rejected.csv",
        )
        accept_utterances.main(given)
        return given

    return run


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
