"""SB with as many shared weights as Ours: tells search from capacity. A control."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from serflow.studies.multigating.network import Network
    from serflow.studies.multigating.options import Options
    from serflow.studies.multigating.sharing import Widths


def build(
    dims: Mapping[str, int],
    classes: Mapping[str, tuple[str, ...]],
    options: "Options",
    weights: "Path | None",
    device: "torch.device",
) -> "Network":
    """Return the network; see `serflow.studies.multigating.network.build_network`."""
    from serflow.studies.multigating.network import build_network
    from serflow.studies.multigating.sharing import SharedBottom, hidden_as_searched

    def share(widths: "Widths") -> SharedBottom:
        hidden = hidden_as_searched(widths, options.sharing, list(classes), options.nas)
        return SharedBottom(widths, options.sharing, hidden)

    return build_network(dims, classes, options, weights, device, share)
