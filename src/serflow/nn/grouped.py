"""Layers of several networks of one shape, computed together: grouped convolutions and batched matrix products.

Small networks keep a GPU waiting for the start of the next operation; an operation for all of them starts once (Wang et
al., HFTA, 2021, arXiv:2102.02344). Frames are ``(batch, frames, member * dim)``, of one member after the other, so that
a convolution in as many groups as there are members gives each its own; rows are ``(member, batch, dim)``. Each
function takes the layer of the first member for its settings, and the weights of all from a `Stack`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serflow.nn.convolution import Convolution, MaskedInstanceNorm, TransposedConvolution


class Stack:
    """Weights of networks of one shape as tensors ``(member, ...)``, looked up by the parameter of the first network.

    The networks' own parameters become rows of these tensors: what moves them moves the stack, and the networks go on
    by themselves. Of several stacks of one network the newest is the one that holds its weights.

    Parameters
    ----------
    networks
        One or more; see `shapes`.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self._members = [list(network.parameters()) for network in networks]
        self._stacked: list[Tensor] = []
        self._places = {id(parameter): place for place, parameter in enumerate(self._members[0])}
        for parameters in zip(*self._members, strict=True):
            stacked = torch.stack([parameter.detach() for parameter in parameters])
            for parameter, row in zip(parameters, stacked, strict=True):
                parameter.data = row
            self._stacked.append(stacked.requires_grad_(parameters[0].requires_grad))

    def __getitem__(self, parameter: Tensor | None) -> Tensor:
        """Return the weights of all members ``(member, ...)`` that are this parameter of the first."""
        return self._stacked[self._places[id(parameter)]]

    def __len__(self) -> int:
        """Members."""
        return len(self._members)

    def share_gradients(self) -> None:
        """Give each network the gradients of its weights, which the stack has got; it keeps none."""
        for place, stacked in enumerate(self._stacked):
            if stacked.grad is None:
                continue
            for parameters, row in zip(self._members, stacked.grad, strict=True):
                parameters[place].grad = row
            stacked.grad = None


def shapes(network: nn.Module) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return what two networks must have in common to be stacked: names and shapes of their parameters."""
    return tuple((name, tuple(parameter.shape)) for name, parameter in network.named_parameters())


def side_by_side(members: Sequence[Tensor]) -> Tensor:
    """Return frames ``(batch, frames, member * dim)`` of those of each member ``(batch, frames, dim)``.

    Batches and lengths may differ; what is missing is zero.
    """
    batch, n_frames = (max(frames.shape[axis] for frames in members) for axis in (0, 1))
    whole = members[0].new_zeros(batch, n_frames, len(members), members[0].shape[2])
    for member, frames in enumerate(members):
        whole[: frames.shape[0], : frames.shape[1], member] = frames
    return whole.flatten(2)


def one_above_another(members: Sequence[Tensor]) -> Tensor:
    """Return rows ``(member, batch, ...)`` of those of each member ``(batch, ...)``; zero where one has fewer."""
    batch = max(len(rows) for rows in members)
    whole = members[0].new_zeros(len(members), batch, *members[0].shape[1:])
    for member, rows in enumerate(members):
        whole[member, : len(rows)] = rows
    return whole


def frame_masks(lengths: Tensor, n_frames: int) -> Tensor:
    """Return a boolean mask ``(batch, frames, member)``, true on the frames of ``lengths`` ``(member, batch)``."""
    return torch.arange(n_frames, device=lengths.device)[:, None] < lengths.T[:, None]


def by_member(frames: Tensor, n_members: int) -> Tensor:
    """Return frames ``(batch, frames, member * dim)`` as a view ``(batch, frames, member, dim)``."""
    return frames.view(*frames.shape[:2], n_members, -1)


def masked(frames: Tensor, mask: Tensor) -> Tensor:
    """Set frames to zero where ``mask`` ``(batch, frames, member)`` is false."""
    return (by_member(frames, mask.shape[2]) * mask.to(frames.dtype)[..., None]).flatten(2)


def convolution(stack: Stack, layer: Convolution, frames: Tensor, mask: Tensor) -> Tensor:
    """Return what `Convolution` makes of each member's frames.

    Parameters
    ----------
    stack
        Weights of the members.
    layer
        Of the first member.
    frames
        ``(batch, frames, member * in_dim)``, zero on padded frames.
    mask
        ``(batch, frames, member)``.

    Returns
    -------
    Tensor
        ``(batch, frames, member * out_dim)``, zero on padded frames.
    """
    inner = layer.convolution
    if layer.excess:
        frames = F.pad(frames, (0, 0, 0, layer.excess))
    whole = F.conv2d(
        frames.transpose(1, 2).unsqueeze(2),
        stack[inner.weight].flatten(0, 1),
        stack[inner.bias].flatten(),
        padding=(0, (inner.kernel_size[1] - 1) * inner.dilation[1] // 2),
        dilation=inner.dilation,
        groups=len(stack),
    )
    return masked(whole.squeeze(2).transpose(1, 2), mask)


def transposed_convolution(stack: Stack, layer: TransposedConvolution, frames: Tensor, mask: Tensor) -> Tensor:
    """Return what `TransposedConvolution` makes of each member's frames; parameters as `convolution`.

    ``mask`` is ``(batch, frames * stride, member)``, and so are the frames of what is returned.
    """
    weight, stride, members = stack[layer.weight], layer.stride, len(stack)
    _, in_dim, out_dim, kernel = weight.shape
    batch, n_frames, _ = frames.shape
    product = F.conv2d(
        frames.transpose(1, 2).unsqueeze(2),
        weight.permute(0, 3, 2, 1).reshape(members * kernel * out_dim, in_dim, 1, 1),
        groups=members,
    )
    taps = product.squeeze(2).transpose(1, 2).reshape(batch, n_frames, members, kernel, out_dim).unbind(3)
    phases = list(taps[:stride])
    for tap in range(stride, min(kernel, stride * n_frames)):
        late = tap // stride
        phases[tap % stride] = phases[tap % stride] + F.pad(taps[tap], (0, 0, 0, 0, late, -late))
    whole = torch.stack(phases, dim=2).reshape(batch, n_frames * stride, members, out_dim)
    return masked((whole + stack[layer.bias]).flatten(2), mask)


def instance_norm(stack: Stack, layer: MaskedInstanceNorm, frames: Tensor, mask: Tensor) -> Tensor:
    """Return what `MaskedInstanceNorm` makes of each member's frames; parameters as `convolution`.

    Counts and sums are in single precision at least, as there.
    """
    each, kept = by_member(frames, len(stack)), mask.float()[..., None]
    # a row that a member does not have has no frames
    count = kept.sum(1, keepdim=True).clamp(min=1)
    mean = (each * kept).sum(1, keepdim=True) / count
    variance = ((each - mean).square() * kept).sum(1, keepdim=True) / count
    scaled = (each - mean) * torch.rsqrt(variance + layer.eps) * stack[layer.weight] + stack[layer.bias]
    return (scaled * kept).flatten(2)


def linear(stack: Stack, layer: nn.Linear, rows: Tensor) -> Tensor:
    """Return what :class:`torch.nn.Linear` makes of each member's rows ``(member, batch, in_dim)``."""
    return torch.baddbmm(stack[layer.bias][:, None], rows, stack[layer.weight].transpose(1, 2))
