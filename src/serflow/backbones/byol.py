"""BYOL-S (Scheidwasser-Clow et al., ICASSP 2022) and BYOL-A (Niizumi et al., IJCNN 2021): audio embeddings.

The number of columns is read from the weights. BYOL-S differs from BYOL-A in its window (25 ms, not 64 ms) and in
what it was trained on (the speech of AudioSet). The files of the two look alike, so BYOL-A's are known by their
digest; any other file is run with BYOL-S's window.

Open choice: SERAB standardises log-mel pictures with one mean and deviation a corpus, the averages of those of
the utterances of its training part; the statistics of the pre-training are not in the weights. As it comes, each
utterance is standardised by itself, so that its vector depends on no other utterance and not on the level of the
recording; the feature `byol` has ``standardise: corpus`` too.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from serflow.backbones.base import Release
from serflow.files import sha256_file

if TYPE_CHECKING:
    from serflow.backbones._byol_network import ByolBackbone, Encoder

_SERAB = "https://github.com/Neclow/SERAB/raw/cc0ebd74014c19ce4fad752afe5dfd374fc7fdb2/SERAB/checkpoints"
_BYOL_A = "https://github.com/nttcslab/byol-a/raw/3e65c9283498d06915e6dbcff3445307d8d3e930/pretrained_weights"


def _byol_s(dim: int, file: str, digest: str, size: int | None = None) -> Release:
    return Release(f"byol_s_{dim}", f"{_SERAB}/{file}", digest, size, "MIT", "AudioSet (speech)")


def _byol_a(dim: int, digest: str, size: int | None = None) -> Release:
    address = f"{_BYOL_A}/AudioNTT2020-BYOLA-64x96d{dim}.pth"
    licence = "NTT, for internal evaluation only"
    return Release(f"byol_a_{dim}", address, digest, size, licence, "AudioSet", redistributable=False)


_BYOL_S_RELEASES = (
    _byol_s(
        512,
        "default512_BYOLAs64x96-2107281850-e100-bs256-lr0003-rs42.pth",
        "sha256:449f5d0dc6b6fa8433d5e43769097520d3bc0fdae88977a7ac29e2e72ca51b52",
        2_409_434,
    ),
    _byol_s(
        1024,
        "default1024_BYOLAs64x96-2107292000-e100-bs256-lr0003-rs42.pth",
        "git:f5bcd923cf11ff279f155ba80c73547c10359fa5",
    ),
    _byol_s(
        2048,
        "default2048_BYOLAs64x96-2105311814-e100-bs256-lr0003-rs42.pth",
        "git:04fb26805f52db1af541b2186d1fc1a9ce86e4c7",
    ),
)
_BYOL_A_RELEASES = (
    _byol_a(512, "sha256:6cc64226318494f06ef41d7e5810be7d37abfd6490da45abdab48f188c5332e2", 2_410_576),
    _byol_a(1024, "git:1c04492d54707e53f04fb664ec6bf3ec655d47f0"),
    _byol_a(2048, "git:dd93cab283451ad67baff974933aa122d4a8fa24"),
)
RELEASES = _BYOL_S_RELEASES + _BYOL_A_RELEASES

BYOL_S_WINDOW, BYOL_A_WINDOW = 400, 1024

_STAND_IN_CHANNELS = 8


def write_stand_in(folder: Path, seed: int) -> Path:
    """Write an encoder of 8 maps with random weights as ``stand_in512.pth``; its output has 512 columns."""
    import torch

    from serflow.backbones._byol_network import Encoder

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = Encoder(channels=_STAND_IN_CHANNELS).state_dict()
    path = folder / "stand_in512.pth"
    torch.save(state, path)
    return path


def network(path: Path) -> "Encoder":
    """Read the state of an encoder: standardised pictures to frames; see `serflow.backbones.base`.

    Raises
    ------
    WeightsError
        If the file is no such checkpoint.
    """
    from serflow.backbones._byol_network import network_from
    from serflow.backbones._checkpoint import read_checkpoint

    return network_from(read_checkpoint(path, "byol"))


def load(path: Path, device: str, precision: str) -> "ByolBackbone":
    """Load the state of an encoder; see `serflow.backbones.base.load_backbone`.

    Raises
    ------
    ConfigError
        If there is no such device, or it cannot compute in that precision.
    WeightsError
        If the file is no such checkpoint.
    """
    from serflow.backbones._byol_network import ByolBackbone
    from serflow.devices import usable_device

    return ByolBackbone(network(path), window_of(path), usable_device(device, precision, "backbones.byol"), precision)


def window_of(path: Path) -> int:
    """Return the window (samples) that a file of weights was trained with: BYOL-A's by digest, else BYOL-S's."""
    content = path.read_bytes()
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    digests = {f"sha256:{sha256_file(path)}", f"git:{git}"}
    return BYOL_A_WINDOW if any(release.digest in digests for release in _BYOL_A_RELEASES) else BYOL_S_WINDOW
