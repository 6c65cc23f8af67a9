"""Train and test one row on one corpus (sections 2 and 3)."""

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from serflow.devices import autocast, usable_device
from serflow.nn.parameters import count_parameters
from serflow.protocols.folds import FoldRows, IntArray
from serflow.runs.artefacts import FitResult, Tested
from serflow.runs.classes import counts_of, require_every_class, tallies_of
from serflow.studies.temporal.catalog import SYSTEMS, Cell, SystemInfo, load_network
from serflow.studies.temporal.data import (
    Batch,
    CellData,
    Files,
    crop_batch,
    crop_batches,
    load_cell,
    log_mel_statistics,
    training_batch,
    whole_batch,
    whole_batches,
)
from serflow.studies.temporal.network import parameter_groups
from serflow.studies.temporal.options import Options, TrainingOptions
from serflow.studies.temporal.protocol import folds as fold_rows
from serflow.training.batching import shuffled_batches, without_singles
from serflow.training.checkpoints import Checkpoint
from serflow.training.evaluation import predict
from serflow.training.fit import Losses, Schedule, fit
from serflow.training.graphs import wanted
from serflow.training.metrics import reference_classes, score, tally
from serflow.training.optimizers import BETAS, Adam
from serflow.training.seeds import numpy_generator, seed_from, seed_torch

__all__ = ["Cell", "Files", "Options", "folds", "load", "train_fit"]

log = logging.getLogger(__name__)
FloatArray = npt.NDArray[np.floating]
SELECT = "val_ua"


def load(files: Files, cell: Cell, options: Options, runs: Sequence[int]) -> CellData:
    """Read what the fits of a cell need; see `load_cell`."""
    return load_cell(files, SYSTEMS[cell.system], options, runs)


def folds(cell: Cell, data: CellData) -> Iterator[FoldRows]:
    """Yield the fits of a cell."""
    yield from fold_rows(data.speakers, data.roles, data.folds_used)


@dataclass
class RowLearner:
    """A row's training, for `serflow.training.fit`; a period is an epoch: one crop of each utterance."""

    network: nn.Module
    method: ModuleType
    info: SystemInfo
    options: Options
    data: CellData
    rows: FoldRows
    weights: Tensor
    device: torch.device
    names: Sequence[str | int]

    def start(self, period: int) -> Mapping[str, float]:
        """There is nothing to prepare."""
        return {}

    def batches(self, period: int) -> Iterator[Batch]:
        """Return crops of all training utterances, shuffled; a crop depends on its utterance and the epoch."""
        generator = numpy_generator("batches", *self.names, period)
        batches = shuffled_batches(len(self.rows.train), self.options.training.batch_size, generator)
        for places in without_singles(batches):
            rows = self.rows.train[places]
            yield training_batch(self.data, rows, self.options, self.info, self.device, self.names, period)

    def losses(self, batch: Batch) -> Losses:
        """Return the cross-entropy, and those of the segment classifiers."""
        with self._autocast():
            losses: Losses = self.method.losses(self.network, batch, self.weights)
        return losses

    def validate(self) -> Mapping[str, float]:
        """Return UA and accuracy (WA) on the validation speakers."""
        found = tally(self.data.examples.targets[self.rows.val], self.classify(self.rows.val).argmax(1))
        return {"val_ua": score(found, "ua"), "val_wa": score(found, "wa")}

    def classify(self, rows: IntArray) -> FloatArray:
        """Return the probabilities of the emotions, ``(n, classes)``: of whole utterances, or means over crops."""
        if self.options.test == "full":
            return predict(
                self.network,
                lambda places: self._logits(whole_batch(self.data, rows[places], self.options, self.info, self.device)),
                whole_batches(self.data, rows, self.options, self.info),
            )
        crops = crop_batches(self.data, rows, self.options)
        first = np.cumsum([0, *(len(batch.places) for batch in crops)])
        of_crops = predict(
            self.network,
            lambda places: self._logits(
                crop_batch(self.data, rows, crops[int(np.searchsorted(first, places[0], "right")) - 1], self.options,
                           self.device)
            ),
            [np.arange(start, stop) for start, stop in itertools.pairwise(first)],
        )  # fmt: skip
        return means_of(of_crops, np.concatenate([batch.places for batch in crops]), len(rows))

    def _logits(self, batch: Batch) -> Tensor:
        with self._autocast():
            logits: Tensor = self.method.classify(self.network, batch)
        return logits

    def _autocast(self) -> Any:
        return autocast(self.device, self.options.training.precision)()


def means_of(values: FloatArray, places: IntArray, n: int) -> FloatArray:
    """Return the mean of the rows of ``values`` ``(crops, classes)`` of each of ``n`` places, ``(n, classes)``."""
    total = np.zeros((n, values.shape[1]))
    np.add.at(total, places, values)
    means: FloatArray = total / np.bincount(places, minlength=n)[:, None]
    return means


def inverse_weights(targets: FloatArray) -> Tensor:
    """Return the weight of each class, inversely proportional to its number, with mean 1 (section 3.2)."""
    inverse = 1 / targets.sum(0)
    return torch.from_numpy(inverse / inverse.mean()).float()


def plateau(training: TrainingOptions) -> Callable[[int, Sequence[Mapping[str, float]]], float]:
    """Return the learning rate's factor: lower after ``plateau_patience`` epochs without a better validation UA."""

    def rate(update: int, history: Sequence[Mapping[str, float]]) -> float:
        best, stale, drops = -np.inf, 0, 0
        for row in history:
            best, stale = (row[SELECT], 0) if row[SELECT] > best else (best, stale + 1)
            if stale > training.plateau_patience:
                stale, drops = 0, drops + 1
        return float(training.plateau_factor**drops)

    return rate


def train_fit(cell: Cell, data: CellData, options: Options, rows: FoldRows, checkpoint: Checkpoint) -> FitResult:
    """Train on a fold, and test the epoch that does best on the validation speakers.

    Raises
    ------
    TrainingError
        If the fit cannot start or go on.
    """
    where = f"{' '.join(cell)}, run {rows.fit.run}, fold {rows.fit.fold}"
    targets = data.examples.targets
    require_every_class(
        targets[rows.train], data.classes, f"{where}: no training utterance",
        "leave that class out (temporal.emotions), or take other folds (temporal.folds)",
    )  # fmt: skip
    info = SYSTEMS[cell.system]
    if info.network == "svc":
        return _classified(data, options, rows)
    # rows are drawn alike, so that they differ by what they are
    names = (cell.corpus, *rows.fit)
    device = usable_device(options.training.device, options.training.precision, "temporal.training")
    seed_torch("weights", *names)
    method = load_network(info.network)
    network = method.build(info, options, len(data.classes), data.weights, device).to(device)
    learner = RowLearner(
        network, method, info, options, data, rows, inverse_weights(targets[rows.train]).to(device), device, names
    )
    training = options.training
    fitted = fit(
        learner,
        {"main": Adam(parameter_groups(network, options), training.learning_rate, BETAS)},
        Schedule(training.epochs, select=SELECT, patience=training.patience, rate=plateau(training)),
        name=where,
        seed=seed_from(*names),
        checkpoint=checkpoint,
        graphs_on=device if wanted(training.graphs, device) else None,
    )
    tested = [_tested(role, data, part, learner.classify(part)) for role, part in _held_out(rows)]
    # what of wav2vec is frozen lies in the file of its weights already
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    log.info(
        "%s: test UA %.3f, best epoch %d",
        where, score(tally(targets[rows.test], tested[1].probabilities.argmax(1)), "ua"), fitted.best_period,
    )  # fmt: skip
    return FitResult(
        fit=rows.fit,
        tested=tested,
        tallies=tallies_of(data.examples.targets, rows, tested),
        counts=counts_of(data.examples.targets, data.classes, rows),
        history=fitted.history,
        weights={name: value for name, value in fitted.best.items() if name not in frozen},
        best_period=fitted.best_period,
        n_parameters=count_parameters(network),
    )


def _held_out(rows: FoldRows) -> list[tuple[str, IntArray]]:
    return [("val", rows.val), ("test", rows.test)]


def _tested(role: str, data: CellData, rows: IntArray, probabilities: FloatArray) -> Tested:
    utterances = [data.utterances[row] for row in rows]
    more = {"speaker": [data.speakers[row] for row in rows]}
    return Tested(role, utterances, data.examples.targets[rows], probabilities, more)


def _classified(data: CellData, options: Options, rows: FoldRows) -> FitResult:
    """Return what a plain classifier says; it has no epochs, and nothing to validate."""
    inputs, targets = log_mel_statistics(data, options.framing), data.examples.targets
    fitted = load_network("svc").classify(inputs, reference_classes(targets), rows.train)
    tested = [
        _tested(role, data, part, np.eye(len(data.classes))[fitted.predict(inputs[part])])
        for role, part in _held_out(rows)
    ]
    return FitResult(
        fit=rows.fit,
        tested=tested,
        tallies=tallies_of(data.examples.targets, rows, tested),
        counts=counts_of(data.examples.targets, data.classes, rows),
        history=[],
        weights={},
        best_period=0,
        n_parameters=0,
    )
