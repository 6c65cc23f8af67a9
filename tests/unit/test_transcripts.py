"""Words as they are compared, transcripts as they are kept, and how they are shown."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from serflow.audio.prepared import write_prepared
from serflow.cli import app
from serflow.errors import StoreError
from serflow.inspection.damage import check_all, find
from serflow.stores.parquet import read_metadata
from serflow.transcripts.store import (
    TRANSCRIPTS_SCHEMA,
    TranscriptRow,
    iterate_transcripts,
    transcript_stores,
    write_transcripts,
)
from serflow.transcripts.words import normalise

ROWS = [
    TranscriptRow("utt_a", "we walked", -1.5, "we walked home", 1 / 3, 5 / 14, 1.25),
    TranscriptRow("utt_b", "", -9.0, None, None, None, 0.5),
    TranscriptRow("utt_[c]", "it's red", -2.5, "it's red", 0.0, 0.0, 2.0),
]
METADATA = {
    "recogniser": "wav2vec2",
    "backbone": {"name": "wav2vec2_ctc", "precision": "fp32", "confidence": "ln P"},
    "weights": {"release": "stand-in", "source": "stand-in", "licence": "none needed", "trained_on": "nothing"},
    "corpus": "crema_d",
    "condition": "clean",
    "language": "en",
    "stand_ins": ["corpus", "weights"],
    "code": "c0defeed",
    "shard": "0000",
    "n_shards": 2,
    "rejected": {"utt_d": "too short"},
    "sources": {"audio": "a" * 64},
}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  Don't STOP,  now! ", "don't stop now"),
        ("the 'quoted' dogs' bone", "the quoted dogs bone"),
        ("rock \u2019n\u2019 roll, it\u2019s", "rock n roll it's"),
        ("Twenty-one e-mails; no_where", "twenty one e mails no where"),
        ("[LAUGHTER] Well [BREATHING], yes.", "well yes"),
        ("Müßig, ça va? Über 2 Häuser", "müßig ça va über 2 häuser"),
        ("cafe\u0301", "café"),
        ("आपका नाम क्या है?", "आपका नाम क्या है"),
        ("你好,世界。", "你好 世界"),
        ("-- ... ' '' [NOISE]", ""),
        ("", ""),
    ],
)
def test_words_are_small_letters_without_punctuation(text, words):
    assert normalise(text) == words


@given(st.text())
def test_normalised_words_stay_as_they_are_and_have_single_blanks(text):
    words = normalise(text)
    assert normalise(words) == words
    assert words == " ".join(words.split())


def write(path, rows=ROWS, **changed):
    write_transcripts(path, [rows[:2], rows[2:]], lambda: {**METADATA, **changed})
    return path


def test_rows_come_back_in_order_a_row_group_a_group(tmp_path):
    path = write(tmp_path / "0000.parquet")
    assert list(iterate_transcripts(path, expect={"corpus": "crema_d"})) == ROWS
    assert pq.ParquetFile(path).num_row_groups == 2
    assert pq.read_table(path).to_pandas()["wer"].isna().tolist() == [False, True, False]
    with pytest.raises(StoreError, match="corpus is 'crema_d' where 'mosei' was asked for"):
        list(iterate_transcripts(path, expect={"corpus": "mosei"}))


def test_an_utterance_without_a_text_cannot_be_written(tmp_path):
    with pytest.raises((pa.ArrowInvalid, ValueError)):
        write(tmp_path / "0000.parquet", [ROWS[0]._replace(text=None)])
    assert list(tmp_path.iterdir()) == []


def test_damage_is_found(tmp_path):
    path = write(tmp_path / "transcripts" / "0000.parquet")
    assert [entry.fault for entry in check_all(find([tmp_path]))] == [None]
    content = path.read_bytes()
    where = content.index(b"we walked home")
    path.write_bytes(content[:where] + b"We" + content[where + 2 :])
    with pytest.raises(StoreError, match="do not match their SHA-256"):
        list(iterate_transcripts(path))
    assert "SHA-256" in check_all(find([tmp_path])).__next__().fault


def test_shards_are_sorted_into_their_corpora_and_conditions(tmp_path):
    def shard(corpus, condition, number, **changed):
        path = tmp_path / corpus / condition / f"{number}.parquet"
        return write(path, corpus=corpus, condition=condition, shard=number, **changed)

    clean = [shard("crema_d", "clean", number) for number in ("0001", "0000")]
    noisy = [shard("crema_d", "h1", number) for number in ("0000", "0001")]
    other = shard("mosei", "clean", "0000", n_shards=1)
    assert transcript_stores([*clean, other, *noisy]) == {
        ("crema_d", "clean"): clean[::-1],
        ("mosei", "clean"): [other],
        ("crema_d", "h1"): noisy,
    }
    with pytest.raises(StoreError, match="crema_d, clean: 1 shards given of 2"):
        transcript_stores(clean[:1])
    twin = shard("crema_d", "other", "0000", n_shards=1)
    with pytest.raises(StoreError, match="is shard 0000, and so is"):
        transcript_stores([twin, write(tmp_path / "twin.parquet", condition="other", n_shards=1)])
    foreign = write(tmp_path / "foreign.parquet", recogniser="deepspeech")
    with pytest.raises(StoreError, match=r"made by deepspeech, and .* by wav2vec2"):
        transcript_stores([*clean, foreign])
    audio = tmp_path / "audio.parquet"
    write_prepared(audio, [], {"corpus": "crema_d"})
    with pytest.raises(StoreError, match="holds audio, not transcripts"):
        transcript_stores([audio])


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results" / "transcripts" / "wav2vec2" / "crema_d" / "clean"
    write(folder / "0000.parquet")
    write(
        folder / "0001.parquet",
        [TranscriptRow("utt_e", "a b", -0.5, "a b c d e", 0.6, 0.7, 3.0)],
        shard="0001",
        rejected={},
    )
    return folder


def inspect(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def test_inspect_shows_text_beside_reference_and_the_rates_of_the_whole_store(results):
    shown = json.loads(inspect(results, "--json").stdout)
    facts = shown["facts"]
    assert shown["kind"] == "transcripts"
    assert shown["heading"] == "transcripts · wav2vec2 · crema_d · clean"
    # 1 of 3 words, 0 of 2, 3 of 5; the utterance without reference is not counted
    assert facts["WER"] == pytest.approx(4 / 10)
    assert (facts["rows"], facts["with_reference"], facts["without_words"], facts["rejected"]) == (4, 3, 1, 1)
    assert facts["confidence"] == {"min": -9.0, "mean": pytest.approx(-13.5 / 4), "max": -0.5}
    assert facts["duration"]["total"] == pytest.approx(6.75)
    table, rejected = shown["tables"]
    assert table["rows"][0] == ["utt_a", "we walked home", "we walked", 33.3, -1.5]
    assert table["rows"][1] == ["utt_b", None, "", None, -9.0]
    assert [row[0] for row in table["rows"]] == ["utt_a", "utt_b", "utt_[c]", "utt_e"]
    assert rejected["rows"] == [["utt_d", "too short"]]
    assert any("STAND-IN weights" in warning for warning in shown["warnings"])


def test_inspect_prints_brackets_as_they_are(results):
    shown = inspect(results)
    assert shown.exit_code == 0
    assert "utt_[c]" in shown.stdout
    assert "2 of 2" in shown.stdout


def test_inspect_shows_one_utterance_or_why_it_is_not_there(results):
    facts = json.loads(inspect(results, "--utterance", "utt_e", "--json").stdout)["facts"]
    assert (facts["transcript"], facts["reference"], facts["WER"]) == ("a b", "a b c d e", 0.6)
    refused = inspect(results, "--utterance", "utt_d")
    assert refused.exit_code == 1
    assert "utt_d has no transcript: too short" in refused.stderr
    assert "holds no utterance 'utt_x'" in inspect(results, "--utterance", "utt_x").stderr


def test_transcripts_that_are_not_there_come_with_the_command_that_builds_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = inspect("results/transcripts/wav2vec2/crema_d/clean/0000.parquet")
    assert "snakemake --cores 2 results/transcripts/wav2vec2/crema_d/clean/0000.parquet" in shown.stderr


def test_the_schema_is_that_of_the_design(tmp_path):
    path = write(tmp_path / "0000.parquet")
    assert pq.read_schema(path).names == TRANSCRIPTS_SCHEMA.names == list(TranscriptRow._fields)
    assert read_metadata(path)["kind"] == "transcripts"
