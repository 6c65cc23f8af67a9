"""DANN: Single with an adversary behind a gradient reversal (section VI-B.1)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import SINGLE, MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(title="DANN", experiments=("exp2",), options=(*SINGLE, "adversary"))


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.dann import DomainAdversarial
    from serflow.studies.dlc.models import AcousticClassifier

    return AcousticClassifier(DomainAdversarial(sizes, options), sizes.n_classes, options)
