"""What the networks minimise: weighted cross-entropies of utterances and of their segments (sections 2.2 and 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from serflow.nn.pooling import frame_mask
from serflow.studies.temporal.segment_net import Found
from serflow.training.evaluation import cross_entropy
from serflow.training.fit import Losses


def utterance_losses(logits: Tensor, targets: Tensor, weights: Tensor) -> Losses:
    """Return the cross-entropy of utterances.

    ``logits`` and ``targets`` are ``(batch, classes)``, ``weights`` those of the classes, ``(classes,)``.
    """
    emotion = cross_entropy(logits, targets, weights)
    return Losses(emotion, {"emotion_loss": emotion}, len(targets))


def segment_loss(logits: Tensor, lengths: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over the frames of an utterance of the cross-entropy of its emotion (Eq. 3), then over a batch.

    Parameters
    ----------
    logits
        Of a segment classifier, ``(batch, frames, classes)``; padded frames do not count.
    lengths
        Frames of each utterance, ``(batch,)``.
    targets, weights
        ``(batch, classes)`` and ``(classes,)``, as in `serflow.training.evaluation.cross_entropy`.
    """
    of_frames = -(F.log_softmax(logits, dim=2) * (targets * weights)[:, None]).sum(2)
    padded = ~frame_mask(lengths, logits.shape[1]).squeeze(2)
    return (of_frames.masked_fill(padded, 0.0).sum(1) / lengths).mean()


def segment_net_losses(found: Found, segment_weight: float, targets: Tensor, weights: Tensor) -> Losses:
    """Return the loss of utterances and ``segment_weight`` times that of each segment classifier."""
    emotion = cross_entropy(found.utterance, targets, weights)
    segments = [segment_loss(logits, found.lengths, targets, weights) for logits in found.segments]
    total = emotion + segment_weight * torch.stack(segments).sum() if segments else emotion
    named = {f"segment_loss_{number}": loss for number, loss in enumerate(segments, start=1)}
    return Losses(total, {"emotion_loss": emotion, **named}, len(targets))
