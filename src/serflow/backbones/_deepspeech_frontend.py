"""DeepSpeech's input as its library computes it: TensorFlow's spectrogram and MFCC, and frames in their context.

Formulas and constants of TensorFlow 2.3 (``AudioSpectrogram`` and ``Mfcc``: periodic Hann window, magnitudes, 40
triangular bands evenly spaced in 1127 ln(1 + f / 700) from 20 Hz on, natural logarithm, DCT) and of the library's
streaming (zeros after the last sample, frames of zeros around the utterance).
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

SAMPLE_RATE = 16_000
WINDOW_MS = 32
HOP_MS = 20
N_CEPSTRA = 26
N_BANDS = 40
LOW_HZ = 20.0
CONTEXT = 9
N_INPUTS = (2 * CONTEXT + 1) * N_CEPSTRA

_LENGTH = SAMPLE_RATE * WINDOW_MS // 1000
_HOP = SAMPLE_RATE * HOP_MS // 1000
_FLOOR = 1e-12


def _mel(hz: npt.NDArray[np.floating]) -> Float64Array:
    return np.asarray(1127.0 * np.log1p(hz / 700.0), np.float64)


def _bands() -> Float64Array:
    """Return weights ``(257, 40)`` of the bands; the bins below 1.5 bins above ``LOW_HZ`` are in none."""
    low, high = _mel(np.array([LOW_HZ, SAMPLE_RATE / 2]))
    edges = np.linspace(low, high, N_BANDS + 2)
    hz_per_bin = SAMPLE_RATE / _LENGTH
    bins = _mel(np.arange(_LENGTH // 2 + 1) * hz_per_bin)[:, np.newaxis]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[: int(1.5 + LOW_HZ / hz_per_bin)] = 0.0
    return np.asarray(weights)


def _cosines() -> Float64Array:
    """Return the DCT ``(40, 26)``; unlike the orthonormal one its first column has the others' scale."""
    angles = np.pi / N_BANDS * np.outer(np.arange(N_BANDS) + 0.5, np.arange(N_CEPSTRA))
    return np.asarray(np.sqrt(2.0 / N_BANDS) * np.cos(angles))


_WINDOW = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_LENGTH) / _LENGTH)
_BANDS = _bands()
_COSINES = _cosines()


def mfcc(pcm16: npt.NDArray[np.int16]) -> FloatArray:
    """Return the cepstra of an utterance.

    Parameters
    ----------
    pcm16
        Samples ``(n_samples,)`` at 16 kHz.

    Returns
    -------
    ``(n_frames, 26)``, a frame each 20 ms. What remains after the last whole window makes one more frame, continued by
    zeros.
    """
    whole = max(0, (len(pcm16) - _LENGTH) // _HOP + 1)
    samples = np.zeros(whole * _HOP + _LENGTH)
    samples[: len(pcm16)] = pcm16 / 32768.0
    frames = np.lib.stride_tricks.sliding_window_view(samples, _LENGTH)[::_HOP]
    magnitudes = np.abs(np.fft.rfft(frames * _WINDOW))
    cepstra: FloatArray = (np.log(np.maximum(magnitudes @ _BANDS, _FLOOR)) @ _COSINES).astype(np.float32)
    return cepstra


def in_context(cepstra: FloatArray) -> FloatArray:
    """Return each frame between nine before and nine after it ``(n_frames, 494)``; around the utterance are zeros."""
    padded = np.pad(cepstra, ((CONTEXT, CONTEXT), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * CONTEXT + 1, axis=0)
    return np.ascontiguousarray(windows.transpose(0, 2, 1)).reshape(len(cepstra), N_INPUTS)
