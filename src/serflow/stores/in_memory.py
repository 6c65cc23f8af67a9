"""Frames that are packed and never stored."""

from collections.abc import Sequence

import numpy as np

from serflow.stores._rows import FrameRow, joined
from serflow.stores.frames import PackedFrames


def packed(rows: Sequence[FrameRow], mantissa_bits: int | None = None) -> PackedFrames:
    """Return utterances and their frames, ``(n_frames, dim)`` float32 each, as `pack_frames` would pack their store.

    Parameters
    ----------
    rows
        At least one utterance.
    mantissa_bits
        What a store would round values to; None keeps them as they are.

    Raises
    ------
    StoreError
        If ``mantissa_bits`` is out of its range.
    """
    lengths = np.array([len(row.frames) for row in rows], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    values = joined(list(rows), mantissa_bits).reshape(-1, rows[0].frames.shape[1])
    return PackedFrames(values, [row.utterance for row in rows], offsets, lengths, {})
