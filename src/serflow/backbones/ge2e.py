"""GE2E speaker encoder with the weights that come with Resemblyzer (Wan et al., ICASSP 2018).

Volume, silences, mel and partials are prepared as Resemblyzer 0.1.4 does; see `serflow.audio.voice`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from serflow.backbones.base import Release

if TYPE_CHECKING:
    from serflow.backbones._ge2e_network import GE2E, GE2EBackbone

RELEASES = (
    Release(
        name="resemblyzer",
        address=(
            "https://github.com/resemble-ai/Resemblyzer/raw/15d828edebe06bc72b9cabc8ef8ca5ab2cb457ce"
            "/resemblyzer/pretrained.pt"
        ),
        digest="sha256:39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
        size=17_090_379,
        licence="Apache-2.0",
        trained_on="LibriSpeech-other, VoxCeleb1, VoxCeleb2",
        package=("resemblyzer", "pretrained.pt"),
    ),
)

_STAND_IN_HIDDEN = 32
_STAND_IN_INPUT_GAIN, _STAND_IN_GAIN = 30.0, 3.0
"""To spread weights as the release's are (standard deviation 1.4 for the input, 0.2 to 0.4 after it)."""


def write_stand_in(folder: Path, seed: int) -> Path:
    """Write a network of 32 units a layer with random weights as ``pretrained.pt``; its embedding has 256 columns."""
    import torch

    from serflow.backbones._ge2e_network import GE2E

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = GE2E(hidden=_STAND_IN_HIDDEN).state_dict()
    for name, tensor in state.items():
        if name.startswith("lstm.weight"):
            tensor *= _STAND_IN_INPUT_GAIN if name == "lstm.weight_ih_l0" else _STAND_IN_GAIN
    # the two scalars of the GE2E loss, which a release holds as well
    state |= {"similarity_weight": torch.tensor([10.0]), "similarity_bias": torch.tensor([-5.0])}
    path = folder / "pretrained.pt"
    torch.save({"step": 0, "model_state": state}, path)
    return path


def network(path: Path) -> "GE2E":
    """Read a ``pretrained.pt``: mel partials ``(batch, 160, 40)`` to embeddings; see `serflow.backbones.base`.

    Raises
    ------
    WeightsError
        If the file is no such checkpoint.
    """
    from serflow.backbones._checkpoint import read_checkpoint
    from serflow.backbones._ge2e_network import network_from

    return network_from(read_checkpoint(path, "ge2e", member="model_state"))


def load(path: Path, device: str, precision: str) -> "GE2EBackbone":
    """Load a ``pretrained.pt``; see `serflow.backbones.base.load_backbone`.

    Raises
    ------
    ConfigError
        If there is no such device, or it cannot compute in that precision.
    WeightsError
        If the file is no such checkpoint.
    """
    from serflow.backbones._ge2e_network import GE2EBackbone
    from serflow.devices import usable_device

    return GE2EBackbone(network(path), usable_device(device, precision, "backbones.ge2e"), precision)
