"""Architecture search: gates by their three forms, how often they are open, their gradients, and Equation 8."""

import math

import pytest
import torch

from serflow.studies.multigating.architecture import HardConcrete, Transitions, read_gates
from serflow.studies.multigating.options import NasOptions

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]

FORMS = ["louizos", "eq9", "snr_code"]


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def gates(form="louizos", shape=(2, 3), **changes):
    torch.manual_seed(0)
    return HardConcrete(shape, NasOptions.model_validate({"form": form, "init_std": 1.5, **changes}))


def concrete(form, noise, log_kappa, beta):
    return {
        "louizos": sigmoid((noise + log_kappa) / beta),
        "eq9": sigmoid(noise + log_kappa) / beta,
        "snr_code": sigmoid(noise + log_kappa / beta),
    }[form]


def stretched(s, gamma, delta):
    return min(1.0, max(0.0, s * (delta - gamma) + gamma))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("beta", "gamma", "delta"), [(0.9, -0.1, 2.0), (0.5, -0.3, 1.2)])
def test_a_gate_of_training_is_its_formula(form, beta, gamma, delta):
    layer = gates(form, beta=beta, gamma=gamma, delta=delta).train()
    torch.manual_seed(5)
    found = layer()
    torch.manual_seed(5)
    u = torch.rand(2, 3)
    noise = layer.noise if form == "snr_code" else u.log() - (1 - u).log()
    for value, n, log_kappa in zip(found.ravel(), noise.ravel(), layer.log_kappa.ravel(), strict=True):
        expected = stretched(concrete(form, n.item(), log_kappa.item(), beta), gamma, delta)
        assert value.item() == pytest.approx(expected)


@pytest.mark.parametrize("form", FORMS)
def test_a_gate_of_test_time_is_the_same_each_time(form):
    """Louizos: without noise and without beta (Eq. 13); Eq. 9: without noise; SNR's code: as in training."""
    layer = gates(form, beta=0.6).eval()
    state = torch.get_rng_state()
    found = layer()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(layer.at_test(), found)
    for place, value in enumerate(found.ravel().tolist()):
        log_kappa = layer.log_kappa.ravel()[place].item()
        noise = layer.noise.ravel()[place].item() if form == "snr_code" else 0.0
        s = sigmoid(log_kappa) if form == "louizos" else concrete(form, noise, log_kappa, 0.6)
        assert value == pytest.approx(stretched(s, -0.1, 2.0))
    assert torch.equal(layer.train().at_test(), found)


def test_noise_is_new_in_each_step_or_drawn_once_and_learnt():
    for form in ("louizos", "eq9"):
        layer = gates(form, delta=1.1)
        assert not torch.equal(layer(), layer())
        assert [name for name, _ in layer.named_parameters()] == ["log_kappa"]
    layer = gates("snr_code", delta=1.1)
    assert torch.equal(layer(), layer())
    assert torch.equal(layer.train()(), layer.eval()())
    layer().sum().backward()
    assert layer.noise.grad.any()


def test_the_learnt_noise_is_at_first_that_of_uniform_numbers():
    noise = gates("snr_code", shape=(100, 100)).noise.detach()
    uniform = noise.sigmoid().ravel().sort().values
    assert (uniform - (torch.arange(10_000) + 0.5) / 10_000).abs().max() < 0.02


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("beta", "gamma", "delta"), [(0.9, -0.1, 2.0), (0.4, -0.7, 1.3)])
@pytest.mark.parametrize("log_kappa", [-2.0, -0.5, 0.0, 1.0])
def test_a_gate_is_open_as_often_as_its_formula_says(form, beta, gamma, delta, log_kappa):
    """The share of 200 000 draws is off by no more than 5 of its standard deviations."""
    layer = gates(form, shape=(200_000,), beta=beta, gamma=gamma, delta=delta, init_std=0.0).train()
    with torch.no_grad():
        layer.log_kappa.fill_(log_kappa)
    share = (layer() > 0).double().mean().item()
    probability = layer.open_probability()[0].item()
    assert 0 < probability < 1
    assert abs(share - probability) < 5 * math.sqrt(probability * (1 - probability) / 200_000)


def test_the_probability_is_that_of_louizos_et_al():
    layer = gates("louizos", beta=0.7, gamma=-0.2, delta=1.3)
    expected = torch.sigmoid(layer.log_kappa - 0.7 * math.log(0.2 / 1.3))
    torch.testing.assert_close(layer.open_probability(), expected)


def test_a_gate_that_no_noise_opens_has_the_probability_0():
    layer = gates("eq9", beta=8.0, gamma=-0.5, delta=2.0, shape=(1000,)).train()
    assert not layer().any()
    assert not layer.open_probability().any()


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_through_the_stretch_is_the_numeric_one(form):
    layer = gates(form, shape=(50,)).train()

    def draw(values):
        torch.manual_seed(3)
        layer.log_kappa.data.copy_(values)
        return layer().detach()

    start = layer.log_kappa.detach().clone()
    torch.manual_seed(3)
    found = layer()
    found.sum().backward()
    step = 1e-6
    numeric = (draw(start + step) - draw(start - step)) / (2 * step)
    torch.testing.assert_close(layer.log_kappa.grad, numeric, rtol=1e-5, atol=1e-8)
    clipped = (found == 0) | (found == 1)
    assert clipped.any()
    assert not layer.log_kappa.grad[clipped].any()
    assert (layer.log_kappa.grad[~clipped] > 0).all()


@pytest.mark.parametrize("form", FORMS)
def test_the_expected_number_of_open_gates_falls_where_it_is_punished(form):
    layer = gates(form, init_std=0.1)
    before = layer.open_probability().sum().item()
    optimizer = torch.optim.SGD(layer.parameters(), 0.5)
    layer.open_probability().sum().backward()
    optimizer.step()
    assert layer.open_probability().sum().item() < before


def transitions(form="louizos", **changes):
    torch.manual_seed(0)
    return Transitions(3, 4, NasOptions.model_validate({"form": form, "init_std": 1.5, **changes}))


def test_transitions_are_equation_8_from_low_to_high():
    layer = transitions().eval()
    low = torch.randn(5, 3, 4)
    found = layer(low)
    gate = layer.gates()
    for row in range(5):
        for i in range(3):
            expected = sum(gate[i, j] * low[row, j] @ layer.weight[i, j] for j in range(3))
            torch.testing.assert_close(found[row, i], expected)


def test_a_closed_gate_lets_nothing_through_and_its_matrix_learns_nothing():
    layer = transitions().eval()
    with torch.no_grad():
        layer.gates.log_kappa[1, 2] = -20.0
        layer.gates.log_kappa[0, 0] = 20.0
    low = torch.randn(5, 3, 4, requires_grad=True)
    layer(low)[:, 1].square().sum().backward()
    assert not low.grad[:, 2].any()
    assert low.grad[:, 0].any()
    assert not layer.weight.grad[1, 2].any()
    assert layer.weight.grad[1, 0].any()
    assert not layer.weight.grad[0].any()
    assert layer.gates.log_kappa.grad[1, 2] == 0


def test_weights_start_as_those_of_linear_layers():
    torch.manual_seed(0)
    weight = Transitions(5, 64, NasOptions()).weight
    assert weight.abs().max().item() == pytest.approx(1 / 8, rel=1e-3)
    assert weight.std().item() == pytest.approx(1 / 8 / math.sqrt(3), rel=0.01)


def test_kappa_starts_near_1():
    torch.manual_seed(0)
    log_kappa = HardConcrete((200, 200), NasOptions()).log_kappa
    assert abs(log_kappa.mean().item()) < 1e-3
    assert log_kappa.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("form", FORMS)
def test_gates_are_read_by_name(form):
    layer = transitions(form).train()
    found = read_gates(layer, ("mfcc", "ge2e", "byol"))
    assert len(found) == 9
    names = [("mfcc", 0), ("ge2e", 1), ("byol", 2)]
    values, probabilities = layer.gates.at_test(), layer.gates.open_probability()
    assert values.unique().numel() > 3
    for gate, ((high, i), (low, j)) in zip(found, [(h, low) for h in names for low in names], strict=True):
        assert (gate.low, gate.high) == (low, high)
        assert gate.value == values[i, j].item()
        if form == "snr_code":
            assert gate.open_probability == float(values[i, j] > 0)
        else:
            assert gate.open_probability == probabilities[i, j].item()
