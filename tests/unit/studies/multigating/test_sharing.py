"""What languages share: sums, gates and transitions by their formulas, and who learns from whom."""

import pytest
import torch

from serflow.errors import ConfigError
from serflow.nn.parameters import count_parameters
from serflow.studies.multigating.options import NasOptions, SharingOptions
from serflow.studies.multigating.sharing import (
    CommonWidth,
    Gated,
    SharedBottom,
    SideBySide,
    SoftGate,
    hidden_as_searched,
)

WIDTHS = {"allosaurus": 3, "mfcc": 2, "ge2e": 4, "byol": 5}
LANGUAGES = ["english", "german"]
OPTIONS = SharingOptions(width=6)
NAS = NasOptions(init_std=0.5)

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]


@pytest.fixture
def vectors():
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(7, width, generator=generator) for name, width in WIDTHS.items()}


def at_common_width(layers, vectors):
    return {name: vectors[name] @ layer.weight.T + layer.bias for name, layer in layers.items()}


def gated(**changes):
    torch.manual_seed(0)
    return Gated(WIDTHS, OPTIONS, LANGUAGES, **changes)


def test_side_by_side_features_are_as_they_are(vectors):
    net = SideBySide(WIDTHS)
    assert net.dim == 14
    assert torch.equal(net(vectors, "english").representation, torch.cat(list(vectors.values()), dim=1))
    assert net(vectors, "english").gates is None
    assert list(net.parameters()) == []


def test_the_shared_bottom_is_the_sum_of_features_at_one_width(vectors):
    torch.manual_seed(0)
    net = SharedBottom(WIDTHS, OPTIONS)
    assert net.dim == 6
    expected = sum(at_common_width(net.common.layers, vectors).values())
    for language in LANGUAGES:
        torch.testing.assert_close(net(vectors, language).representation, expected)
        assert net(vectors, language).gates is None


def test_the_shared_bottom_may_join_features_side_by_side(vectors):
    torch.manual_seed(0)
    net = SharedBottom(WIDTHS, SharingOptions(width=6, join="concat"))
    assert net.dim == 24
    expected = torch.cat(list(at_common_width(net.common.layers, vectors).values()), dim=1)
    torch.testing.assert_close(net(vectors, "german").representation, expected)


def test_a_gate_is_equation_7(vectors):
    torch.manual_seed(0)
    gate = SoftGate(4, 3)
    scores = (vectors["ge2e"] @ gate.linear.weight.T).exp()
    torch.testing.assert_close(gate(vectors["ge2e"]), scores / scores.sum(1, keepdim=True))
    assert [name for name, _ in gate.named_parameters()] == ["linear.weight"]
    with torch.autocast("cpu", torch.bfloat16):
        found = gate.float()(vectors["ge2e"].float())
    assert found.dtype == torch.float32


@pytest.mark.parametrize("one_gate", [True, False])
def test_features_are_weighed_by_the_gate_of_the_language(vectors, one_gate):
    net = gated(one_gate=one_gate)
    assert net.features == tuple(WIDTHS)
    assert net.dim == 6
    common = at_common_width(net.common.layers, vectors)
    for language in LANGUAGES:
        shared = net(vectors, language)
        weights = net.gates["all" if one_gate else language](vectors["ge2e"])
        torch.testing.assert_close(shared.gates, weights)
        expected = sum(weights[:, [place]] * common[name] for place, name in enumerate(WIDTHS))
        torch.testing.assert_close(shared.representation, expected)
    same = torch.equal(net(vectors, "english").gates, net(vectors, "german").gates)
    assert same == one_gate
    assert len(net.gates) == (1 if one_gate else 2)


def test_with_byol_as_selector_the_other_features_are_weighed(vectors):
    """Figure 4: what the gate reads is not among what it weighs."""
    torch.manual_seed(0)
    net = Gated(WIDTHS, SharingOptions(width=6, selector="byol"), LANGUAGES, nas=NAS).eval()
    assert net.features == ("allosaurus", "mfcc", "ge2e")
    assert list(net.common.layers) == ["allosaurus", "mfcc", "ge2e"]
    shared = net(vectors, "german")
    torch.testing.assert_close(shared.gates, net.gates["german"](vectors["byol"]))
    assert shared.gates.shape == (7, 3)
    assert net.transitions["german"].weight.shape == (3, 3, 6, 6)


def test_gates_weigh_what_transitions_of_the_language_give(vectors):
    """Figure 2: the search stands before the gate."""
    net = gated(nas=NAS).eval()
    for language in LANGUAGES:
        shared = net(vectors, language)
        high = net.transitions[language](net.common(vectors))
        expected = (shared.gates[:, :, None] * high).sum(1)
        torch.testing.assert_close(shared.representation, expected)
        torch.testing.assert_close(shared.gates, net.gates[language](vectors["ge2e"]))
    assert not torch.allclose(net(vectors, "english").representation, net(vectors, "german").representation)


@pytest.mark.parametrize("changes", [{}, {"nas": NAS}])
def test_a_language_moves_what_is_shared_and_what_is_its_own(vectors, changes):
    net = gated(**changes).train()
    net(vectors, "german").representation.square().sum().backward()
    moved = {name for name, value in net.named_parameters() if value.grad is not None and value.grad.any()}
    assert {name.split(".")[1] for name in moved if name.startswith("common.layers.")} == {"layers"}
    assert {name for name, _ in net.named_parameters()} - moved == {
        name for name, _ in net.named_parameters() if ".english." in name
    }


def test_gates_select_among_the_features_that_the_network_reads():
    with pytest.raises(
        ConfigError, match=r"multigating\.sharing\.selector: gates read ge2e, and .* reads mfcc, byol; add"
    ):
        Gated({"mfcc": 2, "byol": 5}, OPTIONS, LANGUAGES)
    with pytest.raises(
        ConfigError, match=r"multigating\.sharing\.selector: gates that read byol weigh the other features"
    ):
        Gated({"byol": 5}, SharingOptions(selector="byol"), LANGUAGES)
    assert Gated({"ge2e": 4}, OPTIONS, LANGUAGES).features == ("ge2e",)
    assert Gated({"mfcc": 2, "byol": 5}, SharingOptions(selector="byol"), LANGUAGES).features == ("mfcc",)


def test_a_hidden_layer_makes_the_shared_bottom_as_large_as_the_search(vectors):
    """At the paper's sizes; there are 3 times 25 transitions of 256 x 256."""
    widths = {"allosaurus": 256, "wav2vec": 256, "mfcc": 128, "ge2e": 256, "byol": 2048}
    languages = ["english", "german", "french"]
    hidden = hidden_as_searched(widths, SharingOptions(), languages, NasOptions())
    searched = count_parameters(Gated(widths, SharingOptions(), languages, nas=NasOptions()))
    assert searched == 2949 * 256 + 3 * (25 * (256 * 256 + 1) + 5 * 256)
    found = [
        count_parameters(SharedBottom(widths, SharingOptions(), units)) for units in (hidden - 1, hidden, hidden + 1)
    ]
    assert abs(found[1] - searched) == min(abs(count - searched) for count in found)
    assert abs(found[1] / searched - 1) < 0.01


def test_as_large_a_shared_bottom_counts_the_learnt_noise_too():
    searched = count_parameters(Gated(WIDTHS, OPTIONS, LANGUAGES, nas=NasOptions(form="snr_code")))
    hidden = hidden_as_searched(WIDTHS, OPTIONS, LANGUAGES, NasOptions(form="snr_code"))
    found = [count_parameters(SharedBottom(WIDTHS, OPTIONS, units)) for units in (hidden - 1, hidden, hidden + 1)]
    assert abs(found[1] - searched) == min(abs(count - searched) for count in found)


def test_a_hidden_layer_has_a_relu(vectors):
    torch.manual_seed(0)
    net = CommonWidth(WIDTHS, 6, hidden=9)
    first, _, second = net.layers["mfcc"]
    hidden = (vectors["mfcc"] @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(net(vectors)[:, 1], hidden @ second.weight.T + second.bias)
