"""MoE-SLC: experts trained on batches of one noise condition each (section VI-A.2)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import SINGLE, MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(title="MoE-SLC", routes=True, batches="homogeneous", options=SINGLE)


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.models import AcousticClassifier
    from serflow.studies.dlc.moe import MixtureOfExperts

    return AcousticClassifier(MixtureOfExperts(sizes, options), sizes.n_classes, options)
