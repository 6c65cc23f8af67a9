"""Pooling over frames that knows which frames are padding."""

import torch
import torch.nn.functional as F
from torch import Tensor

DEVIATION_EPS = 1e-5
"""Added to variances over time, whose root has no gradient at 0: utterances of one frame have that."""


def frame_mask(lengths: Tensor, n_frames: int) -> Tensor:
    """Return a boolean mask ``(batch, n_frames, 1)``, true on the frames of each utterance."""
    return (torch.arange(n_frames, device=lengths.device) < lengths[:, None])[..., None]


def valid_places(lengths: Tensor, n_frames: int, n_valid: int | None = None) -> Tensor:
    """Return where the valid frames of a padded batch stand in it laid end to end, ``(n_valid,)``.

    Parameters
    ----------
    lengths
        Frames of each utterance, ``(batch,)``.
    n_frames
        Of the padded batch.
    n_valid
        The sum of ``lengths``, where the host knows it; None to ask for it, which waits for a GPU.
    """
    valid = frame_mask(lengths, n_frames).reshape(-1)
    places = valid.nonzero() if n_valid is None else torch.nonzero_static(valid, size=n_valid)
    return places.squeeze(1)


def pooled_lengths(lengths: Tensor, size: int) -> Tensor:
    """Return the number of frames that `max_pool` leaves: ``ceil(lengths / size)``."""
    return (lengths + (size - 1)) // size


def max_pool(frames: Tensor, size: int) -> Tensor:
    """Take the maximum of each ``size`` frames; the last window may be shorter.

    Parameters
    ----------
    frames
        Activations after a ReLU, ``(batch, frames, dim)``, zero on padded frames: zero is below none of
        them, so padding never wins.
    size
        Window and stride, in frames.

    Returns
    -------
    Tensor
        ``(batch, ceil(frames / size), dim)``.
    """
    excess = -frames.shape[1] % size
    if excess:
        frames = F.pad(frames, (0, 0, 0, excess))
    batch, n_frames, dim = frames.shape
    return frames.reshape(batch, n_frames // size, size, dim).amax(2)


def global_max(frames: Tensor, lengths: Tensor) -> Tensor:
    """Take the maximum over the frames of each utterance: ``(batch, frames, dim)`` to ``(batch, dim)``."""
    padded = ~frame_mask(lengths, frames.shape[1])
    return frames.masked_fill(padded, -torch.inf).amax(1)


def mean_and_deviation(frames: Tensor, lengths: Tensor) -> Tensor:
    """Take mean and standard deviation over the frames of each utterance: ``(batch, frames, dim)`` to twice ``dim``.

    The deviation is that of all frames (biased), of a variance to which 1e-5 is added. Both are computed in float32
    at least.
    """
    frames = frames.to(torch.promote_types(frames.dtype, torch.float32))
    mask = frame_mask(lengths, frames.shape[1])
    count = lengths[:, None].to(frames.dtype)
    mean = frames.masked_fill(~mask, 0.0).sum(1) / count
    squares = (frames - mean[:, None]).square().masked_fill(~mask, 0.0)
    return torch.cat([mean, (squares.sum(1) / count + DEVIATION_EPS).sqrt()], dim=1)
