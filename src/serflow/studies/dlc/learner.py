"""How a network is trained on a fold: batches as its method asks for, its stages in turn, its critic apart."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from serflow.devices import autocast
from serflow.protocols.folds import FoldRows
from serflow.studies.dlc.data import Batch, CellData, IntArray
from serflow.studies.dlc.models import Network, Outcome, Precision
from serflow.studies.dlc.options import Options
from serflow.training.batching import (
    balanced_batches,
    bucketed_batches,
    dialogue_batches,
    homogeneous_batches,
    ordered_batches,
)
from serflow.training.checkpoints import Checkpoint, key_of
from serflow.training.fit import Fitted, Losses, LossMeans, Optimizer, Schedule, fit
from serflow.training.gathered import Gathered
from serflow.training.graphs import wanted
from serflow.training.metrics import unweighted_accuracy
from serflow.training.optimizers import OPTIMIZERS
from serflow.training.seeds import numpy_generator, seed_from

# how the authors' code trains HFFN's fusion, where it is trained in stages
FUSION_OPTIMIZER = "rmsprop"

BatchMaker = Callable[[IntArray], Batch]


class Dealer(NamedTuple):
    """Deals the utterances of a fit to batches, as its method asks for.

    ``kind`` is a method's ``batches``, ``experts`` the place of each utterance's condition among those of training,
    ``size`` the utterances in a batch, or the dialogues where ``unit`` says so.
    """

    kind: str
    data: CellData
    experts: IntArray
    size: int
    unit: Literal["utterances", "dialogues"] = "utterances"

    def train(self, rows: IntArray, generator: np.random.Generator) -> list[IntArray]:
        """Return training batches: arrays of rows of the data."""
        lengths, groups = self.data.lengths[rows], self.experts[rows]
        if self.kind == "homogeneous":
            found = homogeneous_batches(lengths, groups, self.size, generator)
        elif self.kind == "balanced":
            found = balanced_batches(lengths, groups, self.size, generator)
        elif self.kind == "dialogues":
            found = dialogue_batches(*self._turns(rows), self.size, generator, unit=self.unit)
        else:
            found = bucketed_batches(lengths, self.size, generator)
        return [rows[places] for places in found]

    def test(self, rows: IntArray) -> list[IntArray]:
        """Return batches to validate or test on: places in ``rows``."""
        if self.kind == "dialogues":
            return dialogue_batches(*self._turns(rows), self.size, unit=self.unit)
        return ordered_batches(self.data.lengths[rows], self.size)

    def _turns(self, rows: IntArray) -> tuple[list[str], IntArray]:
        assert self.data.text is not None
        return [self.data.text.dialogues[row] for row in rows], self.data.text.turns[rows]


class Predicted:
    """Targets and predictions of an epoch, kept where they were made until its UA is asked for."""

    def __init__(self) -> None:
        self._targets = Gathered()
        self._predictions = Gathered()

    def add(self, targets: Tensor, logits: Tensor) -> None:
        """Take in a batch, ``(batch, classes)`` each."""
        self._targets.add(targets)
        self._predictions.add(logits.argmax(1))

    def ua(self) -> float:
        """Return the UA of all batches."""
        return unweighted_accuracy(self._targets.read().cpu().numpy(), self._predictions.read().cpu().numpy())


def losses_of(batch: Batch, found: Outcome) -> Losses:
    """Return what a network made of a batch, as the training loop takes it."""
    return Losses(found.total, found.terms, len(batch.targets), found.logits)


@dataclass
class Validation:
    """What a network makes of the validation utterances, gathered batch by batch."""

    losses: LossMeans = field(default_factory=LossMeans)
    predicted: Predicted = field(default_factory=Predicted)

    def add(self, batch: Batch, found: Outcome) -> None:
        """Take in a batch."""
        self.losses.add(losses_of(batch, found))
        self.predicted.add(batch.targets, found.logits)


@dataclass
class StageLearner:
    """A stage of a network's training, for `serflow.training.fit`; a period is an epoch.

    ``dealer`` and ``make_batch`` lead from rows to lists of rows, and from these to a batch; ``class_weights`` are
    ``(classes,)``; ``precision`` makes the context to compute in; ``names`` are what the order of the data depends on.
    ``apart`` holds what the network trains apart, where there is something.
    """

    network: Network
    stage: str
    dealer: Dealer
    fold: FoldRows
    make_batch: BatchMaker
    class_weights: Tensor
    precision: Precision
    names: Sequence[str | int]
    apart: Optimizer | None
    _trained: Predicted = field(init=False)

    def start(self, period: int) -> Mapping[str, float]:
        """Set ramps and what stands still, then let the critic learn."""
        self._trained = Predicted()
        self.network.start_epoch(period, self.stage)
        if self.apart is None:
            return {}
        # a small corpus has fewer batches than a critic wants
        endless = itertools.chain.from_iterable(self._shuffled(f"critic {turn}", period) for turn in itertools.count())
        return self.network.acoustic.learn_apart(endless, self.apart, self.precision)

    def batches(self, period: int) -> Iterator[Batch]:
        """Return all training utterances, dealt to batches as the method asks for."""
        return self._shuffled("batches", period)

    def losses(self, batch: Batch) -> Losses:
        """Return what the stage minimises, and its terms."""
        return losses_of(batch, self._run(batch))

    def take_in(self, batch: Batch, losses: Losses) -> None:
        """Keep what was predicted of a training batch."""
        assert losses.logits is not None
        self._trained.add(batch.targets, losses.logits)

    def validate(self) -> Mapping[str, float]:
        """Return UA of the training as it went along, and UA and loss of validation."""
        found = Validation()
        for batch in self.validation_batches():
            found.add(batch, self._run(batch))
        return self.validated(found)

    def validation_batches(self) -> Iterator[Batch]:
        """Return all validation utterances, shortest first where the method does not ask for dialogues."""
        for places in self.dealer.test(self.fold.val):
            yield self.make_batch(self.fold.val[places])

    def validated(self, found: Validation) -> Mapping[str, float]:
        """Return the values of an epoch, given what the network made of the validation batches."""
        val_loss = found.losses.read(f"{' '.join(map(str, self.names))}, validation")["loss"]
        return {"train_ua": self._trained.ua(), "val_loss": val_loss, "val_ua": found.predicted.ua()}

    def _run(self, batch: Batch) -> Outcome:
        with self.precision():
            return self.network.losses(batch, self.class_weights, self.stage)

    def _shuffled(self, purpose: str, period: int) -> Iterator[Batch]:
        for rows in self.dealer.train(self.fold.train, numpy_generator(purpose, *self.names, period)):
            yield self.make_batch(rows)


@torch.no_grad()
def settled_maker(
    network: Network, stage: str, dealer: Dealer, fold: FoldRows, make_batch: BatchMaker, precision: Precision
) -> BatchMaker:
    """Return what makes batches of training and validation with what a stage leaves as it is, in place of features.

    That is run once, instead of in each epoch, and kept where the network is: some hundred values of an utterance.
    ``make_batch`` comes back where a stage leaves nothing.
    """
    network.start_epoch(0, stage)
    network.eval()
    kept: dict[str, Tensor] = {}
    n_rows = 1 + max(int(fold.train.max()), int(fold.val.max()))
    for rows in (part[places] for part in (fold.train, fold.val) for places in dealer.test(part)):
        batch = make_batch(rows)
        with precision():
            found = network.settled(batch, stage)
        if found is None:
            return make_batch
        at = torch.from_numpy(rows).to(found.device)
        facts = {"lengths": batch.lengths, "targets": batch.targets, "conditions": batch.conditions, "settled": found}
        for name, values in facts.items():
            if name not in kept:
                kept[name] = values.new_zeros(n_rows, *values.shape[1:])
            kept[name][at] = values

    def make(wanted: IntArray) -> Batch:
        at = torch.from_numpy(wanted).to(kept["settled"].device)
        lengths, targets, conditions, settled = (values.index_select(0, at) for values in kept.values())
        nothing = targets.new_empty(len(wanted), 0, 0)
        return Batch(nothing, nothing, lengths, targets, conditions, settled=settled)

    return make


class StagePlan(NamedTuple):
    """How a stage is trained: at most ``epochs``, in batches of so many dialogues, or as the dealer deals (None)."""

    optimizer: str
    learning_rate: float
    epochs: int
    dialogues: int | None = None


def stage_plan(stage: str, options: Options) -> StagePlan:
    """Return how a stage is trained; that of a network of one stage is ``all``."""
    training, staged = options.training, options.staged
    plan = StagePlan(training.optimizer, training.learning_rate, training.max_epochs)
    if stage == "lexical":
        return plan._replace(
            learning_rate=staged.lexical_learning_rate or plan.learning_rate,
            epochs=staged.lexical_epochs or plan.epochs,
        )
    if stage == "fusion":
        epochs = staged.fusion_epochs or plan.epochs
        return StagePlan(FUSION_OPTIMIZER, staged.fusion_learning_rate, epochs, staged.fusion_dialogues)
    return plan


class Prepared(NamedTuple):
    """A network that is ready to be trained on a fold, in place.

    ``dealer`` and ``make_batch`` lead from rows to lists of rows, and from these to a batch; ``fold`` has the rows of
    training and validation; ``class_weights`` are ``(classes,)``, on the device to train on; random numbers depend on
    ``names``; ``where`` is what the log calls the fit.
    """

    network: Network
    dealer: Dealer
    fold: FoldRows
    make_batch: BatchMaker
    class_weights: Tensor
    names: Sequence[str | int]
    where: str

    @property
    def device(self) -> torch.device:
        """Where the network is trained."""
        return self.class_weights.device


def train_stages(prepared: Prepared, options: Options, checkpoint: Checkpoint) -> tuple[Fitted, list[dict[str, Any]]]:
    """Train all stages of a network in turn.

    Parameters
    ----------
    prepared
        What is trained.
    options
        Of the method.
    checkpoint
        Where the state goes; a network of several stages has a file for each.

    Returns
    -------
    Fitted, list
        What the last stage ended with, and the histories of all, each row with its ``stage``.
    """
    network, dealer, names, where = prepared.network, prepared.dealer, prepared.names, prepared.where
    training = options.training
    precision = autocast(prepared.device, training.precision)
    graphs_on = prepared.device if wanted(training.graphs, prepared.device) else None
    several = len(network.stages) > 1
    history: list[dict[str, Any]] = []
    for stage in network.stages:
        plan = stage_plan(stage, options)
        optimizers: dict[str, Optimizer] = {
            "main": OPTIMIZERS[plan.optimizer](network.parameters_of(stage), plan.learning_rate)
        }
        critic = network.acoustic.trained_apart()
        if critic is not None:
            optimizers["critic"] = OPTIMIZERS[training.optimizer](critic.parameters(), training.learning_rate)
        seeded = (*names, stage) if several else tuple(names)
        learner = StageLearner(
            network,
            stage,
            dealer if plan.dialogues is None else dealer._replace(size=plan.dialogues, unit="dialogues"),
            prepared.fold,
            settled_maker(network, stage, dealer, prepared.fold, prepared.make_batch, precision),
            prepared.class_weights,
            precision,
            seeded,
            optimizers.get("critic"),
        )
        fitted = fit(
            learner,
            optimizers,
            Schedule(plan.epochs, select="val_ua", patience=training.patience),
            name=f"{where}, {stage}" if several else where,
            seed=seed_from(*seeded),
            checkpoint=_checkpoint_of(checkpoint, stage) if several else checkpoint,
            after=learner.take_in,
            graphs_on=graphs_on,
        )
        history += history_of(stage, fitted)
    return fitted, history


def history_of(stage: str, fitted: Fitted) -> list[dict[str, Any]]:
    """Return the history of a stage, each row with its ``stage``."""
    return [{"stage": stage, **row} for row in fitted.history]


def _checkpoint_of(checkpoint: Checkpoint, stage: str) -> Checkpoint:
    path, key = checkpoint.path.with_suffix(f".{stage}.pt"), key_of(checkpoint.key, stage)
    return Checkpoint(path, key, checkpoint.every_s)
