"""Predicting in batches, and the loss of classification: what studies with classes have in common."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.training.metrics import IntArray

FloatT = TypeVar("FloatT", bound=np.floating)


def predict(
    network: nn.Module, classify: Callable[[IntArray], Tensor], batches: Sequence[IntArray]
) -> npt.NDArray[np.float64]:
    """Return class probabilities, ``(n, classes)``.

    Parameters
    ----------
    network
        Put into evaluation mode.
    classify
        Runs it on utterances, given their places: logits ``(batch, classes)``.
    batches
        Places, which are 0 to n - 1 together.
    """
    network.eval()
    with torch.no_grad():
        return placed(batches, (torch.softmax(classify(places).double(), dim=1).cpu().numpy() for places in batches))


def placed(batches: Sequence[IntArray], values: Iterable[npt.NDArray[FloatT]]) -> npt.NDArray[FloatT]:
    """Return the rows of batches, ``(batch, dim)`` each, at their places, ``(n, dim)``; none is held longer."""
    rows: npt.NDArray[FloatT] | None = None
    for places, of_batch in zip(batches, values, strict=True):
        if rows is None:
            rows = np.empty((sum(map(len, batches)), of_batch.shape[1]), dtype=of_batch.dtype)
        rows[places] = of_batch
    if rows is None:
        raise ValueError("there is no batch")
    return rows


def class_weights(targets: Tensor) -> Tensor:
    """Return the weight of each class, ``sum(all) / (n_classes * sum of the class)``, from ``(n, n_classes)``."""
    return targets.sum() / (targets.shape[1] * targets.sum(0))


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over the batch of ``-sum_c weights_c * targets_c * log softmax(logits)_c``.

    ``logits`` and ``targets`` are ``(batch, classes)``, ``weights`` is ``(classes,)``.
    """
    return -(F.log_softmax(logits, dim=1) * targets * weights).sum(1).mean()
