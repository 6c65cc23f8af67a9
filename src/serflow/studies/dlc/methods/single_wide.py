"""Single with as many weights as a mixture of experts: tells experts from capacity. A control."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import FUSED, SINGLE, MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(title="Single (width-matched)", options=(*SINGLE, FUSED))


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network; its maps are such that it has about as many weights as MoE-DLC."""
    from serflow.studies.dlc.models import AcousticClassifier
    from serflow.studies.dlc.moe import MixtureOfExperts
    from serflow.studies.dlc.single import SingleEncoder
    from serflow.studies.dlc.widths import matching_maps

    def widened(maps: int) -> "Options":
        return options.model_copy(update={"model": options.model.model_copy(update={"maps": maps})})

    maps = matching_maps(
        lambda maps: SingleEncoder(sizes, widened(maps)), MixtureOfExperts(sizes, options), options.model.maps
    )
    return AcousticClassifier(SingleEncoder(sizes, widened(maps)), sizes.n_classes, widened(maps))
