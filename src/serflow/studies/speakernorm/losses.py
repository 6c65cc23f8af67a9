"""The joint loss: emotion, alpha times CTC, beta times speaker (section III-D)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from serflow.studies.speakernorm.network import Found
from serflow.studies.speakernorm.options import CtcOptions, Options
from serflow.training.fit import Losses


class Batch(NamedTuple):
    """Utterances padded to one length.

    Parameters
    ----------
    waveforms
        ``(batch, n_samples)``, zero after each utterance.
    n_samples
        Samples of each, ``(batch,)``.
    targets
        ``(batch, classes)``.
    symbols
        Transcripts one after the other, ``(sum of n_symbols,)``, on the CPU.
    n_symbols
        Symbols of each, ``(batch,)``, on the CPU.
    speakers
        Index among the speakers of training, ``(batch,)``.
    """

    waveforms: Tensor
    n_samples: Tensor
    targets: Tensor
    symbols: Tensor
    n_symbols: Tensor
    speakers: Tensor


def ctc_loss(logits: Tensor, n_frames: Tensor, batch: Batch, options: CtcOptions, blank: int) -> Tensor:
    """Return CTC's loss of a batch, summed over utterances, or averaged (Graves et al., ICML 2006).

    It is computed on the CPU: the gradient has no kernel on a GPU that gives the same bytes twice.

    Parameters
    ----------
    logits
        ``(batch, frames, n_symbols)``.
    n_frames
        Frames that count, ``(batch,)``.
    batch
        With its transcripts.
    options
        Reduction; whether transcripts that do not fit are left out.
    blank
        CTC's blank.
    """
    log_probabilities = torch.log_softmax(_at_least_float32(logits), dim=2).transpose(0, 1).cpu()
    loss = F.ctc_loss(
        log_probabilities,
        batch.symbols,
        n_frames.cpu(),
        batch.n_symbols,
        blank=blank,
        reduction=options.reduction,
        zero_infinity=options.zero_infinity,
    )
    return loss.to(logits.device)


def joint_losses(found: Found, batch: Batch, options: Options, blank: int) -> Losses:
    """Return ``L = L_emotion + alpha L_ctc + beta L_speaker`` and its terms: means over a batch, CTC as it is set."""
    emotion_logits = _at_least_float32(found.emotion)
    emotion = F.cross_entropy(emotion_logits, batch.targets.to(emotion_logits.dtype))
    ctc = ctc_loss(found.symbols, found.n_frames, batch, options.ctc, blank)
    total = emotion + options.alpha * ctc
    terms = {"emotion_loss": emotion, "ctc_loss": ctc}
    if found.speaker is not None:
        speaker = F.cross_entropy(_at_least_float32(found.speaker), batch.speakers)
        total = total + (options.speaker.beta if options.speaker.scale_head else 1.0) * speaker
        terms["speaker_loss"] = speaker
    return Losses(total, terms, len(batch.targets))


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
