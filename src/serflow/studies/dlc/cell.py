"""Train and test one method on one corpus in one noise profile: all seeds and held-out conditions."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from serflow.devices import autocast, usable_device
from serflow.errors import StoreError, TrainingError
from serflow.nn.parameters import count_parameters
from serflow.stores.parquet import read_table
from serflow.studies.dlc.catalog import MethodInfo, load_method
from serflow.studies.dlc.data import (
    CONDITIONS,
    HELD_OUT,
    NOT_HELD_OUT,
    Batch,
    CellData,
    FloatArray,
    Fold,
    IntArray,
    batch_maker,
    select_fold,
)
from serflow.studies.dlc.fitting import Dealer, train_stages
from serflow.studies.dlc.losses import class_weights
from serflow.studies.dlc.models import Network, Sizes, initialise
from serflow.studies.dlc.options import Options
from serflow.training.checkpoints import Checkpoint, key_of
from serflow.training.metrics import chance_accuracy, unweighted_accuracy, weighted_accuracy
from serflow.training.seeds import numpy_generator, seed_torch
from serflow.training.statistics import frame_statistics

log = logging.getLogger(__name__)


class CellName(NamedTuple):
    """What a cell of Table I is called."""

    experiment: str
    method: str
    corpus: str
    profile: str


class FitResult(NamedTuple):
    """One fit: its scores, and what it says of each test utterance.

    ``rows`` are the rows of `CellData`, ``probabilities`` ``(n_test, classes)``, ``gates`` the condition whose encoder
    was used, or ``None``; ``oracle`` are the probabilities with the encoder of the true condition, where there is one.
    ``majority_ua`` and ``chance_ua`` are what the most frequent training class and a uniform guess would score.
    """

    seed: int
    held_out: str
    ua: float
    wa: float
    oracle_ua: float | None
    majority_ua: float
    chance_ua: float
    n_train: int
    n_val: int
    n_test: int
    best_epoch: int
    n_parameters: int
    history: list[dict[str, Any]]
    weights: dict[str, Tensor]
    rows: IntArray
    probabilities: FloatArray
    oracle: FloatArray | None
    gates: list[str] | None


class Gate(NamedTuple):
    """Predicted noise conditions: utterance to condition, by seed and held-out condition."""

    path: Path
    predicted: dict[tuple[int, str], dict[str, str]]

    def conditions(self, seed: int, held_out: str, utterances: Sequence[str]) -> list[str]:
        """Return the predicted condition of each utterance.

        Raises
        ------
        StoreError
            If one has none.
        """
        found = self.predicted.get((seed, held_out), {})
        missing = [name for name in utterances if name not in found]
        if missing:
            raise StoreError(
                f"{self.path}: no predicted noise condition for {len(missing)} of {len(utterances)} test utterances "
                f"of seed {seed}, held-out condition {held_out}, the first is {missing[0]}; delete it and run again"
            )
        return [found[name] for name in utterances]


def read_gate(path: Path, cell: CellName) -> Gate:
    """Return the noise classifier's predictions on the test utterances of the same cell.

    Raises
    ------
    StoreError
        If the file is damaged or not of the noise classifier of the same cell.
    """
    expect = {**cell._asdict(), "method": "noise_classifier"}
    columns = ["seed", "held_out", "utterance", "prediction"]
    table = read_table(path, kind="predictions", expect=expect, columns=columns)
    predicted: dict[tuple[int, str], dict[str, str]] = {}
    for seed, held_out, utterance, prediction in zip(
        *(table.column(name).to_pylist() for name in columns), strict=True
    ):
        predicted.setdefault((seed, held_out), {})[utterance] = prediction
    return Gate(path, predicted)


def predict(
    network: Network,
    make_batch: Callable[[IntArray], Batch],
    rows: IntArray,
    batches: Sequence[IntArray],
    autocast: Callable[[], AbstractContextManager[Any]],
) -> FloatArray:
    """Return class probabilities ``(len(rows), classes)``, in the order of ``rows``; ``batches`` are places in it."""
    found: list[tuple[IntArray, FloatArray]] = []
    network.eval()
    with torch.no_grad():
        for places in batches:
            with autocast():
                logits = network.classify(make_batch(rows[places]))
            found.append((places, torch.softmax(logits.double(), dim=1).cpu().numpy()))
    probabilities = np.empty((len(rows), found[0][1].shape[1]))
    for places, values in found:
        probabilities[places] = values
    return probabilities


def _targets_of_fit(data: CellData, fold: Fold, info: MethodInfo) -> tuple[FloatArray, list[int]]:
    """Return the targets of a fit and which classes of the cell they are: a noise classifier knows those seen."""
    columns = list(fold.seen) if info.predicts == "condition" else list(range(len(data.classes)))
    return data.targets[:, columns], columns


def _class_weights(targets: FloatArray, classes: Sequence[str], where: str, weighted: bool) -> Tensor:
    totals = torch.from_numpy(targets).float()
    for index in torch.nonzero(totals.sum(0) == 0).flatten().tolist():
        raise TrainingError(f"{where}: no training utterance is {classes[index]}; use more utterances or another seed")
    return class_weights(totals) if weighted else torch.ones(len(classes))


def _build(method: str, sizes: Sizes, options: Options, names: Sequence[str | int], device: torch.device) -> Network:
    seed_torch("weights", *names)
    network = load_method(method).build(sizes, options)
    assert isinstance(network, Network)
    initialise(network)
    return network.to(device)


def _shuffled(targets: FloatArray, fold: Fold, names: Sequence[str | int]) -> FloatArray:
    """Deal the targets of training and validation anew, each part among its own utterances."""
    targets = targets.copy()
    for role, rows in (("train", fold.train), ("val", fold.val)):
        targets[rows] = targets[numpy_generator("shuffled labels", role, *names).permutation(rows)]
    return targets


def train_fit(
    cell: CellName,
    data: CellData,
    options: Options,
    seed: int,
    held_out: str,
    *,
    checkpoint: Checkpoint,
    gate: Gate | None,
) -> FitResult:
    """Train on a fold and test; see `train_cell`."""
    info: MethodInfo = load_method(cell.method).METHOD
    training = options.training
    where = f"{' '.join(cell)}, seed {seed}, held out {held_out}"
    names = (*cell, seed, held_out)
    fold = select_fold(data, seed, held_out, predicts=info.predicts)
    targets, columns = _targets_of_fit(data, fold, info)
    if info.shuffles_labels:
        targets = _shuffled(targets, fold, names)
    classes = [data.classes[column] for column in columns]
    device = usable_device(training.device, training.precision, "dlc.training")
    statistics = frame_statistics(data.noisy, data.noisy_rows[fold.train])
    weights = _class_weights(targets[fold.train], classes, where, training.class_weights).to(device)
    experts = fold.expert_of(data.conditions)
    sizes = Sizes(
        n_bands=len(statistics.mean),
        n_classes=len(classes),
        condition_counts=tuple(np.bincount(experts[fold.train], minlength=len(fold.seen)).tolist()),
        text_dim=0 if data.text is None else data.text.tokens.array.shape[1],
    )
    network = _build(cell.method, sizes, options, names, device)
    batches = Dealer(info.batches, data, experts, training.batch_size)
    fitted, history = train_stages(
        network,
        batches,
        fold,
        batch_maker(data, statistics, targets, experts, device),
        weights,
        options,
        checkpoint=checkpoint,
        names=names,
        where=where,
    )

    def tested(routing: IntArray) -> FloatArray:
        routed = experts.copy()
        routed[fold.test] = routing
        make = batch_maker(data, statistics, targets, routed, device)
        probabilities = np.zeros((len(fold.test), len(data.classes)))
        probabilities[:, columns] = predict(
            network, make, fold.test, batches.test(fold.test), autocast(device, training.precision)
        )
        return probabilities

    gates, routing = None, experts[fold.test]
    if info.routes:
        assert gate is not None
        gates = gate.conditions(seed, held_out, [data.utterances[row] for row in fold.test])
        routing = fold.expert_of(np.array([CONDITIONS.index(name) for name in gates]))
        if (routing < 0).any():
            raise StoreError(f"{gate.path}: routes to {held_out} noise, which is held out; delete it and run again")
    probabilities = tested(routing)
    # the condition that is held out has no encoder of its own
    oracle = tested(experts[fold.test]) if info.routes and held_out == NOT_HELD_OUT else None

    scored = np.isin(data.conditions[fold.test], fold.seen) | (info.predicts == "emotion")
    if not scored.any():
        raise TrainingError(f"{where}: no test utterance has a condition of training; use more utterances")
    reference, predictions = data.targets[fold.test][scored], probabilities[scored].argmax(1)
    majority = np.full(len(reference), data.targets[fold.train].sum(0).argmax())
    result = FitResult(
        seed=seed,
        held_out=held_out,
        ua=unweighted_accuracy(reference, predictions),
        wa=weighted_accuracy(reference, predictions),
        oracle_ua=None if oracle is None else unweighted_accuracy(reference, oracle[scored].argmax(1)),
        majority_ua=unweighted_accuracy(reference, majority),
        chance_ua=chance_accuracy(reference, len(classes)),
        n_train=len(fold.train),
        n_val=len(fold.val),
        n_test=int(scored.sum()),
        best_epoch=fitted.best_epoch,
        n_parameters=count_parameters(network),
        history=history,
        weights=fitted.weights,
        rows=fold.test,
        probabilities=probabilities,
        oracle=oracle,
        gates=gates,
    )
    log.info("%s: test UA %.3f, WA %.3f, best epoch %d", where, result.ua, result.wa, result.best_epoch)
    return result


def train_cell(
    cell: CellName,
    data: CellData,
    options: Options,
    *,
    seeds: Sequence[int],
    states: Path,
    depends_on: Sequence[Any],
    gate: Gate | None,
) -> list[FitResult]:
    """Train and test one method with all seeds and held-out conditions.

    Encoders are chosen by the true noise condition in training and validation, by the noise classifier's
    prediction in the test (section IV-B).

    Parameters
    ----------
    cell
        Which cell.
    data
        See `load_cell`.
    options
        See `parse_options`.
    seeds
        Folds.
    states
        Folder for the state of each fit, so that a killed cell goes on where it was.
    depends_on
        What a state depends on besides the options: code and inputs.
    gate
        Predictions of the noise classifier, for a method that needs them.

    Raises
    ------
    TrainingError
        If a fit cannot start or go on.
    StoreError
        If the gate lacks an utterance, or a state is damaged.
    """
    return [
        train_fit(
            cell,
            data,
            options,
            seed,
            held_out,
            checkpoint=Checkpoint(
                states / f"{seed}_{held_out}.pt",
                key_of(*cell, seed, held_out, options.as_json(), *depends_on),
            ),
            gate=gate,
        )
        for seed in seeds
        for held_out in HELD_OUT[cell.experiment]
    ]
