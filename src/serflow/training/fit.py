"""The training loop: periods of updates, each followed by validation; best and last weights; resumable.

A study writes a `Learner`: its network with its data and its losses. The loop moves the weights, keeps the history and
the best weights, and writes the state of a fit between periods. A period is an epoch or any number of updates: as
many batches as the learner gives.
"""

import itertools
import logging
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from serflow.errors import TrainingError
from serflow.training.checkpoints import Checkpoint
from serflow.training.gathered import Gathered
from serflow.training.graphs import CudaRecorder, GraphedSteps
from serflow.training.seeds import seed_torch

log = logging.getLogger(__name__)

BatchT = TypeVar("BatchT")
Row = dict[str, float]
_ADVICE = "lower training.learning_rate, or set training.precision to fp32"


class Losses(NamedTuple):
    """What is made of a training batch: the loss to minimise, its terms by name, and the items that it is a mean of.

    Every batch of a period has the same terms. ``logits`` ``(batch, classes)`` are there where a learner wants to see
    them again in what `fit` calls after a step.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    n: int
    logits: Tensor | None = None


class Learner(Protocol[BatchT]):
    """What `fit` trains: a network with its data and its losses.

    What a period does may depend on the network, on the period's number and on nothing else that training changes:
    else a fit that goes on after a period would not end as an uninterrupted one. Values for the history are finite; one
    that a period does not have is left out.
    """

    @property
    def network(self) -> nn.Module:
        """All that is trained; ``fit`` switches it between training and evaluation.

        A parameter that no optimiser holds stands still, and what builds the network gives it the same values again.
        """

    def start(self, period: int) -> Mapping[str, float]:
        """Prepare a period, in training mode: ramps, parts that stand still, the steps of a critic.

        Returns values for the history. Where steps are captured as graphs, what `losses` reads of it is a tensor that
        is changed in place; see `serflow.training.graphs`.
        """

    def batches(self, period: int) -> Iterable[BatchT]:
        """Return the training batches of a period."""

    def losses(self, batch: BatchT) -> Losses:
        """Run the network on a training batch; may take gradients of its own, e.g. of the input.

        It leaves nothing behind but gradients and what the network's buffers hold.
        """

    def validate(self) -> Mapping[str, float]:
        """Return values by name, e.g. ``val_ua``, after a period; called in evaluation mode and without gradients."""


class Optimizer(Protocol):
    """What moves the weights: :class:`torch.optim.Optimizer`, or anything with these members of it."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of parameters: each has a list ``params`` and its learning rate ``lr``, which `fit` sets."""

    def zero_grad(self) -> None:
        """Forget all gradients."""

    def step(self) -> Any:
        """Move each parameter that has a gradient."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a later `load_state_dict` needs to go on: tensors and plain values."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Go on from a `state_dict`."""


def constant(update: int, history: Sequence[Mapping[str, float]]) -> float:
    """Return 1: a learning rate that stays as it is."""
    return 1.0


@dataclass(frozen=True)
class Schedule:
    """How long a fit goes on, which period it keeps, and how it moves.

    Parameters
    ----------
    periods
        At most.
    select
        Value of the history whose highest period is the best; None where the last period is the one to keep.
    patience
        Periods without a higher value after which the fit ends; None for no early stopping.
    accumulate
        Batches that make an update; see `fit`.
    clip_norm
        Bound of the norm of all gradients of an update together; None for no bound.
    rate
        Factor of the learning rates, given the number of the update (from 0) and the history of the periods before.
    """

    periods: int
    select: str | None
    patience: int | None = None
    accumulate: int = 1
    clip_norm: float | None = None
    rate: Callable[[int, Sequence[Mapping[str, float]]], float] = constant

    def __post_init__(self) -> None:
        if self.periods < 1 or self.accumulate < 1:
            raise ValueError(f"at least one period, and one batch an update, are needed: {self}")
        if self.patience is not None and self.select is None:
            raise ValueError("patience needs a value to select by")

    def goes_on(self, n_periods: int, best_period: int) -> bool:
        """Tell whether there is another period after ``n_periods``, of which ``best_period`` is the best."""
        stale = n_periods - 1 - best_period
        return n_periods < self.periods and (self.patience is None or stale < self.patience)


class Fitted(NamedTuple):
    """Weights of the best and of the last period, on the CPU; which the best is (from 0); a row for each period."""

    best: dict[str, Tensor]
    last: dict[str, Tensor]
    best_period: int
    history: list[Row]


class LossMeans:
    """Means of a loss and of its terms over items, gathered batch by batch.

    Values are read once, at the end: asking for each would make a GPU wait for every batch.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._values = Gathered()
        self._sizes: list[int] = []

    def add(self, losses: Losses) -> None:
        """Take in a batch."""
        self._names = ["loss", *losses.terms]
        self._values.add(torch.stack([losses.total, *losses.terms.values()])[None])
        self._sizes.append(losses.n)

    def read(self, where: str) -> Row:
        """Return ``loss`` and the terms.

        Raises
        ------
        TrainingError
            If there was no batch, or the loss of one is not finite; begins with ``where``.
        """
        if not len(self._values):
            raise TrainingError(f"{where}: there is no batch; use more utterances")
        values = self._values.read().double().cpu().numpy()
        broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(broken):
            found = ", ".join(
                f"{name} {value:g}" for name, value in zip(self._names, values[broken[0]].tolist(), strict=True)
            )
            raise TrainingError(f"{where}, batch {broken[0]}: the loss is not finite ({found}); {_ADVICE}")
        means = np.average(values, axis=0, weights=self._sizes)
        return dict(zip(self._names, means.tolist(), strict=True))


def fit(
    learner: Learner[BatchT],
    optimizers: Mapping[str, Optimizer],
    schedule: Schedule,
    *,
    name: str,
    seed: int,
    checkpoint: Checkpoint,
    after: Callable[[BatchT, Losses], None] | None = None,
    graphs_on: torch.device | None = None,
) -> Fitted:
    """Train until the schedule ends it; the network is left with the best weights, in evaluation mode.

    The state is written after the first period and then after each that ends ``checkpoint.every_s`` later than the last
    writing, but for parameters that no optimiser holds. Random numbers depend on the
    seed and the period alone, so a killed fit goes on after the last period written to the same result, bit for bit.

    An update over several batches is that of one batch with the items of all, where losses are means over items:
    batches count by their `Losses.n`. A period's last update takes the batches that are left, which then are the mean
    of fewer items, as the last batch of an epoch is; no gradient goes from one period to the next.

    Parameters
    ----------
    learner
        What is trained.
    optimizers
        ``main`` is stepped here, with the rates of the schedule. Others are stepped by the learner; their state is
        written with the rest.
    schedule
        For how long, and how.
    name
        What the log, the progress bar and errors call this fit.
    seed
        Of dropout, and of all else that takes its random numbers from torch.
    checkpoint
        Where the state goes.
    after
        Called with each training batch and what was made of it, which lasts no longer than the call.
    graphs_on
        A GPU on which steps whose batches are of a shape that came before are graphs; None for none. An update is then
        of one batch.

    Raises
    ------
    TrainingError
        If a loss, or another value for the history, is not finite.
    StoreError
        If the state on disk is damaged.
    """
    network = learner.network
    if graphs_on is not None and schedule.accumulate > 1:
        raise ValueError("an update over several batches is not captured as a graph")
    graphs = None if graphs_on is None else GraphedSteps(_passes(learner), network, graphs_on, CudaRecorder(graphs_on))
    rates = [group["lr"] for group in optimizers["main"].param_groups]
    standing = _standing(network, optimizers)

    def weights() -> dict[str, Tensor]:
        return {key: value for key, value in network.state_dict().items() if key not in standing}

    course = _resume(network, optimizers, checkpoint)
    history = course.history
    written = -math.inf
    if history:
        log.info("%s: goes on after period %d", name, len(history) - 1)
    with periods_bar(name, schedule, len(history)) as bar:
        while schedule.goes_on(len(history), course.best_period):
            period = len(history)
            where = f"{name}, period {period}"
            seed_torch("epoch", seed, period)
            network.train()
            started = learner.start(period)
            trained, updates = _train(
                learner, graphs or _passes(learner), after, optimizers["main"], schedule, rates, history, where
            )
            network.eval()
            with torch.no_grad():
                validated = learner.validate()
            row = {"period": period, "updates": updates, **joined(where, started, trained, validated)}
            course.take(row, schedule, weights, where)
            if time.monotonic() - written >= checkpoint.every_s:
                checkpoint.save(
                    {
                        "network": weights(),
                        "optimizers": {key: optimizer.state_dict() for key, optimizer in optimizers.items()},
                        **course.state(),
                    }
                )
                written = time.monotonic()
            bar.set_postfix({key: f"{row[key]:.3f}" for key in ("loss", schedule.select) if key is not None})
            bar.update()
    if graphs is not None:
        log.info("%s: %s", name, graphs.said())
    return ended(network, course, schedule)


@dataclass
class Course:
    """How far a fit has come: a row for each period, which of them is the best, and its weights."""

    history: list[Row] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_period: int = -1

    def take(self, row: Row, schedule: Schedule, weights: Callable[[], Mapping[str, Tensor]], where: str) -> None:
        """Take in the period that has ended; ``weights`` gives those that may change in training.

        Raises
        ------
        ValueError
            If the row lacks the value to select by.
        """
        period = len(self.history)
        self.history.append(row)
        if schedule.select is None:
            self.best_period = period
        elif schedule.select not in row:
            raise ValueError(f"{where}: no {schedule.select} to select by, only {', '.join(row)}")
        elif self.best_period < 0 or row[schedule.select] > self.history[self.best_period][schedule.select]:
            self.best_period = period
            self.best = {key: value.detach().clone() for key, value in weights().items()}
        log.info(
            "%s: %s%s", where,
            ", ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "period"),
            " (best)" if schedule.select is not None and self.best_period == period else "",
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Return its part of the state of a fit on disk."""
        return {"history": self.history, "best": self.best, "best_period": self.best_period}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Course":
        """Return what `state` gave."""
        return cls(state["history"], state["best"], state["best_period"])


def ended(network: nn.Module, course: Course, schedule: Schedule) -> Fitted:
    """Return what a fit that is over leaves; its network gets the best weights, and goes into evaluation mode."""
    last = {key: value.detach().to("cpu", copy=True) for key, value in network.state_dict().items()}
    network.eval()
    if schedule.select is None:
        return Fitted(last, last, course.best_period, course.history)
    load_weights(network, course.best)
    best = {key: value.cpu() for key, value in {**last, **course.best}.items()}
    return Fitted(best, last, course.best_period, course.history)


def periods_bar(name: str, schedule: Schedule, done: int) -> Any:
    """Return a progress bar of periods, which a terminal alone shows."""
    return tqdm(
        desc=name, total=schedule.periods, initial=done, unit="period", leave=False, disable=not sys.stderr.isatty()
    )


def _standing(network: nn.Module, optimizers: Mapping[str, Optimizer]) -> set[str]:
    """Return the parameters that no optimiser moves, as frozen parts of a pretrained network: they are not written."""
    moved = {
        id(parameter)
        for optimizer in optimizers.values()
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    return {name for name, parameter in network.named_parameters() if id(parameter) not in moved}


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put named weights in the place of a network's own; it keeps those that are not among them."""
    network.load_state_dict({**network.state_dict(), **weights})


def _resume(network: nn.Module, optimizers: Mapping[str, Optimizer], checkpoint: Checkpoint) -> Course:
    """Go on from the state on disk, if there is one; return how far that fit had come."""
    state = checkpoint.load()
    if state is None:
        return Course()
    load_weights(network, state["network"])
    for key, optimizer in optimizers.items():
        optimizer.load_state_dict(state["optimizers"][key])
    return Course.of(state)


def _passes(learner: Learner[BatchT]) -> Callable[[BatchT], Losses]:
    """Return what runs both passes on a batch."""

    def run(batch: BatchT) -> Losses:
        found = learner.losses(batch)
        found.total.backward()  # type: ignore[no-untyped-call]
        return found

    return run


def _train(
    learner: Learner[BatchT],
    passes: Callable[[BatchT], Losses],
    after: Callable[[BatchT, Losses], None] | None,
    optimizer: Optimizer,
    schedule: Schedule,
    rates: Sequence[float],
    history: Sequence[Row],
    where: str,
) -> tuple[Row, int]:
    """Go through the batches of a period; return the means of its losses, and the updates so far."""
    updates = int(history[-1]["updates"]) if history else 0
    means = LossMeans()
    optimizer.zero_grad()
    batches = iter(learner.batches(len(history)))
    for first in batches:
        sizes: list[int] = []
        for batch in itertools.chain([first], itertools.islice(batches, schedule.accumulate - 1)):
            if not sizes:
                found = passes(batch)
            else:
                found = learner.losses(batch)
                (found.total * (found.n / sizes[0])).backward()  # type: ignore[no-untyped-call]
            means.add(found)
            sizes.append(found.n)
            if after is not None:
                after(batch, found)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        _divide(parameters, sum(sizes) / sizes[0])
        if schedule.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, schedule.clip_norm)
        factor = schedule.rate(updates, history)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = factor * rate
        optimizer.step()
        optimizer.zero_grad()
        updates += 1
        # before the next batch is made
        del first, batch, found
    return means.read(f"{where}, training"), updates


def _divide(parameters: Sequence[Tensor], share: float) -> None:
    """Divide gradients that were added up in units of an update's first batch, which by itself is left as it is."""
    if share != 1.0:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(share)


def joined(where: str, *parts: Mapping[str, float]) -> Row:
    """Join the values of a period; a name that stands twice, or a value that is not finite, is an error."""
    row: Row = {}
    for part in parts:
        for key, value in part.items():
            if key in row or key in ("period", "updates"):
                raise ValueError(f"{where}: two values are called {key}")
            row[key] = float(value)
            if not math.isfinite(row[key]):
                raise TrainingError(f"{where}: {key} is not finite ({row[key]:g}); {_ADVICE}")
    return row
