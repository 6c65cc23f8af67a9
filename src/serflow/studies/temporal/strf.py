"""Learnable spectro-temporal receptive fields (section 2.1; Vuong, Xia and Stern, Interspeech 2020).

A pair of fields has a rate r and a scale s. With n frames and k bands from the middle, and Hann windows h over both,

    cosine(n, k) = cos(r n) h(n) * cos(s k) h(k),    sine(n, k) = sin(r n) h(n) * sin(s k) h(k).

Their sum and their difference are ripples that move up and down in frequency.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def odd_taps(support: float) -> int:
    """Return ``support`` taps, one more where that is even: a field has a middle."""
    return max(1, round(support)) // 2 * 2 + 1


def hann(n_taps: int) -> Tensor:
    """Return the Hann window of an odd number of taps, 1 in the middle and above 0 at both ends, ``(n_taps,)``.

    The authors' own layer has the window of one tap less after a zero, which is off the middle by a tap.
    """
    return torch.hann_window(n_taps + 2, periodic=False)[1:-1]


class GaborStrf(nn.Module):
    """Cross-correlation with ``n_pairs`` cosine fields and as many sine fields; rates and scales are learnt.

    A field is the product of one over frames and one over bands, so that they are applied one after the other: the same
    in fewer operations than a field as a whole takes.

    Parameters
    ----------
    n_pairs
        K: pairs of fields. Rates (radians a frame) and scales (radians a band) start anywhere from 0 to pi.
    taps, bands
        Frames and bands that a field spans, both odd.
    """

    frames: Tensor
    bands: Tensor
    frame_window: Tensor
    band_window: Tensor

    def __init__(self, n_pairs: int, taps: int, bands: int) -> None:
        super().__init__()
        if taps % 2 == 0 or bands % 2 == 0:
            raise ValueError(f"a field of {taps} frames by {bands} bands has no middle; both must be odd")
        self.taps = taps
        self.rates = nn.Parameter(math.pi * torch.rand(n_pairs))
        self.scales = nn.Parameter(math.pi * torch.rand(n_pairs))
        for name, size in (("frame", taps), ("band", bands)):
            places = torch.arange(size, dtype=self.rates.dtype) - size // 2
            self.register_buffer(f"{name}s", places, persistent=False)
            self.register_buffer(f"{name}_window", hann(size), persistent=False)

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return the parts of fields over frames ``(2 * n_pairs, taps)`` and over bands ``(2 * n_pairs, bands)``."""
        in_time, in_frequency = torch.outer(self.rates, self.frames), torch.outer(self.scales, self.bands)
        return (
            torch.cat([in_time.cos(), in_time.sin()]) * self.frame_window,
            torch.cat([in_frequency.cos(), in_frequency.sin()]) * self.band_window,
        )

    def kernels(self) -> Tensor:
        """Return the fields, ``(2 * n_pairs, taps, bands)``, cosines first."""
        in_time, in_frequency = self.factors()
        return in_time[:, :, None] * in_frequency[:, None, :]

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(batch, 2 * n_pairs, frames, bands)`` of ``(batch, 1, frames, bands)``, around which are zeros."""
        in_time, in_frequency = self.factors()
        n_maps, taps = in_time.shape
        along = F.conv2d(maps, in_frequency[:, None, None, :], padding=(0, in_frequency.shape[1] // 2))
        return F.conv2d(along, in_time[:, None, :, None], padding=(taps // 2, 0), groups=n_maps)
