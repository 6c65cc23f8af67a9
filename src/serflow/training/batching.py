"""Batches of utterances of similar length, and their frames as one padded array."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from serflow.stores.frames import FloatArray, FrameSource

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


def balanced_batches(
    lengths: IntArray,
    groups: IntArray,
    batch_size: int,
    generator: np.random.Generator,
    pool_batches: int = POOL_BATCHES,
) -> list[IntArray]:
    """Deal utterances to batches that hold about as many of each group, in shuffled order.

    Each group is dealt to batches of its share by itself (see `bucketed_batches`), and batches of similar length are
    joined. A group with fewer batches than the largest gives some of them twice.
    """
    names = np.unique(groups)
    share = max(1, batch_size // len(names))
    dealt = []
    for group in names:
        rows = np.flatnonzero(groups == group)
        batches = [rows[batch] for batch in bucketed_batches(lengths[rows], share, generator, pool_batches)]
        dealt.append(sorted(batches, key=lambda batch: float(lengths[batch].mean())))
    n_batches = max(len(batches) for batches in dealt)
    joined = [
        np.concatenate([batches[place * len(batches) // n_batches] for batches in dealt]) for place in range(n_batches)
    ]
    return [joined[i] for i in generator.permutation(n_batches)]


def dialogue_batches(
    dialogues: Sequence[str],
    turns: IntArray,
    batch_size: int,
    generator: np.random.Generator | None = None,
    *,
    unit: Literal["utterances", "dialogues"] = "utterances",
) -> list[IntArray]:
    """Deal whole dialogues to batches of at least ``batch_size`` utterances, or of so many dialogues; turns in order.

    Parameters
    ----------
    dialogues
        The dialogue of each utterance.
    turns
        Its place in the dialogue, ``(n,)``.
    batch_size
        Units after which a batch is full; the last may hold fewer.
    generator
        Shuffles the dialogues; without it they come in the order of the utterances.
    unit
        What ``batch_size`` counts.
    """
    rows_of: dict[str, list[int]] = {}
    for row in np.argsort(turns, kind="stable").tolist():
        rows_of.setdefault(dialogues[row], []).append(row)
    names = list(dict.fromkeys(dialogues))
    if generator is not None:
        names = [names[i] for i in generator.permutation(len(names))]
    batches: list[list[int]] = [[]]
    held = 0
    for name in names:
        if held >= batch_size:
            batches.append([])
            held = 0
        batches[-1] += rows_of[name]
        held += len(rows_of[name]) if unit == "utterances" else 1
    return [np.array(batch, dtype=np.int64) for batch in batches]


def shuffled_batches(n: int, batch_size: int, generator: np.random.Generator) -> list[IntArray]:
    """Cut ``n`` items of one length, shuffled, into batches; the last may hold fewer."""
    order = generator.permutation(n)
    return [order[start : start + batch_size] for start in range(0, n, batch_size)]


def without_singles(batches: Sequence[IntArray]) -> list[IntArray]:
    """Join a batch of one utterance, which batch normalisation cannot take, to the one before it (or after it)."""
    joined: list[IntArray] = []
    for batch in batches:
        if joined and (len(batch) == 1 or len(joined[-1]) == 1):
            joined[-1] = np.concatenate([joined[-1], batch])
        else:
            joined.append(batch)
    return joined


def ordered_batches(lengths: IntArray, batch_size: int) -> list[IntArray]:
    """Cut utterances, shortest first, into batches: for evaluation, where order does not matter."""
    return _sorted(np.arange(len(lengths)), lengths, batch_size)


def _sorted(rows: IntArray, lengths: IntArray, batch_size: int) -> list[IntArray]:
    by_length = rows[np.argsort(lengths[rows], kind="stable")]
    return [by_length[start : start + batch_size] for start in range(0, len(by_length), batch_size)]


def pad_frames(packed: FrameSource, rows: IntArray | Sequence[int], multiple: int = 1) -> FloatArray:
    """Read utterances into one array ``(batch, frames, dim)``, zero after the last frame of each.

    The number of frames is that of the longest, rounded up to a ``multiple``.
    """
    longest = int(packed.lengths[rows].max())
    padded = np.zeros((len(rows), -(-longest // multiple) * multiple, packed.dim), dtype=np.float32)
    for place, row in enumerate(rows):
        frames = packed[int(row)]
        padded[place, : len(frames)] = frames
    return padded
