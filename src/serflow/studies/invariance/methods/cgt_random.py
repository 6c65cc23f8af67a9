"""A control of CGT: inputs are moved as far, in a random direction. What helps may be the gradient, or being moved."""

from typing import TYPE_CHECKING

from serflow.studies.invariance.catalog import SystemInfo

if TYPE_CHECKING:
    from torch import Tensor

    from serflow.studies.invariance.losses import Batch
    from serflow.studies.invariance.network import SpeakerNetwork
    from serflow.studies.invariance.options import Options
    from serflow.training.fit import Losses

SYSTEM = SystemInfo(title="Random perturbation", group="cgt")


def losses(network: "SpeakerNetwork", batch: "Batch", options: "Options") -> "Losses":
    """Return what CGT minimises, with random steps as long as those of CGT in place of these."""
    from serflow.studies.invariance.cross_gradient import cross_gradient

    return cross_gradient(network, batch, options, random_direction)


def random_direction(gradient: "Tensor", lengths: "Tensor", n_valid: int | None = None) -> "Tensor":
    """Return a random direction on the frames of each utterance, of the norm of its gradient.

    Both are ``(batch, frames, dim)`` and zero on padded frames. The numbers drawn do not depend on the padding;
    ``n_valid`` is the sum of ``lengths``, None to have it asked for.
    """
    import torch

    from serflow.studies.invariance.network import flatten

    flat = flatten(gradient, lengths, n_valid)
    drawn = flat._replace(frames=torch.randn_like(flat.frames)).padded()
    norm, length = (values.flatten(1).norm(dim=1)[:, None, None] for values in (gradient, drawn))
    direction: Tensor = drawn * (norm / length)
    return direction
