"""A content fingerprint of speech: pairs of spectral peaks, as Wang (ISMIR 2003) finds recordings by.

A peak is a maximum of the magnitude spectrum among its neighbours. Two peaks near each other are a landmark: the
frequency of the first, and how far the second is from it in frequency and time. Gain does not move peaks, resampling
does not while they are below the Nyquist frequency, and of noise only what is louder than them does. That a speaker
says a sentence again moves nearly all of them, by the width of a bin or of a frame.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.audio.decode import SAMPLE_RATE

FRAME = 1024
HOP = 256
LOWEST_BIN = 16
N_BINS = 208
"""Peaks are sought from 250 to 3,500 Hz: what a sampling rate of 8 kHz has as well."""
PEAKS_PER_S = 15
LEAST_PEAKS = 8
FLOOR_DB = 40.0
NEIGHBOUR_BINS = 6
NEIGHBOUR_FRAMES = 4
PARTNERS = 4
REACH_FRAMES = 63
REACH_BINS = 63
N_CODES = 1 << 21
_WINDOW = np.hanning(FRAME + 1)[:-1].astype(np.float32)
_BLOCK = 4096

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]


class Landmarks(NamedTuple):
    """Landmarks of an utterance by time: ``codes`` below `N_CODES`, and the frame of the first peak, ``(n,)`` each."""

    codes: IntArray
    frames: IntArray


def parameters() -> dict[str, Any]:
    """Return what the fingerprints of a store must have been made with to be compared."""
    return {
        "sample_rate": SAMPLE_RATE,
        "frame": FRAME,
        "hop": HOP,
        "bins": [LOWEST_BIN, N_BINS],
        "peaks_per_s": PEAKS_PER_S,
        "floor_db": FLOOR_DB,
        "neighbours": [NEIGHBOUR_BINS, NEIGHBOUR_FRAMES],
        "partners": PARTNERS,
        "reach": [REACH_BINS, REACH_FRAMES],
    }


def landmarks(waveform: FloatArray) -> Landmarks:
    """Return the landmarks of an utterance.

    Parameters
    ----------
    waveform
        Samples ``(n_samples,)`` at 16 kHz, of any scale.
    """
    frames, bins = _peaks(_spectrum(waveform), max(LEAST_PEAKS, PEAKS_PER_S * len(waveform) // SAMPLE_RATE))
    return _pairs(frames, bins)


def _spectrum(waveform: FloatArray) -> FloatArray:
    """Return magnitudes ``(n_frames, N_BINS)``; a frame is centred on every `HOP`-th sample."""
    padded = np.pad(waveform.astype(np.float32), FRAME // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    found = np.empty((len(windows), N_BINS), dtype=np.float32)
    for first in range(0, len(windows), _BLOCK):
        block = windows[first : first + _BLOCK] * _WINDOW
        found[first : first + _BLOCK] = np.abs(np.fft.rfft(block, axis=1)[:, LOWEST_BIN : LOWEST_BIN + N_BINS])
    return found


def _peaks(spectrum: FloatArray, most: int) -> tuple[IntArray, IntArray]:
    """Return frame and bin of the ``most`` greatest maxima, in the order of time and then of frequency."""
    # it takes a while to load, and who reads fingerprints has no use for it
    from scipy.ndimage import maximum_filter

    size = (2 * NEIGHBOUR_FRAMES + 1, 2 * NEIGHBOUR_BINS + 1)
    highest = maximum_filter(spectrum, size=size, mode="constant")
    floor = spectrum.max(initial=0.0) * 10 ** (-FLOOR_DB / 20)
    frames, bins = np.nonzero((spectrum == highest) & (spectrum > floor))
    chosen = np.sort(np.argsort(-spectrum[frames, bins], kind="stable")[:most])
    return frames[chosen].astype(np.int32), bins[chosen].astype(np.int32)


def _pairs(frames: IntArray, bins: IntArray) -> Landmarks:
    """Pair each peak with the next `PARTNERS` that follow within reach."""
    n = len(frames)
    partners = np.zeros(n, dtype=np.int32)
    codes, starts = [], []
    for step in range(1, n):
        later, higher = frames[step:] - frames[:-step], bins[step:] - bins[:-step]
        if later.min() > REACH_FRAMES:
            break
        taken = (later > 0) & (later <= REACH_FRAMES) & (abs(higher) <= REACH_BINS) & (partners[:-step] < PARTNERS)
        partners[:-step] += taken
        codes.append(((bins[:-step] << 13) | ((higher + REACH_BINS) << 6) | later)[taken])
        starts.append(frames[:-step][taken])
    if not codes:
        return Landmarks(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32))
    code, start = np.concatenate(codes), np.concatenate(starts)
    order = np.lexsort((code, start))
    return Landmarks(code[order], start[order])
