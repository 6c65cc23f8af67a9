"""Time and memory of a training step of the multilingual study's networks, of the paper's sizes, by utterance.

``python benchmarks/multigating_step.py [--memory] [--device cuda] [--batch 16] [system ...]``. Unit:
milliseconds an utterance, of a batch of German ones of 1.5 to 4.5 s; one thread on a CPU. GE2E has random weights.


- a step of each joint system and of one language alone, beside the same network of plain torch: packed sequences
  through a bidirectional LSTM, all frames projected for attention, a linear layer for each transition, and the
  contrastive loss emotion by emotion. They have the same weights, and their losses are held against each other first;
- the encoders of frames alone, forwards and backwards, beside the plain ones;
- GE2E forwards and backwards beside the whole step that it is part of.

With ``--memory`` how far a step lifts the memory of a process (MB an utterance), or of the device.
"""

import argparse
import json
import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from _common import best_by_turns, print_comparison
from _memory import rise_mb
from serflow.backbones._ge2e_network import GE2E
from serflow.studies.multigating.architecture import Transitions
from serflow.studies.multigating.batch import Batch, Partials, Sequences
from serflow.studies.multigating.catalog import SYSTEMS, load_method
from serflow.studies.multigating.contrastive import ContrastiveLoss
from serflow.studies.multigating.encoders import SequenceEncoder
from serflow.studies.multigating.network import Network, losses, parameter_groups
from serflow.studies.multigating.options import Options
from serflow.studies.multigating.sharing import Gated
from serflow.training.optimizers import BETAS, Adam

DIMS = {"allosaurus": 640, "wav2vec": 512, "mfcc": 40, "byol": 2048}
RATES = {"allosaurus": 33, "wav2vec": 100, "mfcc": 100}
"""Frames a second."""
GERMAN = ("anger", "bored", "disgust", "fear", "happy", "neutral", "sad")
FRENCH = ("anger", "disgust", "fear", "happy", "neutral", "sad", "surprise")
CLASSES = {"english": ("anger", "happy", "neutral", "sad"), "german": GERMAN, "french": FRENCH}
LANGUAGES = {
    "english": {"corpus": "iemocap", "units": 256, "activations": ["mish", "gelu"], "alpha": 0.1},
    "german": {"corpus": "emodb"},
    "french": {"corpus": "cafe", "alpha": 0.015},
}
NETWORKS = [name for name, info in SYSTEMS.items() if info.network]
Step = Callable[[], object]


def make_batch(n: int, device: torch.device) -> Batch:
    torch.manual_seed(1)
    durations = torch.linspace(1.5, 4.5, n)[torch.randperm(n)]
    sequences = {}
    for name, rate in RATES.items():
        lengths = (rate * durations).long()
        frames = torch.randn(n, -(-int(lengths.max()) // 16) * 16, DIMS[name])
        frames[torch.arange(frames.shape[1]) >= lengths[:, None]] = 0
        sequences[name] = Sequences(frames.to(device), lengths.to(device))
    owners = torch.arange(n).repeat_interleave(1 + ((durations - 1.6).clamp(min=0) / 0.77).ceil().long())
    partials = Partials(torch.rand(len(owners), 160, 40).to(device), owners.to(device))
    # of two emotions, as a batch of 64 has more than five of most
    targets = torch.eye(len(GERMAN))[torch.arange(n) % 2].to(device)
    return Batch("german", sequences, partials, torch.randn(n, DIMS["byol"]).to(device), targets)


def build(system: str, device: torch.device) -> tuple[Network, Options]:
    names = list(LANGUAGES) if SYSTEMS[system].trained == "all" else ["german"]
    options = Options.model_validate({"languages": {name: LANGUAGES[name] for name in names}})
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pretrained.pt"
        torch.save({"model_state": GE2E().state_dict()}, path)
        network = load_method(system).build(DIMS, {name: CLASSES[name] for name in names}, options, path, device)
    return network, options


class PlainEncoder(nn.Module):
    """An encoder of frames with the same weights, of torch's own layers."""

    def __init__(self, ours: SequenceEncoder) -> None:
        super().__init__()
        state = ours.state_dict()
        self.convolutions = nn.ModuleList()
        for number in range(len(ours.convolutions)):
            name = f"convolutions.{number}.convolution.convolution"
            weight = state[f"{name}.weight"].squeeze(2)
            layer = nn.Conv1d(weight.shape[1], weight.shape[0], weight.shape[2], padding="same")
            layer.load_state_dict({"weight": weight, "bias": state[f"{name}.bias"]})
            self.convolutions.append(layer)
        in_dim = state["lstm.0.forwards.weight_ih_l0"].shape[1]
        self.lstm = nn.LSTM(in_dim, ours.dim // 2, len(ours.lstm), batch_first=True, bidirectional=True)
        self.lstm.load_state_dict(
            {
                f"{kind}_l{number}{suffix}": state[f"lstm.{number}.{way}.{kind}_l0"]
                for number in range(len(ours.lstm))
                for way, suffix in (("forwards", ""), ("backwards", "_reverse"))
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
        )
        self.dropout, self.attention = ours.dropout, ours.attention

    def forward(self, read: Sequences) -> Tensor:
        """Return ``(batch, dim)``."""
        frames = read.frames.transpose(1, 2)
        hidden = torch.cat([layer(frames).relu() for layer in self.convolutions], dim=1).transpose(1, 2)
        packed = pack_padded_sequence(self.dropout(hidden), read.lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, (last, _) = self.lstm(packed)
        states, _ = pad_packed_sequence(states, batch_first=True)
        query = self.attention.query(torch.cat([last[-2], last[-1]], dim=1))[:, None]
        keys, values = self.attention.key(states), self.attention.value(states)
        valid = torch.arange(states.shape[1], device=states.device) < read.lengths[:, None]
        return F.scaled_dot_product_attention(query, keys, values, valid[:, None]).squeeze(1)


class PlainTransitions(Transitions):
    """Transitions with the same weights, a linear layer each."""

    def __init__(self, ours: Transitions) -> None:
        nn.Module.__init__(self)
        self.gates, self.n = ours.gates, len(ours.weight)
        self.layers = nn.ModuleList()
        for weight in ours.weight.flatten(0, 1):
            layer = nn.Linear(weight.shape[0], weight.shape[1], bias=False)
            layer.weight = nn.Parameter(weight.detach().T.clone())
            self.layers.append(layer)

    def forward(self, low: Tensor) -> Tensor:
        """Return ``(batch, features, width)``."""
        gates = self.gates()
        high = [sum(gates[i, j] * self.layers[i * self.n + j](low[:, j]) for j in range(self.n)) for i in range(self.n)]
        return torch.stack(high, dim=1)


class PlainContrastiveLoss(ContrastiveLoss):
    """The contrastive loss, emotion by emotion."""

    def __init__(self, ours: ContrastiveLoss) -> None:
        nn.Module.__init__(self)
        self.raw_scale, self.bias, self.more_than = ours.raw_scale, ours.bias, ours.more_than

    def forward(self, representations: Tensor, targets: Tensor) -> Tensor:
        """Return the sum over samples."""
        samples, emotions = F.normalize(representations, dim=1), targets.argmax(1)
        groups = [samples[emotions == emotion] for emotion in range(targets.shape[1])]
        groups = [group for group in groups if len(group) > self.more_than]
        least = min(len(group) for group in groups)
        kept = torch.stack([group[:least] for group in groups])
        centroids = F.normalize(kept.mean(1), dim=1)
        similarities = self.scale * (kept.flatten(0, 1) @ centroids.T) + self.bias
        own = torch.arange(len(groups), device=samples.device).repeat_interleave(least)
        return F.cross_entropy(similarities, own, reduction="sum")


def plain(system: str, device: torch.device) -> tuple[Network, Options]:
    """Return the network of a system with the layers of plain torch, of the same weights."""
    network, options = build(system, device)
    sequences = network.encoders.sequences
    for name, encoder in list(sequences.items()):
        assert isinstance(encoder, SequenceEncoder)
        sequences[name] = PlainEncoder(encoder)
    if isinstance(network.sharing, Gated) and network.sharing.transitions is not None:
        for language in options.languages:
            ours = network.transitions(language)
            assert ours is not None
            network.sharing.transitions[language] = PlainTransitions(ours)
    assert network.contrastive is not None
    network.contrastive = PlainContrastiveLoss(network.contrastive)
    return network.to(device), options


def training_step(network: Network, options: Options, batch: Batch, device: torch.device, theirs: bool = False) -> Step:
    """Return a step of AdamW, ours or torch's."""
    groups, decay = parameter_groups(network, options), options.training.weight_decay
    optimizer = (
        torch.optim.AdamW(groups, weight_decay=decay) if theirs else Adam(groups, betas=BETAS, weight_decay=decay)
    )

    def step() -> None:
        network.train()
        optimizer.zero_grad()
        losses(network, batch, options).total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def both_ways(module: nn.Module, run: Callable[[], Tensor], device: torch.device) -> Step:
    """Return what runs a part forwards and backwards."""

    def step() -> None:
        module.train()
        module.zero_grad()
        run().sum().backward()  # type: ignore[no-untyped-call]
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def encode_frames(network: Network, batch: Batch) -> Tensor:
    return torch.cat([encoder(batch.sequences[name]) for name, encoder in network.encoders.sequences.items()], dim=1)


def compare_steps(systems: list[str], device: torch.device, n: int) -> None:
    batch = make_batch(n, device)
    for system in systems:
        ours, peer = build(system, device), plain(system, device)
        with torch.no_grad():
            found, expected = (losses(network.eval(), batch, options).total for network, options in (ours, peer))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
        both = (training_step(*ours, batch, device), training_step(*peer, batch, device, theirs=True))
        print_times(f"step_{system}_beside_plain", *both, n)


def compare_parts(device: torch.device, n: int) -> None:
    batch = make_batch(n, device)
    (ours_net, options), (peer_net, _) = build("sb", device), plain("sb", device)
    print_times(
        "encoders_beside_plain",
        both_ways(ours_net, lambda: encode_frames(ours_net, batch), device),
        both_ways(peer_net, lambda: encode_frames(peer_net, batch), device),
        n,
    )
    speaker = ours_net.encoders.speaker
    assert speaker is not None
    assert batch.partials is not None
    alone = both_ways(speaker, lambda: speaker(batch.partials, n), device)
    print_times("ge2e_beside_the_step", alone, training_step(ours_net, options, batch, device), n)


def print_times(name: str, ours: Step, peer: Step, n: int) -> None:
    ours()
    peer()
    times = best_by_turns({"ours": ours, "peer": peer})
    print_comparison(name, 1000 * times["ours"] / n, 1000 * times["peer"] / n, "ms/utterance")


def step_mb(system: str, n: int, device_name: str) -> float:
    """Return how far a step lifts the memory of this process, or of the device (MB an utterance)."""
    torch.set_num_threads(1)
    device = torch.device(device_name)
    step = training_step(*build(system, device), make_batch(n, device), device)
    if device.type == "cuda":
        step()
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20 / n
    return rise_mb(step) / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", help="all and the parts where none is named")
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=16, help="utterances of a step; the paper's batches may be of 64")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.memory:
        device = torch.device(arguments.device)
        compare_steps(arguments.systems or NETWORKS, device, arguments.batch)
        if not arguments.systems:
            compare_parts(device, arguments.batch)
        return
    for system in arguments.systems or NETWORKS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply(step_mb, (system, arguments.batch, arguments.device))
        print(json.dumps({"name": f"memory_{system}", "ours": round(found, 1), "unit": "MB/utterance"}), flush=True)


if __name__ == "__main__":
    main()
