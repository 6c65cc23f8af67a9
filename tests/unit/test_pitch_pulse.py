import importlib
import sys
from pathlib import Path

import librosa
import numpy as np
import parselmouth
import pytest
import soundfile
from parselmouth.praat import call

from serflow.errors import AudioError, ConfigError, MissingDependencyError
from serflow.features import spectrogram
from serflow.features._praat import pitch_pulses
from serflow.features.pitch_pulse import build

SAMPLE_RATE = 16000


@pytest.fixture(scope="module")
def feature():
    return build({})


def vowel(n_samples, period=160, seed=0):
    """Glottal pulses every ``period`` samples through two resonances, with a little noise."""
    pulses = np.zeros(n_samples)
    pulses[period // 2 :: period] = 1
    frequency = np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(pulses)
    for formant, width in ((700, 80), (1200, 100)):
        spectrum = spectrum / (1 + ((frequency - formant) / width) ** 2)
    voiced = np.fft.irfft(spectrum, n_samples)
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    return (0.5 * voiced / np.abs(voiced).max() + 1e-3 * noise).astype(np.float32)


def times_read_one_by_one(waveform, floor_hz=75.0, ceiling_hz=600.0):
    sound = parselmouth.Sound(waveform.astype(np.float64), SAMPLE_RATE)
    points = call(sound, "To PointProcess (periodic, cc)", floor_hz, ceiling_hz)
    n_points = int(call(points, "Get number of points"))
    return np.array([call(points, "Get time from index", index) for index in range(1, n_points + 1)])


def assert_is_pulse_train(train, waveform, times):
    """Each pulse has the waveform's value at one sample, at most half a sample away; all others are zero."""
    chosen = np.flatnonzero(train)
    assert len(chosen) == len(times)
    np.testing.assert_allclose((chosen + 0.5) / SAMPLE_RATE, times, atol=(0.5 + 1e-6) / SAMPLE_RATE, rtol=0)
    np.testing.assert_array_equal(train[chosen], waveform[chosen])


def assert_same_power(found, expected):
    """Compare log-mel frames by their powers: at the floor, the log is but rounding of the loudest band."""
    power = np.exp(expected.astype(np.float64))
    np.testing.assert_allclose(np.exp(found.astype(np.float64)), power, rtol=1e-3, atol=1e-5 * power.max())


def librosa_log_mel(waveform):
    mel = librosa.feature.melspectrogram(
        y=waveform, sr=SAMPLE_RATE, n_fft=1024, win_length=800, hop_length=200, n_mels=30, window="hamming"
    )
    return np.log(mel + 1e-6).T


@pytest.mark.parametrize("period", [40, 73, 100, 160, 200])
def test_pulses_come_at_the_period_of_the_voice(period):
    times = pitch_pulses(vowel(16000, period), SAMPLE_RATE, 75.0, 600.0)
    # Praat leaves out the ends, where its window does not fit
    assert 0.94 * 16000 < len(times) * period <= 16000
    # to a tenth of a sample
    np.testing.assert_allclose(np.median(np.diff(times)) * SAMPLE_RATE, period, atol=0.1)
    np.testing.assert_allclose(np.diff(times) * SAMPLE_RATE, period, atol=1)


def test_pulses_stay_within_floor_and_ceiling():
    waveform = vowel(16000, 160)
    assert len(pitch_pulses(waveform, SAMPLE_RATE, 75.0, 600.0)) > 90
    assert np.median(np.diff(pitch_pulses(waveform, SAMPLE_RATE, 40.0, 70.0))) > 1 / 75


@pytest.mark.parametrize(("floor_hz", "ceiling_hz"), [(75.0, 600.0), (60.0, 300.0)])
@pytest.mark.parametrize("period", [53, 160])
def test_times_equal_those_read_one_by_one(period, floor_hz, ceiling_hz):
    waveform = vowel(12000, period)
    expected = times_read_one_by_one(waveform, floor_hz, ceiling_hz)
    assert len(expected) > 10
    np.testing.assert_array_equal(pitch_pulses(waveform, SAMPLE_RATE, floor_hz, ceiling_hz), expected)


def test_the_train_has_the_waveform_at_the_nearest_samples_and_zero_elsewhere(feature):
    waveform = vowel(12000, 130)
    train = feature.pulse_train(waveform)
    assert train.dtype == np.float32
    assert_is_pulse_train(train, waveform, times_read_one_by_one(waveform))
    assert 80 < np.count_nonzero(train) < 100


def test_frames_are_the_log_mel_of_the_train(feature):
    waveform = vowel(12000, 130)
    frames = feature(waveform)
    assert frames.shape == (61, 30)
    assert frames.dtype == np.float32
    assert_same_power(frames, librosa_log_mel(feature.pulse_train(waveform)))
    np.testing.assert_array_equal(frames, spectrogram.build({})(feature.pulse_train(waveform)))
    assert feature.info.hop_s == spectrogram.build({}).info.hop_s


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(16000, np.float32),
        np.full(16000, 0.5, np.float32),
        vowel(16000, 4000),
    ],
    ids=["silence", "constant", "clicks"],
)
def test_without_pulses_every_value_is_the_floor(feature, waveform):
    assert len(times_read_one_by_one(waveform)) == 0
    frames = feature(waveform)
    assert frames.shape == (81, 30)
    np.testing.assert_allclose(frames, np.log(1e-6), rtol=1e-6)


@pytest.mark.parametrize(("floor_hz", "shortest"), [(75.0, 640), (50.0, 960), (63.7, 754)])
def test_what_praat_refuses_as_too_short_has_no_pulses(floor_hz, shortest):
    feature = build({"floor_hz": floor_hz})
    with pytest.raises(parselmouth.PraatError, match="minimum pitch"):
        times_read_one_by_one(vowel(shortest - 1, 80), floor_hz)
    for n_samples in (1, 2, 100, shortest - 1):
        frames = feature(vowel(n_samples, 80) if n_samples > 2 else np.full(n_samples, 0.5, np.float32))
        assert frames.shape == (1 + n_samples // 200, 30)
        np.testing.assert_allclose(frames, np.log(1e-6), rtol=1e-6)
    waveform = vowel(shortest, 80)
    np.testing.assert_array_equal(
        pitch_pulses(waveform, SAMPLE_RATE, floor_hz, 600.0), times_read_one_by_one(waveform, floor_hz)
    )


def test_pulses_are_found_as_soon_as_praat_can_look(feature):
    assert np.count_nonzero(feature.pulse_train(vowel(1000, 80))) > 0


def test_other_errors_of_praat_reject_the_utterance():
    with pytest.raises(AudioError, match="Praat could not look for pitch pulses: Your maximum pitch"):
        pitch_pulses(vowel(8000), SAMPLE_RATE, 300.0, 200.0)


def test_the_same_waveform_gives_the_same_bytes_and_nothing_is_printed(feature, capfd):
    waveform, other = vowel(16000, 120), vowel(9000, 80, seed=1)
    before = waveform.copy()
    first = feature(waveform).tobytes()
    feature(other)
    assert feature(waveform).tobytes() == first
    assert build({})(waveform).tobytes() == first
    np.testing.assert_array_equal(waveform, before)
    assert capfd.readouterr() == ("", "")


def test_a_missing_praat_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    monkeypatch.setitem(sys.modules, "parselmouth.praat", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'serflow\[praat\]'.*GPL-3"):
        build({})
    with pytest.raises(MissingDependencyError, match=r"serflow\[praat\]"):
        pitch_pulses(np.zeros(16000, np.float32), SAMPLE_RATE, 75.0, 600.0)


def test_the_module_is_imported_without_praat(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    monkeypatch.delitem(sys.modules, "serflow.features.pitch_pulse")
    monkeypatch.delitem(sys.modules, "serflow.features._praat")
    assert importlib.import_module("serflow.features.pitch_pulse").DEFAULTS["floor_hz"] == 75.0


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"floor": -1.0}, "floor"),
        ({"floor_hz": 5.0}, "floor_hz"),
        ({"floor_hz": 600.0}, "floor_hz"),
        ({"ceiling_hz": 9000.0}, "ceiling_hz"),
        ({"ceiling_hz": float("nan")}, "ceiling_hz"),
        ({"hop_length": 0}, "hop_length"),
        ({"warp": 0.1}, "warp"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(parameters, told):
    with pytest.raises(ConfigError, match=f"pitch_pulse.*{told}"):
        build(parameters)


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros((2, 800), np.float32), np.zeros(800)])
def test_what_is_not_one_channel_of_float32_is_refused(feature, waveform):
    with pytest.raises(AudioError, match="float32"):
        feature(waveform)


def test_pulses_of_real_speech_equal_those_read_one_by_one(feature, real_data: Path):
    paths = sorted((real_data / "emodb" / "wav").glob("*.flac"))[::90]
    assert len(paths) >= 5
    for path in paths:
        waveform, _ = soundfile.read(path, dtype="float32")
        times = times_read_one_by_one(waveform)
        assert len(times) > 20
        np.testing.assert_array_equal(pitch_pulses(waveform, SAMPLE_RATE, 75.0, 600.0), times)
        train = feature.pulse_train(waveform)
        assert_is_pulse_train(train, waveform, times)
        assert_same_power(feature(waveform), librosa_log_mel(train))
