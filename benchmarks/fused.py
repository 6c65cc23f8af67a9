"""Fits trained as one network against the same fits one after the other: Single, the noise classifier, small parts.

``python benchmarks/fused.py [--count]``: K networks of one shape take a step each, with the optimiser's, each on a
batch of its own; the peer is our plain step, K times. Single and the noise classifier with 8 utterances of 112 frames
and 16 maps (the tour), 32 of 120 and 32 maps, 32 of 300 and 128 maps (the paper). Serflow fuses no others: what they
could gain is measured of heads (two dense layers on vectors), of the convolutions of the invariance paper's TDNN
(units 128 and 64, and an eighth of these) and of probes (one gradient of multinomial logistic regression, in NumPy).
Losses are the same (checked). One thread each, in one run. Unit: milliseconds for a step of all K. With ``--count``,
the operations that such a step starts instead of time, which is what a small network's step takes on a GPU.
"""

import argparse
import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import training_step
from _common import best_by_turns, print_comparison
from _kernels import Kernels
from serflow.nn.convolution import Convolution
from serflow.nn.grouped import Stack, by_member, convolution, frame_masks, linear, side_by_side
from serflow.nn.pooling import frame_mask
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.fused import Singles
from serflow.studies.dlc.models import AcousticClassifier
from serflow.training.fit import Optimizer
from serflow.training.graphs import mapped
from serflow.training.optimizers import Adam, NesterovSgd
from serflow.training.seeds import Stream

MEMBERS = (2, 5, 9)
CPU = torch.device("cpu")
FloatArray = npt.NDArray[np.float64]
Step = Callable[[], list[Tensor]]


class Contest(NamedTuple):
    """A step of all members one after the other, and at once; each returns their losses."""

    name: str
    alone: Step
    at_once: Step


def in_turn(losses: Sequence[Callable[[], Tensor]], optimizers: Sequence[Optimizer]) -> Step:
    """Return the step of each member by itself."""

    def step() -> list[Tensor]:
        totals = []
        for loss, optimizer in zip(losses, optimizers, strict=True):
            total = loss()
            total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            totals.append(total.detach())
        return totals

    return step


def stacked(losses: Callable[[], Tensor], stack: Stack, optimizer: Optimizer) -> Step:
    """Return the step of all members; ``losses`` returns that of each, ``(member,)``."""

    def step() -> list[Tensor]:
        totals = losses()
        totals.sum().backward()  # type: ignore[no-untyped-call]
        stack.share_gradients()
        optimizer.step()
        optimizer.zero_grad()
        return list(totals.detach())

    return step


def of_all(networks: Sequence[nn.Module]) -> list[nn.Parameter]:
    """Return the parameters of all networks."""
    return [parameter for network in networks for parameter in network.parameters()]


def singles(
    method: str, size: str, n_frames: int, maps: int, batch_size: int, n_members: int, device: torch.device
) -> Contest:
    """Return the steps of a method of the DLC paper."""
    given = [training_step.make_batch(n_frames, batch_size) for _ in range(n_members)]
    batches: list[Batch] = [mapped(batch, lambda part: part.to(device)) for batch in given]
    weights = [torch.ones(training_step.N_CLASSES, device=device) for _ in batches]
    built = [training_step.build(method, maps).to(device).train() for _ in batches]
    lone = [network for network in built if isinstance(network, AcousticClassifier)]
    fused = copy.deepcopy(lone)
    together = Singles(fused, weights, [Stream(device) for _ in fused])

    def loss_of(member: int) -> Tensor:
        return lone[member].losses(batches[member], weights[member]).total

    return Contest(
        f"{method}_{size}_{n_members}",
        in_turn(
            [partial(loss_of, member) for member in range(n_members)],
            [Adam(network.parameters()) for network in lone],
        ),
        stacked(
            lambda: torch.stack([outcome.total for outcome in together.outcomes(batches)]),
            together.stack,
            Adam(of_all(fused)),
        ),
    )


def heads(dim: int, hidden: int, n_rows: int, n_members: int) -> Contest:
    """Return the steps of two dense layers on vectors: probes with a hidden layer, classifiers of frozen features."""
    torch.manual_seed(0)
    rows, targets = torch.randn(n_members, n_rows, dim), torch.randint(4, (n_members, n_rows))
    lone = [nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, 4)) for _ in range(n_members)]
    fused = copy.deepcopy(lone)
    stack, (first, _, last) = Stack(fused), fused[0]

    def loss_of(member: int) -> Tensor:
        return F.cross_entropy(lone[member](rows[member]), targets[member])

    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)

    def losses() -> Tensor:
        logits = linear(stack, last, linear(stack, first, rows).relu())
        return F.cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(1)

    return Contest(
        f"head_{dim}_{hidden}_{n_members}",
        in_turn(
            [partial(loss_of, member) for member in range(n_members)],
            [Adam(network.parameters()) for network in lone],
        ),
        stacked(losses, stack, Adam(of_all(fused))),
    )


def tdnn(units: tuple[int, int], n_frames: int, batch_size: int, n_members: int) -> Contest:
    """Return the steps of two dilated convolutions with ReLU, as the invariance paper's; the loss is a mean square."""
    torch.manual_seed(0)
    frames = [torch.randn(batch_size, n_frames, 23) for _ in range(n_members)]
    lengths = torch.full((batch_size,), n_frames)
    lone = [
        nn.ModuleList([Convolution(23, units[0], 5, 2), Convolution(units[0], units[1], 3, 4)])
        for _ in range(n_members)
    ]
    fused = copy.deepcopy(lone)
    stack = Stack(fused)
    mask, masks = frame_mask(lengths, n_frames), frame_masks(lengths.expand(n_members, -1), n_frames)

    def loss_of(member: int) -> Tensor:
        values = frames[member]
        for layer in lone[member]:
            values = layer(values, mask).relu()
        return values.square().mean()

    def losses() -> Tensor:
        values = side_by_side(frames)
        for layer in fused[0]:
            assert isinstance(layer, Convolution)
            values = convolution(stack, layer, values, masks).relu()
        return by_member(values.square(), n_members).mean((0, 1, 3))

    return Contest(
        f"tdnn_{units[0]}_{units[1]}_{n_members}",
        in_turn(
            [partial(loss_of, member) for member in range(n_members)],
            [NesterovSgd(network.parameters(), 1e-2, 0.9) for network in lone],
        ),
        stacked(losses, stack, NesterovSgd(of_all(fused), 1e-2, 0.9)),
    )


def probes(n_rows: int, dim: int, n_members: int) -> Contest:
    """Return one loss and gradient of each of several linear probes of 8 speakers."""
    generator = np.random.default_rng(0)
    rows, weights = generator.normal(size=(n_members, n_rows, dim)), np.full((n_members, dim, 8), 0.01)
    targets = np.eye(8)[generator.integers(8, size=(n_members, n_rows))]

    def loss(rows: FloatArray, targets: FloatArray, weights: FloatArray) -> FloatArray:
        logits = rows @ weights
        logits -= logits.max(-1, keepdims=True)
        powers = np.exp(logits)
        sums = powers.sum(-1, keepdims=True)
        # what an optimiser needs besides the loss
        _ = rows.swapaxes(-1, -2) @ (powers / sums - targets) + weights
        losses: FloatArray = (np.log(sums[..., 0]) - (logits * targets).sum(-1)).sum(-1)
        return losses

    def alone() -> list[Tensor]:
        return [torch.tensor(loss(*given)) for given in zip(rows, targets, weights, strict=True)]

    def at_once() -> list[Tensor]:
        return list(torch.from_numpy(loss(rows, targets, weights)))

    return Contest(f"probe_{n_rows}_{dim}_{n_members}", alone, at_once)


def contests(device: torch.device = CPU) -> Iterator[tuple[Contest, int]]:
    """Yield what is measured, and how many steps one timing takes."""
    for n_members in MEMBERS:
        yield heads(64, 32, 32, n_members), 50
        yield heads(768, 256, 32, n_members), 20
        for method in ("noise_classifier", "single"):
            yield singles(method, "tour", 112, 16, 8, n_members, device), 10
            yield singles(method, "quarter", 120, 32, 32, n_members, device), 2
    yield tdnn((16, 8), 112, 8, 5), 10
    yield tdnn((128, 64), 300, 32, 5), 1
    yield probes(110, 64, 5), 50
    yield probes(3000, 512, 5), 2
    yield singles("single", "paper", 300, 128, 32, 5, device), 1


def repeated(step: Step, n_steps: int) -> Callable[[], object]:
    def run() -> None:
        for _ in range(n_steps):
            step()

    return run


def count(step: Step) -> int:
    """Return the operations that the second step starts."""
    step()
    found = Kernels()
    with found:
        step()
    return found.n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", action="store_true", help="count operations instead of time")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for contest, n_steps in contests():
        for _ in range(2):
            torch.testing.assert_close(contest.at_once(), contest.alone(), rtol=1e-4, atol=1e-4)
        if arguments.count and not contest.name.startswith("probe"):
            ours, peer = count(contest.at_once), count(contest.alone)
            print_comparison(f"fused_operations_{contest.name}", ours, peer, "operations")
        if arguments.count:
            continue
        runs = {"at_once": repeated(contest.at_once, n_steps), "alone": repeated(contest.alone, n_steps)}
        ms = {name: 1000 * taken / n_steps for name, taken in best_by_turns(runs, repeats=5).items()}
        print_comparison(f"fused_{contest.name}", ms["at_once"], ms["alone"], "ms")


if __name__ == "__main__":
    main()
