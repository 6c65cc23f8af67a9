"""Networks built again from what their runs kept, and the context spans of Table 1, which are computed from them.

A network is built from the options of its run, and must take the run's weights as they are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from serflow.backbones.weights import read_weights
from serflow.errors import StoreError
from serflow.report.facts import marked, marks
from serflow.runs.models import read_fit
from serflow.runs.provenance import Provenance
from serflow.settings.base import checked
from serflow.stores.parquet import check
from serflow.studies.temporal.catalog import SYSTEMS, Cell, SystemInfo, load_network
from serflow.studies.temporal.network import Network
from serflow.studies.temporal.options import Options


class Trained(NamedTuple):
    """A cell as the metadata of its predictions tell of it."""

    name: str
    cell: Cell
    options: Options
    classes: list[str]
    provenance: Provenance

    @property
    def info(self) -> SystemInfo:
        """What the row reads."""
        return SYSTEMS[self.cell.system]


def read_trained(predictions: Path) -> Trained:
    """Read what a cell was trained with.

    Raises
    ------
    StoreError
        If the file is absent or damaged.
    """
    metadata = check(predictions, "predictions")
    options = checked(Options, metadata["options"], str(predictions))
    provenance = Provenance.from_json(metadata["provenance"])
    return Trained(metadata["name"], Cell(**metadata["cell"]), options, metadata["classes"], provenance)


class Files(NamedTuple):
    """``predictions.parquet`` and ``model.safetensors`` of a cell of each row; the record of wav2vec's weights."""

    predictions: tuple[Path, ...]
    models: tuple[Path, ...]
    weights: tuple[Path, ...] = ()


def rebuild(trained: Trained, model: Path, weights: Path | None, fit: str | None = None) -> Network[Any]:
    """Return the network of a fit (``run/fold``; the first if None); what of wav2vec is frozen comes from ``weights``.

    Raises
    ------
    StoreError
        If the options give another network than the one whose weights there are.
    """
    network: Network[Any] = load_network(trained.info.network).build(
        trained.info, trained.options, len(trained.classes), weights, torch.device("cpu")
    )
    frozen = {name: value for name, value in network.named_parameters() if not value.requires_grad}
    try:
        network.load_state_dict({**frozen, **read_fit(model, fit)})
    except RuntimeError as error:
        raise StoreError(f"{model}: its weights are not those of its options; delete it and run again") from error
    return network


def make_table(files: Files, facts: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows: a row a row of Table 1; the spans of its streams, in ms, as the paper prints them.

    Those of wav2vec are whole frames of 10 ms: 810 ms of the released network, which sees 809.06.
    """
    weights = Path(read_weights(files.weights[0]).path) if files.weights else None
    rows = []
    for predictions, model in zip(files.predictions, files.models, strict=True):
        trained = read_trained(predictions)
        info = trained.info
        spans = load_network(info.network).contexts(rebuild(trained, model, weights))
        # the corpus has no say in it
        stand_ins = trained.provenance.stand_ins.items()
        said = marks(Provenance(stand_ins={kind: names for kind, names in stand_ins if kind == "weights"}))
        digits = -1 if info.reads == "wav2vec" else 0
        rows.append([marked(info.title, said), "-".join(f"{round(span, digits):.0f}" for span in spans)])
    return ["Feature", "Context span [ms]"], rows
