"""MoE-SLC: experts trained on batches of one noise condition each (section VI-A.2)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import ModelOptions

METHOD = MethodInfo(title="MoE-SLC", needs_gate=True, homogeneous_batches=True)


def build(sizes: "Sizes", options: "ModelOptions") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.moe import MixtureOfExperts

    return MixtureOfExperts(sizes, options)
