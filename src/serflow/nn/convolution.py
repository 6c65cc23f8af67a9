"""1-D convolutions over frames, computed as channels-last 2-D ones.

A tensor ``(batch, frames, dim)`` seen as ``(batch, dim, 1, frames)`` already lies in memory the way oneDNN and
cuDNN like it best, so nothing is copied. On a CPU this takes less time than :class:`torch.nn.Conv1d`
(``benchmarks/training_step.py``). Every layer sets padded frames to zero, so that an utterance gives the same
result in any batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _as_image(frames: Tensor) -> Tensor:
    return frames.transpose(1, 2).unsqueeze(2)


def _as_frames(image: Tensor) -> Tensor:
    return image.squeeze(2).transpose(1, 2)


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
            ``(batch, frames, 1)``, true on the frames of each utterance.

        Returns
        -------
        Tensor
            ``(batch, frames, out_dim)``, zero on padded frames.
        """
        if self.excess:
            frames = F.pad(frames, (0, 0, 0, self.excess))
        return _as_frames(self.convolution(_as_image(frames))) * mask


class TransposedConvolution(nn.Module):
    """Transposed convolution over frames that makes exactly ``stride`` frames of one.

    Parameters
    ----------
    in_dim, out_dim
        Feature maps in and out.
    kernel, stride
        In frames.
    """

    def __init__(self, in_dim: int, out_dim: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.convolution = nn.ConvTranspose2d(in_dim, out_dim, (1, kernel), stride=(1, stride))
        self.convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Convolve.

        Parameters
        ----------
        frames
            ``(batch, frames, in_dim)``, zero on padded frames.
        mask
            ``(batch, frames * stride, 1)``, true on the frames of each utterance after up-sampling.

        Returns
        -------
        Tensor
            ``(batch, frames * stride, out_dim)``, zero on padded frames.
        """
        whole = _as_frames(self.convolution(_as_image(frames)))
        return whole[:, : frames.shape[1] * self.stride] * mask


class MaskedInstanceNorm(nn.Module):
    """Instance normalisation over the frames of each utterance, with a learnt scale and shift per map."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Normalise ``frames`` ``(batch, frames, dim)`` where ``mask`` ``(batch, frames, 1)`` is true, else zero."""
        count = mask.sum(1, keepdim=True)
        mean = (frames * mask).sum(1, keepdim=True) / count
        variance = ((frames - mean).square() * mask).sum(1, keepdim=True) / count
        return ((frames - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias) * mask
