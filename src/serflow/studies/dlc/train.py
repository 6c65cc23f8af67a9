"""Train and test one method on one corpus in one noise profile (section VI)."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from serflow.devices import autocast, usable_device
from serflow.errors import ConfigError, StoreError, TrainingError
from serflow.nn.parameters import count_parameters
from serflow.noise.plan import CONDITIONS
from serflow.protocols.folds import FitName, FoldRows
from serflow.runs.artefacts import FitResult, Tested
from serflow.runs.classes import counts_of, require_every_class, tallies_of
from serflow.settings.base import CLEAN
from serflow.stores.parquet import read_table
from serflow.studies.dlc.catalog import Cell, MethodInfo, load_method, method_info
from serflow.studies.dlc.data import CellData, Files, FloatArray, IntArray, batch_maker, load_cell
from serflow.studies.dlc.learner import Dealer, train_stages
from serflow.studies.dlc.models import Network, Sizes, initialise
from serflow.studies.dlc.options import Options
from serflow.studies.dlc.protocol import FOLDS, NOT_HELD_OUT, check_rows, places_among, seen_conditions
from serflow.studies.dlc.protocol import folds as fold_rows
from serflow.training.checkpoints import Checkpoint
from serflow.training.evaluation import class_weights, predict
from serflow.training.metrics import chance_tally, reference_classes, score, tally
from serflow.training.seeds import numpy_generator, seed_torch
from serflow.training.statistics import frame_statistics, utterance_statistics

__all__ = ["Cell", "Files", "Options", "folds", "load", "train_fit"]

log = logging.getLogger(__name__)
UNSCORED = "unscored"
"""Role of test utterances that are predicted and not scored."""


class Gate(NamedTuple):
    """Predicted noise conditions: utterance to condition, by run and held-out condition."""

    path: Path
    predicted: dict[FitName, dict[str, str]]

    def conditions(self, fit: FitName, utterances: Sequence[str]) -> list[str]:
        """Return the predicted condition of each utterance.

        Raises
        ------
        StoreError
            If one has none.
        """
        found = self.predicted.get(fit, {})
        missing = [name for name in utterances if name not in found]
        if missing:
            raise StoreError(
                f"{self.path}: no predicted noise condition for {len(missing)} of {len(utterances)} test utterances "
                f"of run {fit.run}, held-out condition {fit.fold}, the first is {missing[0]}; delete it and run again"
            )
        return [found[name] for name in utterances]


def read_gate(path: Path, cell: Cell) -> Gate:
    """Return the noise classifier's predictions on the test utterances of the same cell.

    Raises
    ------
    StoreError
        If the file is damaged or not of the noise classifier of the same cell.
    """
    expect = {"study": "dlc", "cell": {**cell._asdict(), "method": "noise_classifier"}}
    columns = ["run", "fold", "utterance", "prediction"]
    table = read_table(path, kind="predictions", expect=expect, columns=columns)
    predicted: dict[FitName, dict[str, str]] = {}
    for run, fold, utterance, prediction in zip(*(table.column(name).to_pylist() for name in columns), strict=True):
        predicted.setdefault(FitName(run, fold), {})[utterance] = prediction
    return Gate(path, predicted)


class Loaded(NamedTuple):
    """What the fits of a cell need."""

    cell: CellData
    gate: Gate | None

    @property
    def classes(self) -> tuple[str, ...]:
        """What is predicted."""
        return self.cell.classes

    @property
    def utterances(self) -> list[str]:
        """Names."""
        return self.cell.utterances

    @property
    def excluded(self) -> dict[str, int]:
        """Utterances left out, by reason."""
        return self.cell.excluded


def load(files: Files, cell: Cell, options: Options, runs: Sequence[int]) -> Loaded:
    """Read what the fits of a cell need; see `load_cell`.

    Raises
    ------
    ConfigError
        If the method is not part of the experiment, or its inputs are not those of its kind.
    """
    info = method_info(cell.method)
    if cell.experiment not in FOLDS or cell.experiment not in info.experiments:
        raise ConfigError(f"{cell.method} is not part of {cell.experiment}")
    if info.routes != (files.gate is not None):
        raise ConfigError(f"{cell.method}: give the noise classifier's predictions (gate) to methods that route alone")
    if (info.modality == "multi") != (files.text is not None):
        raise ConfigError(f"{cell.method} is {info.modality}modal; give text to multimodal methods alone")
    heard = CLEAN if info.hears_clean else cell.profile
    data = load_cell(files, cell, runs, predicts=info.predicts, labels=options.iemocap_labels, heard=heard)
    return Loaded(data, None if files.gate is None else read_gate(files.gate, cell))


def folds(cell: Cell, data: Loaded) -> Iterator[FoldRows]:
    """Yield the fits of a cell."""
    yield from fold_rows(
        cell.experiment, data.cell.conditions, data.cell.roles, predicts=method_info(cell.method).predicts
    )


def _class_weights(targets: FloatArray, weighted: bool) -> Tensor:
    return class_weights(torch.from_numpy(targets).float()) if weighted else torch.ones(targets.shape[1])


def _build(method: str, sizes: Sizes, options: Options, names: Sequence[str | int], device: torch.device) -> Network:
    seed_torch("weights", *names)
    network = load_method(method).build(sizes, options)
    assert isinstance(network, Network)
    initialise(network)
    return network.to(device)


def _shuffled(targets: FloatArray, rows: FoldRows, names: Sequence[str | int]) -> FloatArray:
    """Deal the targets of training and validation anew, each part among its own utterances."""
    targets = targets.copy()
    for role, part in (("train", rows.train), ("val", rows.val)):
        targets[part] = targets[numpy_generator("shuffled labels", role, *names).permutation(part)]
    return targets


def train_fit(cell: Cell, loaded: Loaded, options: Options, rows: FoldRows, checkpoint: Checkpoint) -> FitResult:
    """Train on a fold and test.

    Encoders are chosen by the true noise condition in training and validation, by the noise classifier's
    prediction in the test (section IV-B).

    Raises
    ------
    TrainingError
        If the fit cannot start or go on.
    StoreError
        If the gate lacks an utterance, or a state is damaged.
    """
    data, fit = loaded.cell, rows.fit
    info: MethodInfo = load_method(cell.method).METHOD
    training = options.training
    where = f"{' '.join(cell)}, run {fit.run}, held out {fit.fold}"
    names = (*cell, *fit)
    check_rows(rows, data.conditions)
    seen = seen_conditions(fit.fold)
    # a noise classifier knows the conditions of training alone
    columns = list(seen) if info.predicts == "condition" else list(range(len(data.classes)))
    targets = data.targets[:, columns]
    if info.shuffles_labels:
        targets = _shuffled(targets, rows, names)
    classes = [data.classes[column] for column in columns]
    require_every_class(
        targets[rows.train], classes, f"{where}: no training utterance", "use more utterances or another seed"
    )
    if not info.network:
        return _classified(cell, data, rows)
    device = usable_device(training.device, training.precision, "dlc.training")
    statistics = frame_statistics(data.noisy, data.noisy_rows[rows.train])
    weights = _class_weights(targets[rows.train], training.class_weights).to(device)
    experts = places_among(seen, data.conditions)
    sizes = Sizes(
        n_bands=len(statistics.mean),
        n_classes=len(classes),
        condition_counts=tuple(np.bincount(experts[rows.train], minlength=len(seen)).tolist()),
        text_dim=0 if data.text is None else data.text.tokens.array.shape[1],
    )
    network = _build(cell.method, sizes, options, names, device)
    precision = autocast(device, training.precision)
    dealer = Dealer(info.batches, data, experts, training.batch_size)
    fitted, history = train_stages(
        network,
        dealer,
        rows,
        batch_maker(data, statistics, targets, experts, device, info.routes),
        weights,
        options,
        checkpoint=checkpoint,
        names=names,
        where=where,
    )

    def tested(routing: IntArray) -> FloatArray:
        routed = experts.copy()
        routed[rows.test] = routing
        make = batch_maker(data, statistics, targets, routed, device, info.routes)

        def classify(places: IntArray) -> Tensor:
            with precision():
                return network.classify(make(rows.test[places]))

        probabilities = np.zeros((len(rows.test), len(data.classes)))
        probabilities[:, columns] = predict(network, classify, dealer.test(rows.test))
        return probabilities

    utterances = [data.utterances[row] for row in rows.test]
    more: dict[str, Sequence[Any]] = {"condition": [CONDITIONS[row] for row in data.conditions[rows.test]]}
    routing = experts[rows.test]
    if loaded.gate is not None:
        gates = loaded.gate.conditions(fit, utterances)
        routing = places_among(seen, np.array([CONDITIONS.index(name) for name in gates]))
        if (routing < 0).any():
            raise StoreError(
                f"{loaded.gate.path}: routes to {fit.fold} noise, which is held out; delete it and run again"
            )
        more["gate"] = gates
    probabilities = tested(routing)
    scored = np.isin(data.conditions[rows.test], seen) | (info.predicts == "emotion")
    if not scored.any():
        raise TrainingError(f"{where}: no test utterance has a condition of training; use more utterances")
    reference = data.targets[rows.test][scored]
    guess = np.full(len(reference), data.targets[rows.train].sum(0).argmax())
    tallies = {
        "prediction": tally(reference, probabilities[scored].argmax(1)),
        "majority": tally(reference, guess),
        "chance": chance_tally(reference, len(classes)),
    }
    if info.routes and fit.fold == NOT_HELD_OUT:
        # the condition that is held out has no encoder of its own
        oracle = tested(experts[rows.test])
        tallies["oracle"] = tally(reference, oracle[scored].argmax(1))
        more["oracle_prediction"] = [data.classes[index] for index in oracle.argmax(1)]
    log.info("%s: test UA %.3f, best period %d", where, score(tallies["prediction"], "ua"), fitted.best_period)
    labels = reference_classes(data.targets)
    parts = {"train": rows.train, "val": rows.val, "test": rows.test[scored]}

    def said(role: str, places: IntArray) -> Tested:
        own = {name: [values[place] for place in places] for name, values in more.items()}
        names = [utterances[place] for place in places]
        return Tested(role, names, data.targets[rows.test[places]], probabilities[places], own)

    return FitResult(
        fit=fit,
        # a condition that the noise classifier does not know routes utterances all the same
        tested=[said("test", np.flatnonzero(scored)), said(UNSCORED, np.flatnonzero(~scored))],
        tallies={("test", what): found for what, found in tallies.items()},
        counts={
            role: dict(
                zip(classes, np.bincount(labels[part], minlength=len(data.classes))[columns].tolist(), strict=True)
            )
            for role, part in parts.items()
        },
        history=history,
        weights=fitted.best,
        best_period=fitted.best_period,
        n_parameters=count_parameters(network),
    )


def _classified(cell: Cell, data: CellData, rows: FoldRows) -> FitResult:
    """Return what a plain classifier says; it has no epochs, and nothing to validate."""
    inputs = utterance_statistics(data.noisy[row] for row in data.noisy_rows.tolist())
    fitted = load_method(cell.method).classify(inputs, reference_classes(data.targets), rows.train)
    tested = Tested(
        "test",
        [data.utterances[row] for row in rows.test],
        data.targets[rows.test],
        np.eye(len(data.classes))[fitted.predict(inputs[rows.test])],
        {"condition": [CONDITIONS[row] for row in data.conditions[rows.test]]},
    )
    return FitResult(
        fit=rows.fit,
        tested=[tested],
        tallies=tallies_of(data.targets, rows, [tested]),
        counts=counts_of(data.targets, data.classes, rows),
        history=[],
        weights={},
        best_period=0,
        n_parameters=0,
    )
