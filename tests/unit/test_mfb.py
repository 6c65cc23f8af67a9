import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.audio.mel import hz_to_mel, mel_edges, mel_filters, mel_to_hz, pre_emphasise
from serflow.errors import AudioError, ConfigError
from serflow.features._log_mel import LogMel
from serflow.features.mfb import DEFAULTS, build

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def log_mel() -> LogMel:
    return build({})


def librosa_log_mel(waveform, **changed):
    p = {**DEFAULTS, **changed}
    emphasised = librosa.effects.preemphasis(waveform, coef=p["preemphasis"])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_fft=")
        mel = librosa.feature.melspectrogram(
            y=emphasised,
            sr=16000,
            n_fft=p["n_fft"],
            hop_length=p["hop_length"],
            n_mels=p["n_mels"],
            fmin=p["fmin"],
            fmax=p["fmax"],
        )
    return np.log(mel + p["floor"]).T


def speech_like(n_samples, seed=0):
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    bursts = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * np.arange(n_samples) / 16000)
    return (0.1 * bursts * noise).astype(np.float32)


def assert_equals_librosa(frames, waveform, **changed):
    expected = librosa_log_mel(waveform, **changed)
    assert frames.shape == expected.shape
    assert np.abs(frames - expected).max() < TOLERANCE


@pytest.mark.parametrize("n_samples", [2, 159, 160, 161, 1023, 1024, 2047, 2048, 2049, 16000, 33333])
def test_equals_librosa_at_lengths_about_hop_and_window(log_mel, n_samples):
    waveform = speech_like(n_samples)
    assert_equals_librosa(log_mel(waveform), waveform)


@pytest.mark.parametrize("frequency", [50, 440, 1000, 3000, 7900])
def test_equals_librosa_on_a_full_scale_sine_whose_other_bands_are_near_the_floor(log_mel, frequency):
    time = np.arange(16000) / 16000
    for waveform in (np.sin(2 * np.pi * frequency * time), np.sin(2 * np.pi * frequency * time) * np.exp(-5 * time)):
        assert_equals_librosa(log_mel(waveform.astype(np.float32)), waveform.astype(np.float32))


def test_equals_librosa_on_a_constant_on_clipping_and_on_a_click(log_mel):
    click = np.zeros(8000, np.float32)
    click[4000] = 1
    for waveform in (np.full(8000, 0.5, np.float32), np.clip(50 * speech_like(8000), -1, 1), click):
        assert_equals_librosa(log_mel(waveform), waveform)


@settings(max_examples=40, deadline=None)
@given(
    n_samples=st.integers(2, 9000),
    seed=st.integers(0, 2**32 - 1),
    level_db=st.floats(-80, 0),
    fall=st.floats(0, 4),
)
def test_equals_librosa_on_noise_of_any_level_and_spectrum(n_samples, seed, level_db, fall):
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n_samples))
    noise = np.fft.irfft(spectrum / (1 + np.arange(len(spectrum))) ** fall, n_samples)
    waveform = (10 ** (level_db / 20) * noise / max(np.abs(noise).max(), 1e-9)).astype(np.float32)
    frames = build({})(waveform)
    assert frames.shape == (1 + n_samples // 160, 40)
    assert_equals_librosa(frames, waveform)


def test_single_precision_alone_would_miss_the_tolerance(log_mel, monkeypatch):
    time = np.arange(16000) / 16000
    waveform = (np.exp(-20 * time) * np.sin(2 * np.pi * 3000 * time) + 1e-3 * speech_like(16000)).astype(np.float32)
    assert_equals_librosa(log_mel(waveform), waveform)
    exact = log_mel(waveform)
    monkeypatch.setattr("serflow.audio.mel._SINGLE_PRECISION_RANGE", 0.0)
    single = log_mel(waveform)
    assert 0 < np.abs(single - exact).max() < 0.01


def test_silence_is_the_logarithm_of_the_floor(log_mel):
    np.testing.assert_allclose(log_mel(np.zeros(4000, np.float32)), np.log(1e-6), rtol=1e-6)


def test_one_sample_gives_one_frame(log_mel):
    frames = log_mel(np.array([0.5], np.float32))
    assert frames.shape == (1, 40)
    assert frames.min() > np.log(1e-6)


@pytest.mark.parametrize(
    "changed",
    [
        {"n_mels": 64},
        {"n_mels": 1},
        {"n_fft": 512, "hop_length": 80},
        {"preemphasis": 0.0},
        {"fmin": 300.0, "fmax": 3400.0, "floor": 1e-10},
    ],
)
def test_equals_librosa_with_other_parameters(changed):
    waveform = speech_like(8000)
    assert_equals_librosa(build(changed)(waveform), waveform, **changed)


def test_loud_sound_outside_the_bands_does_not_disturb_the_quiet_ones():
    waveform = np.sin(2 * np.pi * 6000 * np.arange(16000) / 16000).astype(np.float32) + 1e-4 * speech_like(16000)
    changed = {"fmin": 300.0, "fmax": 3400.0}
    assert_equals_librosa(build(changed)(waveform), waveform, **changed)


@pytest.mark.parametrize(("n_mels", "n_fft", "fmin", "fmax"), [(40, 2048, 0, 8000), (64, 1024, 60, 7800)])
def test_filters_equal_librosas(n_mels, n_fft, fmin, fmax):
    expected = librosa.filters.mel(sr=16000, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    np.testing.assert_allclose(mel_filters(mel_edges(n_mels, fmin, fmax), n_fft), expected, atol=1e-8)


def test_mel_scale_equals_librosas_and_is_inverted():
    for hz in (0.0, 440.0, 1000.0, 4321.0, 8000.0):
        assert hz_to_mel(hz) == pytest.approx(librosa.hz_to_mel(hz))
        assert mel_to_hz(hz_to_mel(hz)) == pytest.approx(hz)


def test_pre_emphasis_equals_librosas_sample_by_sample():
    waveform = speech_like(1000) + np.float32(0.2)
    emphasised = np.empty_like(waveform)
    pre_emphasise(waveform, 0.97, emphasised)
    np.testing.assert_allclose(emphasised, librosa.effects.preemphasis(waveform, coef=0.97), atol=1e-7)


def test_the_waveform_is_left_as_it_was_and_calls_do_not_disturb_each_other(log_mel):
    waveform, other = speech_like(30000), speech_like(5000, seed=1)
    before = waveform.copy()
    first = log_mel(waveform)
    log_mel(other)
    np.testing.assert_array_equal(waveform, before)
    np.testing.assert_array_equal(log_mel(waveform), first)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"n_mel": 40}, "n_mels"),
        ({"n_mels": "40"}, "n_mels"),
        ({"n_mels": 40.5}, "n_mels"),
        ({"n_mels": True}, "n_mels"),
        ({"n_mels": 0}, "n_mels"),
        ({"n_mels": 100, "n_fft": 256}, "without a bin"),
        ({"n_fft": 2047}, "even"),
        ({"hop_length": 0}, "hop_length"),
        ({"preemphasis": 1.5}, "preemphasis"),
        ({"preemphasis": float("nan")}, "preemphasis"),
        ({"fmax": 8001}, "fmax"),
        ({"fmin": 5000, "fmax": 4000}, "fmin"),
        ({"floor": 0}, "floor"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(parameters, told):
    with pytest.raises(ConfigError, match=told):
        build(parameters)


@pytest.mark.parametrize(
    "waveform", [np.zeros(0, np.float32), np.zeros((2, 100), np.float32), np.zeros(100), np.zeros(100, np.int16)]
)
def test_what_is_not_one_channel_of_float32_is_refused(log_mel, waveform):
    with pytest.raises(AudioError, match="float32"):
        log_mel(waveform)


def test_equals_librosa_on_real_speech(log_mel, real_data: Path):
    for path in sorted((real_data / "emodb" / "wav").glob("*.flac"))[::50]:
        waveform, _ = soundfile.read(path, dtype="float32")
        assert_equals_librosa(log_mel(waveform), waveform)
