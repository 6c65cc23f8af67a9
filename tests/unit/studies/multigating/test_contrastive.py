"""The contrastive loss by Equations 3 to 6: who is kept, centroids, w and b, and no loss of one emotion alone."""

import math

import pytest
import torch
from torch.nn import functional as F

from serflow.studies.multigating.contrastive import ContrastiveLoss
from serflow.studies.multigating.options import AuxOptions

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]

# seven of 0, six of 2, five of 1 and one of 3
CLASSES = torch.tensor([0, 2, 0, 1, 1, 2, 0, 0, 2, 2, 3, 1, 0, 1, 2, 0, 2, 0, 1])
TARGETS = F.one_hot(CLASSES, 4).double()


def draw(dim=5, seed=0):
    return torch.randn(len(CLASSES), dim, generator=torch.Generator().manual_seed(seed))


def loss(**changes):
    return ContrastiveLoss(AuxOptions.model_validate(changes))


def cosine(one, other):
    return (one @ other / (one.norm() * other.norm())).item()


def by_the_book(samples, classes, more_than=5, w=10.0, b=-5.0):
    """The loss of each sample that is kept, by loops."""
    samples = [sample / sample.norm() for sample in samples]
    groups = [[i for i, own in enumerate(classes.tolist()) if own == name] for name in sorted(set(classes.tolist()))]
    groups = [group for group in groups if len(group) > more_than]
    if len(groups) < 2:
        return []
    m = min(len(group) for group in groups)
    groups = [group[:m] for group in groups]
    centroids = [sum(samples[i] for i in group) / m for group in groups]
    found = []
    for j, group in enumerate(groups):
        for i in group:
            similarities = [w * cosine(samples[i], centroid) + b for centroid in centroids]
            found.append(-math.log(math.exp(similarities[j]) / sum(math.exp(value) for value in similarities)))
    return found


@pytest.mark.parametrize("more_than", [5, 4, 1, 6])
def test_the_loss_is_equations_3_to_6(more_than):
    expected = by_the_book(draw(), CLASSES, more_than)
    assert len(expected) == {5: 12, 4: 15, 1: 15, 6: 0}[more_than]
    found = loss(more_than=more_than)(draw(), TARGETS)
    assert found.item() == pytest.approx(sum(expected), abs=1e-12)


def test_it_is_a_sum_over_samples_or_their_mean():
    expected = by_the_book(draw(), CLASSES)
    assert loss()(draw(), TARGETS).item() == pytest.approx(sum(expected))
    assert loss(reduction="mean")(draw(), TARGETS).item() == pytest.approx(sum(expected) / 12)


def test_w_and_b_are_those_of_the_options():
    layer = loss(scale=3.0, bias=2.0)
    assert layer.scale.item() == pytest.approx(3.0)
    assert layer.bias.item() == 2.0
    assert layer(draw(), TARGETS).item() == pytest.approx(sum(by_the_book(draw(), CLASSES, w=3.0, b=2.0)))
    for scale in (1e-3, 0.5, 700.0):
        assert loss(scale=scale).scale.item() == pytest.approx(scale)


def test_only_emotions_with_more_than_five_samples_are_kept():
    """Five are too few: those of emotions 1 and 3 count nothing, in no sum and in no centroid."""
    samples = draw()
    expected = loss()(samples, TARGETS)
    few = (CLASSES == 1) | (CLASSES == 3)
    changed = samples.clone()
    changed[few] = draw(seed=9)[few]
    torch.testing.assert_close(loss()(changed, TARGETS), expected)
    torch.testing.assert_close(loss()(samples[~few], TARGETS[~few]), expected)


def test_of_each_emotion_as_many_count_as_the_smallest_has_the_first_ones():
    samples = draw().requires_grad_()
    loss()(samples, TARGETS).backward()
    kept = samples.grad.abs().sum(1) > 0
    assert kept[CLASSES == 0].tolist() == [True] * 6 + [False]
    assert kept[CLASSES == 2].all()
    assert not kept[(CLASSES == 1) | (CLASSES == 3)].any()


def test_only_directions_matter_and_the_sample_is_in_its_centroid():
    samples = draw()
    lengths = torch.rand(len(CLASSES), 1, generator=torch.Generator().manual_seed(2)) + 0.1
    torch.testing.assert_close(loss()(lengths * samples, TARGETS), loss()(samples, TARGETS))
    # of one sample each, the centroid is the sample itself
    targets = torch.eye(2).repeat_interleave(2, dim=0)
    opposite = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    found = loss(more_than=1, scale=2.0)(opposite, targets)
    assert found.item() == pytest.approx(4 * math.log(1 + math.exp(-4)))


def test_samples_are_drawn_to_their_own_centroid():
    samples = draw().requires_grad_()
    optimizer = torch.optim.SGD([samples], 0.05)
    layer = loss()
    before = layer(samples, TARGETS).item()
    for _ in range(50):
        optimizer.zero_grad()
        layer(samples, TARGETS).backward()
        optimizer.step()
    assert layer(samples, TARGETS).item() < before / 10


@pytest.mark.parametrize("classes", [CLASSES.clamp(max=0), torch.arange(len(CLASSES)) % 4])
def test_with_fewer_than_two_emotions_the_loss_is_0_and_so_is_its_gradient(classes):
    layer, samples = loss(), draw().requires_grad_()
    targets = F.one_hot(classes, 4).double()
    assert by_the_book(draw(), classes) == []
    for reduction in ("sum", "mean"):
        layer = loss(reduction=reduction)
        found = layer(samples, targets)
        assert found.item() == 0
        found.backward()
        for values in (samples, layer.raw_scale, layer.bias):
            assert values.grad is not None
            assert not values.grad.any()
            values.grad = None


def test_the_gradient_is_the_numeric_one():
    layer = loss(more_than=2)

    def of(samples, raw_scale):
        with torch.no_grad():
            layer.raw_scale.copy_(raw_scale)
        return torch.func.functional_call(layer, {"raw_scale": raw_scale}, (samples, TARGETS))

    samples, scale = draw().requires_grad_(), torch.tensor(1.5, requires_grad=True)
    assert torch.autograd.gradcheck(of, (samples, scale))


def test_w_stays_above_0_and_b_is_not_seen():
    layer = loss(scale=0.1)
    optimizer = torch.optim.SGD(layer.parameters(), 1.0)
    confused = F.one_hot(torch.arange(len(CLASSES)) % 2, 2).double()
    samples = draw(dim=2)
    samples[:, 0] = 0
    samples[::2] = -samples[::2].abs() + 0.01
    samples[1::2] = samples[1::2].abs()
    for _ in range(50):
        # a loss that grows with w
        optimizer.zero_grad()
        (-layer(samples, confused)).backward()
        assert abs(layer.bias.grad.item()) < 1e-12
        optimizer.step()
        assert layer.scale.item() > 0
    assert layer.scale.item() < 0.05
    torch.testing.assert_close(loss(bias=40.0)(draw(), TARGETS), loss(bias=-3.0)(draw(), TARGETS))


def test_autocast_lowers_nothing():
    layer = loss().float()
    plain = layer(draw().float(), TARGETS.float())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(draw().float(), TARGETS.float()), plain, rtol=0, atol=0)
