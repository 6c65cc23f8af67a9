from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.errors import AudioError, ConfigError, StoreError
from serflow.features import mfcc_kaldi
from serflow.features.energy_vad import DEFAULTS, build, decide, select_voiced

DECISION = {key: DEFAULTS[key] for key in ("threshold", "mean_scale", "context", "proportion")}


@pytest.fixture(scope="module")
def vad():
    return build({})


def textbook_vad(log_energies, threshold, mean_scale, context, proportion):
    limit = threshold + mean_scale * sum(log_energies) / len(log_energies)
    decisions = []
    for t in range(len(log_energies)):
        loud = around = 0
        for neighbour in range(t - context, t + context + 1):
            if 0 <= neighbour < len(log_energies):
                around += 1
                if log_energies[neighbour] > limit:
                    loud += 1
        decisions.append(loud >= around * proportion)
    return np.array(decisions)


def noise(n_samples, level=0.1, seed=0):
    return (level * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


@settings(max_examples=100, deadline=None)
@given(
    # thresholds are such that no level lies on the limit, where rounding would decide
    levels=st.lists(st.sampled_from([-16.0, 2.0, 8.0, 12.0, 17.0, 23.0]), min_size=1, max_size=40),
    threshold=st.sampled_from([0.13, 5.5013, 9.77]),
    mean_scale=st.sampled_from([0.0, 0.5, 1.0]),
    context=st.integers(0, 6),
    proportion=st.sampled_from([0.05, 0.12, 0.37, 0.61, 0.97]),
)
def test_decisions_equal_an_explicit_loop(levels, threshold, mean_scale, context, proportion):
    log_energies = np.array(levels, np.float32)
    expected = textbook_vad(levels, threshold, mean_scale, context, proportion)
    np.testing.assert_array_equal(decide(log_energies, threshold, mean_scale, context, proportion), expected)


def test_a_loud_frame_makes_its_neighbours_speech_as_far_as_the_context_reaches():
    log_energies = np.zeros(20, np.float32)
    log_energies[10] = 20
    limit = {"threshold": 5.5, "mean_scale": 0.5}
    assert np.flatnonzero(decide(log_energies, **limit, context=2, proportion=0.12)).tolist() == [8, 9, 10, 11, 12]
    assert np.flatnonzero(decide(log_energies, **limit, context=0, proportion=0.12)).tolist() == [10]
    assert not decide(log_energies, **limit, context=2, proportion=0.3).any()


def test_at_the_ends_only_frames_that_exist_count():
    log_energies = np.zeros(20, np.float32)
    log_energies[0] = 20
    decisions = decide(log_energies, threshold=5.5, mean_scale=0.5, context=2, proportion=0.24)
    # one of three, one of four, one of five
    assert np.flatnonzero(decisions).tolist() == [0, 1]


def test_the_threshold_follows_the_mean_of_the_utterance():
    log_energies = np.array([10, 14] * 10, np.float32)
    assert decide(log_energies, 5.5, 0.5, 0, 0.12).tolist() == [False, True] * 10
    assert decide(log_energies + 4, 5.5, 0.5, 0, 0.12).all()
    assert not decide(log_energies - 6, 5.5, 0.5, 0, 0.12).any()


def test_silence_speech_silence_gives_the_speech(vad):
    waveform = np.concatenate([noise(16000, 1e-4), noise(16000, 0.1, seed=1), noise(16000, 1e-4, seed=2)])
    decisions = vad(waveform)
    assert decisions.shape == (298, 1)
    assert decisions.dtype == np.float32
    # frames that reach into the speech (98 to 199), and two to each side
    assert np.flatnonzero(decisions).tolist() == list(range(96, 202))


def test_digital_silence_has_no_speech_and_loud_noise_is_all_speech(vad):
    np.testing.assert_array_equal(vad(np.zeros(16000, np.float32)), np.zeros((98, 1)))
    np.testing.assert_array_equal(vad(noise(16000)), np.ones((98, 1)))


def test_decisions_are_those_of_the_first_coefficient_of_mfcc_kaldi(vad):
    bursts = np.repeat(np.tile([1.0, 1e-4], 10), 2000).astype(np.float32) * noise(40_000)
    log_energies = mfcc_kaldi.build({})(bursts)[:, 0]
    decisions = vad(bursts)
    assert 0 < decisions.mean() < 1
    np.testing.assert_array_equal(decisions[:, 0], textbook_vad(log_energies, **DECISION))


@pytest.mark.parametrize("n_samples", [1, 399, 400, 559, 560, 16000, 33333])
@pytest.mark.parametrize("framing", [{}, {"frame_length_ms": 20.3, "frame_shift_ms": 7.7}])
def test_there_are_as_many_decisions_as_frames_of_mfcc_kaldi(n_samples, framing):
    waveform = noise(n_samples)
    assert len(build(framing)(waveform)) == len(mfcc_kaldi.build(framing)(waveform))
    assert build(framing).info.hop_s == mfcc_kaldi.build(framing).info.hop_s


def test_select_voiced_drops_the_silent_frames():
    frames = np.arange(12, dtype=np.float32).reshape(4, 3)
    decisions = np.array([[0], [1], [0], [1]], np.float32)
    np.testing.assert_array_equal(select_voiced(frames, decisions), frames[[1, 3]])
    np.testing.assert_array_equal(select_voiced(frames, decisions[:, 0]), frames[[1, 3]])


def test_select_voiced_keeps_all_frames_where_none_is_speech():
    frames = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(select_voiced(frames, np.zeros((4, 1), np.float32)), frames)


def test_select_voiced_refuses_decisions_of_other_frames():
    with pytest.raises(StoreError, match=r"5 voice activity decisions for 4 frames; give features\.energy_vad"):
        select_voiced(np.zeros((4, 3), np.float32), np.ones((5, 1), np.float32))


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"treshold": 5.5}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"mean_scale": -0.5}, "mean_scale"),
        ({"context": -1}, "context"),
        ({"context": 2.0}, "context"),
        ({"proportion": 0.0}, "proportion"),
        ({"proportion": 1.0}, "proportion"),
        ({"frame_shift_ms": 30.0}, "frame_shift_ms"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(parameters, told):
    with pytest.raises(ConfigError, match=f"energy_vad.*{told}"):
        build(parameters)


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros((2, 800), np.float32), np.zeros(800)])
def test_what_is_not_one_channel_of_float32_is_refused(vad, waveform):
    with pytest.raises(AudioError, match="float32"):
        vad(waveform)


def test_most_of_acted_speech_is_speech_and_pauses_are_not(vad, real_data: Path):
    mfcc = mfcc_kaldi.build({})
    shares = []
    for path in sorted((real_data / "emodb" / "wav").glob("*.flac"))[::20]:
        waveform, _ = soundfile.read(path, dtype="float32")
        # half a second of a quiet room at both ends
        waveform = np.concatenate([noise(8000, 3e-4), waveform, noise(8000, 3e-4, seed=1)])
        decisions = vad(waveform)
        assert len(select_voiced(mfcc(waveform), decisions)) == decisions.sum()
        assert decisions[:40].max() == 0
        assert decisions[-40:].max() == 0
        shares.append(decisions[50:-50].mean())
    assert len(shares) >= 25
    assert min(shares) > 0.5
    assert 0.8 < np.mean(shares) < 1
