"""Single with as many weights as a mixture of experts: tells experts from capacity. A control."""

from typing import TYPE_CHECKING

from serflow.studies.dlc.catalog import MethodInfo

if TYPE_CHECKING:
    from serflow.studies.dlc.models import Network, Sizes
    from serflow.studies.dlc.options import Options

METHOD = MethodInfo(title="Single (width-matched)")


def build(sizes: "Sizes", options: "Options") -> "Network":
    """Return the network; its maps are such that it has about as many weights as MoE-DLC."""
    from dataclasses import replace

    from serflow.studies.dlc.models import AcousticClassifier
    from serflow.studies.dlc.moe import MixtureOfExperts
    from serflow.studies.dlc.single import SingleEncoder
    from serflow.studies.dlc.widths import matching_maps

    maps = matching_maps(
        lambda maps: SingleEncoder(sizes, replace(options, model=replace(options.model, maps=maps))),
        MixtureOfExperts(sizes, options),
        options.model.maps,
    )
    wide = replace(options, model=replace(options.model, maps=maps))
    return AcousticClassifier(SingleEncoder(sizes, wide), sizes.n_classes, wide)
