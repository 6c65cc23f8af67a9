"""BERT through transformers, from the folder of a model: the last layer, a row a token."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from serflow.audio.waveform import FloatArray
from serflow.backbones._checkpoint import weights_error
from serflow.backbones._hub import first_line, read_pretrained, require_files
from serflow.backbones._pretrained import PretrainedNetwork
from serflow.devices import autocast

_NAME = "bert"
_BATCH = 32
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_MAX_TOKENS = 128
"""Tokens of a text that the DLC study takes (abwilf/mmfusion), special ones included."""


def read_model(folder: Path) -> tuple[Any, Any]:
    """Read a model's folder (config.json, its tensors, vocab.txt or tokenizer.json): network and tokenizer.

    Raises
    ------
    WeightsError
        If a file is missing or damaged, or the model is not BERT.
    """
    from transformers import BertModel, BertTokenizer

    _, vocabulary = require_files(folder, _NAME, ("config.json",), ("vocab.txt", "tokenizer.json"))
    model = read_pretrained(folder, _NAME, BertModel, add_pooling_layer=False)
    try:
        tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
        text = vocabulary.read_text(encoding="utf-8")
        pieces = text.split("\n") if vocabulary.suffix == ".txt" else json.loads(text)["model"]["vocab"]
    except Exception as error:  # tokenizers raises plain exceptions
        raise weights_error(vocabulary, _NAME, f"cannot be read ({first_line(error)})") from error
    if missing := [piece for piece in _SPECIAL if piece not in pieces]:
        raise weights_error(vocabulary, _NAME, f"has no {missing[0]}")
    if (n_pieces := len(tokenizer)) > model.config.vocab_size:
        raise weights_error(
            vocabulary, _NAME, f"holds {n_pieces} pieces of words; the network knows {model.config.vocab_size}"
        )
    return model, tokenizer


class Bert(PretrainedNetwork):
    """BERT as a module in the graph, with the ``tokenizer`` that makes its input."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the last layer ``(batch, n_tokens, width)`` of token numbers ``(batch, n_tokens)``.

        ``mask`` is 1 on tokens and 0 on padding, which is not attended to.
        """
        states: Tensor = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state
        return states


class BertEncoder:
    """BERT over texts; see `TextEncoder`. [CLS] comes first, [SEP] last, also where a long text was cut."""

    def __init__(self, model: Any, tokenizer: Any, device: torch.device, precision: str) -> None:
        self.model = model.to(device)
        self.tokenizer = tokenizer
        self.device = device
        self.dim = int(model.config.hidden_size)
        self.max_tokens = min(_MAX_TOKENS, int(model.config.max_position_embeddings))
        self.description = {
            "network": "BERT",
            "layers": model.config.num_hidden_layers,
            "width": self.dim,
            "output": "last layer, [CLS] and [SEP] included",
            "vocabulary": len(tokenizer),
        }
        self._autocast = autocast(device, precision)

    def encode(self, texts: Sequence[str]) -> list[FloatArray]:
        """Return ``(n_tokens, dim)`` of each; texts of about the same length share a batch."""
        if not texts:
            return []
        tokens = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]
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
            hidden = self.model(input_ids=ids.to(self.device), attention_mask=mask.to(self.device)).last_hidden_state
        values = hidden.float().cpu().numpy()
        return [values[row, : len(each)].copy() for row, each in enumerate(tokens)]
