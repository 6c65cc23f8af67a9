"""HFFN-Single: HFFN with one acoustic encoder (section VI-A.4)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import HFFN, MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(title="HFFN-Single", modality="multi", batches="dialogues", options=HFFN)


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.hffn import Hffn
    from serflow.studies.dlc.single import SingleEncoder

    return Hffn(SingleEncoder(sizes, options), sizes, options)
