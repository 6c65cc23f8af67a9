"""Losses of the study (section V): class-weighted cross-entropy of soft targets, and masked reconstruction."""

import torch.nn.functional as F
from torch import Tensor


def class_weights(targets: Tensor) -> Tensor:
    """Return the weight of each class, ``sum(all) / (n_classes * sum of the class)``, from ``(n, n_classes)``."""
    return targets.sum() / (targets.shape[1] * targets.sum(0))


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over the batch of ``-sum_c weights_c * targets_c * log softmax(logits)_c``.

    ``logits`` and ``targets`` are ``(batch, classes)``, ``weights`` is ``(classes,)``.
    """
    return -(F.log_softmax(logits, dim=1) * targets * weights).sum(1).mean()


def reconstruction(output: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error over the frames of utterances; padding does not count.

    ``output`` and ``clean`` are ``(batch, frames, bands)``, ``mask`` is ``(batch, frames, 1)``.
    """
    squared = (output - clean).square() * mask
    return squared.sum() / (mask.sum() * clean.shape[2])
