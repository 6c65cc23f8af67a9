"""BERT's layers against those of the hub's library, which are the reference, and against their own definition."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import BertConfig
from transformers import BertModel as Reference

from serflow.backbones._bert_encoder import Architecture, BertModel, SelfAttention, architecture
from serflow.errors import WeightsError

SMALL = Architecture(
    vocab_size=40,
    hidden_size=24,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=56,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    max_position_embeddings=20,
    initializer_range=0.3,
    layer_norm_eps=1e-3,
)
TOKENS = torch.randint(1, 40, (3, 9), generator=torch.Generator().manual_seed(0))
MASK = (torch.arange(9) < torch.tensor([9, 5, 1])[:, None]).long()


def both(sizes=SMALL):
    """Return a random network of ours and the same of the library, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        ours = BertModel(sizes).double()
        for parameter in ours.parameters():
            if parameter.ndim == 1:
                nn.init.normal_(parameter, std=0.5)
        theirs = Reference(BertConfig(**dataclasses.asdict(sizes)), add_pooling_layer=False).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize(
    "changed",
    [{}, {"hidden_act": "gelu_new"}, {"hidden_act": "relu"}, {"hidden_act": "swish"}, {"num_attention_heads": 1},
     {"num_hidden_layers": 1, "layer_norm_eps": 1e-12}, {"pad_token_id": None, "type_vocab_size": 1}],
    ids=json.dumps,
)  # fmt: skip
def test_values_and_gradients_are_those_of_the_reference(changed):
    ours, theirs = both(dataclasses.replace(SMALL, **changed))
    found = ours(TOKENS, MASK)
    expected = theirs(input_ids=TOKENS, attention_mask=MASK).last_hidden_state
    real = MASK.bool()
    torch.testing.assert_close(found[real], expected[real], rtol=0, atol=1e-12)
    weight = torch.randn(found[real].shape, generator=torch.Generator().manual_seed(2), dtype=found.dtype)
    (found[real] * weight).sum().backward()
    (expected[real] * weight).sum().backward()
    wanted = dict(theirs.named_parameters())
    assert wanted.keys() == dict(ours.named_parameters()).keys()
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name].grad, rtol=0, atol=1e-9, msg=name)


def test_attention_is_the_softmax_of_scaled_products_over_the_tokens():
    """Vaswani et al., equation 1, written out for a text with padding."""
    layer = SelfAttention(dataclasses.replace(SMALL, hidden_size=6, num_attention_heads=2)).double()
    states = torch.randn(1, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([True, True, True, False])
    found = layer(states, mask[None, None, None])[0]
    query, key, value = (linear(states[0]).detach() for linear in (layer.query, layer.key, layer.value))
    for head in range(2):
        columns = slice(3 * head, 3 * head + 3)
        weights = F.softmax(query[:, columns] @ key[:3, columns].T / 3**0.5, dim=1)
        torch.testing.assert_close(found[:, columns], weights @ value[:3, columns])


def test_padding_is_not_attended_to_and_places_count():
    ours, _ = both()
    changed = torch.where(MASK.bool(), TOKENS, 7)
    torch.testing.assert_close(ours(TOKENS, MASK)[MASK.bool()], ours(changed, MASK)[MASK.bool()])
    alone = ours(TOKENS[1:2, :5], MASK[1:2, :5])
    torch.testing.assert_close(ours(TOKENS, MASK)[1, :5], alone[0])
    swapped = ours(TOKENS[1:2, [1, 0, 2, 3, 4]], MASK[1:2, :5])[:, [1, 0, 2, 3, 4]]
    assert not torch.allclose(swapped, alone, atol=1e-3)


@pytest.mark.parametrize("name", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_what_drops_out_does_so_in_training_alone(name):
    ours, _ = both(dataclasses.replace(SMALL, **{name: 0.5}))
    ours.eval()
    torch.testing.assert_close(ours(TOKENS, MASK), ours(TOKENS, MASK), rtol=0, atol=0)
    ours.train()
    assert not torch.allclose(ours(TOKENS, MASK), ours(TOKENS, MASK), atol=1e-3)


def test_weights_are_drawn_around_zero_and_padding_is_nothing():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = BertModel(dataclasses.replace(SMALL, hidden_size=64, intermediate_size=128, initializer_range=0.05))
    for name, parameter in model.state_dict().items():
        if "LayerNorm" in name or name.endswith("bias"):
            assert torch.equal(parameter, torch.full_like(parameter, float(name.endswith("LayerNorm.weight")))), name
        elif parameter.numel() > 4000:
            assert abs(float(parameter.std()) / 0.05 - 1) < 0.1, name
            assert abs(float(parameter.mean())) < 0.005, name
    assert not model.embeddings.word_embeddings.weight[0].any()
    assert model.embeddings.word_embeddings.weight[1].any()


def test_what_is_not_said_is_that_of_the_base_model():
    found = architecture({}, Path("config.json"))
    library = BertConfig().to_dict()
    assert {name: library[name] for name in dataclasses.asdict(found)} == dataclasses.asdict(found)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model_type": "roberta"}, "is for roberta, not bert"),
        ({"is_decoder": True}, "is for a decoder"),
        ({"position_embedding_type": "relative_key"}, "has position_embedding_type relative_key"),
        ({"hidden_act": "quick_gelu"}, "has hidden_act 'quick_gelu'; gelu, gelu_new"),
        ({"hidden_act": 3}, "has hidden_act 3"),
        ({"hidden_size": 100}, "splits hidden_size 100 into num_attention_heads 12"),
        ({"hidden_size": "512"}, "has hidden_size '512'"),
        ({"num_hidden_layers": 0}, "has num_hidden_layers 0"),
        ({"num_hidden_layers": True}, "has num_hidden_layers True"),
        ({"vocab_size": None}, "has vocab_size None"),
        ({"vocab_size": 1.5}, "has vocab_size 1.5"),
        ({"hidden_dropout_prob": 1}, "has hidden_dropout_prob 1"),
        ({"pad_token_id": -1}, "has pad_token_id -1"),
        ({"vocab_size": 5, "pad_token_id": 5}, "has pad_token_id 5"),
    ],
    ids=json.dumps,
)
def test_what_no_such_network_can_be_is_named(entries, message):
    with pytest.raises(WeightsError, match=rf"config\.json: {message}.*backbones\.bert\.weights"):
        architecture(entries, Path("folder/config.json"))
