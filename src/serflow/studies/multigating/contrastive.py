"""Contrastive loss of representations and the centroids of emotions (section 4.2, Eq. 3 to 6)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.studies.multigating.options import AuxOptions


class ContrastiveLoss(nn.Module):
    """Cross-entropy of each sample over the centroids of emotions, by their cosine similarity to it.

    Emotions with more than ``more_than`` samples in the batch are kept, and of each as many samples as the smallest of
    them has: those that come first in the batch. A centroid is the mean of these, the sample itself included (Eq. 4).
    Where fewer than two emotions are kept the loss is 0, with a gradient of 0.

    w is the softplus of a weight, so that it stays above 0; far above, it moves as the weight does. b is in all
    similarities alike, so the softmax of Eq. 5 does not see it: it has no gradient but rounding.

    Parameters
    ----------
    options
        Which emotions are kept, sum or mean, and w and b at first.
    """

    def __init__(self, options: AuxOptions) -> None:
        super().__init__()
        self.more_than = options.more_than
        self.mean = options.reduction == "mean"
        # the inverse of softplus, without the overflow of exp(scale)
        self.raw_scale = nn.Parameter(torch.tensor(options.scale + math.log(-math.expm1(-options.scale))))
        self.bias = nn.Parameter(torch.tensor(options.bias))

    @property
    def scale(self) -> Tensor:
        """w, above 0."""
        return F.softplus(self.raw_scale)

    def forward(self, representations: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, a number.

        Parameters
        ----------
        representations
            What the tower reads, ``(batch, dim)``; only their directions matter.
        targets
            ``(batch, classes)``; a sample is of its largest one.
        """
        with torch.autocast(representations.device.type, enabled=False):
            samples = F.normalize(representations, dim=1)
            emotion = targets.argmax(1, keepdim=True) == torch.arange(targets.shape[1], device=targets.device)
            counts = emotion.sum(0)
            kept = counts > self.more_than
            least = torch.where(kept, counts, len(targets)).amin()
            chosen = (emotion & kept & (emotion.cumsum(0) <= least)).to(samples.dtype)
            centroids = F.normalize(chosen.T @ samples, dim=1)
            similarities = self.scale * (samples @ centroids.T) + self.bias
            # a number and not -inf, which has no gradient where no emotion is kept
            similarities = similarities.masked_fill(~kept, torch.finfo(samples.dtype).min)
            total = -(F.log_softmax(similarities, dim=1) * chosen).sum()
            return total / chosen.sum().clamp(min=1) if self.mean else total
