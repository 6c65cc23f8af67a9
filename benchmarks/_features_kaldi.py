"""Kaldi's MFCCs against kaldi_native_fbank, Kaldi's C++ code as a Python user calls it.

Both give the 13 coefficients, without deltas (kaldi_native_fbank has none). Its samples go over as a list, which is
its faster way in. A second line holds ours, deltas included, against the peer's 13 coefficients alone.
"""

import kaldi_native_fbank
import numpy as np

from _common import best_by_turns, print_comparison
from serflow.features import mfcc_kaldi
from serflow.features.base import FloatArray

UNIT = "audio-s/s"
SAMPLE_RATE = 16_000
REPEATS = 5
TOLERANCE = 5e-3


def kaldi_options() -> kaldi_native_fbank.MfccOptions:
    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.mel_opts.high_freq = SAMPLE_RATE / 2
    return options


def kaldi_mfcc(waveform: FloatArray, options: kaldi_native_fbank.MfccOptions) -> FloatArray:
    kaldi = kaldi_native_fbank.OnlineMfcc(options)
    kaldi.accept_waveform(SAMPLE_RATE, (waveform * 32768).tolist())
    kaldi.input_finished()
    frames: FloatArray = np.stack([kaldi.get_frame(frame) for frame in range(kaldi.num_frames_ready)])
    return frames


def compare(audio: list[FloatArray]) -> None:
    """Print a line without deltas on both sides, and one with deltas on ours."""
    static, with_deltas, options = mfcc_kaldi.build({"delta_order": 0}), mfcc_kaldi.build({}), kaldi_options()
    difference = max(float(np.abs(static(waveform) - kaldi_mfcc(waveform, options)).max()) for waveform in audio[:20])
    assert difference < TOLERANCE, f"mfcc_kaldi: ours and Kaldi's differ by {difference}"
    taken = best_by_turns(
        {
            "static": lambda: [static(waveform) for waveform in audio],
            "kaldi": lambda: [kaldi_mfcc(waveform, options) for waveform in audio],
            "with deltas": lambda: [with_deltas(waveform) for waveform in audio],
        },
        REPEATS,
    )
    duration_s = sum(map(len, audio)) / SAMPLE_RATE
    speed = {key: duration_s / seconds for key, seconds in taken.items()}
    print_comparison("mfcc_kaldi", speed["static"], speed["kaldi"], UNIT)
    print_comparison("mfcc_kaldi, deltas on our side only", speed["with deltas"], speed["kaldi"], UNIT)
