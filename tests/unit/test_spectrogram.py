import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from serflow.audio.mel import MelSpectrogram, mel_edges, mel_filters, warped_edges
from serflow.errors import AudioError, ConfigError
from serflow.features._log_mel import LogMel
from serflow.features.spectrogram import DEFAULTS, build

TOLERANCE = 1e-4
EDGES = mel_edges(30, 0.0, 8000.0)


@pytest.fixture(scope="module")
def spectrogram() -> LogMel:
    return build({})


def librosa_spectrogram(waveform, **changed):
    p = {**DEFAULTS, **changed}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_fft=")
        mel = librosa.feature.melspectrogram(
            y=waveform,
            sr=16000,
            window="hamming",
            **{key: p[key] for key in ("n_fft", "win_length", "hop_length", "n_mels", "fmin", "fmax")},
        )
    return np.log(mel + p["floor"]).T


def speech_like(n_samples, seed=0):
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    bursts = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * np.arange(n_samples) / 16000)
    return (0.1 * bursts * noise + 0.01).astype(np.float32)


def assert_equals_librosa(frames, waveform, **changed):
    expected = librosa_spectrogram(waveform, **changed)
    assert frames.shape == expected.shape
    assert np.abs(frames - expected).max() < TOLERANCE


@pytest.mark.parametrize("n_samples", [2, 199, 200, 201, 399, 400, 401, 799, 800, 1023, 1024, 1025, 16000, 77777])
def test_equals_librosa_at_lengths_about_hop_and_window(spectrogram, n_samples):
    waveform = speech_like(n_samples)
    assert_equals_librosa(spectrogram(waveform), waveform)


@pytest.mark.parametrize("frequency", [50, 440, 1000, 3000, 7900])
def test_equals_librosa_on_a_sine_that_dies_away(spectrogram, frequency):
    time = np.arange(16000) / 16000
    waveform = (np.exp(-8 * time) * np.sin(2 * np.pi * frequency * time)).astype(np.float32)
    assert_equals_librosa(spectrogram(waveform), waveform)


@pytest.mark.parametrize(
    "changed",
    [
        {"n_mels": 64},
        {"n_mels": 250},
        {"n_mels": 1},
        {"win_length": 400, "n_fft": 512},
        {"win_length": 1024},
        {"win_length": 801, "hop_length": 801},
        {"fmin": 60.0, "fmax": 7800.0, "floor": 1e-10},
    ],
)
def test_equals_librosa_with_other_parameters(changed):
    waveform = speech_like(8000)
    assert_equals_librosa(build(changed)(waveform), waveform, **changed)


def test_gives_80_frames_a_second_of_30_bands(spectrogram):
    assert spectrogram(speech_like(48000)).shape == (241, 30)
    assert spectrogram.info.hop_s == 0.0125
    assert spectrogram.info.dim == 30


def test_silence_is_the_logarithm_of_the_floor_and_one_sample_one_frame(spectrogram):
    np.testing.assert_allclose(spectrogram(np.zeros(4000, np.float32)), np.log(1e-6), rtol=1e-6)
    assert spectrogram(np.array([0.5], np.float32)).shape == (1, 30)


def test_no_warping_gives_exactly_the_standard_bank():
    standard = mel_filters(EDGES, 1024)
    np.testing.assert_array_equal(build({"warp": 0.0}).mel.filters, standard)
    np.testing.assert_array_equal(warped_edges(EDGES, 0.0), EDGES)
    np.testing.assert_allclose(standard, librosa.filters.mel(sr=16000, n_fft=1024, n_mels=30), atol=1e-8)


def test_a_warped_bank_is_laid_over_librosas_power():
    waveform = speech_like(8000)
    power = np.abs(librosa.stft(waveform, n_fft=1024, hop_length=200, win_length=800, window="hamming")) ** 2
    expected = np.log(mel_filters(warped_edges(EDGES, 0.12), 1024) @ power + 1e-6).T
    frames = build({"warp": 0.12})(waveform)
    assert np.abs(frames - expected).max() < TOLERANCE
    assert np.abs(frames - build({})(waveform)).max() > 0.1


@given(warp=st.floats(-0.99, 0.99), n_mels=st.integers(1, 128))
def test_warped_edges_keep_their_order_and_the_ends_of_the_band(warp, n_mels):
    edges = mel_edges(n_mels, 0.0, 8000.0)
    warped = warped_edges(edges, warp)
    assert (np.diff(warped) > 0).all()
    assert warped[0] == 0
    assert warped[-1] == pytest.approx(8000)
    assert warped[-1] <= 8000
    np.testing.assert_allclose(warped_edges(warped, -warp), edges, atol=1e-6)
    if abs(warp) > 1e-6:
        assert (np.sign(warped - edges)[1:-1] == np.sign(warp)).all()


def test_warped_edges_follow_the_formula():
    # at 4 kHz, w = pi / 2: w + 2 atan(a)
    assert warped_edges(np.array([4000.0]), 0.1)[0] == pytest.approx(4000 + 16000 / np.pi * np.arctan(0.1))
    # at 8000 / 3 Hz, w = pi / 3
    moved = 2 * np.arctan(-0.15 * np.sqrt(3) / 2 / (1 + 0.15 / 2))
    assert warped_edges(np.array([8000 / 3]), -0.15)[0] == pytest.approx(8000 / 3 + 8000 / np.pi * moved)


def test_a_tone_falls_into_a_lower_band_where_the_edges_rise():
    tone = np.sin(2 * np.pi * 2000 * np.arange(8000) / 16000).astype(np.float32)
    lower, middle, higher = (build({"warp": warp})(tone)[20].argmax() for warp in (0.15, 0.0, -0.15))
    assert lower < middle < higher


@pytest.mark.parametrize("warp", [1.0, -1.0, 2.0, float("nan")])
def test_a_warping_that_folds_the_spectrum_is_refused(warp):
    with pytest.raises(ConfigError, match="feature spectrogram: warp"):
        build({"warp": warp})
    with pytest.raises(ValueError, match="warp"):
        warped_edges(EDGES, warp)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"n_mel": 30}, "n_mels"),
        ({"n_mels": 0}, "n_mels"),
        ({"n_mels": 500}, "without a bin"),
        ({"n_mels": 250, "warp": -0.3}, "without a bin"),
        ({"win_length": 1025}, "win_length is 1025"),
        ({"win_length": 199}, "hop_length"),
        ({"n_fft": 1023}, "even"),
        ({"floor": 0.0}, "floor"),
        ({"fmax": 8001}, "fmax"),
        ({"warp": "0.1"}, "warp"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(parameters, told):
    with pytest.raises(ConfigError, match=f"feature spectrogram: .*{told}"):
        build(parameters)


def test_mel_power_without_a_floor_names_its_feature_and_is_zero_in_silence():
    shape = {"n_mels": 30, "n_fft": 1024, "win_length": 800, "hop_length": 200, "fmin": 0.0, "fmax": 8000.0}
    mel = MelSpectrogram(feature="mine", **shape)
    assert not mel(np.zeros(1000, np.float32)).any()
    with pytest.raises(ConfigError, match="feature mine: preemphasis"):
        MelSpectrogram(feature="mine", **shape, preemphasis=2.0)
    with pytest.raises(ConfigError, match="feature mine: floor"):
        MelSpectrogram(feature="mine", **shape, floor=-1.0)


def test_the_waveform_is_left_as_it_was_and_calls_do_not_disturb_each_other(spectrogram):
    waveform, other = speech_like(80_000), speech_like(5000, seed=1)
    before = waveform.copy()
    first = spectrogram(waveform)
    spectrogram(other)
    np.testing.assert_array_equal(waveform, before)
    np.testing.assert_array_equal(spectrogram(waveform), first)


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros((2, 100), np.float32), np.zeros(100)])
def test_what_is_not_one_channel_of_float32_is_refused(spectrogram, waveform):
    with pytest.raises(AudioError, match="float32"):
        spectrogram(waveform)


def test_equals_librosa_on_real_speech(spectrogram, real_data: Path):
    paths = sorted((real_data / "emodb" / "wav").glob("*.flac"))[::40]
    assert len(paths) >= 12
    for path in paths:
        waveform, _ = soundfile.read(path, dtype="float32")
        assert_equals_librosa(spectrogram(waveform), waveform)
