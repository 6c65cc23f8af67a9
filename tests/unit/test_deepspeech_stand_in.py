"""The stand-in for DeepSpeech: trained once here, in full, and heard on speakers that it does not know."""

import os
import sys

import jiwer
import numpy as np
import pytest
import torch

from deepspeech_parts import shared_engine
from serflow.backbones._deepspeech_graph import write_pb
from serflow.backbones._deepspeech_training import Recipe, add_noise, speak, train_stand_in
from serflow.backbones.deepspeech import load, write_stand_in

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="DeepSpeech's library is for Linux x86_64"
)
SMALL = Recipe(speakers=2, sentences_each=4, versions=2, aligned_epochs=1, epochs=2)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return shared_engine(tmp_path_factory)


@pytest.fixture(scope="module")
def recogniser(engine, tmp_path_factory):
    pytest.importorskip("parselmouth", reason="Praat is not installed")
    path = write_stand_in(tmp_path_factory.mktemp("stand-in"), seed=0)
    assert path.stat().st_size < 2e6
    return load(path, "cpu", "fp32", engine=engine)


@pytest.fixture(scope="module")
def unseen():
    pytest.importorskip("parselmouth", reason="Praat is not installed")
    return speak("unseen", seed=0, n_speakers=6, sentences_each=8)


def error_rate(recogniser, spoken, recordings):
    transcripts = recogniser.transcribe([pcm16.astype(np.float32) / 32768 for pcm16 in recordings])
    assert all(transcript.confidence < 0 for transcript in transcripts)
    return jiwer.cer([each.text for each in spoken], [transcript.text for transcript in transcripts])


def test_it_recognises_speakers_that_it_has_not_heard(recogniser, unseen):
    clean = error_rate(recogniser, unseen, [each.pcm16 for each in unseen])
    assert clean < 0.25
    rng = np.random.default_rng(0)
    mild, strong = (
        error_rate(recogniser, unseen, [add_noise(each.pcm16, snr_db, rng) for each in unseen]) for snr_db in (15, -5)
    )
    assert mild < 0.35
    assert clean < mild + 0.02
    assert mild + 0.1 < strong


def test_speakers_of_other_groups_are_others(unseen):
    again = speak("unseen", seed=0, n_speakers=1, sentences_each=2)
    assert [each.text for each in again] == [each.text for each in unseen[:2]]
    np.testing.assert_array_equal(again[0].pcm16, unseen[0].pcm16)
    (other,) = speak("training", seed=0, n_speakers=1, sentences_each=1)
    assert all(other.pcm16.size != each.pcm16.size for each in unseen)


def test_the_same_seed_gives_the_same_bytes():
    pytest.importorskip("parselmouth", reason="Praat is not installed")
    state = torch.random.get_rng_state()
    first, again, other = (write_pb(train_stand_in(seed, SMALL), 32) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_has_the_level_asked_for(snr_db):
    rng = np.random.default_rng(0)
    speech = np.round(1000 * np.sin(np.arange(16_000))).astype(np.int16)
    for _ in range(5):
        noise = add_noise(speech, snr_db, rng).astype(float) - speech
        measured = 10 * np.log10(np.mean(speech.astype(float) ** 2) / np.mean(noise**2))
        assert measured == pytest.approx(snr_db, abs=0.1)
