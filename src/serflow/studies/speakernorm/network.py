"""wav2vec 2.0 with three heads: emotion, symbols of the transcript, speaker (section III, Figure 1)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.backbones._wav2vec2_network import Wav2Vec2
from serflow.nn.adversarial import GradientReversal
from serflow.nn.pooling import frame_mask
from serflow.studies.speakernorm.options import Options

_INITIAL_STD = 0.02
"""Of the weights of heads, as transformers draws them."""


class Found(NamedTuple):
    """What is made of a batch.

    Parameters
    ----------
    emotion
        Logits ``(batch, classes)``.
    symbols
        Logits of each frame, ``(batch, frames, n_symbols)``.
    n_frames
        Frames of each utterance that count, ``(batch,)``; with the plain mean all of them do.
    speaker
        Logits ``(batch, n_speakers)``; None without speaker head.
    pooled
        What emotion and speaker are read off, ``(batch, width)``.
    """

    emotion: Tensor
    symbols: Tensor
    n_frames: Tensor
    speaker: Tensor | None
    pooled: Tensor


def mean_over_time(frames: Tensor, n_frames: Tensor) -> Tensor:
    """Return the mean over the first ``n_frames`` ``(batch,)`` of ``(batch, frames, width)``, ``(batch, width)``."""
    padded = ~frame_mask(n_frames, frames.shape[1])
    return frames.masked_fill(padded, 0.0).sum(1) / n_frames[:, None]


class SpeakerNormNetwork(nn.Module):
    """Waveforms to emotions, symbols and speakers.

    Parameters
    ----------
    backbone
        As `serflow.backbones.base.load_network` gives it.
    options
        Pooling, and what the speaker head does to the backbone.
    n_classes, n_symbols
        Outputs of the heads of emotion and speech recognition.
    n_speakers
        Of training; None for the baseline, which has no speaker head.
    """

    def __init__(
        self, backbone: Wav2Vec2, options: Options, n_classes: int, n_symbols: int, n_speakers: int | None
    ) -> None:
        super().__init__()
        config = backbone.model.config
        self.pool = options.pool
        self.backbone = backbone
        self.dropout = nn.Dropout(config.final_dropout)
        # the head that not all rows have comes last, so that the others begin alike
        self.emotion = _head(config.hidden_size, n_classes)
        self.symbols = _head(config.hidden_size, n_symbols)
        self.speaker = None if n_speakers is None else _head(config.hidden_size, n_speakers)
        self.reversal = GradientReversal()
        self.set_progress(options, 1.0)

    def set_progress(self, options: Options, strength: float) -> None:
        """Set what the gradient of the speaker's loss is multiplied by on its way to the backbone.

        ``strength``, 0 to 1, is that of the schedule; reversed it is taken negative. Where beta does not scale the head
        (`SpeakerOptions.scale_head`), it is scaled here.
        """
        speaker = options.speaker
        scale = 1.0 if speaker.scale_head else speaker.beta
        self.reversal.strength = (1.0 if speaker.direction == "reverse" else -1.0) * scale * strength

    def forward(self, waveforms: Tensor, n_samples: Tensor) -> Found:
        """Run the backbone and its heads.

        With the plain mean, zeros after an utterance are run as if they were speech and stand in the mean and in the
        alignment, as in the code that the paper rests on. With the masked mean nothing of them is seen.

        Parameters
        ----------
        waveforms
            ``(batch, n_samples)`` at 16 kHz, zero after each utterance; they are normalised here, each over its length.
        n_samples
            Samples of each, ``(batch,)``.
        """
        masked = self.pool == "masked_mean"
        if self.training:
            # the masks of training need so many frames
            waveforms = F.pad(waveforms, (0, max(0, self.backbone.shortest - waveforms.shape[1])))
        frames = self.dropout(self.backbone(waveforms, n_samples, mask_padding=masked, alone=masked))
        n_frames = (
            self.backbone.n_frames(n_samples)
            if masked
            else torch.full((len(frames),), frames.shape[1], device=frames.device)
        )
        pooled = mean_over_time(frames, n_frames)
        speaker = None if self.speaker is None else self.speaker(self.reversal(pooled))
        return Found(self.emotion(pooled), self.symbols(frames), n_frames, speaker, pooled)


def _head(width: int, n_outputs: int) -> nn.Linear:
    head = nn.Linear(width, n_outputs)
    nn.init.normal_(head.weight, 0.0, _INITIAL_STD)
    nn.init.zeros_(head.bias)
    return head
