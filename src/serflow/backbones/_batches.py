"""Utterances of one length together: where padding would change a result, only these can share a batch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from serflow.audio.waveform import FloatArray


def run_by_length(
    waveforms: Sequence[FloatArray], batch_size: int, run: Callable[[Tensor], Tensor]
) -> list[FloatArray]:
    """Run a network on utterances, those of one length in batches.

    Parameters
    ----------
    waveforms
        Samples ``(n_samples,)`` each.
    batch_size
        Utterances run at once at most.
    run
        Maps waveforms ``(batch, n_samples)`` to frames ``(batch, n_frames, dim)``.

    Returns
    -------
    Frames ``(n_frames, dim)`` float32 of each, in the order given.
    """
    rows_of: dict[int, list[int]] = {}
    for row, waveform in enumerate(waveforms):
        rows_of.setdefault(len(waveform), []).append(row)
    results: dict[int, FloatArray] = {}
    for rows in rows_of.values():
        for start in range(0, len(rows), batch_size):
            chosen = rows[start : start + batch_size]
            frames = run(torch.stack([torch.from_numpy(waveforms[row]) for row in chosen]))
            results.update(zip(chosen, frames.float().cpu().numpy(), strict=True))
    return [results[row] for row in range(len(waveforms))]
