"""What the five papers take at their own size: fits, steps, operations, FLOPs and bytes, and the time of one H100.

``python benchmarks/paper_size.py [--study dlc ...] [--markdown]``. Nothing is trained, and no time is measured. Fits
and steps are those of Snakemake's plan with ``workflow/presets/paper.yaml`` and all corpora at their published sizes. A
step of each network is counted on a CPU with made-up data, of two sizes, and a line drawn through them. It is counted
as a GPU runs it: a GRU or LSTM is one call forwards and one backwards (cuDNN), HFFN's recurrence a loop. FLOPs are
those of `torch.utils.flop_counter`: convolutions and products of matrices. Bytes are what all operations read and
write, as if nothing stayed in a cache. Validation and tests are left out.

The time of a step is the longest of three: its operations to be started, its FLOPs, its bytes. What an H100 takes for
each is assumed (`EAGER`, `GRAPH`), at best and at worst; fits that stop early end between two numbers of epochs. A line
a network: ``ours`` is its operations a step.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import Wav2Vec2Config

import invariance_step
import multigating_step
import speakernorm_step
import temporal_step
import training_step
from _common import CHECKOUT
from _kernels import Kernels
from _reckoned import EAGER, GRAPH, Counted, Device, Planned, Range
from serflow.config import Config, read_configs
from serflow.nn.gru import SmallGru
from serflow.planning.asked import Asked
from serflow.planning.hours import Hours, published_hours
from serflow.planning.work import Amount, Works, is_training
from serflow.studies.dlc import abs_lstm
from serflow.studies.speakernorm.options import Options as SpeakernormOptions
from serflow.studies.temporal.catalog import ENGINEERED
from serflow.training.graphs import mapped
from serflow.training.optimizers import Adam

CPU = torch.device("cpu")
TARGETS = {
    "dlc": "results/table1.csv", "invariance": "invariance", "temporal": "temporal", "multigating": "multigating",
    "speakernorm": "speakernorm",
}  # fmt: skip
# the rest of what paper.yaml has stand-ins for
REAL = ("corpora={mandarin: {root: Mandarin}, emodb: {root: EmoDB}, cafe: {root: CaFE}}",)
SPEAKERS = {"mandarin": 250}
"""Of corpora whose reader has no counts: Tu et al., ICASSP 2019, section 3.1."""
DLC_S = 3.0
"""Seconds of an utterance of the counted step of the DLC paper."""
SPEAKERNORM_S = 18_000 / 16_000
_MANY = "many_speakers"
_S_PER_H = 3600.0


class Utterances(Hours):
    """Tells how many utterances corpora have, in the place of hours."""

    def of(self, corpus: str) -> float | None:
        """Return the published number."""
        found = self._config.n_utterances(corpus)
        return None if found is None else float(found)

    def count(self, corpus: str, column: str) -> int | None:
        """Return how many speakers or sessions there are."""
        return SPEAKERS.get(corpus) if column == "speaker" and corpus in SPEAKERS else super().count(corpus, column)

    def mean_s(self, corpus: str) -> float | None:
        """Return the mean length (s) of an utterance, None where it is not published."""
        hours, n = published_hours().get(corpus), self.of(corpus)
        return None if hours is None or n is None else _S_PER_H * hours / n


def name_of(study: str, cell: dict[str, str], options: dict[str, Any]) -> str:
    """Return the network that a cell trains, as it is counted."""
    if study == "dlc":
        return cell["method"]
    if study == "invariance":
        wide = options["model"]["lstm"] != invariance_step.OPTIONS.model.lstm
        return f"{cell['system']}, {_MANY}" if wide else cell["system"]
    if study == "temporal" and cell["system"] == "wav2vec":
        return f"wav2vec_{options['segment_net']['fine_tune']}"
    return "base" if study == "speakernorm" else cell["system"]


def planned(study: str, config: Config, asked: Asked) -> dict[str, Planned]:
    """Return the fits of a study by network."""
    utterances = Utterances(config, asked.directory, {})
    works, found = Works(config, utterances), dict[str, Planned]()
    for job in asked.plan().jobs:
        command = job.command
        if command is None or not is_training(command.stage):
            continue
        work, options, cell = works.of(job.rule, command), command.json("options"), command.cells()[0]
        assert work.amount is not None, work.why_not
        corpora = {corpus for corpus, _, _ in command.splits()}
        lengths = [utterances.mean_s(corpus) for corpus in corpora]
        training = options["training"]
        # a joint fit is of all languages
        found.setdefault(name_of(study, cell, options), Planned()).add(
            work.made / len(corpora),
            work.amount,
            training["batch_size"] * training.get("accumulate", 1),
            lengths[0] if len(lengths) == 1 else None,
        )
    return found


Step = Callable[[], object]
Made = tuple[int, Callable[[int], Step]]
"""Items of the smaller step that is counted, and what makes a step of so many."""


def dlc_step(method: str, n: int) -> Step:
    network, batch = training_step.build(method, 128).train(), training_step.make_batch(round(100 * DLC_S), n)
    optimizer, weights = Adam(network.parameters_of("all")), torch.ones(training_step.N_CLASSES)

    def step() -> None:
        network.losses(batch, weights).total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def invariance_made(name: str, config: Config) -> Callable[[int], Step]:
    system, _, many = name.partition(", ")
    sizes = config.invariance.many_speakers.model if many else invariance_step.OPTIONS.model

    def make(n: int) -> Step:
        training = invariance_step.Training(system, invariance_step.build(system, sizes))
        kept = torch.linspace(0, invariance_step.BATCH - 1, n).round().long()
        whole = mapped(training.batch, lambda part: part[kept])
        training.batch = whole._replace(n_valid=int(whole.lengths.sum()))
        return training.step

    return make


def speakernorm_step_of(n: int) -> Step:
    """Return an update of ``n`` utterances, in batches of two: all of them count."""
    update = speakernorm_step.our_update(SpeakernormOptions(), Wav2Vec2Config(layerdrop=0.0, final_dropout=0.0), CPU)
    return lambda: update([[16_000, 20_000]] * (n // 2))


def makers(study: str, name: str, config: Config) -> Made:
    """Return what makes steps of a network."""
    if study == "dlc":
        return 8, lambda n: dlc_step(name, n)
    if study == "invariance":
        return 8, invariance_made(name, config)
    if study == "temporal" and name in ENGINEERED:
        return 2, lambda n: temporal_step.engineered_step(name, n, CPU)
    if study == "temporal":
        return 1, lambda n: temporal_step.wav2vec_steps(name.removeprefix("wav2vec_"), n, CPU)[0]
    if study == "multigating":
        return 12, lambda n: multigating_step.training_step(
            *multigating_step.build(name, CPU), multigating_step.make_batch(n, CPU), CPU
        )
    return 2, speakernorm_step_of


class Recurrences:
    """GRUs and LSTMs as cuDNN runs them: one operation forwards and one backwards. Values mean nothing.

    ``flops`` are those of the products of matrices, of which there are twice as many backwards; ``moved`` is the bytes
    of weights and frames, read in both.
    """

    def __init__(self) -> None:
        self.flops = 0
        self.moved = 0

    def of(self, module: nn.RNNBase) -> Callable[..., tuple[Tensor, Any]]:
        """Return what runs in the place of a layer's forward."""

        def forward(frames: Tensor, state: object = None) -> tuple[Tensor, Any]:
            ways = 2 if module.bidirectional else 1
            weights = list(module.parameters())
            self.flops += 3 * 2 * frames[..., 0].numel() * sum(w.numel() for w in weights if w.dim() == 2)
            self.moved += 2 * sum(tensor.numel() * tensor.element_size() for tensor in (frames, *weights))
            states: Tensor = _OneCall.apply(frames, ways * module.hidden_size, *weights)  # type: ignore[no-untyped-call]
            last = states[:, -1].reshape(len(states), ways, -1).transpose(0, 1)
            last = last.repeat(module.num_layers, 1, 1) if module.num_layers > 1 else last
            return states, (last, last) if isinstance(module, nn.LSTM) else last

        return forward


class _OneCall(torch.autograd.Function):
    """One operation forwards and one backwards."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, units: int, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(frames, *weights)
        return frames.new_zeros(*frames.shape[:-1], units)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        frames, *weights = ctx.saved_tensors
        return (torch.zeros_like(frames), None, *map(torch.empty_like, weights))


@contextmanager
def as_on_a_gpu(recurrences: Recurrences) -> Iterator[None]:
    """Run HFFN's recurrence as its loop, and GRUs and LSTMs as one call."""

    def forward(self: nn.RNNBase, *given: Any) -> tuple[Tensor, Any]:
        return recurrences.of(self)(*given)

    with (
        mock.patch.object(abs_lstm, "_Scan", abs_lstm._Steps),
        mock.patch.object(SmallGru, "forward", forward),
        mock.patch.object(nn.GRU, "forward", forward),
        mock.patch.object(nn.LSTM, "forward", forward),
    ):
        yield


def count(made: Made) -> Counted:
    """Count a step; see the module."""
    n, make = made
    once, twice = (_count_of(make(size)) for size in (n, 2 * n))
    return Counted(*((2 * one - two, (two - one) / n) for one, two in zip(once, twice, strict=True)))


def _count_of(step: Step) -> tuple[int, int, int]:
    """Return operations, FLOPs and bytes of a step."""
    recurrences, kernels, flops = Recurrences(), Kernels(), FlopCounterMode(display=False)
    with as_on_a_gpu(recurrences), flops, kernels:
        step()
    return kernels.n, flops.get_total_flops() + recurrences.flops, kernels.moved + recurrences.moved


class Line(NamedTuple):
    """What is said of a network; ``flops`` and ``moved`` are of a step, hours of one H100."""

    study: str
    network: str
    fits: float
    steps: Amount
    operations: float
    flops: float
    moved: float
    eager_h: Range
    graph_h: Range


def line(study: str, network: str, plan: Planned, counted: Counted) -> Line:
    """Reckon a network."""
    items = plan.items.most / plan.steps.most
    counted_s = {"dlc": DLC_S, "speakernorm": SPEAKERNORM_S}.get(study)
    # crops are of one length; so are, about, what the rest counts and what it trains on
    longer = plan.mean_s / counted_s if counted_s is not None and plan.mean_s is not None else 1.0
    step = counted.of(items, longer)

    def hours(device: Device) -> Range:
        best, worst = device.step_s(*step)
        return Range(plan.steps.least * best / _S_PER_H, plan.steps.most * worst / _S_PER_H)

    return Line(study, network, plan.fits, plan.steps, *step, hours(EAGER), hours(GRAPH))


def as_line(found: Line) -> str:
    """Return a line of JSON, as every benchmark prints it."""
    return json.dumps(
        {
            "name": f"paper_size_{found.study}_{found.network}".replace(", ", "_"),
            "ours": round(found.operations),
            "unit": "operations/step",
            "fits": round(found.fits),
            "steps": [round(steps) for steps in found.steps],
            "gflop": round(found.flops / 1e9, 2),
            "mb": round(found.moved / 1e6, 1),
            "reckoned_h100_h": {"eager": _rounded(found.eager_h), "graph": _rounded(found.graph_h)},
        }
    )


def _rounded(hours: Range) -> list[float]:
    return [float(f"{value:.2g}") for value in hours]


def as_markdown(lines: Sequence[Line]) -> str:
    """Return a table of studies, and one of networks."""
    studies = list(dict.fromkeys(found.study for found in lines))
    said = ["| study | fits | steps | operations | FLOPs | bytes | H100, eager (h) | H100, one graph a step (h) |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for study in studies:
        own = [found for found in lines if found.study == study]
        said.append(_row([study], own))
    said += ["", "| network | fits | steps | operations a step | GFLOP a step | MB a step | H100, eager (h) |",
             "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for found in lines:
        said.append(
            f"| {found.study} `{found.network}` | {found.fits:,.0f} | {_span(found.steps)} | {found.operations:,.0f} "
            f"| {found.flops / 1e9:,.3g} | {found.moved / 1e6:,.3g} | {_span(found.eager_h)} |"
        )
    return "\n".join(said)


def _row(names: Sequence[str], own: Sequence[Line]) -> str:
    steps = Amount(sum(found.steps.least for found in own), sum(found.steps.most for found in own))

    def total(of: Callable[[Line], float]) -> Amount:
        return Amount(*(sum(found.steps[end] * of(found) for found in own) for end in (0, 1)))

    hours = [Range(sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs))
             for pairs in ([found.eager_h for found in own], [found.graph_h for found in own])]  # fmt: skip
    cells = [
        *names, f"{sum(found.fits for found in own):,.0f}", _span(steps),
        *(_span(total(of)) for of in (lambda f: f.operations, lambda f: f.flops, lambda f: f.moved)),
        *map(_span, hours),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _span(values: tuple[float, float]) -> str:
    shown = [f"{value:.1e}".replace("e+0", "e").replace("e+", "e") if value >= 1e5 else f"{float(f'{value:.2g}'):,g}"
             for value in values]  # fmt: skip
    return shown[0] if shown[0] == shown[1] else f"{shown[0]} to {shown[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", nargs="+", choices=TARGETS, default=list(TARGETS), help="these alone")
    parser.add_argument("--markdown", action="store_true", help="print tables at the end")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    preset, lines = CHECKOUT / "workflow" / "presets" / "paper.yaml", list[Line]()
    config, _ = read_configs([CHECKOUT / "config.yaml", preset], REAL)
    with tempfile.TemporaryDirectory() as folder:
        for study in arguments.study:
            asked = Asked(TARGETS[study], Path(folder), CHECKOUT / "Snakefile", [preset], REAL)
            for network, plan in planned(study, config, asked).items():
                lines.append(line(study, network, plan, count(makers(study, network, config))))
                print(as_line(lines[-1]), flush=True)
    if arguments.markdown:
        print(as_markdown(lines))


if __name__ == "__main__":
    main()
