"""Log-mel bands and MFCCs against librosa, and against the windowed Fourier transform of their frames alone."""

import time
from collections.abc import Callable

import librosa
import numpy as np
import scipy.fft

from _common import best_by_turns, print_comparison
from serflow.features import mfb, mfcc
from serflow.features.base import Feature, FloatArray

UNIT = "audio-s/s"
SAMPLE_RATE = 16_000
REPEATS = 7


def librosa_mfb(waveform: FloatArray) -> FloatArray:
    emphasised = librosa.effects.preemphasis(waveform, coef=0.97)
    mel = librosa.feature.melspectrogram(y=emphasised, sr=SAMPLE_RATE, n_fft=2048, hop_length=160, n_mels=40)
    frames: FloatArray = np.log(mel + 1e-6).T
    return frames


def librosa_mfcc(waveform: FloatArray) -> FloatArray:
    frames: FloatArray = librosa.feature.mfcc(
        y=waveform, sr=SAMPLE_RATE, n_mfcc=40, n_fft=512, win_length=400, hop_length=160, n_mels=128
    ).T
    deviation = frames.std(axis=0)
    normalised: FloatArray = (frames - frames.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return normalised


def transform_alone(n_fft: int, win_length: int, hop_length: int) -> Callable[[FloatArray], object]:
    """Return a function that windows and transforms as many frames as a waveform has, and keeps nothing."""
    window = np.hanning(win_length).astype(np.float32)
    block = np.zeros((128, n_fft), np.float32)

    def run(waveform: FloatArray) -> None:
        padded = np.pad(waveform, win_length // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, win_length)[::hop_length]
        for start in range(0, len(frames), len(block)):
            taken = frames[start : start + len(block)]
            np.multiply(taken, window, out=block[: len(taken), :win_length])
            scipy.fft.rfft(block[: len(taken)])

    return run


def compare_one(
    name: str,
    audio: list[FloatArray],
    feature: Feature,
    peer: Callable[[FloatArray], FloatArray],
    floor: Callable[[FloatArray], object],
    tolerance: float,
) -> None:
    difference = max(float(np.abs(feature(waveform) - peer(waveform)).max()) for waveform in audio[:20])
    assert difference < tolerance, f"{name}: ours and librosa's differ by {difference}"
    taken = best_by_turns(
        {
            "ours": lambda: [feature(waveform) for waveform in audio],
            "librosa": lambda: [peer(waveform) for waveform in audio],
            "floor": lambda: [floor(waveform) for waveform in audio],
        },
        REPEATS,
        time.process_time,
    )
    duration_s = sum(map(len, audio)) / SAMPLE_RATE
    speed = {key: duration_s / seconds for key, seconds in taken.items()}
    print_comparison(name, speed["ours"], speed["librosa"], UNIT)
    print_comparison(f"{name}_floor", speed["ours"], speed["floor"], UNIT)


def compare(audio: list[FloatArray]) -> None:
    """Print a line for each feature against librosa, and one against the floor."""
    compare_one("mfb", audio, mfb.build({}), librosa_mfb, transform_alone(2048, 2048, 160), 1e-4)
    compare_one("mfcc", audio, mfcc.build({}), librosa_mfcc, transform_alone(512, 400, 160), 1e-3)
