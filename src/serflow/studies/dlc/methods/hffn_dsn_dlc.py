"""HFFN-DSN-DLC: HFFN with a Domain Separation Network for its acoustic encoder (section VI-B.5)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import DSN, MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(
    title="HFFN-DSN-DLC",
    experiments=("exp2",),
    modality="multi",
    routes=True,
    batches="dialogues",
    options=(*DSN, "hffn", "staged"),
)


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.dsn import DomainSeparation
    from serflow.studies.dlc.hffn import Hffn

    return Hffn(DomainSeparation(sizes, options), sizes, options)
