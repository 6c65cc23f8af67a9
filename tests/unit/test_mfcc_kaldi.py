import functools
import math
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.errors import AudioError, ConfigError
from serflow.features._kaldi import Framing, add_deltas, delta_filters, povey_window
from serflow.features.mfcc_kaldi import DEFAULTS, build

# coefficients are lifted up to 12 times and lie in -150..150; Kaldi itself computes in single precision
TOLERANCE = 1e-3
KALDI_TOLERANCE_ON_SPEECH = 5e-3


@pytest.fixture(scope="module")
def mfcc():
    return build({})


@pytest.fixture(scope="module")
def static():
    return build({"delta_order": 0})


def kaldi_mfcc(waveform, **changed):
    p = {**DEFAULTS, **changed}
    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.samp_freq = 16000
    options.frame_opts.frame_length_ms = p["frame_length_ms"]
    options.frame_opts.frame_shift_ms = p["frame_shift_ms"]
    options.frame_opts.preemph_coeff = p["preemphasis"]
    options.mel_opts.num_bins = p["n_mels"]
    options.mel_opts.low_freq = p["low_hz"]
    options.mel_opts.high_freq = p["high_hz"]
    options.num_ceps = p["n_mfcc"]
    options.cepstral_lifter = p["lifter"]
    kaldi = kaldi_native_fbank.OnlineMfcc(options)
    kaldi.accept_waveform(16000, (waveform * 32768).tolist())
    kaldi.input_finished()
    return np.stack([kaldi.get_frame(frame) for frame in range(kaldi.num_frames_ready)])


@functools.cache
def textbook_band(band):
    """Weights of 256 bins, triangles over mel."""
    edges = np.linspace(1127 * math.log(1 + 20 / 700), 1127 * math.log(1 + 8000 / 700), 25)
    weights = []
    for k in range(256):
        mel = 1127 * math.log(1 + k * 31.25 / 700)
        rising = (mel - edges[band]) / (edges[band + 1] - edges[band])
        falling = (edges[band + 2] - mel) / (edges[band + 2] - edges[band + 1])
        weights.append(max(0.0, min(rising, falling)))
    return np.array(weights)


def textbook_mfcc(waveform):
    """Kaldi's formulas frame by frame, in double precision."""
    samples = waveform.astype(np.float64) * 32768
    epsilon = np.finfo(np.float32).eps
    window = [(0.5 - 0.5 * math.cos(2 * math.pi * n / 399)) ** 0.85 for n in range(400)]
    rows = []
    for start in range(0, len(samples) - 399, 160):
        frame = samples[start : start + 400]
        frame = frame - frame.mean()
        energy = math.log(max(np.sum(frame**2), epsilon))
        emphasised = [frame[0] - 0.97 * frame[0], *(frame[1:] - 0.97 * frame[:-1])]
        power = np.abs(np.fft.rfft(np.multiply(emphasised, window), 512)) ** 2
        logs = [math.log(max(np.dot(textbook_band(band), power[:256]), epsilon)) for band in range(23)]
        row = [energy]
        for k in range(1, 13):
            cosines = [math.cos(math.pi * (n + 0.5) * k / 23) for n in range(23)]
            row.append((1 + 11 * math.sin(math.pi * k / 22)) * math.sqrt(2 / 23) * np.dot(cosines, logs))
        rows.append(row)
    return np.array(rows)


def textbook_deltas(frames, window=2):
    """Kaldi's deltas and delta-deltas of frames, one tap at a time."""
    n_frames = len(frames)
    norm = sum(j * j for j in range(-window, window + 1))
    first, second = np.zeros(frames.shape), np.zeros(frames.shape)
    for t in range(n_frames):
        for j in range(-window, window + 1):
            first[t] += j / norm * frames[min(max(t + j, 0), n_frames - 1)]
            for k in range(-window, window + 1):
                second[t] += j * k / norm**2 * frames[min(max(t + j + k, 0), n_frames - 1)]
    return first, second


def speech_like(n_samples, seed=0):
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    bursts = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * np.arange(n_samples) / 16000)
    return (0.1 * bursts * noise).astype(np.float32)


def vowel(n_samples, pitch_hz=120):
    """Pulses through two resonances, with a syllable's envelope and a little noise."""
    time = np.arange(n_samples) / 16000
    pulses = (np.diff(np.floor(time * pitch_hz), prepend=0) > 0) * (0.6 - 0.4 * np.cos(2 * np.pi * 4 * time))
    frequency = np.fft.rfftfreq(n_samples, 1 / 16000)
    spectrum = np.fft.rfft(pulses)
    for formant, width in ((700, 80), (1200, 100)):
        spectrum = spectrum / (1 + ((frequency - formant) / width) ** 2) ** 0.5
    voiced = np.fft.irfft(spectrum, n_samples)
    noise = np.random.default_rng(0).standard_normal(n_samples)
    return (0.5 * voiced / np.abs(voiced).max() + 1e-3 * noise).astype(np.float32)


def assert_equals_kaldi(frames, waveform, tolerance=TOLERANCE, **changed):
    expected = kaldi_mfcc(waveform, **changed)
    assert frames.shape == expected.shape
    assert np.abs(frames - expected).max() < tolerance


@pytest.mark.parametrize("n_samples", [400, 401, 559, 560, 561, 719, 720, 16000, 100_001, 400 + 160 * 255, 200_000])
def test_equals_kaldi_at_lengths_about_shift_frame_and_block(static, n_samples):
    waveform = speech_like(n_samples)
    assert_equals_kaldi(static(waveform), waveform)


@pytest.mark.parametrize("pitch_hz", [90, 210])
def test_equals_kaldi_on_vowels(static, pitch_hz):
    waveform = vowel(32000, pitch_hz)
    assert_equals_kaldi(static(waveform), waveform)


def test_equals_kaldi_on_a_click_on_clipping_on_an_offset_and_on_silence_before_speech(static):
    click = np.zeros(8000, np.float32)
    click[4000] = 1
    for waveform in (
        click,
        np.clip(50 * speech_like(8000), -1, 1),
        speech_like(8000) + np.float32(0.25),
        np.concatenate([np.zeros(8000, np.float32), speech_like(8000)]),
    ):
        assert_equals_kaldi(static(waveform), waveform)


@settings(max_examples=30, deadline=None)
@given(n_samples=st.integers(400, 9000), seed=st.integers(0, 2**32 - 1), level_db=st.floats(-80, 0))
def test_equals_kaldi_on_noise_of_any_level(n_samples, seed, level_db):
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    waveform = (10 ** (level_db / 20) * noise / np.abs(noise).max()).astype(np.float32)
    frames = build({"delta_order": 0})(waveform)
    assert frames.shape == (1 + (n_samples - 400) // 160, 13)
    assert_equals_kaldi(frames, waveform)


@pytest.mark.parametrize(
    "changed",
    [
        {"n_mfcc": 23},
        {"n_mfcc": 1},
        {"n_mfcc": 20, "n_mels": 40, "low_hz": 60.0, "high_hz": 7600.0},
        {"lifter": 0.0},
        {"preemphasis": 0.0},
        {"frame_length_ms": 32.0, "frame_shift_ms": 12.5},
        {"frame_length_ms": 20.3, "frame_shift_ms": 7.7},
        {"frame_length_ms": 64.0, "n_mels": 80, "n_mfcc": 40},
    ],
)
def test_equals_kaldi_with_other_parameters(changed):
    waveform = speech_like(8000)
    assert_equals_kaldi(build({**changed, "delta_order": 0})(waveform), waveform, **changed)


@pytest.mark.parametrize(
    "waveform",
    [
        speech_like(4000),
        vowel(4000),
        np.sin(2 * np.pi * 437 * np.arange(4000) / 16000).astype(np.float32),
        np.full(4000, 0.3, np.float32),
        np.zeros(4000, np.float32),
        np.full(4000, 1e-7, np.float32) * np.sign(speech_like(4000)),
    ],
    ids=["noise", "vowel", "sine", "constant", "silence", "quiet"],
)
def test_equals_the_formulas_in_double_precision(static, waveform):
    np.testing.assert_allclose(static(waveform), textbook_mfcc(waveform), atol=TOLERANCE)


def test_single_precision_alone_would_miss_the_tolerance(static, monkeypatch):
    waveform = np.sin(2 * np.pi * 437 * np.arange(4000) / 16000).astype(np.float32)
    exact = static(waveform)
    monkeypatch.setattr("serflow.features._kaldi._SINGLE_PRECISION_RANGE", 0.0)
    assert np.abs(static(waveform) - exact).max() > 2 * TOLERANCE


def test_silence_and_a_constant_have_the_lowest_energy_and_no_shape(mfcc):
    expected = np.zeros(39)
    expected[0] = np.log(np.finfo(np.float32).eps)
    for level in (0.0, 0.25, 0.3, -1.0):
        frames = mfcc(np.full(8000, level, np.float32))
        assert frames.shape == (48, 39)
        np.testing.assert_allclose(frames, np.broadcast_to(expected, frames.shape), atol=1e-4)


def test_the_first_coefficient_is_the_raw_log_energy(mfcc):
    waveform = speech_like(4000) + np.float32(0.1)
    frame = waveform[320:720].astype(np.float64) * 32768
    assert mfcc(waveform)[2, 0] == pytest.approx(np.log(np.sum((frame - frame.mean()) ** 2)), abs=1e-5)


@pytest.mark.parametrize("n_samples", [1, 50, 399])
def test_what_is_shorter_than_a_frame_is_continued_by_zeros(mfcc, n_samples):
    waveform = speech_like(n_samples) + np.float32(0.1)
    frames = mfcc(waveform)
    assert frames.shape == (1, 39)
    padded = np.concatenate([waveform, np.zeros(400 - n_samples, np.float32)])
    np.testing.assert_array_equal(frames, mfcc(padded))
    np.testing.assert_allclose(frames[0, 13:], 0, atol=1e-12)


def test_the_window_is_zero_where_pre_emphasis_reaches_before_the_frame():
    window = povey_window(400)
    assert window[0] == 0
    np.testing.assert_allclose(window, window[::-1], atol=1e-12)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 5, 9, 50])
def test_deltas_equal_the_formula(n_frames):
    frames = np.random.default_rng(n_frames).standard_normal((n_frames, 13)).astype(np.float32)
    first, second = textbook_deltas(frames)
    with_deltas = add_deltas(frames, 2, 2)
    assert with_deltas.dtype == np.float32
    np.testing.assert_array_equal(with_deltas[:, :13], frames)
    np.testing.assert_allclose(with_deltas[:, 13:26], first, atol=1e-6)
    np.testing.assert_allclose(with_deltas[:, 26:], second, atol=1e-6)


def test_delta_deltas_are_deltas_of_deltas_inside_but_not_at_the_ends():
    frames = np.random.default_rng(0).standard_normal((30, 13)).astype(np.float32)
    once = add_deltas(frames, 1, 2)[:, 13:]
    twice = add_deltas(once, 1, 2)[:, 13:]
    second = add_deltas(frames, 2, 2)[:, 26:]
    np.testing.assert_allclose(second[2:-2], twice[2:-2], atol=1e-6)
    assert np.abs(second[:2] - twice[:2]).max() > 1e-2
    assert np.abs(second[-2:] - twice[-2:]).max() > 1e-2


def test_filters_of_the_deltas():
    zeroth, first, second = delta_filters(2, 2)
    np.testing.assert_array_equal(zeroth, [1])
    np.testing.assert_allclose(first, [-0.2, -0.1, 0, 0.1, 0.2])
    np.testing.assert_allclose(second, [0.04, 0.04, 0.01, -0.04, -0.1, -0.04, 0.01, 0.04, 0.04], atol=1e-12)
    assert [len(taps) for taps in delta_filters(3, 3)] == [1, 7, 13, 19]


def test_deltas_of_a_line_and_of_a_parabola_are_their_derivatives():
    time = np.arange(40, dtype=np.float32)[:, np.newaxis]
    with_deltas = add_deltas(np.hstack([3 * time, time**2]), 2, 2)[4:-4]
    np.testing.assert_allclose(with_deltas[:, 2], 3, atol=1e-4)
    np.testing.assert_allclose(with_deltas[:, 3], 2 * time[4:-4, 0], atol=1e-3)
    np.testing.assert_allclose(with_deltas[:, 4], 0, atol=1e-4)
    np.testing.assert_allclose(with_deltas[:, 5], 2, atol=1e-3)


def test_columns_are_coefficients_then_deltas(mfcc, static):
    waveform = speech_like(8000)
    frames = mfcc(waveform)
    assert mfcc.info.dim == 39
    assert mfcc.info.hop_s == 0.01
    np.testing.assert_array_equal(frames[:, :13], static(waveform))
    first, second = textbook_deltas(frames[:, :13].astype(np.float64))
    np.testing.assert_allclose(frames[:, 13:], np.hstack([first, second]), atol=1e-5)


@pytest.mark.parametrize(("length_ms", "shift_ms"), [(25.0, 10.0), (20.3, 7.7), (5.0, 5.0)])
def test_frame_energies_equal_those_taken_frame_by_frame(length_ms, shift_ms):
    framing = Framing("mfcc_kaldi", length_ms, shift_ms)
    samples = framing.samples(vowel(6000) + np.float32(0.4))
    means, log_energies = framing.means_and_log_energies(samples)
    frames = [samples[s : s + framing.length] for s in range(0, len(samples) - framing.length + 1, framing.shift)]
    assert len(frames) == len(means) == framing.n_frames(6000)
    np.testing.assert_allclose(means, [np.mean(frame) for frame in frames])
    expected = [np.log(np.sum((frame - frame.mean()) ** 2)) for frame in frames]
    np.testing.assert_allclose(log_energies, expected, atol=1e-5)


def test_a_small_energy_on_a_large_offset_is_not_lost():
    generator = np.random.default_rng(0)
    waveform = (0.9 + 1e-6 * generator.standard_normal(4000)).astype(np.float32)
    framing = Framing("mfcc_kaldi", 25.0, 10.0)
    samples = framing.samples(waveform)
    _, log_energies = framing.means_and_log_energies(samples)
    expected = [np.log(np.sum((frame - frame.mean()) ** 2)) for frame in framing.frames(samples)]
    np.testing.assert_allclose(log_energies, expected, atol=1e-5)


def test_the_waveform_is_left_as_it_was_and_calls_do_not_disturb_each_other(mfcc):
    waveform, other = speech_like(60000), speech_like(5000, seed=1)
    before = waveform.copy()
    first = mfcc(waveform)
    mfcc(other)
    np.testing.assert_array_equal(waveform, before)
    np.testing.assert_array_equal(mfcc(waveform), first)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"n_mel": 23}, "n_mels"),
        ({"n_mfcc": "13"}, "n_mfcc"),
        ({"n_mfcc": 0}, "n_mfcc"),
        ({"n_mfcc": 24}, "n_mfcc"),
        ({"n_mels": 2}, "n_mels"),
        ({"n_mels": 200}, "without a bin"),
        ({"frame_length_ms": 0}, "frame_length_ms"),
        ({"frame_shift_ms": 30.0}, "frame_shift_ms"),
        ({"low_hz": -1.0}, "low_hz"),
        ({"low_hz": 5000.0, "high_hz": 4000.0}, "low_hz"),
        ({"high_hz": 8001.0}, "high_hz"),
        ({"lifter": -1.0}, "lifter"),
        ({"preemphasis": float("nan")}, "preemphasis"),
        ({"delta_order": -1}, "delta_order"),
        ({"delta_window": 0}, "delta_window"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(parameters, told):
    with pytest.raises(ConfigError, match=f"mfcc_kaldi.*{told}"):
        build(parameters)


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros((2, 800), np.float32), np.zeros(800)])
def test_what_is_not_one_channel_of_float32_is_refused(mfcc, waveform):
    with pytest.raises(AudioError, match="float32"):
        mfcc(waveform)


def test_equals_kaldi_on_real_speech(static, real_data: Path):
    paths = sorted((real_data / "emodb" / "wav").glob("*.flac"))[::40]
    assert len(paths) >= 12
    for path in paths:
        waveform, _ = soundfile.read(path, dtype="float32")
        assert_equals_kaldi(static(waveform), waveform, KALDI_TOLERANCE_ON_SPEECH)


def test_equals_the_formulas_on_real_speech(static, real_data: Path):
    for path in sorted((real_data / "emodb" / "wav").glob("*.flac"))[::60]:
        waveform, _ = soundfile.read(path, dtype="float32")
        np.testing.assert_allclose(static(waveform), textbook_mfcc(waveform), atol=TOLERANCE)
