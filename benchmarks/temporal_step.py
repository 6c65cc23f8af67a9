"""Time and memory of a training step of the temporal study's networks, of the paper's sizes, by crop of 3 s.

``python benchmarks/temporal_step.py [--memory] [--device cuda]``. Unit: milliseconds a crop, of batches of 8 for
engineered features and of 2 for wav2vec; one thread on a CPU. wav2vec is ``wav2vec_large`` with random weights. Lines:

- a step of each engineered row, beside that of the first one;
- a layer of receptive fields forwards and backwards, beside a :class:`torch.nn.Conv2d` of the same support;
- a step of the wav2vec classifier by what is fine-tuned, beside the classifier alone on features at hand (what a cache
  of c would leave).

With ``--memory`` how far a step lifts the memory of a process (MB a crop), or of the device.
"""

import argparse
import json
import multiprocessing
from collections.abc import Callable

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import torch
from torch import Tensor, nn

from _common import best_by_turns, print_comparison
from _memory import rise_mb
from serflow.backbones._wav2vec_network import Geometry, Wav2Vec
from serflow.plugins import load_plugin
from serflow.studies.temporal.catalog import ENGINEERED, SYSTEMS
from serflow.studies.temporal.data import Batch
from serflow.studies.temporal.losses import segment_net_losses
from serflow.studies.temporal.network import Network, Wav2VecFrontEnd
from serflow.studies.temporal.options import Options
from serflow.studies.temporal.segment_net import SegmentNet
from serflow.studies.temporal.strf import GaborStrf
from serflow.training.graphs import mapped
from serflow.training.optimizers import BETAS, Adam

CROP, N_CLASSES = 48_000, 4
LARGE = Geometry(
    [(512, kernel, stride) for kernel, stride in ((10, 5), (8, 4), (4, 2), (4, 2), (4, 2), (1, 1), (1, 1))],
    [(512, kernel, 1) for kernel in range(2, 14)],
    log_compression=True,
    skip_connections_agg=True,
)
FINE_TUNED = ("none", "context", "encoder", "all")
Step = Callable[[], object]


def make_batch(n_crops: int, device: torch.device) -> Batch:
    torch.manual_seed(1)
    waveforms = 0.1 * torch.randn(n_crops, CROP)
    hidden = torch.zeros(n_crops, 241, 30, dtype=torch.bool)
    hidden[:, 20:40] = True
    targets = torch.eye(N_CLASSES)[torch.arange(n_crops) % N_CLASSES]
    pulses = waveforms * (torch.arange(CROP) % 100 == 0)
    warps = torch.full((n_crops,), 0.1)
    batch = Batch(
        waveforms, pulses, torch.full((n_crops,), CROP), warps, hidden, targets, tuple(CROP for _ in range(n_crops))
    )
    moved: Batch = mapped(batch, lambda part: part.to(device))
    return moved


def training_step(network: nn.Module, loss: Callable[[], Tensor], device: torch.device) -> Step:
    """Return a step of Adam on what is trained of a network."""
    optimizer = Adam((p for p in network.parameters() if p.requires_grad), 1e-4, BETAS)

    def step() -> None:
        network.train()
        optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def engineered_step(row: str, n_crops: int, device: torch.device) -> Step:
    torch.manual_seed(0)
    method = load_plugin("serflow.studies.temporal.methods", "strfnet", "network", "the temporal study")
    network = method.build(SYSTEMS[row], Options(), N_CLASSES, None, device)
    batch, weights = make_batch(n_crops, device), torch.ones(N_CLASSES, device=device)
    return training_step(network, lambda: method.losses(network, batch, weights).total, device)


def wav2vec_steps(fine_tune: str, n_crops: int, device: torch.device) -> tuple[Step, Step]:
    """Return a step of the whole, with two segment classifiers, and one of the classifier on features at hand."""
    torch.manual_seed(0)
    options = Options.model_validate({"segment_net": {"segments": 2}}).segment_net
    front_end = Wav2VecFrontEnd(Wav2Vec(LARGE).fine_tune(fine_tune), None)
    network = Network(front_end, SegmentNet(front_end.dim, options, N_CLASSES)).to(device)
    batch, weights = make_batch(n_crops, device), torch.ones(N_CLASSES, device=device)
    with torch.no_grad():
        features, lengths = network.read(batch)

    def loss(frames: Tensor) -> Tensor:
        return segment_net_losses(network.classifier(frames, lengths), 1.0, batch.targets, weights).total

    whole = training_step(network, lambda: loss(network.read(batch)[0]["spectrogram"]), device)
    return whole, training_step(network.classifier, lambda: loss(features["spectrogram"]), device)


def field_steps(n_crops: int, device: torch.device) -> tuple[Step, Step]:
    """Return a layer of receptive fields and a convolution of its support, both with all gradients."""
    torch.manual_seed(0)
    fields = GaborStrf(32, 17, 9).to(device)
    plain = nn.Conv2d(1, 64, (17, 9), padding=(8, 4), bias=False).to(device)
    maps = torch.randn(n_crops, 1, 241, 30, device=device)
    upstream = torch.randn(n_crops, 64, 241, 30, device=device)
    with torch.no_grad():
        plain.weight.copy_(fields.kernels()[:, None])
        torch.testing.assert_close(fields(maps), plain(maps), rtol=1e-3, atol=1e-3)

    def run(layer: nn.Module) -> Step:
        def step() -> None:
            layer.zero_grad()
            layer(maps).backward(upstream)
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        return step

    return run(fields), run(plain)


def compare(device: torch.device) -> None:
    steps = {row: engineered_step(row, 8, device) for row in ENGINEERED}
    first = next(iter(steps.values()))
    for row, step in steps.items():
        # each beside the first, by turns
        print_times(f"step_{row}", step, first, 8)
    print_times("strf_layer_beside_conv2d", *field_steps(8, device), 8)
    for fine_tune in FINE_TUNED:
        print_times(f"step_wav2vec_{fine_tune}_beside_cached", *wav2vec_steps(fine_tune, 2, device), 2)


def print_times(name: str, ours: Step, peer: Step, n_crops: int) -> None:
    ours()
    peer()
    times = best_by_turns({"ours": ours, "peer": peer})
    print_comparison(name, 1000 * times["ours"] / n_crops, 1000 * times["peer"] / n_crops, "ms/crop")


def step_mb(name: str, n_crops: int, device_name: str) -> float:
    """Return how far a step lifts the memory of this process, or of the device (MB a crop)."""
    torch.set_num_threads(1)
    device = torch.device(device_name)
    step = wav2vec_steps(name, n_crops, device)[0] if name in FINE_TUNED else engineered_step(name, n_crops, device)
    if device.type == "cuda":
        step()
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20 / n_crops
    return rise_mb(step) / n_crops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.memory:
        compare(torch.device(arguments.device))
        return
    for name in (*ENGINEERED, *FINE_TUNED):
        n_crops = 2 if name in FINE_TUNED else 8
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply(step_mb, (name, n_crops, arguments.device))
        print(json.dumps({"name": f"memory_{name}", "ours": round(found), "unit": "MB/crop"}), flush=True)


if __name__ == "__main__":
    main()
