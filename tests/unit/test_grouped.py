"""Grouped layers give each member what its own layer gives it: values, and gradients of weights and inputs."""

import copy

import pytest
import torch
from torch import nn

from serflow.nn import grouped
from serflow.nn.convolution import Convolution, MaskedInstanceNorm, TransposedConvolution
from serflow.nn.pooling import frame_mask

MEMBERS, BATCH, FRAMES = 3, 4, 12
# the second member has a row less, and is shorter
LENGTHS = torch.tensor([[12, 7, 3, 1], [9, 5, 2, 0], [1, 12, 6, 4]])


def members_of(layer):
    """Copies of a layer, each with random weights of its own."""
    torch.manual_seed(0)
    found = [copy.deepcopy(layer) for _ in range(MEMBERS)]
    for each in found:
        for parameter in each.parameters():
            nn.init.normal_(parameter)
    return found


def frames_of(dim):
    """Frames of each member, zero on padded frames, ``(batch, frames, dim)``."""
    torch.manual_seed(1)
    return [torch.randn(BATCH, FRAMES, dim) * frame_mask(LENGTHS[k], FRAMES) for k in range(MEMBERS)]


def assert_alike(members, inputs, alone, at_once):
    """Hold members run at once against each by itself; all outputs are weighed differently."""
    lone = copy.deepcopy(members)
    own = [frames.clone().requires_grad_() for frames in inputs]
    expected = [alone(k, lone[k], own[k]) for k in range(MEMBERS)]
    weights = [torch.randn(values.shape) for values in expected]
    sum((values * weight).sum() for values, weight in zip(expected, weights, strict=True)).backward()
    together = [frames.clone().requires_grad_() for frames in inputs]
    stack = grouped.Stack(members)
    found = at_once(stack, members[0], together)
    sum((values * weight).sum() for values, weight in zip(found, weights, strict=True)).backward()
    stack.share_gradients()
    for k in range(MEMBERS):
        torch.testing.assert_close(found[k], expected[k], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together[k].grad, own[k].grad, rtol=1e-5, atol=1e-5)
        for ours, theirs in zip(members[k].parameters(), lone[k].parameters(), strict=True):
            assert torch.equal(ours, theirs)
            # what lies in memory alike is moved by one operation for all: Adam on a GPU
            assert ours.stride() == ours.grad.stride() == theirs.stride()
            assert theirs.grad.abs().sum() > 0
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-4)


def by_member(frames):
    return grouped.by_member(frames, MEMBERS).unbind(2)


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (4, 1), (4, 2), (5, 4), (16, 4)])
def test_convolution(kernel, dilation):
    mask = grouped.frame_masks(LENGTHS, FRAMES)
    assert_alike(
        members_of(Convolution(5, 6, kernel, dilation)),
        frames_of(5),
        lambda k, layer, frames: layer(frames, frame_mask(LENGTHS[k], FRAMES).float()),
        lambda stack, layer, frames: by_member(grouped.convolution(stack, layer, grouped.side_by_side(frames), mask)),
    )


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (2, 2), (5, 2)])
def test_transposed_convolution(kernel, stride):
    mask = grouped.frame_masks(LENGTHS * stride, FRAMES * stride)
    assert_alike(
        members_of(TransposedConvolution(4, 3, kernel, stride)),
        frames_of(4),
        lambda k, layer, frames: layer(frames, frame_mask(LENGTHS[k] * stride, FRAMES * stride)),
        lambda stack, layer, frames: by_member(
            grouped.transposed_convolution(stack, layer, grouped.side_by_side(frames), mask)
        ),
    )


def test_instance_norm():
    mask = grouped.frame_masks(LENGTHS, FRAMES)
    # by itself, a member has no row without frames
    rows = [torch.arange(BATCH)[LENGTHS[k] > 0] for k in range(MEMBERS)]
    assert_alike(
        members_of(MaskedInstanceNorm(5)),
        frames_of(5),
        lambda k, layer, frames: layer(frames[rows[k]], frame_mask(LENGTHS[k][rows[k]], FRAMES).float()),
        lambda stack, layer, frames: [
            own[rows[k]]
            for k, own in enumerate(by_member(grouped.instance_norm(stack, layer, grouped.side_by_side(frames), mask)))
        ],
    )


def test_instance_norm_of_bfloat16_is_computed_in_single_precision():
    members = members_of(MaskedInstanceNorm(5))
    # more frames than bfloat16 can count
    lengths, n_frames = LENGTHS + 301, 313
    frames = [torch.randn(BATCH, n_frames, 5) * frame_mask(lengths[k], n_frames) for k in range(MEMBERS)]
    half = [each.bfloat16() for each in frames]
    expected = [members[k](half[k], frame_mask(lengths[k], n_frames).float()) for k in range(MEMBERS)]
    mask = grouped.frame_masks(lengths, n_frames)
    found = by_member(grouped.instance_norm(grouped.Stack(members), members[0], grouped.side_by_side(half), mask))
    for k in range(MEMBERS):
        assert expected[k].dtype == torch.float32
        torch.testing.assert_close(found[k], expected[k], rtol=1e-4, atol=1e-5)


def test_linear():
    torch.manual_seed(1)
    assert_alike(
        members_of(nn.Linear(5, 7)),
        [torch.randn(BATCH, 5) for _ in range(MEMBERS)],
        lambda k, layer, rows: layer(rows),
        lambda stack, layer, rows: grouped.linear(stack, layer, grouped.one_above_another(rows)).unbind(0),
    )


def test_what_members_lack_is_zero():
    frames = [torch.ones(2, 3, 2), torch.full((1, 5, 2), 2.0)]
    whole = grouped.side_by_side(frames)
    assert whole.shape == (2, 5, 4)
    assert whole[:, :, :2].sum() == 12
    assert whole[:, :, 2:].sum() == 20
    assert whole[1, :, 2:].abs().sum() == whole[:, 3:, :2].abs().sum() == 0
    assert grouped.one_above_another([torch.tensor([4, 2]), torch.tensor([7])]).tolist() == [[4, 2], [7, 0]]


def test_networks_go_on_by_themselves_and_move_the_newest_stack():
    members = members_of(nn.Linear(3, 2))
    stack = grouped.Stack(members)
    with torch.no_grad():
        members[1].weight.add_(1)
    assert torch.equal(stack[members[0].weight][1], members[1].weight)
    fewer = grouped.Stack(members[1:])
    with torch.no_grad():
        members[1].weight.mul_(2)
    assert len(fewer) == 2
    assert torch.equal(fewer[members[1].weight][0], members[1].weight)
    assert not torch.equal(stack[members[0].weight][1], members[1].weight)


def test_gradients_are_those_of_the_last_pass_alone():
    members = members_of(nn.Linear(3, 2))
    stack, rows = grouped.Stack(members), torch.ones(MEMBERS, BATCH, 3)
    for _ in range(2):
        for member in members:
            member.zero_grad()
        grouped.linear(stack, members[0], rows).sum().backward()
        stack.share_gradients()
    assert all(torch.equal(member.weight.grad, torch.full((2, 3), float(BATCH))) for member in members)


def test_networks_of_other_shapes_or_names_are_told_apart():
    assert grouped.shapes(nn.Linear(3, 2)) == grouped.shapes(nn.Linear(3, 2))
    assert grouped.shapes(nn.Linear(3, 2)) != grouped.shapes(nn.Linear(3, 4))
    assert grouped.shapes(nn.Linear(3, 2)) != grouped.shapes(nn.Linear(3, 2, bias=False))
    assert grouped.shapes(nn.Sequential(nn.Linear(3, 2))) != grouped.shapes(nn.Linear(3, 2))
