"""MADDoG: Single with a critic that is trained at the start of each epoch (section VI-B.2)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import SINGLE, MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(title="MADDoG", experiments=("exp2",), options=(*SINGLE, "maddog"))


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.maddog import CriticisedEncoder
    from serflow.studies.dlc.models import AcousticClassifier

    return AcousticClassifier(CriticisedEncoder(sizes, options), sizes.n_classes, options)
