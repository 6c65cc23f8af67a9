"""1-D convolutions over frames, computed as channels-last 2-D ones.

A tensor ``(batch, frames, dim)`` seen as ``(batch, dim, 1, frames)`` already lies in memory the way oneDNN and
cuDNN like it best, so nothing is copied. On a CPU this takes less time than :class:`torch.nn.Conv1d`
(``benchmarks/training_step.py``). Every layer sets padded frames to zero, so that an utterance gives the same
result in any batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Convolution(nn.Module):
    """Dilated convolution over frames with ``same`` padding: zeros, ``(kernel - 1) * dilation // 2`` of them before.

    Parameters
    ----------
    in_dim, out_dim
        Feature maps in and out.
    kernel, dilation
        In frames.
    """

    def __init__(self, in_dim: int, out_dim: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        reach = (kernel - 1) * dilation
        self.excess = reach % 2
        self.convolution = nn.Conv2d(in_dim, out_dim, (1, kernel), padding=(0, reach // 2), dilation=(1, dilation))
        self.convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Convolve.

        Parameters
        ----------
        frames
            ``(batch, frames, in_dim)``, zero on padded frames.
        mask
            ``(batch, frames, 1)``, 1 on the frames of each utterance, else 0.

        Returns
        -------
        Tensor
            ``(batch, frames, out_dim)``, zero on padded frames.
        """
        if self.excess:
            frames = F.pad(frames, (0, 0, 0, self.excess))
        whole: Tensor = self.convolution(frames.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        return whole * mask.to(whole.dtype)


class TransposedConvolution(nn.Module):
    """Transposed convolution over frames that makes exactly ``stride`` frames of one.

    Each tap is a matrix product, and taps that meet in a frame are added: on a CPU this takes half the time of
    :class:`torch.nn.ConvTranspose1d`, whose weights it shares and whose output it cuts to ``stride`` times the
    input.

    Parameters
    ----------
    in_dim, out_dim
        Feature maps in and out.
    kernel, stride
        In frames; the kernel is at least the stride.
    """

    def __init__(self, in_dim: int, out_dim: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(in_dim, out_dim, kernel))
        self.bias = nn.Parameter(torch.zeros(out_dim))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Convolve.

        Parameters
        ----------
        frames
            ``(batch, frames, in_dim)``, zero on padded frames.
        mask
            ``(batch, frames * stride, 1)``, 1 on the frames of each utterance after up-sampling, else 0.

        Returns
        -------
        Tensor
            ``(batch, frames * stride, out_dim)``, zero on padded frames.
        """
        in_dim, out_dim, kernel = self.weight.shape
        batch, n_frames, _ = frames.shape
        product = F.linear(frames, self.weight.permute(2, 1, 0).reshape(kernel * out_dim, in_dim))
        taps = product.reshape(batch, n_frames, kernel, out_dim).unbind(2)
        phases = list(taps[: self.stride])
        for tap in range(self.stride, min(kernel, self.stride * n_frames)):
            late = tap // self.stride
            phases[tap % self.stride] = phases[tap % self.stride] + F.pad(taps[tap], (0, 0, late, -late))
        whole = torch.stack(phases, dim=2).reshape(batch, n_frames * self.stride, out_dim)
        return (whole + self.bias) * mask.to(whole.dtype)


class MaskedInstanceNorm(nn.Module):
    """Instance normalisation over the frames of each utterance, with a learnt scale and shift per map."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Normalise ``frames`` ``(batch, frames, dim)`` where ``mask`` ``(batch, frames, 1)`` is 1, else zero."""
        count = mask.sum(1, keepdim=True)
        mean = (frames * mask).sum(1, keepdim=True) / count
        variance = ((frames - mean).square() * mask).sum(1, keepdim=True) / count
        return ((frames - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias) * mask
