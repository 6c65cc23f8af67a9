"""What systems minimise: cross-entropies of emotion and speaker, and inputs moved along their gradients."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Batch(NamedTuple):
    """Utterances padded to one length.

    ``frames`` are ``(batch, frames, dim)``, normalised, zero on padded frames; ``lengths`` ``(batch,)``; ``targets``
    ``(batch, classes)``; ``speakers`` ``(batch,)`` are indices of the speakers of training. ``n_valid`` is the sum of
    ``lengths``, which shapes depend on; None to have a network count.
    """

    frames: Tensor
    lengths: Tensor
    targets: Tensor
    speakers: Tensor
    n_valid: int | None = None


def emotion_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Return the cross-entropy of each utterance's emotion, ``(batch,)``."""
    return F.cross_entropy(_at_least_float32(logits), batch.targets, reduction="none")


def speaker_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Return the cross-entropy of each utterance's speaker, ``(batch,)``."""
    return F.cross_entropy(_at_least_float32(logits), batch.speakers, reduction="none")


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def input_gradient(losses: Tensor, frames: Tensor, clip: float | None) -> Tensor:
    """Return the gradient of an utterance's own loss by its frames, ``(batch, frames, dim)``; nothing flows through it.

    Losses are summed, not averaged, so that the step does not depend on the size of a batch (Eqs. 2 and 3 have no
    mean). ``clip`` bounds each element, None does not.
    """
    (gradient,) = torch.autograd.grad(losses.sum(), frames, retain_graph=True)
    return gradient if clip is None else gradient.clamp(-clip, clip)
