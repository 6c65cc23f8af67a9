"""MoE-DLC: experts trained on mixed batches, routed row by row (section VI-A.3)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import SINGLE, MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(title="MoE-DLC", routes=True, options=SINGLE)


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.models import AcousticClassifier
    from serflow.studies.dlc.moe import MixtureOfExperts

    return AcousticClassifier(MixtureOfExperts(sizes, options), sizes.n_classes, options)
