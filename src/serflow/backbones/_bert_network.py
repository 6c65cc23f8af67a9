"""BERT from the folder of a model: the last layer, a row a token."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from serflow.audio.waveform import FloatArray
from serflow.backbones._bert_encoder import BertModel, architecture
from serflow.backbones._bert_pieces import Pieces, read_pieces
from serflow.backbones._checkpoint import Checkpoint
from serflow.backbones._hub import read_entries, require_files
from serflow.backbones._hub_tensors import read_tensors
from serflow.backbones._pretrained import PretrainedNetwork
from serflow.devices import autocast

_NAME = "bert"
_BATCH = 32
_MAX_TOKENS = 128
"""Tokens of a text that the DLC study takes (abwilf/mmfusion), special ones included."""


def read_model(folder: Path) -> tuple[BertModel, Pieces]:
    """Read a model's folder (config.json, its tensors, vocab.txt or tokenizer.json): network and tokenizer.

    The network is frozen, in evaluation mode.

    Raises
    ------
    WeightsError
        If a file is missing or damaged, or the model is not BERT.
    """
    (config,) = require_files(folder, _NAME, ("config.json",))
    sizes = architecture(read_entries(config, _NAME), config)
    tokenizer = read_pieces(folder, sizes.vocab_size)
    state = Checkpoint(folder, _NAME, read_tensors(folder, _NAME, "bert."))
    model = BertModel(sizes)
    if missing := sorted(model.state_dict().keys() - state.state.keys()):
        raise state.error(f"lacks {missing[0]} and {len(missing) - 1} more tensors")
    state.load_into(model)
    return model.eval().requires_grad_(False), tokenizer


class Bert(PretrainedNetwork):
    """BERT as a module in the graph, with the ``tokenizer`` that makes its input."""

    def __init__(self, model: BertModel, tokenizer: Pieces) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the last layer ``(batch, n_tokens, width)`` of token numbers ``(batch, n_tokens)``.

        ``mask`` is 1 on tokens and 0 on padding, which is not attended to.
        """
        states: Tensor = self.model(tokens, mask)
        return states


class BertEncoder:
    """BERT over texts; see `TextEncoder`. [CLS] comes first, [SEP] last, also where a long text was cut."""

    def __init__(self, model: BertModel, tokenizer: Pieces, device: torch.device, precision: str) -> None:
        self.model = model.to(device)
        self.tokenizer = tokenizer
        self.device = device
        self.dim = model.architecture.hidden_size
        self.max_tokens = min(_MAX_TOKENS, model.architecture.max_position_embeddings)
        self.description = {
            "network": "BERT",
            "layers": model.architecture.num_hidden_layers,
            "width": self.dim,
            "output": "last layer, [CLS] and [SEP] included",
            "vocabulary": len(tokenizer),
        }
        self._autocast = autocast(device, precision)

    def encode(self, texts: Sequence[str]) -> list[FloatArray]:
        """Return ``(n_tokens, dim)`` of each; texts of about the same length share a batch."""
        if not texts:
            return []
        tokens = self.tokenizer(texts, self.max_tokens)
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        results: dict[int, FloatArray] = {}
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            results.update(zip(rows, self._run([tokens[row] for row in rows]), strict=True))
        return [results[row] for row in range(len(tokens))]

    @torch.inference_mode()
    def _run(self, tokens: Sequence[Sequence[int]]) -> list[FloatArray]:
        longest = max(map(len, tokens))
        ids = torch.zeros(len(tokens), longest, dtype=torch.long)
        mask = torch.zeros(len(tokens), longest, dtype=torch.long)
        for row, each in enumerate(tokens):
            ids[row, : len(each)] = torch.tensor(each)
            mask[row, : len(each)] = 1
        with self._autocast():
            hidden = self.model(ids.to(self.device), mask.to(self.device))
        values = hidden.float().cpu().numpy()
        return [values[row, : len(each)].copy() for row, each in enumerate(tokens)]
