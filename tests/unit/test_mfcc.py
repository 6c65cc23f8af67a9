import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.fft
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.errors import AudioError, ConfigError
from serflow.features.mfcc import DEFAULTS, Mfcc, build, dct_matrix, normalise

RAW_TOLERANCE_DB = 1e-3
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def raw() -> Mfcc:
    return build({"cmvn": False})


@pytest.fixture(scope="module")
def mfcc() -> Mfcc:
    return build({})


def librosa_mfcc(waveform, **changed):
    p = {**DEFAULTS, **changed}
    del p["cmvn"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_fft=")
        return librosa.feature.mfcc(y=waveform, sr=16000, **p).T.astype(np.float64)


def speech_like(n_samples, seed=0):
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    bursts = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * np.arange(n_samples) / 16000)
    return (0.1 * bursts * noise).astype(np.float32)


def vowel(n_samples, pitch_hz=120):
    """Pulses through two resonances, with a syllable's envelope."""
    time = np.arange(n_samples) / 16000
    pulses = (np.diff(np.floor(time * pitch_hz), prepend=0) > 0) * (0.6 - 0.4 * np.cos(2 * np.pi * 4 * time))
    spectrum = np.fft.rfft(pulses)
    frequency = np.fft.rfftfreq(n_samples, 1 / 16000)
    for formant, width in ((700, 80), (1200, 100)):
        spectrum = spectrum / (1 + ((frequency - formant) / width) ** 2) ** 0.5
    voiced = np.fft.irfft(spectrum, n_samples)
    return (0.5 * voiced / np.abs(voiced).max()).astype(np.float32)


def assert_equals_librosa(frames, waveform, tolerance=RAW_TOLERANCE_DB, **changed):
    expected = librosa_mfcc(waveform, **changed)
    assert frames.shape == expected.shape
    assert np.abs(frames - expected).max() < tolerance


def assert_equals_normalised_librosa(frames, waveform):
    expected = librosa_mfcc(waveform)
    expected = (expected - expected.mean(axis=0)) / expected.std(axis=0)
    assert frames.shape == expected.shape
    assert np.abs(frames - expected).max() < TOLERANCE


@pytest.mark.parametrize("n_samples", [2, 159, 160, 161, 255, 256, 399, 400, 401, 511, 512, 513, 16000, 100_001])
def test_equals_librosa_at_lengths_about_hop_and_window(raw, n_samples):
    waveform = speech_like(n_samples) + np.float32(0.01)
    assert_equals_librosa(raw(waveform), waveform)


@pytest.mark.parametrize(
    "waveform", [speech_like(32000), vowel(32000), vowel(32000, 210)], ids=["noise", "low", "high"]
)
def test_equals_librosa_before_and_after_normalisation(raw, mfcc, waveform):
    assert_equals_librosa(raw(waveform), waveform)
    assert_equals_normalised_librosa(mfcc(waveform), waveform)


@pytest.mark.parametrize("fall_db", [50, 60, 70, 78, 90])
@pytest.mark.parametrize("cutoff_hz", [1000, 4000])
def test_single_precision_suffices_within_the_dynamic_range(raw, fall_db, cutoff_hz):
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(16000))
    spectrum[cutoff_hz:] *= 10 ** (-fall_db / 20)
    waveform = np.fft.irfft(spectrum)
    waveform = (waveform / np.abs(waveform).max()).astype(np.float32)
    assert_equals_librosa(raw(waveform), waveform, 2 * RAW_TOLERANCE_DB)


@pytest.mark.parametrize("frequency", [50, 437.3, 1000, 7900])
def test_equals_librosa_on_a_full_scale_sine_whose_other_bands_are_clipped(raw, frequency):
    waveform = np.sin(2 * np.pi * frequency * np.arange(16000) / 16000).astype(np.float32)
    assert_equals_librosa(raw(waveform), waveform)


def test_equals_librosa_on_a_constant_on_clipping_on_a_click_and_on_silence(raw):
    click = np.zeros(8000, np.float32)
    click[4000] = 1
    for waveform in (
        np.full(8000, 0.5, np.float32),
        np.clip(50 * speech_like(8000), -1, 1),
        click,
        np.concatenate([np.zeros(8000, np.float32), speech_like(8000)]),
    ):
        assert_equals_librosa(raw(waveform), waveform)
    # librosa sums 128 values of -100 dB in single precision, and is itself 1e-3 dB off
    assert_equals_librosa(raw(np.zeros(4000, np.float32)), np.zeros(4000, np.float32), 2e-3)


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
    assert_equals_librosa(build({"cmvn": False})(waveform), waveform, 3 * RAW_TOLERANCE_DB)


@pytest.mark.parametrize(
    "changed",
    [
        {"n_mfcc": 13, "n_mels": 40},
        {"n_mfcc": 1},
        {"n_mels": 40, "n_mfcc": 40},
        {"n_fft": 1024, "win_length": 1024, "hop_length": 80},
        {"win_length": 401},
        {"fmin": 300.0, "fmax": 3400.0, "n_mels": 30, "n_mfcc": 20},
    ],
)
def test_equals_librosa_with_other_parameters(changed):
    waveform = vowel(8000)
    assert_equals_librosa(build({**changed, "cmvn": False})(waveform), waveform, **changed)


def test_the_quietest_band_is_80_db_below_the_loudest_of_the_utterance():
    waveform = np.concatenate([np.sin(np.arange(8000, dtype=np.float32)), np.zeros(8000, np.float32)])
    bands = build({"n_mfcc": 128, "cmvn": False})(waveform) @ dct_matrix(128, 128).T
    assert bands.max() - bands.min() == pytest.approx(80, abs=1e-3)


def test_dct_matrix_is_that_of_scipy():
    values = np.random.default_rng(0).standard_normal((5, 128))
    expected = scipy.fft.dct(values, norm="ortho")[:, :40]
    np.testing.assert_allclose(values @ dct_matrix(40, 128), expected, atol=1e-5)


def test_every_coefficient_has_zero_mean_and_unit_variance(mfcc):
    frames = mfcc(vowel(32000)).astype(np.float64)
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-5)


def test_a_coefficient_without_variance_stays_zero():
    frames = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    frames[:, 1] = -1131.37
    frames[:25, 1] += np.float32(1e-4)
    normalised = normalise(frames, np.full(3, 1e-2))
    assert normalised.dtype == np.float32
    assert not normalised[:, 1].any()
    np.testing.assert_allclose(normalised[:, [0, 2]].std(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize(
    "waveform",
    [np.zeros(16000, np.float32), np.zeros(1, np.float32), np.ones(1, np.float32), np.full(3, 1e-30, np.float32)],
    ids=["silence", "a sample of silence", "one sample", "denormal power"],
)
def test_what_does_not_vary_is_zero_after_normalisation(mfcc, raw, waveform):
    frames = mfcc(waveform)
    assert frames.shape == (1 + len(waveform) // 160, 40)
    assert frames.dtype == np.float32
    assert not frames.any()
    assert np.isfinite(raw(waveform)).all()


def test_constant_audio_gives_finite_values_that_vary_at_its_ends_only(mfcc):
    frames = mfcc(np.full(16000, 0.5, np.float32))
    assert np.isfinite(frames).all()
    assert frames[:3].any()
    assert np.ptp(frames[10:90], axis=0).max() < 0.05


def test_level_shifts_the_zeroth_coefficient_alone(raw):
    waveform = vowel(16000)
    louder = raw(2 * waveform) - raw(waveform)
    np.testing.assert_allclose(louder[:, 0], 20 * np.log10(2) * np.sqrt(128), atol=2e-3)
    np.testing.assert_allclose(louder[:, 1:], 0, atol=2e-3)


def test_info_tells_units_and_frames(mfcc, raw):
    assert (mfcc.info.dim, mfcc.info.hop_s, mfcc.info.kind) == (40, 0.01, "frames")
    assert raw.info.units == "dB"
    assert mfcc.info.units != "dB"


def test_the_waveform_is_left_as_it_was_and_calls_do_not_disturb_each_other(mfcc):
    waveform, other = speech_like(100_000), speech_like(5000, seed=1)
    before = waveform.copy()
    first = mfcc(waveform)
    mfcc(other)
    np.testing.assert_array_equal(waveform, before)
    np.testing.assert_array_equal(mfcc(waveform), first)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"n_mfc": 40}, "n_mfcc"),
        ({"n_mfcc": 0}, "n_mfcc"),
        ({"n_mfcc": 41, "n_mels": 40}, "n_mfcc is 41"),
        ({"n_mels": 200}, "without a bin"),
        ({"win_length": 513}, "win_length is 513"),
        ({"win_length": 1}, "win_length"),
        ({"hop_length": 401}, "hop_length"),
        ({"n_fft": 511}, "n_fft"),
        ({"fmax": 9000}, "fmax"),
        ({"fmin": float("nan")}, "fmin"),
        ({"cmvn": 1}, "cmvn"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(parameters, told):
    with pytest.raises(ConfigError, match=f"feature mfcc: .*{told}"):
        build(parameters)


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros((2, 100), np.float32), np.zeros(100)])
def test_what_is_not_one_channel_of_float32_is_refused(mfcc, waveform):
    with pytest.raises(AudioError, match="float32"):
        mfcc(waveform)


def test_equals_librosa_on_real_speech(raw, mfcc, real_data: Path):
    paths = sorted((real_data / "emodb" / "wav").glob("*.flac"))[::40]
    assert len(paths) >= 12
    for path in paths:
        waveform, _ = soundfile.read(path, dtype="float32")
        assert_equals_librosa(raw(waveform), waveform)
        assert_equals_normalised_librosa(mfcc(waveform), waveform)
