"""Single trained on shuffled labels: what the protocol gives where nothing can be learnt. A control."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import FUSED, SINGLE, MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(title="Single (shuffled labels)", shuffles_labels=True, options=(*SINGLE, FUSED))


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.models import AcousticClassifier
    from serflow.studies.dlc.single import SingleEncoder

    return AcousticClassifier(SingleEncoder(sizes, options), sizes.n_classes, options)
