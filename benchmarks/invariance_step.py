"""Time of a training step of every system of the invariance study, ours against the network as it is usually written.

``python benchmarks/invariance_step.py [--memory]``: batches of 32 utterances of 214 to 245 voiced frames of 39 values,
4 emotions, 8 speakers: IEMOCAP. In the peer batch normalisation sees padded batches ``(batch, dim, frames)``, the LSTM
is one bidirectional ``torch.nn.LSTM`` on packed sequences, and pooling is under a mask; both have the same weights,
loss (checked) and optimiser. One thread, in one run, all by turns. Lines of a system: milliseconds a step beside the
peer, the same beside SER_only, and seconds an epoch beside SER_only, of 72 such steps and the validation of 10 batches.
With ``--memory`` a line a system: how far the memory of a process rises above that of the same process before its first
step (MB).
"""

import argparse
import json
import multiprocessing

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from _common import best_by_turns, print_comparison
from _memory import rise_mb
from serflow.nn.adversarial import GradientReversal
from serflow.nn.parameters import count_parameters
from serflow.studies.invariance.catalog import load_system, system_info, system_names
from serflow.studies.invariance.losses import Batch
from serflow.studies.invariance.network import POOL_EPS, Classifier, SpeakerNetwork
from serflow.studies.invariance.options import ModelOptions, Options
from serflow.training.optimizers import NesterovSgd

BATCH, FRAMES, DIM, N_CLASSES, N_SPEAKERS = 32, 230, 39, 4, 8
EPOCH_STEPS, VALIDATION_BATCHES = 72, 10
BASELINE = "ser_only"
OPTIONS = Options()


class PeerNetwork(nn.Module):
    """`SpeakerNetwork` of plain torch layers on padded batches; it has the weights of ``ours``."""

    def __init__(self, ours: SpeakerNetwork) -> None:
        super().__init__()
        sizes = OPTIONS.model
        layers: list[nn.Module] = []
        before = DIM
        for units, kernel, dilation in sizes.tdnn:
            convolution = nn.Conv1d(before, units, kernel, dilation=dilation)
            layers += [convolution, nn.ReLU(), nn.BatchNorm1d(units), nn.Dropout1d(sizes.dropout)]
            before = units
        self.tdnn = nn.Sequential(*layers)
        self.reach = sum((kernel - 1) * dilation for _, kernel, dilation in sizes.tdnn)
        self.lstm = nn.LSTM(before, sizes.lstm, batch_first=True, bidirectional=True)
        self.norm = nn.BatchNorm1d(2 * sizes.lstm)
        self.dropout = nn.Dropout1d(sizes.dropout)
        self.linear = nn.Linear(2 * sizes.lstm, sizes.fc)
        self.last = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(sizes.fc), nn.Dropout1d(sizes.dropout))
        self.emotion = plain_classifier(2 * sizes.fc, N_CLASSES)
        self.speaker = None if ours.speaker is None else plain_classifier(2 * sizes.fc, N_SPEAKERS)
        self.reversal = GradientReversal()
        self.copy(ours)

    def copy(self, ours: SpeakerNetwork) -> None:
        """Take the weights of ours, layer by layer."""
        theirs = [layer for layer in ours.tdnn.modules() if isinstance(layer, nn.Conv1d)]
        pairs: list[tuple[nn.Module, nn.Module]] = list(
            zip((layer for layer in self.tdnn if isinstance(layer, nn.Conv1d)), theirs, strict=True)
        )
        pairs.append((self.linear, ours.fc.linear))
        for mine, other in ((self.emotion, ours.emotion), (self.speaker, ours.speaker)):
            if mine is not None and other is not None:
                pairs += zip(linears(mine), linears(other), strict=True)
        for layer, other_layer in pairs:
            layer.load_state_dict(other_layer.state_dict())
        directions = {"": ours.lstm.forwards, "_reverse": ours.lstm.backwards}
        self.lstm.load_state_dict(
            {f"{name}{end}": value for end, lstm in directions.items() for name, value in lstm.state_dict().items()}
        )

    def embed(self, frames: Tensor, lengths: Tensor, n_valid: int | None = None) -> Tensor:
        """As `SpeakerNetwork.embed`."""
        hidden = self.tdnn(frames.transpose(1, 2)).transpose(1, 2)
        left = lengths - self.reach
        packed = pack_padded_sequence(hidden, left, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        dense = self.linear(self.dropout(self.norm(states.transpose(1, 2))).transpose(1, 2))
        values = self.last(dense.transpose(1, 2))
        mask = torch.arange(values.shape[2]) < left[:, None]
        count = left[:, None].to(values.dtype)
        mean = (values * mask[:, None]).sum(2) / count
        square = ((values - mean[..., None]).square() * mask[:, None]).sum(2) / count
        return torch.cat([mean, (square + POOL_EPS).sqrt()], dim=1)

    def name_speaker(self, embeddings: Tensor, reverse: bool = False) -> Tensor:
        """As `SpeakerNetwork.name_speaker`."""
        assert self.speaker is not None
        logits: Tensor = self.speaker(self.reversal(embeddings) if reverse else embeddings)
        return logits


def plain_classifier(in_dim: int, n_classes: int) -> nn.Sequential:
    units, dropout = OPTIONS.model.head, OPTIONS.model.dropout
    layers: list[nn.Module] = []
    for before in (in_dim, units):
        layers += [nn.Linear(before, units), nn.ReLU(), nn.BatchNorm1d(units), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(units, n_classes))


def linears(classifier: Classifier | nn.Sequential) -> list[nn.Linear]:
    return [layer for layer in classifier.modules() if isinstance(layer, nn.Linear)]


def systems() -> list[str]:
    """Return the systems that are networks, SER_only first."""
    return sorted((name for name in system_names() if system_info(name).network), key=lambda name: name != BASELINE)


def build(system: str, sizes: ModelOptions = OPTIONS.model) -> SpeakerNetwork:
    torch.manual_seed(0)
    network = SpeakerNetwork(sizes, DIM, N_CLASSES, N_SPEAKERS if system_info(system).names_speakers else None)
    network.reversal.strength = OPTIONS.dat.strength
    return network


def make_batch() -> Batch:
    torch.manual_seed(1)
    places = torch.arange(BATCH)
    lengths = FRAMES - BATCH // 2 + places
    frames = torch.randn(BATCH, 256, DIM)
    frames *= (torch.arange(256) < lengths[:, None])[..., None]
    return Batch(frames, lengths, torch.eye(N_CLASSES)[places % N_CLASSES], places % N_SPEAKERS, int(lengths.sum()))


class Training:
    """A network with what takes its steps, which for the peer is torch's own."""

    def __init__(self, system: str, network: nn.Module) -> None:
        self.system, self.network, self.batch = load_system(system), network, make_batch()
        rate, momentum = OPTIONS.training.learning_rate, OPTIONS.training.momentum
        self.optimizer = (
            NesterovSgd(network.parameters(), rate, momentum)
            if isinstance(network, SpeakerNetwork)
            else torch.optim.SGD(network.parameters(), rate, momentum=momentum, nesterov=True)
        )

    def loss(self) -> Tensor:
        """Return what the system minimises."""
        total: Tensor = self.system.losses(self.network, self.batch, OPTIONS).total
        return total

    def step(self) -> None:
        """Take a step."""
        self.network.train()
        self.optimizer.zero_grad()
        self.loss().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def validate(self) -> None:
        """Classify the batch."""
        assert isinstance(self.network, SpeakerNetwork)
        self.network.eval()
        with torch.no_grad():
            self.network.emotion(self.network.embed(self.batch.frames, self.batch.lengths, self.batch.n_valid))


def pair(system: str) -> dict[str, Training]:
    """Return ours and its peer, which have the same loss where nothing is dropped."""
    ours = build(system)
    peer = PeerNetwork(ours)
    assert count_parameters(peer) == count_parameters(ours)
    found = {"ours": Training(system, ours), "peer": Training(system, peer)}
    losses = []
    for training in found.values():
        training.network.eval()
        torch.manual_seed(2)
        losses.append(training.loss().detach())
    torch.testing.assert_close(*losses)
    return found


def compare_all(repeats: int) -> None:
    """Print how long a step and an epoch of each system take."""
    pairs = {system: pair(system) for system in systems()}
    runs = {(system, who): training.step for system, pair_ in pairs.items() for who, training in pair_.items()}
    validation = pairs[BASELINE]["ours"].validate
    for run in runs.values():
        run()
    named = {f"{system} {who}": run for (system, who), run in runs.items()}
    times = best_by_turns({**named, "validation": validation}, repeats=repeats)
    ms = {name: 1000 * taken for name, taken in times.items()}
    epochs = {
        system: (EPOCH_STEPS * ms[f"{system} ours"] + VALIDATION_BATCHES * ms["validation"]) / 1000 for system in pairs
    }
    for system in pairs:
        ours, peer = ms[f"{system} ours"], ms[f"{system} peer"]
        print_comparison(f"invariance_step_{system}", ours, peer, "ms/step")
        single = ms[f"{BASELINE} ours"]
        line = {"name": f"invariance_step_{system}_to_ser_only", "ours": round(ours, 1), "peer": round(single, 1)}
        print(json.dumps({**line, "ratio": round(ours / single, 2), "unit": "ms/step"}), flush=True)
        print_comparison(f"invariance_epoch_{system}_to_ser_only", epochs[system], epochs[BASELINE], "s/epoch")


def peak_mb(system: str, who: str) -> float:
    """Return how far memory rises in three steps, in this process."""
    torch.set_num_threads(1)
    ours = build(system)
    training = Training(system, ours if who == "ours" else PeerNetwork(ours))
    return rise_mb(training.step)


def compare_memory() -> None:
    for system in systems():
        peaks = {}
        for who in ("ours", "peer"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                peaks[who] = pool.apply(peak_mb, (system, who))
        print_comparison(f"invariance_memory_{system}", peaks["ours"], peaks["peer"], "MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    parser.add_argument("--repeats", type=int, default=5, help="turns, of which the best counts (default 5)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        compare_memory()
    else:
        compare_all(arguments.repeats)


if __name__ == "__main__":
    main()
