"""Batches of utterances of similar length, and their frames as one padded array."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from serflow.stores.frames import FloatArray, PackedFrames

IntArray = npt.NDArray[np.integer]
POOL_BATCHES = 16


def bucketed_batches(
    lengths: IntArray, batch_size: int, generator: np.random.Generator, pool_batches: int = POOL_BATCHES
) -> list[IntArray]:
    """Deal utterances to batches at random, but so that little of a batch is padding.

    Utterances are shuffled and cut into pools of several batches; each pool is sorted by length and cut into
    batches, which are shuffled again. A corpus of few batches is cut into two pools at least, since batches
    of one pool are the same in every epoch.

    Parameters
    ----------
    lengths
        Frames of each utterance, ``(n,)``.
    batch_size
        Utterances in a batch; the last of each pool may hold fewer.
    generator
        Source of both shuffles.
    pool_batches
        Batches in a pool.

    Returns
    -------
    list of arrays
        Positions in ``lengths``, a batch each.
    """
    order = generator.permutation(len(lengths))
    n_batches = -(-len(lengths) // batch_size)
    pool = batch_size * max(1, min(pool_batches, -(-n_batches // 2)))
    batches = [
        batch
        for start in range(0, len(order), pool)
        for batch in _sorted(order[start : start + pool], lengths, batch_size)
    ]
    return [batches[i] for i in generator.permutation(len(batches))]


def homogeneous_batches(
    lengths: IntArray,
    groups: IntArray,
    batch_size: int,
    generator: np.random.Generator,
    pool_batches: int = POOL_BATCHES,
) -> list[IntArray]:
    """Deal utterances to batches of one group each, in shuffled order; see `bucketed_batches`.

    ``groups`` holds the group of each utterance, ``(n,)``.
    """
    batches = []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        batches += [rows[batch] for batch in bucketed_batches(lengths[rows], batch_size, generator, pool_batches)]
    return [batches[i] for i in generator.permutation(len(batches))]


def ordered_batches(lengths: IntArray, batch_size: int) -> list[IntArray]:
    """Cut utterances, shortest first, into batches: for evaluation, where order does not matter."""
    return _sorted(np.arange(len(lengths)), lengths, batch_size)


def _sorted(rows: IntArray, lengths: IntArray, batch_size: int) -> list[IntArray]:
    by_length = rows[np.argsort(lengths[rows], kind="stable")]
    return [by_length[start : start + batch_size] for start in range(0, len(by_length), batch_size)]


def pad_frames(packed: PackedFrames, rows: IntArray | Sequence[int], multiple: int = 1) -> FloatArray:
    """Read utterances into one array ``(batch, frames, dim)``, zero after the last frame of each.

    The number of frames is that of the longest, rounded up to a ``multiple``.
    """
    longest = int(packed.lengths[rows].max())
    padded = np.zeros((len(rows), -(-longest // multiple) * multiple, packed.array.shape[1]), dtype=np.float32)
    for place, row in enumerate(rows):
        frames = packed[int(row)]
        padded[place, : len(frames)] = frames
    return padded
