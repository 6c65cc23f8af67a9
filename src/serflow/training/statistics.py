"""Mean and deviation of each band: over the frames of a fit, to normalise by, and of an utterance, as its vector."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.rounding import rounding
from serflow.stores.frames import FrameSource

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]

_INEXACT = 1e-9
"""Below this share of the mean square, the difference of both that is the variance has lost too many digits."""


class FrameStatistics(NamedTuple):
    """Mean and standard deviation of each band, ``(bands,)``."""

    mean: FloatArray
    std: FloatArray


def frame_statistics(packed: FrameSource, rows: IntArray) -> FrameStatistics:
    """Return the statistics of all frames of ``rows``, one utterance in memory at a time.

    A band that never changes, but for the rounding of its float32 values, gets the deviation 1. What is rounding in a
    value that a feature computed as a difference, only the feature can tell: it gives 0.
    """
    total = np.zeros(packed.dim)
    squares = np.zeros_like(total)
    for row in rows:
        frames = packed[int(row)].astype(np.float64)
        total += frames.sum(0)
        squares += np.square(frames).sum(0)
    count = packed.lengths[rows].sum()
    mean, mean_square = total / count, squares / count
    variance = np.maximum(mean_square - np.square(mean), 0.0)
    inexact = np.flatnonzero(variance <= _INEXACT * mean_square)
    if len(inexact):
        deviations = (packed[int(row)][:, inexact] - mean[inexact] for row in rows)
        variance[inexact] = sum(np.square(each).sum(0) for each in deviations) / count
    std = np.sqrt(variance)
    std[std <= rounding(np.sqrt(mean_square))] = 1.0
    return FrameStatistics(mean.astype(np.float32), std.astype(np.float32))


def utterance_statistics(utterances: Iterable[FloatArray]) -> FloatArray:
    """Return mean and deviation of each band over the frames of each utterance, ``(n, 2 * bands)``.

    ``utterances`` are ``(frames, bands)`` each.
    """
    rows = (frames.astype(np.float64) for frames in utterances)
    return np.array([np.concatenate([frames.mean(0), frames.std(0)]) for frames in rows])
