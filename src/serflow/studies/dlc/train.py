"""Train and test one method on one corpus in one noise profile (section VI)."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from serflow.devices import autocast, usable_device
from serflow.errors import ConfigError, StoreError, TrainingError
from serflow.nn.parameters import count_parameters
from serflow.noise.conditions import profile_of
from serflow.noise.plan import CONDITIONS
from serflow.protocols.folds import FitName, FoldRows
from serflow.runs.artefacts import FitResult, Tested
from serflow.runs.classes import counts_of, require_every_class, tallies_of
from serflow.settings.base import CLEAN
from serflow.stores.parquet import read_table
from serflow.studies.dlc.catalog import Cell, MethodInfo, load_method, method_info
from serflow.studies.dlc.data import CellData, Files, FloatArray, IntArray, batch_maker, load_cell
from serflow.studies.dlc.fused import fuses, train_fused
from serflow.studies.dlc.learner import BatchMaker, Dealer, Prepared, train_stages
from serflow.studies.dlc.models import Network, Sizes, initialise
from serflow.studies.dlc.options import Options
from serflow.studies.dlc.protocol import FOLDS, NOT_HELD_OUT, check_rows, places_among, seen_conditions
from serflow.studies.dlc.protocol import folds as fold_rows
from serflow.training.checkpoints import Checkpoint
from serflow.training.evaluation import class_weights, predict
from serflow.training.fit import Fitted
from serflow.training.metrics import chance_tally, reference_classes, score, tally
from serflow.training.seeds import numpy_generator, seed_torch
from serflow.training.statistics import frame_statistics, utterance_statistics

__all__ = ["Cell", "Files", "Options", "folds", "load", "train_fit", "train_fits"]

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

    @property
    def rejected(self) -> tuple[str, ...]:
        """Utterances with a label that are left out for their audio or their words."""
        return self.cell.rejected


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


class _Ready(NamedTuple):
    """A fit before its training, and what its test needs besides.

    ``columns`` are the classes that it predicts, of those of the cell; ``experts`` the places of the conditions among
    those of training, and ``make_batches`` makes what makes batches of such places.
    """

    prepared: Prepared
    columns: list[int]
    experts: IntArray
    make_batches: Callable[[IntArray], BatchMaker]


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
    if not method_info(cell.method).network:
        _checked_targets(cell, loaded.cell, rows)
        return _classified(cell, loaded.cell, rows)
    ready = _prepare(cell, loaded, options, rows)
    fitted, history = train_stages(ready.prepared, options, checkpoint)
    return _tested(cell, loaded, options, ready, fitted, history)


def train_fits(
    cell: Cell, loaded: Loaded, options: Options, given: Sequence[tuple[FoldRows, Checkpoint]]
) -> Iterator[FitResult]:
    """Train and test all fits of a cell, in their order: fused where that is asked for, else one after the other.

    Raises
    ------
    TrainingError, StoreError
        As `train_fit`.
    """
    if not fuses(cell.method, options):
        for rows, checkpoint in given:
            yield train_fit(cell, loaded, options, rows, checkpoint)
        return
    ready = [_prepare(cell, loaded, options, rows) for rows, _ in given]
    trained = train_fused([each.prepared for each in ready], options, [checkpoint for _, checkpoint in given])
    for each, (fitted, history) in zip(ready, trained, strict=True):
        yield _tested(cell, loaded, options, each, fitted, history)


def _where(cell: Cell, rows: FoldRows) -> str:
    """Return what the log and errors call a fit."""
    return f"{' '.join(cell)}, run {rows.fit.run}, held out {rows.fit.fold}"


def _names(cell: Cell, fit: FitName) -> tuple[str | int, ...]:
    """Return what the random numbers of a fit hang on: of its noise the profile, whichever split the clips follow."""
    return (*cell._replace(profile=profile_of(cell.profile)), *fit)


def _checked_targets(cell: Cell, data: CellData, rows: FoldRows) -> tuple[list[int], FloatArray]:
    """Return the classes that a fit predicts, of those of the cell, and the targets that it is trained on.

    Raises
    ------
    TrainingError
        If training lacks one of them, or a role is empty.
    """
    info = method_info(cell.method)
    check_rows(rows, data.conditions)
    # a noise classifier knows the conditions of training alone
    columns = list(seen_conditions(rows.fit.fold) if info.predicts == "condition" else range(len(data.classes)))
    targets = data.targets[:, columns]
    if info.shuffles_labels:
        targets = _shuffled(targets, rows, _names(cell, rows.fit))
    require_every_class(
        targets[rows.train],
        [data.classes[column] for column in columns],
        f"{_where(cell, rows)}: no training utterance",
        "use more utterances or another seed",
    )
    return columns, targets


def _prepare(cell: Cell, loaded: Loaded, options: Options, rows: FoldRows) -> _Ready:
    data, fit = loaded.cell, rows.fit
    info: MethodInfo = load_method(cell.method).METHOD
    training = options.training
    names = _names(cell, fit)
    seen = seen_conditions(fit.fold)
    columns, targets = _checked_targets(cell, data, rows)
    device = usable_device(training.device, training.precision, "dlc.training")
    statistics = frame_statistics(data.noisy, data.noisy_rows[rows.train])
    experts = places_among(seen, data.conditions)
    sizes = Sizes(
        n_bands=len(statistics.mean),
        n_classes=len(columns),
        condition_counts=tuple(np.bincount(experts[rows.train], minlength=len(seen)).tolist()),
        text_dim=0 if data.text is None else data.text.tokens.array.shape[1],
    )

    def make_batches(places: IntArray) -> BatchMaker:
        return batch_maker(data, statistics, targets, places, device, info.routes)

    prepared = Prepared(
        network=_build(cell.method, sizes, options, names, device),
        dealer=Dealer(info.batches, data, experts, training.batch_size),
        fold=rows,
        make_batch=make_batches(experts),
        class_weights=_class_weights(targets[rows.train], training.class_weights).to(device),
        names=names,
        where=_where(cell, rows),
    )
    return _Ready(prepared, columns, experts, make_batches)


def _tested(
    cell: Cell, loaded: Loaded, options: Options, ready: _Ready, fitted: Fitted, history: Sequence[dict[str, Any]]
) -> FitResult:
    data, rows, columns, experts = loaded.cell, ready.prepared.fold, ready.columns, ready.experts
    fit, network, dealer, where = rows.fit, ready.prepared.network, ready.prepared.dealer, ready.prepared.where
    info: MethodInfo = load_method(cell.method).METHOD
    seen = seen_conditions(fit.fold)
    classes = [data.classes[column] for column in columns]
    precision = autocast(ready.prepared.device, options.training.precision)

    def tested(routing: IntArray) -> FloatArray:
        routed = experts.copy()
        routed[rows.test] = routing
        make = ready.make_batches(routed)

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
