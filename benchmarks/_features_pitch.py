"""Pitch pulses' log-mel spectrogram against a plain loop over parselmouth and librosa, and Praat's analysis alone."""

import time

import librosa
import numpy as np
import parselmouth
from parselmouth.praat import call

from _common import best_by_turns, print_comparison
from serflow.features import pitch_pulse
from serflow.features.base import FloatArray

UNIT = "audio-s/s"
SAMPLE_RATE = 16_000
REPEATS = 5
TOLERANCE = 1e-3


def plain_pitch_pulse(waveform: FloatArray) -> FloatArray:
    """Read the time of each pulse with one call, and take librosa's log-mel of the train."""
    sound = parselmouth.Sound(waveform, SAMPLE_RATE)
    points = call(sound, "To PointProcess (periodic, cc)", 75, 600)
    train = np.zeros_like(waveform)
    for index in range(1, int(call(points, "Get number of points")) + 1):
        nearest = int(call(points, "Get time from index", index) * SAMPLE_RATE)
        train[nearest] = waveform[nearest]
    mel = librosa.feature.melspectrogram(
        y=train, sr=SAMPLE_RATE, n_fft=1024, win_length=800, hop_length=200, n_mels=30, window="hamming"
    )
    frames: FloatArray = np.log(mel + 1e-6).T
    return frames


def analysis_alone(waveform: FloatArray) -> object:
    """Find the pulses, and read none."""
    return call(parselmouth.Sound(waveform, SAMPLE_RATE), "To PointProcess (periodic, cc)", 75, 600)


def compare(audio: list[FloatArray]) -> None:
    """Print a line against the plain loop, and one against Praat's analysis alone."""
    feature = pitch_pulse.build({})
    assert all(feature.pulse_train(waveform).any() for waveform in audio), "audio without a voice has nothing to read"
    difference = max(float(np.abs(feature(waveform) - plain_pitch_pulse(waveform)).max()) for waveform in audio[:20])
    assert difference < TOLERANCE, f"pitch_pulse: ours and the plain loop's differ by {difference}"
    taken = best_by_turns(
        {
            "ours": lambda: [feature(waveform) for waveform in audio],
            "plain": lambda: [plain_pitch_pulse(waveform) for waveform in audio],
            "floor": lambda: [analysis_alone(waveform) for waveform in audio],
        },
        REPEATS,
        time.process_time,
    )
    duration_s = sum(map(len, audio)) / SAMPLE_RATE
    speed = {key: duration_s / seconds for key, seconds in taken.items()}
    print_comparison("pitch_pulse", speed["ours"], speed["plain"], UNIT)
    print_comparison("pitch_pulse_floor", speed["ours"], speed["floor"], UNIT)
