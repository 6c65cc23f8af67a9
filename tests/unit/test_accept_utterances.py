import argparse

import pyarrow as pa
import pytest

from serflow.corpora._tables import read_rejected, read_utterances, write_listing, write_rejected
from serflow.corpora.base import Rejected, Utterance
from serflow.errors import CorpusError, StoreError
from serflow.stages import accept_utterances
from serflow.stores.parquet import read_metadata, write_table

AUDIO_SCHEMA = pa.schema(
    [
        ("utterance", pa.string()),
        ("n_samples", pa.int32()),
        ("pcm16", pa.binary()),
        ("source_subtype", pa.string()),
        ("clipped_share", pa.float64()),
    ]
)
NAMES = ["a", "b", "c", "d"]


def shard(folder, name, utterances, rejected=(), corpus="mini"):
    rows = [{"utterance": u, "n_samples": 8000 * (NAMES.index(u) + 1), "pcm16": b"\0\0"} for u in utterances]
    rows = [
        row | {"source_subtype": "PCM_16", "clipped_share": 0.5 if row["utterance"] == "a" else 0.0} for row in rows
    ]
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
    write_rejected(tmp_path / "listing_rejected.csv", [Rejected("", "x.wav", "odd name")])

    def run(*shards):
        given = argparse.Namespace(
            listing=tmp_path / "listing.parquet",
            listing_rejected=tmp_path / "listing_rejected.csv",
            audio=list(shards),
            audio_rejected=[path.with_name(f"{path.stem}_rejected.csv") for path in shards],
            utterances=tmp_path / "utterances.parquet",
            rejected=tmp_path / "rejected.csv",
        )
        accept_utterances.main(given)
        return given

    return run


def test_clipped_files_are_said(prepared, tmp_path, caplog):
    prepared(shard(tmp_path, "0000", NAMES))
    assert "mini: 1 of 4 utterances are clipped, with more than 0.1 % of their samples at full scale (a;" in caplog.text


def test_accepted_utterances_keep_listing_order_and_gain_duration_and_shard(prepared, tmp_path):
    given = prepared(shard(tmp_path, "0001", ["d"], rejected=["c"]), shard(tmp_path, "0000", ["b", "a"]))
    rows = read_utterances(given.utterances, columns=["utterance", "duration_s", "shard"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [("a", 0.5, "0000"), ("b", 1.0, "0000"), ("d", 2.0, "0001")]
    assert [entry.reason for entry in read_rejected(given.rejected)] == ["odd name", "silent"]
    described = read_metadata(given.utterances)
    assert described["counts"] == {"listed": 4, "accepted": 3, "rejected": 2}
    assert described["warnings"] == ["audio: 1 of 4 listed utterances rejected"]
    assert described["partial"] is True
    assert (described["corpus"], described["title"], described["synthetic"]) == ("mini", "Mini", False)
    assert described["content"] == "0123"


def test_whole_corpus_is_not_partial(prepared, tmp_path):
    given = prepared(shard(tmp_path, "0000", NAMES))
    assert read_metadata(given.utterances)["partial"] is False


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
    with pytest.raises(CorpusError, match="none of the 4 listed utterances has usable audio: 4: silent"):
        prepared(shard(tmp_path, "0000", [], rejected=NAMES))


def test_audio_of_another_corpus_is_refused(prepared, tmp_path):
    with pytest.raises(StoreError, match="corpus is 'other'"):
        prepared(shard(tmp_path, "0000", NAMES, corpus="other"))
