"""wav2vec 2.0 (Baevski et al., NeurIPS 2020), from the folder of a model in the format of the Hugging Face hub."""

from pathlib import Path
from typing import TYPE_CHECKING

from serflow.backbones._wav2vec2_files import NARROW, write_processor
from serflow.backbones.base import Release

if TYPE_CHECKING:
    from serflow.backbones._wav2vec2_network import Wav2Vec2, Wav2Vec2Backbone

WEIGHTS = "folder"
RELEASES = (
    Release(
        name="wav2vec2-base",
        address="https://huggingface.co/facebook/wav2vec2-base",
        digest=None,
        size=None,
        licence="Apache-2.0",
        trained_on="LibriSpeech 960 h",
        hub=("facebook/wav2vec2-base", "0b5b8e868dd84f03fd87d01f9c4ff0f080fecfe8"),
    ),
)


def write_stand_in(folder: Path, seed: int) -> Path:
    """Write a narrow network of three layers with random weights in the hub's format; its layers have 64 columns."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    from serflow.backbones._hub import silence_transformers

    silence_transformers()
    config = Wav2Vec2Config(num_hidden_layers=3, **NARROW)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        Wav2Vec2Model(config).save_pretrained(folder)
    write_processor(folder)
    return folder


def network(path: Path) -> "Wav2Vec2":
    """Read the folder of a model: waveforms to the last layer; see `serflow.backbones.base`.

    Raises
    ------
    WeightsError
        If the folder is no such model.
    """
    from serflow.backbones._wav2vec2_network import Wav2Vec2, read_model

    return Wav2Vec2(*read_model(path))


def read_letters(path: Path) -> tuple[list[str], int]:
    """Read the symbols of the tokenizer in a model's folder, which has no head for them: for one that is trained.

    Returns
    -------
    What each symbol adds to a transcript, nothing or a blank for those that are no letters; and which is CTC's blank.

    Raises
    ------
    WeightsError
        If the folder has no tokenizer, or it is damaged.
    """
    from serflow.backbones._hub import read_entries
    from serflow.backbones._wav2vec2_symbols import read_symbols

    config = read_entries(path / "config.json", "wav2vec2")
    n_symbols, blank = config.get("vocab_size", 32), config.get("pad_token_id", 0)
    return read_symbols(path, "wav2vec2", n_symbols, blank), blank


def load(path: Path, device: str, precision: str) -> "Wav2Vec2Backbone":
    """Load the folder of a model; see `serflow.backbones.base.load_backbone`.

    Raises
    ------
    ConfigError
        If there is no such device, or it cannot compute in that precision.
    WeightsError
        If the folder is no such model.
    """
    from serflow.backbones._wav2vec2_network import Wav2Vec2Backbone, read_model
    from serflow.devices import usable_device

    model, preprocessor = read_model(path)
    return Wav2Vec2Backbone(model, preprocessor, usable_device(device, precision, "backbones.wav2vec2"), precision)
