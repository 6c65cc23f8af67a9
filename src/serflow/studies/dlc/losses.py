"""Losses of the study (section V) and of the domain adaptation methods (section IV-A.3 to 5)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from serflow.nn.normalisation import unit_rows
from serflow.rounding import EPS


def negative_cosine(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return minus the weighted mean cosine of softmax and target, HFFN's own loss for its fusion (Mai et al., 2019).

    An utterance weighs as much as its target: ``sum_c weights_c * targets_c``. Shapes as in
    `serflow.training.evaluation.cross_entropy`.
    """
    cosine = F.cosine_similarity(torch.softmax(logits, dim=1), targets, dim=1)
    return -(cosine * (targets * weights).sum(1)).mean()


def reconstruction(output: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error over the frames of utterances; padding does not count.

    ``output`` and ``clean`` are ``(batch, frames, bands)``, ``mask`` is ``(batch, frames, 1)``.
    """
    squared = (output - clean).square() * mask
    return squared.sum() / (mask.sum() * clean.shape[2])


def difference(private: Tensor, shared: Tensor, conditions: Tensor, n_conditions: int) -> Tensor:
    """Return how much private and shared codes have in common, 0 if orthogonal (Bousmalis et al., 2016, eq. 5).

    For each condition of the batch, both codes are centred over its utterances and scaled to unit norm; the loss is
    the mean of the squared entries of ``private^T shared``. Conditions count alike; one that is absent does not. What
    is the same for all utterances of a condition, or for its only one, is 0 when it is centred, and stays 0.

    Parameters
    ----------
    private, shared
        Codes pooled over frames, ``(batch, dim)``.
    conditions
        Noise condition of each utterance, ``(batch,)``, of 0 to ``n_conditions - 1``.
    n_conditions
        Conditions that there are.
    """
    numbers = torch.arange(n_conditions, device=conditions.device)
    members = (conditions == numbers.unsqueeze(1)).to(torch.promote_types(private.dtype, torch.float32))
    one, other = _centred_to_unit_norm(torch.stack([private, shared]), conditions, members)
    products = (members.unsqueeze(2) * one).transpose(1, 2) @ other
    present = members.amax(1)
    loss: Tensor = (products.square().mean((1, 2)) * present).sum() / present.sum()
    return loss


def _centred_to_unit_norm(codes: Tensor, conditions: Tensor, members: Tensor) -> Tensor:
    """Take the mean over the rows of a condition away from ``codes`` ``(codes, n, dim)`` and scale each row to norm 1.

    ``members`` ``(conditions, n)`` is 1 where a row is of a condition, else 0.
    """
    counts = members.sum(1)
    norms = torch.linalg.vector_norm(codes.detach(), dim=2)
    largest = (members * norms.unsqueeze(1)).amax(2)
    # sums are in single precision at least, codes in that of the computation
    least = largest * (EPS * counts + torch.finfo(codes.dtype).eps)
    whole = codes.to(members.dtype)
    sums = whole.new_zeros(len(codes), len(members), codes.shape[2]).index_add(1, conditions, whole)
    means = sums / counts.clamp(min=1.0).unsqueeze(1)
    centred = whole - means[:, conditions]
    return unit_rows(centred.flatten(0, 1), least[:, conditions].flatten()).view_as(centred)


def critic_loss(outputs: Tensor, conditions: Tensor, counts: Tensor) -> Tensor:
    """Return what MADDoG's critic minimises: outputs of wrong conditions low, of the right one high.

    ``(sum of all outputs - sum_i correct_i - sum_i w_i correct_i) / (batch * conditions)`` with
    ``w = (n - n_d) / n_d``, which balances the conditions (Gideon et al., 2019, as their code has it).

    Parameters
    ----------
    outputs
        Of the critic, ``(batch, conditions)``.
    conditions
        True condition of each utterance, ``(batch,)``.
    counts
        Training utterances ``n_d`` of each condition, ``(conditions,)``.
    """
    correct = outputs.gather(1, conditions[:, None]).squeeze(1)
    weights = ((counts.sum() - counts) / counts)[conditions]
    return (outputs.sum() - correct.sum() - (weights * correct).sum()) / outputs.numel()


def true_condition_output(outputs: Tensor, conditions: Tensor) -> Tensor:
    """Return the critic's mean output at the true condition, which the encoder lowers; shapes as in `critic_loss`."""
    return outputs.gather(1, conditions[:, None]).mean()
