"""MMoE: features are weighed by a gate for each language (section 4.3.1)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from serflow.studies.multigating.network import Network
    from serflow.studies.multigating.options import Options


def build(
    dims: Mapping[str, int],
    classes: Mapping[str, tuple[str, ...]],
    options: "Options",
    weights: "Path | None",
    device: "torch.device",
) -> "Network":
    """Return the network; see `serflow.studies.multigating.network.build_network`."""
    from serflow.studies.multigating.network import build_network
    from serflow.studies.multigating.sharing import Gated

    return build_network(
        dims, classes, options, weights, device, lambda widths: Gated(widths, options.sharing, list(classes))
    )
