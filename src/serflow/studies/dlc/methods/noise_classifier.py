"""Noise classifier: predicts the noise condition, to route by at test time (section IV-B)."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import FUSED, NOISE_CLASSIFIER, MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(title="Noise classifier", predicts="condition", options=(*NOISE_CLASSIFIER, FUSED))


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network."""
    from serflow.studies.dlc.models import AcousticClassifier
    from serflow.studies.dlc.single import SingleEncoder

    return AcousticClassifier(SingleEncoder(sizes, options, decodes=False), sizes.n_classes, options)
