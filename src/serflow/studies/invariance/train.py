"""Train and test one system on one corpus (sections 2 and 3)."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch

from serflow.devices import autocast, usable_device
from serflow.nn.parameters import count_parameters
from serflow.protocols.folds import FoldRows, IntArray
from serflow.runs.artefacts import FitResult, Tested
from serflow.runs.classes import counts_of, require_every_class, tallies_of
from serflow.runs.probes import speaker_probes
from serflow.studies.invariance.catalog import COUNTED, Cell, load_system, system_info
from serflow.studies.invariance.data import (
    CellData,
    Files,
    FloatArray,
    Normalised,
    batch_maker,
    load_cell,
)
from serflow.studies.invariance.losses import Batch
from serflow.studies.invariance.network import SpeakerNetwork
from serflow.studies.invariance.options import Options
from serflow.studies.invariance.protocol import folds as fold_rows
from serflow.studies.invariance.protocol import too_few
from serflow.training.batching import bucketed_batches, ordered_batches, without_singles
from serflow.training.checkpoints import Checkpoint
from serflow.training.evaluation import placed, predict
from serflow.training.fit import Losses, Schedule, fit
from serflow.training.metrics import reference_classes, score, tally
from serflow.training.optimizers import NesterovSgd
from serflow.training.seeds import numpy_generator, seed_from, seed_torch
from serflow.training.statistics import frame_statistics, utterance_statistics

__all__ = ["Cell", "Files", "Options", "folds", "load", "train_fit"]

log = logging.getLogger(__name__)
SELECT = "val_wa"


def load(files: Files, cell: Cell, options: Options, runs: Sequence[int]) -> CellData:
    """Read what the fits of a cell need; see `load_cell`."""
    return load_cell(files, options, runs)


def folds(cell: Cell, data: CellData) -> Iterator[FoldRows]:
    """Yield the fits of a cell; one of more speakers than there are has no rows."""
    options, counted = data.options, cell.variant.startswith(COUNTED)
    yield from fold_rows(data.speakers, data.roles, options.speakers, options.folds_used, data.whole, counted)


@dataclass
class SystemLearner:
    """A system's training, for `serflow.training.fit`; a period is an epoch."""

    network: SpeakerNetwork
    system: ModuleType
    options: Options
    rows: FoldRows
    lengths: IntArray
    targets: FloatArray
    make: Callable[[IntArray], Batch]
    names: Sequence[str | int]

    def start(self, period: int) -> Mapping[str, float]:
        """Let the system prepare an epoch, if it has anything to prepare."""
        if not hasattr(self.system, "start"):
            return {}
        prepared: Mapping[str, float] = self.system.start(
            self.network, period / self.options.training.epochs, self.options
        )
        return prepared

    def batches(self, period: int) -> Iterator[Batch]:
        """Return all training utterances in batches of similar length; none is of a single utterance."""
        generator = numpy_generator("batches", *self.names, period)
        lengths = self.lengths[self.rows.train]
        found = bucketed_batches(lengths, self.options.training.batch_size, generator)
        for places in without_singles(found):
            yield self.make(self.rows.train[places])

    def losses(self, batch: Batch) -> Losses:
        """Return what the system minimises."""
        with autocast(batch.frames.device, self.options.training.precision)():
            losses: Losses = self.system.losses(self.network, batch, self.options)
        return losses

    def validate(self) -> Mapping[str, float]:
        """Return accuracy (WA) and UA on the validation speakers."""
        found = tally(self.targets[self.rows.val], self.classify(self.rows.val).argmax(1))
        return {"val_wa": score(found, "wa"), "val_ua": score(found, "ua")}

    def classify(self, rows: IntArray) -> FloatArray:
        """Return the probabilities of the emotions, ``(n, classes)``."""
        return predict(self.network, lambda places: self.network.emotion(self._embed(rows[places])), self._test(rows))

    def embed(self, rows: IntArray) -> FloatArray:
        """Return embeddings, ``(n, dim)``."""
        self.network.eval()
        batches = self._test(rows)
        with torch.no_grad():
            return placed(batches, (self._embed(rows[places]).float().cpu().numpy() for places in batches))

    def _embed(self, rows: IntArray) -> torch.Tensor:
        batch = self.make(rows)
        with autocast(batch.frames.device, self.options.training.precision)():
            return self.network.embed(batch.frames, batch.lengths, batch.n_valid)

    def _test(self, rows: IntArray) -> list[IntArray]:
        return ordered_batches(self.lengths[rows], self.options.training.batch_size)


def train_fit(cell: Cell, data: CellData, options: Options, rows: FoldRows, checkpoint: Checkpoint) -> FitResult:
    """Train on a fold, and test the epoch that does best on the validation speakers.

    Raises
    ------
    TrainingError
        If the fit cannot start or go on.
    """
    where = f"{' '.join(cell)}, run {rows.fit.run}, fold {rows.fit.fold}"
    if not len(rows.train):
        return _left_out(data, rows, where)
    targets = data.examples.targets
    require_every_class(
        targets[rows.train], data.classes, f"{where}: no training utterance",
        "leave it out of the corpus's emotions (invariance.emotions, invariance.many_speakers.emotions), or train on "
        "more speakers",
    )  # fmt: skip
    if not system_info(cell.system).network:
        return _classified(cell, data, rows)
    # systems, and values of a search, are compared on the same first weights and batches
    names = (cell.corpus, *rows.fit)
    device = usable_device(options.training.device, options.training.precision, "invariance.training")
    seed_torch("weights", *names)
    speakers = sorted({data.speakers[row] for row in rows.train})
    number = {name: index for index, name in enumerate(speakers)}
    named = system_info(cell.system).names_speakers
    network = SpeakerNetwork(options.model, data.frames.dim, len(data.classes), len(speakers) if named else None).to(
        device
    )
    frames = Normalised(data.frames, options.cmvn, frame_statistics(data.frames, rows.train))
    numbers = np.array([number.get(name, -1) for name in data.speakers])
    learner = SystemLearner(
        network, load_system(cell.system), options, rows, data.frames.lengths, targets,
        batch_maker(frames, targets, numbers, device), names,
    )  # fmt: skip
    untrained = learner.embed(rows.train)
    optimizer = NesterovSgd(network.parameters(), options.training.learning_rate, options.training.momentum)
    fitted = fit(
        learner,
        {"main": optimizer},
        Schedule(options.training.epochs, select=SELECT),
        name=where,
        seed=seed_from(*names),
        checkpoint=checkpoint,
    )
    tested = [
        _tested(role, data, part, learner.classify(part), learner.embed(part))
        for role, part in (("val", rows.val), ("test", rows.test))
    ]
    # the embeddings after and before training, and mean and deviation of the MFCC
    read = {
        "speaker": learner.embed(rows.train),
        "untrained_speaker": untrained,
        "input_speaker": utterance_statistics(data.frames[row] for row in rows.train.tolist()),
    }
    said_by = [data.speakers[row] for row in rows.train]
    probes, absent = speaker_probes(read, said_by, seed_from("probe", *rows.fit))
    for (_, what), reason in absent.items():
        log.warning("%s: no probe of %s: %s", where, what, reason)
    network.load_state_dict(fitted.last)
    last = tally(targets[rows.test], learner.classify(rows.test).argmax(1))
    log.info("%s: test accuracy %.3f, best epoch %d", where, score(last, "wa"), fitted.best_period)
    return FitResult(
        fit=rows.fit,
        tested=tested,
        tallies={**tallies_of(data.examples.targets, rows, tested), ("test", "last"): last, **probes},
        counts=counts_of(data.examples.targets, data.classes, rows),
        history=fitted.history,
        weights=fitted.best,
        best_period=fitted.best_period,
        n_parameters=count_parameters(network),
        absent=absent,
    )


def _tested(role: str, data: CellData, rows: IntArray, probabilities: FloatArray, vectors: FloatArray | None) -> Tested:
    utterances = [data.utterances[row] for row in rows]
    more = {"speaker": [data.speakers[row] for row in rows]}
    return Tested(role, utterances, data.examples.targets[rows], probabilities, more, vectors)


def _left_out(data: CellData, rows: FoldRows, where: str) -> FitResult:
    """Return what is left of a fit on more speakers than there are: why there is nothing."""
    there = {data.speakers[row] for row in np.flatnonzero(data.roles[rows.fit.run][rows.fit.fold] == "train")}
    reason = too_few(data.options.speakers or len(there), len(there))
    log.warning("%s: %s", where, reason)
    return FitResult(
        fit=rows.fit,
        tested=[],
        tallies={},
        counts={},
        history=[],
        weights={},
        best_period=0,
        n_parameters=0,
        absent={(role, what): reason for role in ("val", "test") for what in ("prediction", "majority", "chance")},
    )


def _classified(cell: Cell, data: CellData, rows: FoldRows) -> FitResult:
    """Return what a plain classifier says; it has no epochs, and nothing to validate."""
    targets = data.examples.targets
    inputs = utterance_statistics(data.frames[row] for row in range(len(targets)))
    fitted = load_system(cell.system).classify(inputs, reference_classes(targets), rows.train)
    tested = [
        _tested(role, data, part, np.eye(len(data.classes))[fitted.predict(inputs[part])], None)
        for role, part in (("val", rows.val), ("test", rows.test))
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
