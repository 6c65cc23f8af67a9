"""Batch normalisation over the frames of utterances; padding does not count. Rows scaled to length 1."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def unit_rows(rows: Tensor, least: Tensor) -> Tensor:
    """Scale each row of ``rows`` ``(n, dim)`` to norm 1.

    A row whose norm is no more than ``least``, a number or ``(n,)``, is rounding: it becomes 0 and gets no gradient.
    """
    rounded = (torch.linalg.vector_norm(rows.detach(), dim=1) <= least).unsqueeze(1)
    return F.normalize(rows.masked_fill(rounded, 0.0), dim=1)


class MaskedBatchNorm(nn.Module):
    """Normalise each map over all frames of a batch, with a learnt scale and shift; running statistics at test time.

    Parameters
    ----------
    dim
        Number of maps.
    momentum
        Share of a batch in the running statistics.
    eps
        Added to variances.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, dim: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("variance", torch.ones(dim))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Normalise ``frames`` ``(batch, frames, dim)`` where ``mask`` ``(batch, frames, 1)`` is 1, else zero."""
        mask = mask.to(frames.dtype)
        if self.training:
            count = mask.sum()
            mean = (frames * mask).sum((0, 1)) / count
            centred = (frames - mean) * mask
            variance = centred.square().sum((0, 1)) / count
            with torch.no_grad():
                self.mean.lerp_(mean.to(self.mean.dtype), self.momentum)
                self.variance.lerp_(variance.to(self.variance.dtype), self.momentum)
        else:
            centred, variance = (frames - self.mean) * mask, self.variance
        return torch.addcmul(self.bias * mask, centred, torch.rsqrt(variance + self.eps) * self.weight)


class MaskedBatchNorm2d(nn.Module):
    """:class:`torch.nn.BatchNorm2d` of the valid frames of a batch laid end to end; padded frames become zero.

    Parameters
    ----------
    dim
        Number of maps.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, maps: Tensor, places: Tensor) -> Tensor:
        """Normalise ``maps`` ``(batch, dim, frames, bands)``.

        ``places`` are those of the valid frames in the padded batch laid end to end, ``(valid,)``.
        """
        batch, dim, n_frames, bands = maps.shape
        rows = maps.permute(0, 2, 3, 1).reshape(batch * n_frames, bands, dim)
        normal: Tensor = self.norm(rows.index_select(0, places)[None].permute(0, 3, 1, 2))
        # not normal[0]: its gradient would come back in another order of memory, which torch normalises slowly
        valid = normal.permute(0, 2, 3, 1).reshape(-1, bands, dim)
        whole = valid.new_zeros(rows.shape).index_copy(0, places, valid)
        return whole.reshape(batch, n_frames, bands, dim).permute(0, 3, 1, 2)
