"""MoE-DLC: experts trained on mixed batches, routed row by row (section VI-A.3)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import ModelOptions

METHOD = MethodInfo(title="MoE-DLC", needs_gate=True)


def build(sizes: "Sizes", options: "ModelOptions") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.moe import MixtureOfExperts

    return MixtureOfExperts(sizes, options)
