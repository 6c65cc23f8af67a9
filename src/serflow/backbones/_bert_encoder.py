"""BERT's encoder (Devlin et al., NAACL 2019, section 3; Vaswani et al., 2017, section 3): layers and sizes.

Modules are named as the tensors of the hub's files are.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from serflow.backbones._checkpoint import weights_error

_NAME = "bert"


def _gelu_by_tanh(states: Tensor) -> Tensor:
    return F.gelu(states, approximate="tanh")


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": _gelu_by_tanh,
    "gelu_pytorch_tanh": _gelu_by_tanh,
    "relu": F.relu,
    "silu": F.silu,
    "swish": F.silu,
    "tanh": torch.tanh,
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """What ``config.json`` says of a BERT; what it leaves out is that of the base model."""

    vocab_size: int = 30_522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0


def architecture(entries: Mapping[str, Any], file: Path) -> Architecture:
    """Return the architecture that a ``config.json`` describes.

    Parameters
    ----------
    entries
        What it holds.
    file
        Where it stands, for errors.

    Raises
    ------
    WeightsError
        If it is of another kind of network, or says what no such network can be.
    """
    kind = entries.get("model_type", "bert")
    if kind != "bert":
        raise weights_error(file, _NAME, f"is for {kind}, not bert")
    if entries.get("is_decoder"):
        raise weights_error(file, _NAME, "is for a decoder (is_decoder), which sees no words to come; BERT sees all")
    if (places := entries.get("position_embedding_type", "absolute")) != "absolute":
        raise weights_error(file, _NAME, f"has position_embedding_type {places}; only absolute places are computed")
    given = {}
    for field in dataclasses.fields(Architecture):
        value = given[field.name] = entries.get(field.name, field.default)
        if not _fits(field.type, value):
            raise weights_error(file, _NAME, f"has {field.name} {value!r}")
    found = Architecture(**given)
    if found.pad_token_id is not None and found.pad_token_id >= found.vocab_size:
        raise weights_error(file, _NAME, f"has pad_token_id {found.pad_token_id} of {found.vocab_size} pieces")
    if found.hidden_size % found.num_attention_heads:
        raise weights_error(
            file, _NAME, f"splits hidden_size {found.hidden_size} into num_attention_heads {found.num_attention_heads}"
        )
    if found.hidden_act not in _ACTIVATIONS:
        raise weights_error(
            file, _NAME, f"has hidden_act {found.hidden_act!r}; {', '.join(_ACTIVATIONS)} can be computed"
        )
    return found


def _fits(kind: Any, value: object) -> bool:
    """Say whether a value of ``config.json`` is of a field's kind: counts are above 0, shares from 0 to 1."""
    if kind is str:
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value is None and kind == int | None
    if kind is float:
        return 0 <= value < 1
    return isinstance(value, int) and value >= (0 if kind == int | None else 1)


class Embeddings(nn.Module):
    """The sum of what a token's piece, kind and place are, normalised."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        width = sizes.hidden_size
        self.word_embeddings = nn.Embedding(sizes.vocab_size, width, padding_idx=sizes.pad_token_id)
        self.position_embeddings = nn.Embedding(sizes.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(sizes.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=sizes.layer_norm_eps)
        self.dropout = nn.Dropout(sizes.hidden_dropout_prob)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``(batch, n_tokens, width)`` of token numbers ``(batch, n_tokens)``; all are of the first kind."""
        pieces = self.word_embeddings(tokens) + self.token_type_embeddings.weight[0]
        states: Tensor = self.LayerNorm(pieces + self.position_embeddings.weight[: tokens.shape[1]])
        states = self.dropout(states)
        return states


class SelfAttention(nn.Module):
    """Scaled dot products over all tokens that are none of the padding (Vaswani et al., equation 1)."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        width = sizes.hidden_size
        self.n_heads = sizes.num_attention_heads
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = sizes.attention_probs_dropout_prob

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return ``(batch, n_tokens, width)``; ``mask`` is true on tokens, ``(batch, 1, 1, n_tokens)``."""
        query, key, value = (
            layer(states).unflatten(2, (self.n_heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        return attended.transpose(1, 2).flatten(2)


class Residual(nn.Module):
    """A dense layer whose output is added to an earlier state, normalised afterwards."""

    def __init__(self, n_in: int, sizes: Architecture) -> None:
        super().__init__()
        self.dense = nn.Linear(n_in, sizes.hidden_size)
        self.LayerNorm = nn.LayerNorm(sizes.hidden_size, eps=sizes.layer_norm_eps)
        self.dropout = nn.Dropout(sizes.hidden_dropout_prob)

    def forward(self, values: Tensor, before: Tensor) -> Tensor:
        """Return ``(batch, n_tokens, width)``."""
        states: Tensor = self.LayerNorm(self.dropout(self.dense(values)) + before)
        return states


class Attention(nn.Module):
    """Self-attention with its residual."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.self = SelfAttention(sizes)
        self.output = Residual(sizes.hidden_size, sizes)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return ``(batch, n_tokens, width)``."""
        found: Tensor = self.output(self.self(states, mask), states)
        return found


class Intermediate(nn.Module):
    """The wide layer of the feed-forward part."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.dense = nn.Linear(sizes.hidden_size, sizes.intermediate_size)
        self.activation = _ACTIVATIONS[sizes.hidden_act]

    def forward(self, states: Tensor) -> Tensor:
        """Return ``(batch, n_tokens, intermediate_size)``."""
        return self.activation(self.dense(states))


class Layer(nn.Module):
    """Attention, then the feed-forward part."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.attention = Attention(sizes)
        self.intermediate = Intermediate(sizes)
        self.output = Residual(sizes.intermediate_size, sizes)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return ``(batch, n_tokens, width)``."""
        states = self.attention(states, mask)
        found: Tensor = self.output(self.intermediate(states), states)
        return found


class Encoder(nn.Module):
    """Layers, one after the other."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(sizes) for _ in range(sizes.num_hidden_layers))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the last layer's states ``(batch, n_tokens, width)``."""
        for layer in self.layer:
            states = layer(states, mask)
        return states


class BertModel(nn.Module):
    """BERT without its pooler: token numbers to the last layer.

    As it is made its weights are drawn as the paper's code draws them: from a normal distribution of mean 0 and
    deviation ``initializer_range`` (the original's is truncated), biases 0.
    """

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.architecture = sizes
        self.embeddings = Embeddings(sizes)
        self.encoder = Encoder(sizes)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, 0.0, sizes.initializer_range)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding) and module.padding_idx is not None:
                nn.init.zeros_(module.weight[module.padding_idx])

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return ``(batch, n_tokens, width)`` of token numbers ``(batch, n_tokens)``.

        ``mask`` is 1 on tokens and 0 on padding, which is not attended to.
        """
        states: Tensor = self.encoder(self.embeddings(tokens), mask.bool()[:, None, None])
        return states
