"""Towers: two layers with activations of their own; classes of a language, or of all."""

import math

import pytest
import torch
from torch import nn

from serflow.studies.multigating.options import Options
from serflow.studies.multigating.towers import LanguageTowers, Tower, UnionTower

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]

CLASSES = {"english": ("sad", "anger"), "german": ("bored", "anger", "sad")}
OPTIONS = Options.model_validate(
    {
        "languages": {
            "english": {"corpus": "iemocap", "units": 5, "activations": ["mish", "gelu"]},
            "german": {"corpus": "emodb", "units": 7},
        },
        "encoder": {"dropout": 0.25},
        "sharing": {"base_units": 6, "base_activations": ["relu", "mish"]},
    }
)
BY_THE_BOOK = {
    "mish": lambda x: x * torch.tanh(torch.log(1 + x.exp())),
    "gelu": lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2,
    "tanh": lambda x: 1 - 2 / (1 + (2 * x).exp()),
    "relu": lambda x: torch.where(x > 0, x, 0 * x),
}


def dense(layer, rows):
    return rows @ layer.weight.T + layer.bias


@pytest.mark.parametrize("activations", [("mish", "gelu"), ("tanh", "relu"), ("gelu", "mish"), ("relu", "tanh")])
def test_a_tower_is_two_layers_with_activations_of_their_own_and_an_output_layer(activations):
    torch.manual_seed(0)
    tower = Tower(4, 5, activations, 3, dropout=0.5).eval()
    first, second, output = (layer for layer in tower.layers if isinstance(layer, nn.Linear))
    assert [layer.out_features for layer in (first, second, output)] == [5, 5, 3]
    rows = 3 * torch.randn(6, 4)
    hidden = BY_THE_BOOK[activations[1]](dense(second, BY_THE_BOOK[activations[0]](dense(first, rows))))
    torch.testing.assert_close(tower(rows), dense(output, hidden))


def test_dropout_is_after_each_activation():
    torch.manual_seed(0)
    tower = Tower(4, 200, ("tanh", "mish"), 3, dropout=0.25).train()
    seen = []
    for layer in (tower.layers[3], tower.layers[6]):
        layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    tower(torch.randn(20, 4))
    assert [0.2 < (rows == 0).float().mean() < 0.3 for rows in seen] == [True, True]
    torch.testing.assert_close(tower.layers[2](torch.ones(9)).unique(), torch.tensor([0.0, 1 / 0.75]))


def test_each_language_has_a_tower_of_its_own_for_its_own_classes():
    towers = LanguageTowers(4, CLASSES, OPTIONS)
    assert towers.classes == CLASSES
    rows = torch.randn(3, 4)
    logits = towers(rows, "german")
    assert logits.shape == (3, 3)
    assert towers(rows, "english").shape == (3, 2)
    logits.sum().backward()
    assert {name for name, value in towers.named_parameters() if value.grad is not None} == {
        name for name, _ in towers.named_parameters() if name.startswith("towers.german.")
    }
    assert [type(layer) for layer in towers.towers["english"].layers] == [
        nn.Linear, nn.Mish, nn.Dropout, nn.Linear, nn.GELU, nn.Dropout, nn.Linear,
    ]  # fmt: skip
    assert [towers.towers[name].layers[0].out_features for name in CLASSES] == [5, 7]
    assert towers.towers["german"].layers[5].p == 0.25
    targets = torch.eye(3)
    assert towers.place(targets, "german") is targets


def test_one_tower_names_the_classes_of_all_languages():
    tower = UnionTower(4, CLASSES, OPTIONS).eval()
    union = ("anger", "bored", "sad")
    assert tower.classes == {"english": union, "german": union}
    rows = torch.randn(3, 4)
    torch.testing.assert_close(tower(rows, "english"), tower(rows, "german"))
    assert tower(rows, "english").shape == (3, 3)
    assert [type(layer) for layer in tower.tower.layers[:6]] == [
        nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.Mish, nn.Dropout,
    ]  # fmt: skip
    assert tower.tower.layers[0].out_features == 6
    assert tower.tower.layers[2].p == 0.25
    english = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    assert tower.place(english, "english").tolist() == [[0.75, 0.0, 0.25], [0.0, 0.0, 1.0]]
    assert tower.place(torch.eye(3), "german").tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert all(name.startswith("tower.layers") for name in tower.state_dict())
