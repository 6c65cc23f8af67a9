"""Base: all is shared, the tower as well, which names the classes of all languages (section 5.2.2)."""

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
    from serflow.studies.multigating.sharing import SharedBottom
    from serflow.studies.multigating.towers import UnionTower

    return build_network(
        dims, classes, options, weights, device, lambda widths: SharedBottom(widths, options.sharing), UnionTower
    )
