"""A fit of a cell as its training left it: network, normalisation, and what its classes are."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from serflow.devices import autocast
from serflow.errors import StoreError
from serflow.protocols.folds import FoldRows
from serflow.runs.models import read_fit
from serflow.studies.dlc.catalog import Cell, load_method
from serflow.studies.dlc.data import CellData, FloatArray, IntArray, batch_maker
from serflow.studies.dlc.models import Network, Sizes
from serflow.studies.dlc.options import Options
from serflow.studies.dlc.protocol import places_among, seen_conditions
from serflow.training.batching import ordered_batches
from serflow.training.evaluation import predict
from serflow.training.statistics import FrameStatistics, frame_statistics


class Restored(NamedTuple):
    """A trained network; ``seen`` are the conditions of its training, ``columns`` the classes that it tells apart."""

    network: Network
    statistics: FrameStatistics
    seen: tuple[int, ...]
    columns: tuple[int, ...]
    rows: FoldRows
    options: Options
    device: torch.device

    def predict(self, heard: CellData, rows: IntArray, conditions: IntArray) -> FloatArray:
        """Return class probabilities, ``(n, classes)``, as the test of the training computes them.

        Parameters
        ----------
        heard
            The cell's data with the audio to predict from in the place of the noisy.
        rows
            Of the utterances, ``(n,)``.
        conditions
            Those that they are routed by, ``(n,)``, indices of `CONDITIONS`; only methods with experts look at them.
        """
        experts = np.zeros(len(heard.utterances), dtype=np.int64)
        experts[rows] = places_among(self.seen, conditions)
        make = batch_maker(heard, self.statistics, heard.targets[:, list(self.columns)], experts, self.device)
        precision = autocast(self.device, self.options.training.precision)

        def classify(places: IntArray) -> torch.Tensor:
            with precision():
                return self.network.classify(make(rows[places]))

        batches: Sequence[IntArray] = ordered_batches(heard.lengths[rows], self.options.training.batch_size)
        probabilities = np.zeros((len(rows), heard.targets.shape[1]))
        probabilities[:, self.columns] = predict(self.network, classify, batches)
        return probabilities


def restore(
    cell: Cell, data: CellData, options: Options, rows: FoldRows, model: Path, device: torch.device
) -> Restored:
    """Return a fit of a cell of an acoustic method.

    Parameters
    ----------
    cell
        Which.
    data
        What it was trained on: the statistics that it normalises by are taken from its training utterances again.
    options
        Of its training.
    rows
        Who was in it.
    model
        ``model.safetensors`` of the cell.
    device
        Where the network goes.

    Raises
    ------
    StoreError
        If the file is damaged, is of another cell, or holds another network or none of this fit.
    """
    method = load_method(cell.method)
    seen = seen_conditions(rows.fit.fold)
    known = seen if method.METHOD.predicts == "condition" else tuple(range(len(data.classes)))
    statistics = frame_statistics(data.noisy, data.noisy_rows[rows.train])
    counts = np.bincount(places_among(seen, data.conditions)[rows.train], minlength=len(seen))
    network = method.build(Sizes(len(statistics.mean), len(known), tuple(counts.tolist())), options)
    assert isinstance(network, Network)
    name = f"{rows.fit.run}/{rows.fit.fold}"
    try:
        network.load_state_dict(read_fit(model, name, cell._asdict()))
    except RuntimeError as error:
        raise StoreError(
            f"{model}: the weights of {name} are not those of {cell.method} with these options; delete it and run "
            "the same command again"
        ) from error
    return Restored(network.to(device).eval(), statistics, seen, known, rows, options, device)
