"""wav2vec 1.0 (Schneider et al., Interspeech 2019), from fairseq's checkpoints."""

from pathlib import Path
from typing import TYPE_CHECKING

from serflow.backbones.base import Release

if TYPE_CHECKING:
    from serflow.backbones._wav2vec_network import Wav2Vec, Wav2VecBackbone

RELEASES = (
    Release(
        name="wav2vec_large",
        address="https://dl.fbaipublicfiles.com/fairseq/wav2vec/wav2vec_large.pt",
        digest=None,
        size=None,
        licence="MIT",
        trained_on="LibriSpeech 960 h",
    ),
)

# kernels and strides of wav2vec_large, narrow inside, and fewer layers of context
_STAND_IN = {
    "conv_feature_layers": "[(32, 10, 5), (32, 8, 4), (32, 4, 2), (32, 4, 2), (32, 4, 2), (32, 1, 1), (512, 1, 1)]",
    "conv_aggregator_layers": "[(32, 2, 1), (32, 3, 1), (32, 4, 1), (512, 5, 1)]",
    "log_compression": True,
    "skip_connections_feat": False,
    "skip_connections_agg": True,
    "residual_scale": 0.5,
    "agg_zero_pad": False,
    "no_conv_bias": False,
    "activation": "relu",
}


def write_stand_in(folder: Path, seed: int) -> Path:
    """Write a narrow network with random weights as an old-style fairseq checkpoint; both outputs have 512 columns."""
    import argparse

    import torch

    from serflow.backbones._wav2vec_network import Wav2Vec, read_geometry

    path = folder / "wav2vec_stand_in.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = Wav2Vec(read_geometry(path, _STAND_IN)).state_dict()
    torch.save({"args": argparse.Namespace(arch="wav2vec", **_STAND_IN), "model": state}, path)
    return path


def network(path: Path) -> "Wav2Vec":
    """Read a fairseq checkpoint: waveforms to z and c; see `serflow.backbones.base`.

    Raises
    ------
    WeightsError
        If the file is no such checkpoint, or of a network that is not wav2vec 1.0.
    """
    from serflow.backbones._wav2vec_network import read_network

    return read_network(path)


def load(path: Path, device: str, precision: str) -> "Wav2VecBackbone":
    """Load a fairseq checkpoint; see `serflow.backbones.base.load_backbone`.

    Raises
    ------
    ConfigError
        If there is no such device, or it cannot compute in that precision.
    WeightsError
        If the file is no such checkpoint, or of a network that is not wav2vec 1.0.
    """
    from serflow.backbones._wav2vec_network import Wav2VecBackbone
    from serflow.devices import usable_device

    return Wav2VecBackbone(network(path), usable_device(device, precision, "backbones.wav2vec"), precision)
