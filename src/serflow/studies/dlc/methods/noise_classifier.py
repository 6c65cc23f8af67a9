"""Noise classifier: predicts the noise condition, to route by at test time (section IV-B)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import ModelOptions

METHOD = MethodInfo(title="Noise classifier", predicts="condition")


def build(sizes: "Sizes", options: "ModelOptions") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.single import SingleEncoder

    return SingleEncoder(sizes, options, decodes=False)
