"""Small BERT (Devlin et al., NAACL 2019; Turc et al., arXiv 1908.08962): text to a row a token, in the hub's format."""

import dataclasses
import json
import string
from pathlib import Path
from typing import TYPE_CHECKING

from serflow.backbones.base import Release

if TYPE_CHECKING:
    from serflow.backbones._bert_network import Bert, BertEncoder

KIND = "text"


def _release(layers: int) -> Release:
    name = f"google/bert_uncased_L-{layers}_H-512_A-8"
    return Release(
        name=name.partition("/")[2],
        address=f"https://huggingface.co/{name}",
        digest=None,
        size=None,
        licence="Apache-2.0",
        trained_on="English Wikipedia, BookCorpus",
        # the revision could not be looked up where this was written; the record keeps the digest of what came
        hub=(name, "main"),
    )


WEIGHTS = "folder"
RELEASES = (_release(4), _release(8))

_WORDS_OVER_PLACES = 5.0
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def write_stand_in(folder: Path, seed: int) -> Path:
    """Write one layer of 512 columns with random weights in the hub's format.

    Its vocabulary is the words of the stand-in corpora and all letters, so that any English text can be written.
    """
    import torch
    from safetensors.torch import save_file

    from serflow.backbones._bert_encoder import Architecture, BertModel
    from serflow.synthetic.scripts import ALL_ENGLISH

    letters = string.ascii_lowercase + string.digits
    words = sorted({word.lower() for sentence in ALL_ENGLISH for word in sentence.split()} - set(letters))
    pieces = (*_SPECIAL, *string.punctuation, *letters, *(f"##{letter}" for letter in letters), *words)
    sizes = Architecture(
        vocab_size=len(pieces),
        hidden_size=512,
        num_hidden_layers=1,
        num_attention_heads=8,
        intermediate_size=256,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(sizes)
        with torch.no_grad():
            # so that a token is told by its word rather than by its place and its kind, as drawn alike they all tell
            model.embeddings.word_embeddings.weight.mul_(_WORDS_OVER_PLACES)
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    described = {"architectures": ["BertModel"], "model_type": "bert", **dataclasses.asdict(sizes)}
    (folder / "config.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    return folder


def network(path: Path) -> "Bert":
    """Read the folder of a model: tokens to the last layer; see `serflow.backbones.base`.

    Raises
    ------
    WeightsError
        If the folder is no such model.
    """
    from serflow.backbones._bert_network import Bert, read_model

    return Bert(*read_model(path))


def load(path: Path, device: str, precision: str) -> "BertEncoder":
    """Load the folder of a model; see `serflow.backbones.base.load_text_encoder`.

    Raises
    ------
    ConfigError
        If there is no such device, or it cannot compute in that precision.
    WeightsError
        If the folder is no such model.
    """
    from serflow.backbones._bert_network import BertEncoder, read_model
    from serflow.devices import usable_device

    model, tokenizer = read_model(path)
    return BertEncoder(model, tokenizer, usable_device(device, precision, "backbones.bert"), precision)
