"""Cross-entropies of utterances and segments, with class weights and masks."""

import math

import pytest
import torch
from torch import nn

from serflow.studies.temporal.losses import segment_loss, segment_net_losses, utterance_losses
from serflow.studies.temporal.segment_net import Found

TARGETS = torch.eye(3, dtype=torch.float64)[[2, 0]]
WEIGHTS = torch.tensor([0.5, 1.5, 1.0], dtype=torch.float64)
LENGTHS = torch.tensor([2, 4])

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def surprise(logits, right):
    values = logits.tolist()
    return math.log(sum(math.exp(value) for value in values)) - values[right]


def test_an_utterance_weighs_as_its_class():
    logits = draw(2, 3)
    losses = utterance_losses(logits, TARGETS, WEIGHTS)
    expected = (1.0 * surprise(logits[0], 2) + 0.5 * surprise(logits[1], 0)) / 2
    assert losses.total.item() == pytest.approx(expected)
    assert losses.terms == {"emotion_loss": losses.total}
    assert losses.n == 2


def test_the_segment_loss_is_equation_3():
    """A mean over the frames of each utterance, so that a long one counts no more; weighted as the utterance is."""
    logits = draw(2, 4, 3)
    short = sum(surprise(logits[0, t], 2) for t in range(2)) / 2
    long = sum(surprise(logits[1, t], 0) for t in range(4)) / 4
    found = segment_loss(logits, LENGTHS, TARGETS, WEIGHTS)
    assert found.item() == pytest.approx((1.0 * short + 0.5 * long) / 2)


def test_padded_frames_count_nothing_and_get_no_gradient():
    logits = draw(2, 4, 3)
    expected = segment_loss(logits, LENGTHS, TARGETS, WEIGHTS)
    padded = nn.functional.pad(logits, (0, 0, 0, 3), value=7.0)
    padded[0, 2:] = -torch.inf
    padded.requires_grad_()
    found = segment_loss(padded.nan_to_num(), LENGTHS, TARGETS, WEIGHTS)
    torch.testing.assert_close(found, expected)
    found.backward()
    assert not padded.grad[0, 2:].any()
    assert not padded.grad[1, 4:].any()
    assert (padded.grad[0, :2] != 0).all()


def test_on_one_frame_both_losses_are_one():
    logits = draw(2, 1, 3)
    ones = torch.tensor([1, 1])
    found = segment_loss(logits, ones, TARGETS, WEIGHTS)
    torch.testing.assert_close(found, utterance_losses(logits[:, 0], TARGETS, WEIGHTS).total)


@pytest.mark.parametrize(("n_segments", "weight"), [(0, 1.0), (1, 2.0), (2, 1.0), (3, 0.25)])
def test_the_total_is_that_of_utterances_and_of_every_segment_classifier(n_segments, weight):
    found = Found(draw(2, 3), [draw(2, 4, 3, seed=1 + n) for n in range(n_segments)], LENGTHS)
    losses = segment_net_losses(found, weight, TARGETS, WEIGHTS)
    emotion = utterance_losses(found.utterance, TARGETS, WEIGHTS).total
    segments = [segment_loss(logits, LENGTHS, TARGETS, WEIGHTS) for logits in found.segments]
    torch.testing.assert_close(losses.total, emotion + weight * sum(segments))
    assert list(losses.terms) == ["emotion_loss", *(f"segment_loss_{n + 1}" for n in range(n_segments))]
    for value, expected in zip(losses.terms.values(), [emotion, *segments], strict=True):
        torch.testing.assert_close(value, expected)
