"""Single: the baseline, one encoder for all noise conditions (section VI-A.1)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import ModelOptions

METHOD = MethodInfo(title="Single")


def build(sizes: "Sizes", options: "ModelOptions") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.single import SingleEncoder

    return SingleEncoder(sizes, options)
