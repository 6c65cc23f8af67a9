"""Speed and memory of an update of the speaker-normalisation paper, at base size with random weights.

Ours is what a fit does: the study's network and loss in `serflow.training.fit`. The peer is a plain loop over
transformers' `Wav2Vec2Model` with the same three heads: batches padded by the library's feature extractor, its own
schedule of the rate, clipping, accumulation: what its `Trainer` runs, which itself needs another package (accelerate).
Both shuffle at random; ours is also timed with batches of similar length. Utterances are noise as long as speech is in
IEMOCAP (log-normal, median 3.7 s); what is compared is the time of the same updates, on one thread.

With ``--memory`` how far an update lifts the memory of a process (MB), with and without gradient checkpointing.
"""

import argparse
import json
import multiprocessing
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, product

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model, get_linear_schedule_with_warmup

from _common import best_by_turns, print_comparison
from _memory import rise_mb
from serflow.audio.waveform import FloatArray
from serflow.backbones._wav2vec2_files import NARROW, PREPROCESSOR
from serflow.backbones._wav2vec2_network import Wav2Vec2
from serflow.studies.speakernorm.losses import Batch, joint_losses
from serflow.studies.speakernorm.network import SpeakerNormNetwork
from serflow.studies.speakernorm.options import Options
from serflow.studies.speakernorm.train import warm_up_and_decay
from serflow.training.batching import bucketed_batches, shuffled_batches
from serflow.training.optimizers import BETAS, Adam

N_CLASSES, N_SYMBOLS, N_SPEAKERS, RATE = 4, 32, 10, 16_000
# hidden sizes of facebook/wav2vec2-base are the defaults of the class
BASE = {"layerdrop": 0.0, "final_dropout": 0.0}
SMALL = {"num_hidden_layers": 3, **NARROW}
Update = Callable[[Sequence[list[int]]], None]


def lengths_of(n: int, longest_s: float) -> list[int]:
    """Return samples of utterances as long as IEMOCAP's."""
    seconds = np.random.default_rng(0).lognormal(np.log(3.7), 0.55, n)
    found: list[int] = (RATE * np.clip(seconds, 0.6, longest_s)).astype(int).tolist()
    return found


def utterance(n_samples: int) -> FloatArray:
    return (0.1 * np.random.default_rng(n_samples).standard_normal(n_samples)).astype(np.float32)


def transcript(n_samples: int) -> list[int]:
    """Return symbols, about twelve a second."""
    n = max(1, 12 * n_samples // RATE)
    symbols: list[int] = np.random.default_rng(n_samples).integers(5, N_SYMBOLS, n).tolist()
    return symbols


class Peer(nn.Module):
    """What a user of transformers writes: its model, three linear heads, the mean over time."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.model = Wav2Vec2Model(config)
        self.emotion = nn.Linear(config.hidden_size, N_CLASSES)
        self.symbols = nn.Linear(config.hidden_size, N_SYMBOLS)
        self.speaker = nn.Linear(config.hidden_size, N_SPEAKERS)

    def forward(self, waveforms: Tensor, spelt: list[list[int]]) -> Tensor:
        """Return the joint loss of a batch."""
        states = self.model(waveforms).last_hidden_state
        pooled = states.mean(1)
        n = len(waveforms)
        targets = torch.arange(n, device=waveforms.device)
        log_probabilities = self.symbols(states).float().log_softmax(2).transpose(0, 1)
        ctc = F.ctc_loss(
            log_probabilities, torch.tensor(list(chain.from_iterable(spelt))), torch.full((n,), states.shape[1]),
            torch.tensor(list(map(len, spelt))), reduction="sum",
        )  # fmt: skip
        emotion = F.cross_entropy(self.emotion(pooled), targets % N_CLASSES)
        return emotion + 0.1 * ctc + F.cross_entropy(self.speaker(pooled), targets % N_SPEAKERS)


def our_update(options: Options, config: Wav2Vec2Config, device: torch.device) -> Update:
    """Return an update as a fit runs it, on the lengths of its batches."""
    torch.manual_seed(0)
    backbone = Wav2Vec2(Wav2Vec2Model(config), PREPROCESSOR).checkpoint_gradients(options.training.checkpointing)
    network = SpeakerNormNetwork(backbone, options, N_CLASSES, N_SYMBOLS, N_SPEAKERS).to(device).train()
    optimizer = Adam(network.parameters(), options.training.learning_rate, BETAS)
    rate = warm_up_and_decay(1_000, options.training)

    def update(batches: Sequence[list[int]]) -> None:
        for lengths in batches:
            batch = batch_of(lengths, device)
            found = network(batch.waveforms, batch.n_samples)
            total = joint_losses(found, batch, options, 0).total / len(batches)
            total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = options.training.learning_rate * rate(1, [])
        optimizer.step()
        optimizer.zero_grad()
        _wait(device)

    return update


def batch_of(lengths: list[int], device: torch.device) -> Batch:
    waveforms = torch.zeros(len(lengths), max(lengths))
    for place, n in enumerate(lengths):
        waveforms[place, :n] = torch.from_numpy(utterance(n))
    spelt = [transcript(n) for n in lengths]
    numbers = torch.arange(len(lengths))
    return Batch(
        waveforms.to(device), torch.tensor(lengths, device=device), torch.eye(N_CLASSES, device=device)[numbers % 4],
        torch.tensor(list(chain.from_iterable(spelt))), torch.tensor(list(map(len, spelt))), numbers.to(device),
    )  # fmt: skip


def peer_update(options: Options, config: Wav2Vec2Config, device: torch.device) -> Update:
    """Return the same update of a plain loop."""
    torch.manual_seed(0)
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=False)  # type: ignore[no-untyped-call]
    network = Peer(config).to(device).train()
    if options.training.checkpointing:
        network.model.activation_checkpointing_enable()
    optimizer = torch.optim.AdamW(network.parameters(), options.training.learning_rate, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, 100, 1_000)  # type: ignore[no-untyped-call]

    def update(batches: Sequence[list[int]]) -> None:
        for lengths in batches:
            padded = extractor(list(map(utterance, lengths)), sampling_rate=RATE, padding=True, return_tensors="pt")
            loss = network(padded.input_values.to(device), list(map(transcript, lengths)))
            (loss / len(batches)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        _wait(device)

    return update


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def dealt(lengths: list[int], options: Options) -> list[list[int]]:
    """Return the lengths of each batch of an epoch."""
    generator = np.random.default_rng(1)
    size, every = options.training.batch_size, np.array(lengths)
    deal = bucketed_batches(every, size, generator) if options.training.bucketing else shuffled_batches(
        len(lengths), size, generator
    )  # fmt: skip
    return [every[places].tolist() for places in deal]


def run_epoch(update: Update, batches: Sequence[list[int]], accumulate: int) -> None:
    """Run an epoch of batches."""
    for first in range(0, len(batches), accumulate):
        update(batches[first : first + accumulate])


def compare(arguments: argparse.Namespace, config: Wav2Vec2Config) -> None:
    device, lengths = torch.device(arguments.device), lengths_of(8 * arguments.updates, arguments.longest)
    for pool, kept in product(arguments.pools, arguments.activations):
        training = {"checkpointing": kept == "checkpointed"}
        own = Options.model_validate({"pool": pool, "speaker": {"beta": 1.0}, "training": training})
        similar = own.model_copy(update={"training": own.training.model_copy(update={"bucketing": True})})
        ours, peer = our_update(own, config, device), peer_update(own, config, device)
        runs = {"ours": (ours, own), "peer": (peer, own), "bucketed": (ours, similar)}
        turns: dict[str, Callable[[], object]] = {
            name: partial(run_epoch, run, dealt(lengths, options), own.training.accumulate)
            for name, (run, options) in runs.items()
        }
        best = {name: 1000 * taken / arguments.updates for name, taken in best_by_turns(turns, 2).items()}
        named = f"{pool}, {kept}"
        print_comparison(f"update, {named}", best["ours"], best["peer"], "ms/update")
        print_comparison(f"update, {named}, bucketed", best["bucketed"], best["peer"], "ms/update")
        # before the next pair is built
        del ours, peer, runs, turns


def update_mb(which: str, checkpointing: bool, small: bool) -> float:
    """Return how far updates of two utterances of 6 s lift the memory of a process that has the network (MB)."""
    torch.set_num_threads(1)
    training = {"checkpointing": checkpointing, "accumulate": 1}
    options = Options.model_validate({"speaker": {"beta": 1.0}, "training": training})
    make = our_update if which == "ours" else peer_update
    update = make(options, Wav2Vec2Config(**{**BASE, **(SMALL if small else {})}), torch.device("cpu"))
    return rise_mb(lambda: update([[6 * RATE, 5 * RATE]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--updates", type=int, default=2, help="updates of eight utterances to time")
    parser.add_argument("--longest", type=float, default=15.0, help="seconds at which utterances are cut")
    parser.add_argument("--pools", nargs="+", default=["mean", "masked_mean"], help="mean, masked_mean")
    parser.add_argument("--activations", nargs="+", default=["kept", "checkpointed"], help="kept, checkpointed")
    parser.add_argument("--small", action="store_true", help="the stand-in's size instead of the base model's")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.memory:
        config = Wav2Vec2Config(**{**BASE, **(SMALL if arguments.small else {})})
        compare(arguments, config)
        return
    for checkpointing in (False, True):
        found = {}
        for which in ("ours", "peer"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found[which] = pool.apply(update_mb, (which, checkpointing, arguments.small))
        named = f"memory{', checkpointed' * checkpointing}"
        print(json.dumps({"name": named, **{k: round(v) for k, v in found.items()}, "unit": "MB"}), flush=True)


if __name__ == "__main__":
    main()
