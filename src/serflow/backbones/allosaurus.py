"""Allosaurus, a universal phone recogniser (Li et al., ICASSP 2020), from the folder of a released model.

The package allosaurus (GPL-3) is not needed: front end and network are written here from the published description,
and tests hold them against it.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from serflow.backbones.base import Release

if TYPE_CHECKING:
    from serflow.backbones._allosaurus_network import Allosaurus, AllosaurusBackbone

WEIGHTS = "folder"
RELEASES = (
    Release(
        name="uni2005",
        address="https://github.com/xinjli/allosaurus/releases/download/v1.0/latest.tar.gz",
        # quoted by a third party, not by the publisher; so is the name of the folder
        digest="sha256:7ccf374aba1dde19b527a988709c59ed9697ab1c1df231f2b2428dd81784a316",
        size=None,
        licence="GPL-3.0",
        trained_on="multilingual corpora (Li et al., ICASSP 2020)",
        member="uni2005",
    ),
)

_STAND_IN_PHONES = ("a", "e", "i", "o", "u", "p", "t", "k", "m", "n", "s", "l")
_STAND_IN_FRONT_END = {
    "model": "mfcc_hires",
    "backend": "numpy",
    "sample_rate": 8000,
    "window_size": 0.025,
    "window_shift": 0.01,
    "feature_window": 3,
    "cmvn": "speaker",
    "cep_size": 40,
    "bank_size": 40,
    "low_freq": 40,
    "high_freq": -200,
    "use_energy": False,
    "dither": 0.0,
    "dtype": "float32",
}


def write_stand_in(folder: Path, seed: int) -> Path:
    """Write a model's folder with one layer of random weights; its states have 640 columns, as the release's."""
    import torch

    from serflow.backbones._allosaurus_network import Allosaurus

    n_phones = len(_STAND_IN_PHONES) + 1
    network = {
        "model": "allosaurus",
        "hidden_size": 320,
        "layer_size": 1,
        "proj_size": 0,
        "feat_size": 120,
        "lang_size_dict": {},
        "phone_size": n_phones,
    }
    language = {"LanguageName": "Stand-in", "ISO6393": "und", "GlottoCode": "none", "phonelists": ["und"]}
    texts = {
        "pm_config.json": json.dumps(_STAND_IN_FRONT_END, indent=2),
        "am_config.json": json.dumps(network, indent=2),
        "lm_config.json": json.dumps({"model": "phone_ipa", "backend": "numpy"}, indent=2),
        "phone.txt": "".join(f"{phone} {index}\n" for index, phone in enumerate(_STAND_IN_PHONES, 1)),
        "inventory/index.json": json.dumps([language], indent=2),
        "inventory/und.txt": "".join(f"{phone}\n" for phone in _STAND_IN_PHONES),
    }
    (folder / "inventory").mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.save(Allosaurus(120, 320, 1, n_phones).state_dict(), folder / "model.pt")
    return folder


def network(path: Path) -> "Allosaurus":
    """Read the network of a model's folder: frames of its front end to states and phones; see `serflow.backbones.base`.

    Raises
    ------
    WeightsError
        If the folder is no such model.
    """
    from serflow.backbones._allosaurus_network import read_model

    return read_model(path)[1]


def load(path: Path, device: str, precision: str) -> "AllosaurusBackbone":
    """Load the folder of a model; see `serflow.backbones.base.load_backbone`.

    Raises
    ------
    ConfigError
        If there is no such device, or it cannot compute in that precision.
    WeightsError
        If the folder is no such model.
    """
    from serflow.backbones._allosaurus_network import AllosaurusBackbone, read_model
    from serflow.devices import usable_device

    front, network = read_model(path)
    return AllosaurusBackbone(front, network, usable_device(device, precision, "backbones.allosaurus"), precision)
