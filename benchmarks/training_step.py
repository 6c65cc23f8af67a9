"""Time of a training step of every method, ours against the same network of plain torch convolutions.

``python benchmarks/training_step.py [--memory]``: batches of 32 utterances of 300 frames and 40 bands, 128 maps (the
paper's), and of 120 frames and a quarter of the maps; text of 16 tokens of 512 values; dialogues of 8 turns. In
the peer every convolution over frames is a ``torch.nn.Conv1d`` or ``ConvTranspose1d``, and the optimiser is
``torch.optim.Adam``; both compute the same losses (checked). One thread each, in one run. Unit: milliseconds. With
``--memory`` a line a method: how far the memory of a process rises above that of the same process before its first step
(MB), of the paper's size.
"""

import argparse
import copy
import json
import multiprocessing
import warnings

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import torch
from torch import Tensor, nn

from _common import best_by_turns, print_comparison
from _memory import rise_mb
from serflow.nn.convolution import Convolution, TransposedConvolution
from serflow.nn.parameters import count_parameters
from serflow.studies.dlc.catalog import load_method, method_names
from serflow.studies.dlc.data import Batch, Counts
from serflow.studies.dlc.models import Network, Sizes, initialise
from serflow.studies.dlc.options import ModelOptions, Options
from serflow.training.optimizers import Adam

N_BANDS, N_CLASSES, N_CONDITIONS, TEXT_DIM = 40, 4, 3, 512
N_TOKENS, TURNS = 16, 8
CONTROLS = ("single_shuffled",)


class PlainConvolution(nn.Module):
    """`Convolution` as :class:`torch.nn.Conv1d`."""

    def __init__(self, ours: Convolution) -> None:
        super().__init__()
        layer = ours.convolution
        kernel, dilation = layer.kernel_size[1], layer.dilation[1]
        self.layer = nn.Conv1d(layer.in_channels, layer.out_channels, kernel, padding="same", dilation=dilation)
        with torch.no_grad():
            self.layer.weight.copy_(layer.weight.squeeze(2))
            assert layer.bias is not None
            assert self.layer.bias is not None
            self.layer.bias.copy_(layer.bias)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """As `Convolution`."""
        whole: Tensor = self.layer(frames.transpose(1, 2)).transpose(1, 2)
        return whole * mask


class PlainTransposed(nn.Module):
    """`TransposedConvolution` as :class:`torch.nn.ConvTranspose1d`."""

    def __init__(self, ours: TransposedConvolution) -> None:
        super().__init__()
        in_dim, out_dim, kernel = ours.weight.shape
        self.stride = ours.stride
        self.layer = nn.ConvTranspose1d(in_dim, out_dim, kernel, stride=ours.stride)
        with torch.no_grad():
            self.layer.weight.copy_(ours.weight)
            assert self.layer.bias is not None
            self.layer.bias.copy_(ours.bias)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """As `TransposedConvolution`."""
        whole: Tensor = self.layer(frames.transpose(1, 2))[..., : frames.shape[1] * self.stride].transpose(1, 2)
        return whole * mask


def plain(network: nn.Module) -> nn.Module:
    """Put plain torch layers in place of ours, everywhere below ``network``."""
    for name, child in network.named_children():
        if isinstance(child, Convolution):
            setattr(network, name, PlainConvolution(child))
        elif isinstance(child, TransposedConvolution):
            setattr(network, name, PlainTransposed(child))
        else:
            plain(child)
    return network


def build(method: str, maps: int) -> Network:
    torch.manual_seed(0)
    sizes = Sizes(N_BANDS, N_CLASSES, (1,) * N_CONDITIONS, TEXT_DIM)
    network = load_method(method).build(sizes, Options(model=ModelOptions(maps=maps)))
    assert isinstance(network, Network)
    initialise(network)
    return network


def make_batch(n_frames: int, batch_size: int) -> Batch:
    torch.manual_seed(1)
    noisy, clean = torch.randn(2, batch_size, n_frames, N_BANDS)
    places = torch.arange(batch_size)
    targets = torch.eye(N_CLASSES)[places % N_CLASSES]
    tokens = torch.randn(batch_size, N_TOKENS, TEXT_DIM)
    return Batch(
        noisy, clean, torch.full((batch_size,), n_frames), targets, places % N_CONDITIONS,
        tokens, torch.full((batch_size,), N_TOKENS), places // TURNS,
        Counts(
            tuple(torch.bincount(places % N_CONDITIONS).tolist()), (-(-batch_size // TURNS), min(TURNS, batch_size))
        ),
    )  # fmt: skip


def compare(method: str, size: str, n_frames: int, maps: int, batch_size: int, steps: int) -> None:
    """Print how long a step takes, and how many weights there are."""
    ours, batch = build(method, maps), make_batch(n_frames, batch_size)
    peer = plain(copy.deepcopy(ours))
    assert isinstance(peer, Network)
    weights = torch.ones(N_CLASSES)
    ours.eval()
    peer.eval()
    torch.testing.assert_close(ours.losses(batch, weights).total, peer.losses(batch, weights).total)
    ours.train()
    peer.train()
    our_optimizer = Adam(ours.parameters_of("all"))
    peer_optimizer = torch.optim.Adam(peer.parameters_of("all"), 1e-3, betas=(0.5, 0.999))

    def our_step() -> None:
        for _ in range(steps):
            our_optimizer.zero_grad()
            ours.losses(batch, weights).total.backward()  # type: ignore[no-untyped-call]
            our_optimizer.step()

    def peer_step() -> None:
        for _ in range(steps):
            peer_optimizer.zero_grad()
            peer.losses(batch, weights).total.backward()  # type: ignore[no-untyped-call]
            peer_optimizer.step()

    our_step()
    peer_step()
    times = best_by_turns({"ours": our_step, "peer": peer_step}, repeats=5)
    name = f"training_step_{size}_{method}"
    print_comparison(name, times["ours"] / steps * 1000, times["peer"] / steps * 1000, "ms/step")
    print(json.dumps({"name": f"parameters_{size}_{method}", "ours": count_parameters(ours)}), flush=True)


def peak_mb(method: str) -> float:
    """Return how far memory rises in three steps of the paper's size, in this process."""
    torch.set_num_threads(1)
    network, batch = build(method, 128), make_batch(300, 32)
    optimizer = Adam(network.parameters_of("all"))

    def step() -> None:
        optimizer.zero_grad()
        network.losses(batch, torch.ones(N_CLASSES)).total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return rise_mb(step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Using padding='same' with even kernel lengths")
    for method in (name for name in method_names() if name not in CONTROLS):
        if arguments.memory:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                line = {"name": f"memory_{method}", "ours": round(pool.apply(peak_mb, (method,))), "unit": "MB"}
            print(json.dumps(line), flush=True)
        else:
            compare(method, "paper", n_frames=300, maps=128, batch_size=32, steps=1)
            compare(method, "quarter", n_frames=120, maps=32, batch_size=32, steps=5)


if __name__ == "__main__":
    main()
