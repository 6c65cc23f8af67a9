"""HFFN-MoE-DLC: HFFN with an acoustic expert for each noise condition (section VI-A.5)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import HFFN, MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(
    title="HFFN-MoE-DLC", experiments=("exp1",), modality="multi", routes=True, batches="dialogues", options=HFFN
)


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.hffn import Hffn
    from serflow.studies.dlc.moe import MixtureOfExperts

    return Hffn(MixtureOfExperts(sizes, options), sizes, options)
