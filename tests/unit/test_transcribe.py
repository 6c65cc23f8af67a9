import argparse
import logging
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest

from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.backbones.base import Transcript, load_recogniser
from serflow.backbones.weights import read_weights
from serflow.corpora._tables import UTTERANCES_SCHEMA, write_utterances
from serflow.errors import AudioError, ConfigError, NoiseError, StoreError, WeightsError
from serflow.noise.mixing import PlanRow, write_plan
from serflow.stages.prepare_weights import main as prepare_weights
from serflow.stages.transcribe import main
from serflow.stores.parquet import read_metadata, write_table
from serflow.transcripts.store import TranscriptRow, iterate_transcripts

NAMES = ["utt_a", "utt_b", "utt_c"]
TEXTS = ["We WALKED along, the river!", None, "Don't go. [LAUGHTER]"]
AUDIO = {"corpus": "crema_d", "synthetic": True, "shard": "0001", "n_shards": 2}
CLIP = (1000 * np.sin(np.arange(5000))).astype(np.int16)


def speech(index):
    return (3000 * np.random.default_rng(index).standard_normal(8000 + 500 * index)).astype(np.int16)


def write_corpus(path, texts=TEXTS, languages=("en", "en", "en"), corpus="crema_d"):
    rows = [
        {
            **dict.fromkeys(UTTERANCES_SCHEMA.names),
            "utterance": name,
            "path": f"{name}.wav",
            "speaker": "s",
            "language": language,
            "text": text,
            "duration_s": 1.0,
            "shard": "0001",
        }
        # the last one is of another shard
        for name, text, language in zip([*NAMES, "utt_z"], [*texts, "other"], [*languages, "en"], strict=True)
    ]
    write_utterances(path, pa.Table.from_pylist(rows, schema=UTTERANCES_SCHEMA), {"corpus": corpus})


class FakeRecogniser:
    """Hears one ``BEEP`` for each 1,000 samples; refuses what is shorter than 8,200."""

    sample_rate = 16_000
    description: ClassVar = {"confidence": "the mean of the samples", "network": "fake"}

    def __init__(self):
        self.heard = []

    def transcribe(self, waveforms):
        if any(len(waveform) < self.shortest for waveform in waveforms):
            raise AudioError("too short to be heard")
        self.heard += waveforms
        return [Transcript("BEEP, " * (len(w) // 1000), float(w.mean())) for w in waveforms]

    shortest = 0


@pytest.fixture
def arguments(tmp_path):
    prepared = [PreparedUtterance(name, speech(i), 16000, 1, "PCM_16", 0) for i, name in enumerate(NAMES)]
    write_prepared(tmp_path / "0001.parquet", prepared, AUDIO)
    write_corpus(tmp_path / "utterances.parquet")
    return argparse.Namespace(
        recogniser="wav2vec2",
        options={"backbone": "wav2vec2_ctc", "device": "cpu", "precision": "fp32"},
        weights=tmp_path / "wav2vec2_ctc.json",
        corpus="crema_d",
        condition="clean",
        audio=tmp_path / "0001.parquet",
        plan=None,
        clips=None,
        utterances=tmp_path / "utterances.parquet",
        code="0123456789abcdef",
        transcripts=tmp_path / "out" / "0001.parquet",
    )


@pytest.fixture
def with_weights(arguments, tmp_path):
    """Arguments for wav2vec 2.0 with stand-in weights."""
    prepare_weights(
        argparse.Namespace(
            backbone="wav2vec2_ctc",
            weights="stand-in",
            release=None,
            folder=tmp_path / "wav2vec2_ctc",
            record=arguments.weights,
        )
    )
    return arguments


@pytest.fixture
def fake(with_weights, monkeypatch):
    recogniser = FakeRecogniser()
    recogniser.loaded = []

    def load(*given, **options):
        recogniser.loaded.append((given, options))
        return recogniser

    monkeypatch.setattr("serflow.stages.transcribe.load_recogniser", load)
    return recogniser


@pytest.fixture
def reference(arguments):
    arguments.recogniser, arguments.options, arguments.weights = "reference", None, None
    return arguments


def noisy(arguments, tmp_path, names=NAMES):
    clips = pa.table(
        {"clip": ["1-1-A-10"], "group": ["natural"], "fold": [1], "pcm16": pa.array([CLIP.tobytes()], pa.binary())}
    )
    write_table(tmp_path / "clips.parquet", clips, kind="clips", metadata={"synthetic": True, "warnings": []})
    rows = [PlanRow(name, "natural", "1-1-A-10", 4000, -5.0, 6.0, -5.0, 0.5) for name in names]
    write_plan(tmp_path / "h1.parquet", rows, {"corpus": "crema_d", "profile": "h1"})
    arguments.condition, arguments.plan, arguments.clips = "h1", tmp_path / "h1.parquet", tmp_path / "clips.parquet"


def test_words_are_those_of_the_recogniser_beside_the_references(with_weights):
    main(with_weights)
    rows = list(iterate_transcripts(with_weights.transcripts))
    waveforms = [(speech(i) / np.float32(32768)).astype(np.float32) for i in range(3)]
    heard = load_recogniser("wav2vec2_ctc", Path(read_weights(with_weights.weights).path)).transcribe(waveforms)
    assert [row.utterance for row in rows] == NAMES
    for row, words in zip(rows, heard, strict=True):
        assert row.text.replace("'", "") == words.text.replace("'", "")
        assert row.confidence == words.confidence
    assert [row.reference for row in rows] == ["we walked along the river", None, "don't go"]
    assert [row.wer is None for row in rows] == [row.cer is None for row in rows] == [False, True, False]
    assert [row.duration_s for row in rows] == [0.5, 8500 / 16000, 9000 / 16000]


def test_transcripts_are_normalised_before_they_are_kept_and_scored(with_weights, fake):
    main(with_weights)
    first, second, third = iterate_transcripts(with_weights.transcripts)
    assert first == TranscriptRow(
        "utt_a",
        " ".join(["beep"] * 8),
        pytest.approx(speech(0).mean() / 32768, abs=1e-6),
        "we walked along the river",
        8 / 5,
        first.cer,
        0.5,
    )
    assert (second.wer, third.wer) == (None, 9 / 2)


def test_noise_is_mixed_as_the_plan_says(with_weights, fake, tmp_path):
    noisy(with_weights, tmp_path)
    main(with_weights)
    for index, heard in enumerate(fake.heard):
        clean = speech(index) / 32768
        looped = np.resize(np.roll(CLIP, -4000), len(clean)) / 32768
        np.testing.assert_allclose(heard, 0.5 * (clean + looped * 10 ** (6 / 20)), atol=1e-6)
    found = read_metadata(with_weights.transcripts)
    assert found["stand_ins"] == ["corpus", "noise", "weights"]
    files = {name: getattr(with_weights, name) for name in ("audio", "utterances", "plan", "clips")}
    assert found["sources"] == {name: read_metadata(path)["data_sha256"] for name, path in files.items()}


def test_metadata_say_how_the_transcripts_were_made(with_weights, fake):
    with_weights.options |= {"engine": "/opt/lib.so", "beam_width": 32}
    main(with_weights)
    found = read_metadata(with_weights.transcripts)
    expected = {
        "kind": "transcripts",
        "recogniser": "wav2vec2",
        "backbone": {"name": "wav2vec2_ctc", "precision": "fp32", **FakeRecogniser.description},
        "parameters": {"beam_width": 32},
        "weights": read_weights(with_weights.weights).describe(),
        "corpus": "crema_d",
        "condition": "clean",
        "language": "en",
        "stand_ins": ["corpus", "weights"],
        "code": "0123456789abcdef",
        "shard": "0001",
        "n_shards": 2,
        "rejected": {},
    }
    assert {key: found[key] for key in expected} == expected
    ((given, options),) = fake.loaded
    assert given[0] == "wav2vec2_ctc"
    assert given[2:] == ("cpu", "fp32")
    assert options == {"engine": "/opt/lib.so", "beam_width": 32}
    assert "/opt" not in str(found)


def test_the_same_shard_gives_the_same_bytes_and_the_time_stands_in_the_log(with_weights, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        main(with_weights)
    assert "times real time" in caplog.text
    first = with_weights.transcripts.read_bytes()
    with_weights.transcripts = tmp_path / "again.parquet"
    main(with_weights)
    assert with_weights.transcripts.read_bytes() == first


def test_an_utterance_that_cannot_be_recognised_is_listed_and_has_no_empty_text(with_weights, fake, caplog):
    fake.shortest = 8200
    main(with_weights)
    assert [row.utterance for row in iterate_transcripts(with_weights.transcripts)] == ["utt_b", "utt_c"]
    assert read_metadata(with_weights.transcripts)["rejected"] == {"utt_a": "too short to be heard"}
    (warning,) = caplog.messages
    assert "1 of 3 utterances have no transcript" in warning
    assert warning.endswith("(1 too short to be heard); see the log")


def test_the_reference_is_taken_as_it_stands(reference):
    write_corpus(reference.utterances, [TEXTS[0], "[BREATHING]", TEXTS[2]], languages=("fr", "fr", "en-GB"))
    main(reference)
    assert list(iterate_transcripts(reference.transcripts)) == [
        TranscriptRow("utt_a", "we walked along the river", None, "we walked along the river", 0.0, 0.0, 0.5),
        TranscriptRow("utt_b", "", None, "", 0.0, 0.0, 8500 / 16000),
        TranscriptRow("utt_c", "don't go", None, "don't go", 0.0, 0.0, 9000 / 16000),
    ]
    found = read_metadata(reference.transcripts)
    assert (found["recogniser"], found["language"], found["stand_ins"]) == ("reference", "en, en-GB, fr", ["corpus"])
    assert "weights" not in found


def test_a_corpus_without_texts_has_no_reference_to_take(reference):
    with pytest.raises(ConfigError, match=r"1 of 3 utterances of crema_d in this shard, first 'utt_b', .*dlc\.asr"):
        main(reference)
    assert not reference.transcripts.exists()


@pytest.mark.parametrize("language", ["de", "und"])
def test_a_corpus_in_another_language_is_refused(arguments, language):
    write_corpus(arguments.utterances, languages=("en_US", "EN", language))
    with pytest.raises(ConfigError, match=rf"crema_d 1 in {language}; set `dlc\.asr: reference`"):
        main(arguments)


def test_audio_or_a_table_of_another_corpus_is_refused(with_weights, fake):
    write_corpus(with_weights.utterances, corpus="mosei")
    with pytest.raises(StoreError, match="corpus is 'mosei'"):
        main(with_weights)
    write_corpus(with_weights.utterances, corpus="cafe")
    with_weights.corpus = "cafe"
    with pytest.raises(StoreError, match="corpus is 'crema_d'"):
        main(with_weights)


def test_an_utterance_that_is_in_no_table_is_named(arguments):
    write_prepared(arguments.audio, [PreparedUtterance("utt_x", speech(0), 16000, 1, "PCM_16", 0)], AUDIO)
    with pytest.raises(StoreError, match="no row for utterance 'utt_x'"):
        main(arguments)


def test_an_utterance_without_a_row_in_the_plan_is_named_and_nothing_is_left(with_weights, fake, tmp_path):
    noisy(with_weights, tmp_path, NAMES[:2])
    with pytest.raises(NoiseError, match="utt_c"):
        main(with_weights)
    assert list(with_weights.transcripts.parent.iterdir()) == []


def test_a_recogniser_of_another_sample_rate_is_refused(with_weights, fake):
    fake.sample_rate = 8000
    with pytest.raises(WeightsError, match=r"8000 Hz where prepared audio has 16000.*backbones\.wav2vec2_ctc\.weights"):
        main(with_weights)


def test_options_that_do_not_go_together_are_refused(arguments, reference):
    reference.weights = arguments.utterances
    write_corpus(reference.utterances, ["a", "b", "c"])
    with pytest.raises(ConfigError, match="neither with reference"):
        main(reference)
    reference.recogniser = "wav2vec2"
    with pytest.raises(ConfigError, match="--options and --weights with a recogniser"):
        main(reference)
    reference.clips = arguments.utterances
    with pytest.raises(ConfigError, match="--plan and --clips"):
        main(reference)


def test_an_empty_shard_gives_an_empty_store(with_weights, fake):
    write_prepared(with_weights.audio, [], AUDIO)
    main(with_weights)
    assert list(iterate_transcripts(with_weights.transcripts)) == []


def test_groups_are_given_to_the_recogniser_and_not_the_whole_shard(with_weights, fake, monkeypatch):
    sizes = []
    heard = fake.transcribe
    monkeypatch.setattr(fake, "transcribe", lambda waveforms: sizes.append(len(waveforms)) or heard(waveforms))
    monkeypatch.setattr("serflow.stages.transcribe._GROUP", 2)
    main(with_weights)
    assert sizes == [2, 1]
