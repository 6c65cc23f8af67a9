"""The mathematics of domain adaptation: gradient reversal, critics, and the losses that keep codes apart."""

import math

import pytest
import torch

from serflow.nn.adversarial import GradientReversal, clip_weights, reversal_ramp
from serflow.nn.normalisation import MaskedBatchNorm
from serflow.studies.dlc.losses import critic_loss, difference, negative_cosine, true_condition_output


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_reversal_is_the_identity_with_its_gradient_turned_and_scaled(strength):
    values = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    reversed_ = GradientReversal(strength)(values)
    assert torch.equal(reversed_, values)
    (reversed_ * torch.tensor([1.0, 10.0, -4.0])).sum().backward()
    assert values.grad.tolist() == pytest.approx([-strength, -10 * strength, 4 * strength])


def test_a_reversal_is_of_full_strength_until_it_is_set():
    assert GradientReversal().strength == 1.0


def test_the_ramp_is_ganins():
    assert reversal_ramp(0.0) == 0.0
    assert reversal_ramp(0.25) == pytest.approx(2 / (1 + math.exp(-2.5)) - 1)
    assert reversal_ramp(1.0) == reversal_ramp(7.0) == pytest.approx(0.99990920)


def test_clipping_bounds_all_weights_and_leaves_small_ones():
    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, -0.5], [0.003, -0.003]]))
        layer.bias.copy_(torch.tensor([2.0, 0.001]))
    clip_weights(layer, 0.01)
    torch.testing.assert_close(layer.weight, torch.tensor([[0.01, -0.01], [0.003, -0.003]]))
    torch.testing.assert_close(layer.bias, torch.tensor([0.01, 0.001]))


def test_difference_is_zero_for_orthogonal_codes_and_not_for_equal_ones():
    torch.manual_seed(0)
    conditions = torch.tensor([0, 1] * 8)
    # columns of an orthogonal matrix that sum to zero within each condition: centring leaves them orthogonal
    private, shared = torch.zeros(16, 3), torch.zeros(16, 3)
    for condition in (0, 1):
        rows = torch.arange(condition, 16, 2)
        private[rows[:4], 0] = torch.tensor([1.0, -1.0, 1.0, -1.0])
        private[rows[4:], 0] = torch.tensor([1.0, -1.0, 1.0, -1.0])
        shared[rows[:4], 1] = torch.tensor([1.0, 1.0, -1.0, -1.0])
        shared[rows[4:], 1] = torch.tensor([1.0, 1.0, -1.0, -1.0])
    assert difference(private, shared, conditions, 3).item() == 0.0
    assert difference(private, private, conditions, 3).item() > 1.0


def test_difference_equals_the_formula_by_condition():
    torch.manual_seed(1)
    private, shared, conditions = torch.randn(7, 4), torch.randn(7, 4), torch.tensor([0, 0, 2, 0, 2, 2, 2])
    expected = []
    for rows in ([0, 1, 3], [2, 4, 5, 6]):
        p, s = private[rows] - private[rows].mean(0), shared[rows] - shared[rows].mean(0)
        p, s = p / p.norm(dim=1, keepdim=True), s / s.norm(dim=1, keepdim=True)
        expected.append(((p.T @ s) ** 2).sum() / 16)
    torch.testing.assert_close(difference(private, shared, conditions, 3), sum(expected) / 2)


def test_difference_does_not_depend_on_what_all_utterances_of_a_condition_share():
    torch.manual_seed(2)
    private, shared, conditions = torch.randn(6, 4), torch.randn(6, 4), torch.tensor([0, 0, 0, 1, 1, 1])
    offset = torch.randn(2, 4)[conditions]
    torch.testing.assert_close(
        difference(private + offset, shared, conditions, 3), difference(private, shared, conditions, 3)
    )


@pytest.mark.parametrize(("n_ulps", "varies"), [(0, False), (6, False), (24, True)])
def test_difference_takes_a_code_as_constant_within_the_rounding_of_its_mean(n_ulps, varies):
    """Of eight codes of norm 1.41: within nine eps of that."""
    torch.manual_seed(0)
    private, conditions = torch.ones(8, 2), torch.zeros(8, dtype=torch.int64)
    private[3, 0] += n_ulps * torch.finfo(torch.float32).eps
    assert (difference(private, torch.randn(8, 2), conditions, 3).item() > 0.0) == varies


def test_difference_knows_the_precision_of_the_codes():
    torch.manual_seed(0)
    private, conditions = torch.ones(4, 2, dtype=torch.bfloat16), torch.zeros(4, dtype=torch.int64)
    private[3, 0] += torch.finfo(torch.bfloat16).eps
    shared = torch.randn(4, 2, dtype=torch.bfloat16)
    assert difference(private, shared, conditions, 3).item() == 0.0
    assert difference(private.float(), shared.float(), conditions, 3).item() > 0.0


def test_a_condition_with_one_utterance_gives_a_finite_gradient():
    private = torch.randn(3, 4, requires_grad=True)
    difference(private, torch.randn(3, 4), torch.tensor([0, 1, 1]), 3).backward()
    assert torch.isfinite(private.grad).all()


def test_the_critics_loss_by_hand():
    outputs = torch.tensor([[1.0, 2.0], [3.0, 5.0], [7.0, 11.0]])
    conditions, counts = torch.tensor([0, 1, 0]), torch.tensor([20.0, 10.0])
    # weights (30 - n_d) / n_d: 0.5 and 2; right outputs 1, 5, 7
    assert critic_loss(outputs, conditions, counts).item() == pytest.approx((29 - 13 - (0.5 * 1 + 2 * 5 + 0.5 * 7)) / 6)
    assert true_condition_output(outputs, conditions).item() == pytest.approx(13 / 3)


def test_the_critic_learns_to_tell_conditions_and_the_encoder_to_hide_them():
    outputs = torch.zeros(4, 2, requires_grad=True)
    conditions, counts = torch.tensor([0, 1, 0, 1]), torch.tensor([8.0, 8.0])
    critic_loss(outputs, conditions, counts).backward()
    right = torch.nn.functional.one_hot(conditions, 2).bool()
    assert (outputs.grad[right] < 0).all()
    assert (outputs.grad[~right] > 0).all()
    outputs.grad = None
    true_condition_output(outputs, conditions).backward()
    assert (outputs.grad[right] > 0).all()
    assert (outputs.grad[~right] == 0).all()


def test_negative_cosine_by_hand():
    logits, targets = torch.log(torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])), torch.eye(3)[[0, 1]]
    one, two = 0.6 / math.sqrt(0.36 + 0.09 + 0.01), 0.2 / math.sqrt(0.04 + 0.04 + 0.36)
    weights = torch.tensor([2.0, 0.5, 1.0])
    assert negative_cosine(logits, targets, weights).item() == pytest.approx(-(2 * one + 0.5 * two) / 2)


def test_batch_normalisation_counts_frames_of_utterances_alone():
    torch.manual_seed(0)
    frames = torch.randn(3, 8, 4) * 3 + 2
    mask = torch.arange(8)[None, :, None] < torch.tensor([8, 3, 5])[:, None, None]
    norm, peer = MaskedBatchNorm(4), torch.nn.BatchNorm1d(4)
    for layer in (norm, peer):
        torch.nn.init.constant_(layer.weight, 1.5)
        torch.nn.init.constant_(layer.bias, -0.2)
    polluted = torch.where(mask, frames, 1e3)
    real = frames[mask.squeeze(2)]
    found = norm(polluted, mask)
    torch.testing.assert_close(found[mask.squeeze(2)], peer(real), atol=1e-5, rtol=1e-5)
    assert not found[~mask.squeeze(2)].any()
    torch.testing.assert_close(norm.mean, peer.running_mean)
    norm.eval()
    tested = norm(polluted, mask)[mask.squeeze(2)]
    expected = (real - norm.mean) / torch.sqrt(norm.variance + 1e-5) * 1.5 - 0.2
    torch.testing.assert_close(tested, expected)
