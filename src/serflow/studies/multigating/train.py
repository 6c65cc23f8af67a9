"""Train and test one system: on one language, or on all at once (sections 4 and 5)."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from serflow.devices import autocast, usable_device
from serflow.nn.parameters import count_parameters
from serflow.protocols.folds import FoldRows, IntArray, JointRows
from serflow.runs.artefacts import FitResult, Tested
from serflow.runs.classes import counts_of, require_every_class, tallies_of
from serflow.studies.multigating.batch import Batch
from serflow.studies.multigating.batches import deal
from serflow.studies.multigating.catalog import SYSTEMS, Cell, load_method
from serflow.studies.multigating.data import CellData, Files, LanguageData, load_cell, make_batch, standardised
from serflow.studies.multigating.network import Network, losses, parameter_groups
from serflow.studies.multigating.options import Options
from serflow.studies.multigating.protocol import folds as fold_rows
from serflow.studies.multigating.vectors import utterance_vectors
from serflow.training.batching import ordered_batches
from serflow.training.checkpoints import Checkpoint
from serflow.training.fit import Losses, Schedule, fit
from serflow.training.graphs import wanted
from serflow.training.metrics import Measure, reference_classes, score, tally
from serflow.training.optimizers import BETAS, Adam
from serflow.training.seeds import seed_from, seed_torch

__all__ = ["Cell", "Files", "Options", "folds", "load", "train_fit"]

log = logging.getLogger(__name__)
FloatArray = npt.NDArray[np.floating]
SELECT = "val_wa"
MEASURES: tuple[Measure, ...] = ("wa", "ua")


def load(files: Files, cell: Cell, options: Options, runs: Sequence[int]) -> CellData:
    """Read what the fits of a cell need; see `load_cell`."""
    return load_cell(files, options, runs, joined=SYSTEMS[cell.system].joined)


def folds(cell: Cell, data: CellData) -> Iterator[JointRows]:
    """Yield the fits of a cell."""
    yield from fold_rows(data.roles, data.folds_used)


class Outputs(NamedTuple):
    """What a network says of utterances, a row each: probabilities, what its tower read, and gates where it has any."""

    probabilities: FloatArray
    representations: FloatArray
    gates: FloatArray | None


@dataclass
class SystemLearner:
    """A system's training, for `serflow.training.fit`; a period is an epoch over all languages."""

    network: Network
    options: Options
    data: CellData
    rows: Mapping[str, FoldRows]
    device: torch.device
    names: Sequence[str | int]

    def start(self, period: int) -> Mapping[str, float]:
        """There is nothing to prepare."""
        return {}

    def batches(self, period: int) -> Iterator[Batch]:
        """Return the training utterances in batches of one language."""
        training = self.options.training
        train = {part.language: self.rows[part.corpus].train for part in self.data.languages}
        lengths = {part.language: part.lengths[train[part.language]] for part in self.data.languages}
        named = {part.language: part for part in self.data.languages}
        for language, places in deal(lengths, training.batch_size, training.temperature, *self.names, period):
            yield make_batch(named[language], train[language][places], self.device)

    def losses(self, batch: Batch) -> Losses:
        """Return cross-entropy, and the contrastive loss where it is added."""
        with self._autocast():
            return losses(self.network, batch, self.options)

    def validate(self) -> Mapping[str, float]:
        """Return accuracy (WA) and UA on the validation utterances: their means over languages, and each language's."""
        found = {}
        for part in self.data.languages:
            val = self.rows[part.corpus].val
            counted = tally(part.targets[val], self.say(part, val).probabilities.argmax(1))
            for measure in MEASURES:
                found[f"val_{measure}_{part.corpus}"] = score(counted, measure)
        means = {
            f"val_{measure}": math.fsum(found[f"val_{measure}_{part.corpus}"] for part in self.data.languages)
            / len(self.data.languages)
            for measure in MEASURES
        }
        return {**means, **found}

    def say(self, part: LanguageData, rows: IntArray) -> Outputs:
        """Return what the network says of utterances of a language."""
        self.network.eval()
        batches = ordered_batches(part.lengths[rows], self.options.training.batch_size)
        with torch.no_grad(), self._autocast():
            said = [self.network(make_batch(part, rows[places], self.device)) for places in batches]
        gates = [one.gates for one in said if one.gates is not None]
        return Outputs(
            in_order(batches, [torch.softmax(one.logits.double(), dim=1) for one in said]),
            in_order(batches, [one.representation.float() for one in said]),
            in_order(batches, gates) if gates else None,
        )

    def _autocast(self) -> AbstractContextManager[None]:
        return autocast(self.device, self.options.training.precision)()


def in_order(places: Sequence[IntArray], values: Sequence[Tensor]) -> FloatArray:
    """Return the rows of batches at their places, ``(n, dim)``."""
    rows: FloatArray = torch.cat(list(values)).cpu().numpy()
    found = np.empty_like(rows)
    found[np.concatenate(places)] = rows
    return found


def train_fit(
    cell: Cell, data: CellData, options: Options, rows: JointRows, checkpoint: Checkpoint
) -> dict[str, FitResult]:
    """Train on a fold, and test the epoch that does best on the validation utterances; return a result a corpus.

    Raises
    ------
    TrainingError
        If the fit cannot start or go on.
    """
    where = f"{' '.join(cell)}, run {rows.fit.run}, fold {rows.fit.fold}"
    for part in data.languages:
        require_every_class(
            part.examples.targets[rows.of_corpus[part.corpus].train], part.examples.classes,
            f"{where}: no training utterance of {part.corpus}",
            f"leave that class out (multigating.languages.{part.language}.emotions), or take another multigating.split",
        )  # fmt: skip
    if not SYSTEMS[cell.system].network:
        return {part.corpus: _classified(cell, data, part, rows.of_corpus[part.corpus]) for part in data.languages}
    if options.standardise == "training":
        scaled = (standardised(part, rows.of_corpus[part.corpus].train) for part in data.languages)
        data = replace(data, languages=tuple(scaled))
    # systems are compared on the same first weights and batches
    names = ("-".join(part.corpus for part in data.languages), *rows.fit)
    device = usable_device(options.training.device, options.training.precision, "multigating.training")
    seed_torch("weights", *names)
    method = load_method(cell.system)
    network: Network = method.build(data.dims(), data.own_classes(), options, data.weights, device)
    learner = SystemLearner(network, options, data, rows.of_corpus, device, names)
    training = options.training
    fitted = fit(
        learner,
        {"main": Adam(parameter_groups(network, options), training.learning_rate, BETAS,
                      weight_decay=training.weight_decay)},
        Schedule(training.epochs, select=SELECT),
        name=where,
        seed=seed_from(*names),
        checkpoint=checkpoint,
        graphs_on=device if wanted(training.graphs, device) else None,
    )  # fmt: skip
    results = {}
    for part in data.languages:
        of_corpus = rows.of_corpus[part.corpus]
        tested = [
            _tested(role, part, held_out, learner.say(part, held_out))
            for role, held_out in (("val", of_corpus.val), ("test", of_corpus.test))
        ]
        results[part.corpus] = FitResult(
            fit=rows.fit,
            tested=tested,
            tallies=tallies_of(part.targets, of_corpus, tested),
            counts=counts_of(part.targets, part.classes, of_corpus),
            history=[own_history(row, part.corpus, data) for row in fitted.history],
            weights=own_weights(fitted.best, part.language, data),
            best_period=fitted.best_period,
            n_parameters=count_parameters(network),
        )
        log.info(
            "%s: %s test accuracy %.3f, best epoch %d",
            where, part.corpus, score(results[part.corpus].tallies["test", "prediction"], "wa"), fitted.best_period,
        )  # fmt: skip
    return results


def own_weights(weights: Mapping[str, Tensor], language: str, data: CellData) -> dict[str, Tensor]:
    """Return the weights that speak of a language: without the towers, transitions and gates of others."""
    others = tuple(
        f"{part}.{other.language}."
        for other in data.languages
        if other.language != language
        for part in ("towers.towers", "sharing.transitions", "sharing.gates")
    )
    return {name: value for name, value in weights.items() if not name.startswith(others)}


def own_history(row: Mapping[str, float], corpus: str, data: CellData) -> dict[str, float]:
    """Return a row of the history as a corpus has it: its own scores as ``val_wa``, and the one selected by as well."""
    others = {f"val_{measure}_{part.corpus}" for measure in MEASURES for part in data.languages}
    own = {f"val_{measure}": row[f"val_{measure}_{corpus}"] for measure in MEASURES}
    return {**{name: value for name, value in row.items() if name not in others}, **own, "selected_by": row[SELECT]}


def _tested(role: str, part: LanguageData, rows: IntArray, said: Outputs) -> Tested:
    utterances = [part.utterances[row] for row in rows]
    more: dict[str, list[object]] = {"speaker": [part.speakers[row] for row in rows]}
    if said.gates is not None:
        more["gates"] = said.gates.tolist()
    return Tested(role, utterances, part.targets[rows], said.probabilities, more, said.representations)


def _classified(cell: Cell, data: CellData, part: LanguageData, rows: FoldRows) -> FitResult:
    """Return what a plain classifier says; it has no epochs, and nothing to validate."""
    inputs = utterance_vectors(part)
    fitted = load_method(cell.system).classify(inputs, reference_classes(part.targets), rows.train)
    tested = [
        _tested(
            role,
            part,
            held_out,
            Outputs(np.eye(len(part.classes))[fitted.predict(inputs[held_out])], inputs[held_out], None),
        )
        for role, held_out in (("val", rows.val), ("test", rows.test))
    ]
    return FitResult(
        fit=rows.fit,
        tested=tested,
        tallies=tallies_of(part.targets, rows, tested),
        counts=counts_of(part.targets, part.classes, rows),
        history=[],
        weights={},
        best_period=0,
        n_parameters=0,
    )
