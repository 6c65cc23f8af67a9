"""wav2vec 2.0 with a CTC head (Baevski et al., NeurIPS 2020): a recogniser of English, in the hub's format."""

from pathlib import Path
from typing import TYPE_CHECKING

from serflow.backbones._wav2vec2_files import NARROW, SYMBOLS, write_processor
from serflow.backbones.base import Release

if TYPE_CHECKING:
    from serflow.backbones._wav2vec2_ctc_network import Wav2Vec2Ctc, Wav2Vec2Recogniser

KIND = "recogniser"

WEIGHTS = "folder"
RELEASES = (
    Release(
        name="wav2vec2-base-960h",
        address="https://huggingface.co/facebook/wav2vec2-base-960h",
        digest=None,
        size=None,
        licence="Apache-2.0",
        trained_on="LibriSpeech 960 h",
        # the revision could not be looked up where this was written; the record keeps the digest of what came
        hub=("facebook/wav2vec2-base-960h", "main"),
    ),
)


def write_stand_in(folder: Path, seed: int) -> Path:
    """Write a narrow network of two layers with random weights in the hub's format; it says letters at random."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    from serflow.backbones._hub import silence_transformers

    silence_transformers()
    config = Wav2Vec2Config(vocab_size=len(SYMBOLS), pad_token_id=0, num_hidden_layers=2, **NARROW)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Wav2Vec2ForCTC(config)
        # as it is drawn, the head hardly tells one frame from another
        model.lm_head.weight.data.normal_(0, 1)
        model.save_pretrained(folder)
    write_processor(folder)
    return folder


def network(path: Path) -> "Wav2Vec2Ctc":
    """Read the folder of a model: waveforms to logits of symbols; see `serflow.backbones.base`.

    Raises
    ------
    WeightsError
        If the folder is no such model.
    """
    from serflow.backbones._wav2vec2_ctc_network import Wav2Vec2Ctc, read_model

    return Wav2Vec2Ctc(*read_model(path))


def load(path: Path, device: str, precision: str) -> "Wav2Vec2Recogniser":
    """Load the folder of a model; see `serflow.backbones.base.load_recogniser`.

    Raises
    ------
    ConfigError
        If there is no such device, or it cannot compute in that precision.
    WeightsError
        If the folder is no such model.
    """
    from serflow.backbones._wav2vec2_ctc_network import Wav2Vec2Recogniser, read_model
    from serflow.devices import usable_device

    model, preprocessor, symbols = read_model(path)
    device_found = usable_device(device, precision, "backbones.wav2vec2_ctc")
    return Wav2Vec2Recogniser(model, preprocessor, symbols, device_found, precision)
