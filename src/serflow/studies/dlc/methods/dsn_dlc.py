"""DSN-DLC: a Domain Separation Network, mixed batches routed row by row (section VI-B.4)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import DSN, MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(title="DSN-DLC", experiments=("exp2",), routes=True, options=DSN)


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.dsn import DomainSeparation
    from serflow.studies.dlc.models import AcousticClassifier

    return AcousticClassifier(DomainSeparation(sizes, options), sizes.n_classes, options)
