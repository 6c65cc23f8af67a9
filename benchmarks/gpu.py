"""A training step on a GPU: eager, as one CUDA graph, of plain torch, and of several fits at once.

``python benchmarks/gpu.py``: batches of 32 utterances of 300 frames and 128 maps, as in ``training_step.py``, in fp32
and TF32, of Single, DSN-DLC and HFFN-Single. The graph is that of a fit with ``training.graphs: on``: it holds the
forward and the backward pass; Adam moves the weights outside. The peer of the first lines is the network of plain torch
layers with `torch.optim.Adam`; that of the others is our eager step, which has the same weights after a few steps
(checked, dropout included). A network that cannot be captured is named with what CUDA says. Of Single and the noise
classifier, a step of 5 or 9 fits as one network stands beside our eager steps one after the other (``fused.py``). Each
has a process of its own; the whole takes two minutes or three. Where there is no GPU it says so, and ends.
Unit: milliseconds a step.
"""

import argparse
import copy
import itertools
import json
import multiprocessing
import sys
from collections.abc import Callable
from typing import Any

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import torch
from torch import Tensor

import fused
import training_step
from _common import best_by_turns, print_comparison
from serflow.devices import allow_tf32
from serflow.errors import TrainingError
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.models import Network
from serflow.training.fit import Optimizer
from serflow.training.graphs import FROM_SIGHT, CudaRecorder, GraphedSteps, mapped
from serflow.training.optimizers import Adam

METHODS = ("single", "dsn_dlc", "hffn_single")
FRAMES, MAPS, BATCH, STEPS = 300, 128, 32, 20
Step = Callable[[], object]


def passes(network: Network, weights: Tensor) -> Callable[[Batch], tuple[Tensor]]:
    """Return what runs both passes of a step."""

    def run(batch: Batch) -> tuple[Tensor]:
        total = network.losses(batch, weights).total
        total.backward()  # type: ignore[no-untyped-call]
        return (total,)

    return run


def eager(network: Network, optimizer: Optimizer, batch: Batch, weights: Tensor) -> Step:
    """Return a step whose operations Python starts one by one."""
    both = passes(network, weights)

    def step() -> None:
        optimizer.zero_grad()
        both(batch)
        optimizer.step()

    return step


def graphed(network: Network, optimizer: Optimizer, batch: Batch, weights: Tensor) -> Step:
    """Return the same step as a fit takes it with `graphs: on`: a batch comes to the graph as any other would.

    Raises
    ------
    TrainingError
        If a pass waits for the host.
    """
    both = GraphedSteps(passes(network, weights), network, weights.device, CudaRecorder(weights.device))

    def step() -> None:
        both(batch)
        optimizer.step()
        optimizer.zero_grad()

    return step


def repeated(step: Step) -> Step:
    """Return what takes `STEPS` steps and waits for the device."""

    def run() -> None:
        for _ in range(STEPS):
            step()
        torch.cuda.synchronize()

    return run


def same(ours: Network, other: Network) -> None:
    """Hold the weights of two networks that took as many steps against each other."""
    for one, two in zip(ours.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)


def measure(method: str, tf32: bool) -> tuple[dict[str, float], str]:
    """Return how long a step takes (s), and why there is no graph, where there is none."""
    allow_tf32(tf32)
    device = torch.device("cuda")
    batch, weights = (
        mapped(training_step.make_batch(FRAMES, BATCH), lambda part: part.to(device)),
        torch.ones(training_step.N_CLASSES).to(device),
    )
    network = training_step.build(method, MAPS)
    networks: dict[str, Any] = {
        "eager": network.to(device).train(),
        "graph": copy.deepcopy(network).to(device).train(),
        "plain": training_step.plain(copy.deepcopy(network).cpu()).to(device).train(),
    }
    optimizers = {name: Adam(networks[name].parameters_of("all")) for name in ("eager", "graph")}
    theirs = torch.optim.Adam(networks["plain"].parameters_of("all"), 1e-3, betas=(0.5, 0.999))
    steps = {
        "eager": eager(networks["eager"], optimizers["eager"], batch, weights),
        "plain": eager(networks["plain"], theirs, batch, weights),
    }
    why_not, graph = "", graphed(networks["graph"], optimizers["graph"], batch, weights)
    try:
        for step in (steps["eager"], graph):
            # dropout of a replay is that of an eager step
            torch.manual_seed(0)
            for _ in range(FROM_SIGHT + 2):
                step()
    except TrainingError as error:
        why_not = str(error).splitlines()[0]
    else:
        same(networks["eager"], networks["graph"])
        steps["graph"] = graph
    runs = {name: repeated(step) for name, step in steps.items()}
    for run in runs.values():
        run()
    return {name: taken / STEPS for name, taken in best_by_turns(runs, repeats=5).items()}, why_not


def measure_fused(method: str, n_members: int, tf32: bool) -> dict[str, float]:
    """Return how long a step of each of several fits takes, at once and one after the other (s)."""
    allow_tf32(tf32)
    contest = fused.singles(method, "paper", FRAMES, MAPS, BATCH, n_members, torch.device("cuda"))
    for _ in range(2):
        torch.testing.assert_close(contest.at_once(), contest.alone(), rtol=1e-2, atol=1e-2)
    runs = {"at_once": repeated(contest.at_once), "alone": repeated(contest.alone)}
    return {name: taken / STEPS for name, taken in best_by_turns(runs, repeats=5).items()}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if not torch.cuda.is_available():
        print("no GPU that torch can use here: nothing is measured", file=sys.stderr)
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}", file=sys.stderr)
    for method in METHODS:
        for precision in ("fp32", "tf32"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found, why_not = pool.apply(measure, (method, precision == "tf32"))
            ms = {name: 1000 * taken for name, taken in found.items()}
            name = f"gpu_step_{precision}_{method}"
            print_comparison(f"{name}_beside_plain", ms["eager"], ms["plain"], "ms/step")
            if why_not:
                print(json.dumps({"no_graph": name, "why": why_not}), file=sys.stderr, flush=True)
            else:
                print_comparison(f"{name}_graph_beside_eager", ms["graph"], ms["eager"], "ms/step")
    for method, n_members, precision in itertools.product(("single", "noise_classifier"), (5, 9), ("fp32", "tf32")):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply(measure_fused, (method, n_members, precision == "tf32"))
        ms = {name: 1000 * taken for name, taken in found.items()}
        print_comparison(f"gpu_fused_{precision}_{method}_{n_members}", ms["at_once"], ms["alone"], "ms")


if __name__ == "__main__":
    main()
