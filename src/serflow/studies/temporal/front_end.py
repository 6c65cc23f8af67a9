"""Log-mel spectrogram of a batch on its device, each utterance with a warping of its own (section 2.1)."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from serflow.audio.mel import SAMPLE_RATE, mel_edges, warped_edges
from serflow.errors import ConfigError
from serflow.studies.temporal.options import FramingOptions

N_FFT = 1024
_NYQUIST = SAMPLE_RATE / 2
_ROWS = 8
"""Utterances transformed at once: few enough for their spectra to stay in the cache."""


class LogMelFrontEnd(nn.Module):
    """``ln(power + floor)`` of mel bands from 0 to 8 kHz, as `serflow.features.spectrogram` has them.

    Hamming windows, centred every ``hop`` samples, the waveform continued by zeros. Nothing is learnt.

    Parameters
    ----------
    framing
        Windows, bands and floor.
    """

    window: Tensor
    edges: Tensor

    def __init__(self, framing: FramingOptions) -> None:
        super().__init__()
        self.hop = framing.hop
        self.win_length = framing.window
        self.n_mels = framing.n_mels
        self.floor = framing.floor
        self.register_buffer("window", torch.hamming_window(framing.window, dtype=torch.float64), persistent=False)
        self.register_buffer("edges", torch.from_numpy(mel_edges(framing.n_mels, 0.0, _NYQUIST)), persistent=False)

    @property
    def dim(self) -> int:
        """Values of a frame."""
        return self.n_mels

    def n_frames(self, n_samples: Tensor) -> Tensor:
        """Return the frames of utterances of so many samples."""
        return 1 + n_samples // self.hop

    def filters(self, warps: Tensor) -> Tensor:
        """Return a bank of triangular filters of unit area for each warping, float64 ``(batch, n_mels, n_bins)``.

        Edges (Hz) are moved by Eq. 1 of the paper; 0 gives the standard bank.

        Parameters
        ----------
        warps
            alpha of each utterance, ``(batch,)``, between -1 and 1.
        """
        alpha = warps.double()[:, None]
        angle = self.edges * (math.pi / _NYQUIST)
        shift = torch.atan(alpha * torch.sin(angle) / (1 - alpha * torch.cos(angle)))
        edges = (self.edges + shift * (2 * _NYQUIST / math.pi)).clamp(0, _NYQUIST)
        low, centre, high = (edges[:, place : place + self.n_mels, None] for place in range(3))
        bins = torch.arange(1 + N_FFT // 2, device=edges.device, dtype=torch.float64) * (SAMPLE_RATE / N_FFT)
        triangle = torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clamp(min=0)
        return triangle * 2 / (high - low)

    def forward(self, waveforms: Tensor, n_samples: Tensor, warps: Tensor) -> Tensor:
        """Return log-mel frames ``(batch, frames, n_mels)``, zero beyond the end of an utterance.

        Parameters
        ----------
        waveforms
            ``(batch, n_samples)`` at 16 kHz, zero beyond the end of each.
        n_samples
            Samples of each, ``(batch,)``.
        warps
            alpha of each, ``(batch,)``; see `filters`.
        """
        with torch.autocast(waveforms.device.type, enabled=False):
            banks = self.filters(warps).to(waveforms.dtype)
            parts = zip(torch.split(waveforms, _ROWS), torch.split(banks, _ROWS), strict=True)
            mel = torch.cat([bank @ self._power(part) for part, bank in parts])
            log_mel = torch.log(mel + self.floor).transpose(1, 2)
        valid = torch.arange(log_mel.shape[1], device=log_mel.device) < self.n_frames(n_samples)[:, None]
        return log_mel * valid[:, :, None]

    def _power(self, waveforms: Tensor) -> Tensor:
        """Return the power spectrum of frames, ``(batch, n_bins, frames)``."""
        window = self.window.to(waveforms.dtype)
        spectrum = torch.stft(
            waveforms, N_FFT, self.hop, self.win_length, window, pad_mode="constant", return_complex=True
        )
        return spectrum.real.square() + spectrum.imag.square()


def check_bands(framing: FramingOptions, warp: float) -> None:
    """Refuse bands that may hold no bin of the transform, at an alpha from ``-warp`` to ``warp``.

    A band is narrowest at one of the ends: the derivative of Eq. 1 rises and then falls as alpha grows.

    Raises
    ------
    ConfigError
        If one is narrower than a bin.
    """
    for alpha in (-warp, warp):
        edges = warped_edges(mel_edges(framing.n_mels, 0.0, _NYQUIST), alpha)
        narrowest = float(np.min(edges[2:] - edges[:-2]))
        if narrowest <= SAMPLE_RATE / N_FFT:
            raise ConfigError(
                f"temporal.framing.n_mels: of {framing.n_mels} bands one is {narrowest:.1f} Hz wide"
                f"{f' at a warping of {alpha:g}' if alpha else ''}, less than a bin of {SAMPLE_RATE / N_FFT:g} Hz; "
                "lower n_mels or augment.warp"
            )
