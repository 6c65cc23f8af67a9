"""Context spans of Table 1, computed from the networks that were trained.

A network is built again from the options that its run kept, and must take the run's weights as they are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from serflow.backbones.weights import read_weights
from serflow.errors import StoreError
from serflow.report.facts import marked, marks
from serflow.runs.models import read_first_fit
from serflow.runs.provenance import Provenance
from serflow.settings.base import checked
from serflow.stores.parquet import check
from serflow.studies.temporal.catalog import SYSTEMS, load_network
from serflow.studies.temporal.options import Options


class Files(NamedTuple):
    """``predictions.parquet`` and ``model.safetensors`` of a cell of each row; the record of wav2vec's weights."""

    predictions: tuple[Path, ...]
    models: tuple[Path, ...]
    weights: tuple[Path, ...] = ()


def rebuild(predictions: Path, model: Path, weights: Path | None) -> torch.nn.Module:
    """Return the network of a cell's first fit; what of wav2vec was not trained comes from ``weights``.

    Raises
    ------
    StoreError
        If the options give another network than the one whose weights there are.
    """
    metadata = check(predictions, "predictions")
    info = SYSTEMS[metadata["cell"]["system"]]
    options = checked(Options, metadata["options"], str(predictions))
    network: torch.nn.Module = load_network(info.network).build(
        info, options, len(metadata["classes"]), weights, torch.device("cpu")
    )
    try:
        # keeps what was trained, and so not what was frozen
        network.load_state_dict({**_frozen(network), **read_first_fit(model)})
    except RuntimeError as error:
        raise StoreError(f"{model}: its weights are not those of its options; delete it and run again") from error
    return network


def _frozen(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in network.named_parameters() if not value.requires_grad}


def make_table(files: Files, facts: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows: a row a row of Table 1; the spans of its streams, in ms, as the paper prints them.

    Those of wav2vec are whole frames of 10 ms: 810 ms of the released network, which sees 809.06.
    """
    weights = Path(read_weights(files.weights[0]).path) if files.weights else None
    rows = []
    for predictions, model in zip(files.predictions, files.models, strict=True):
        metadata = check(predictions, "predictions")
        info = SYSTEMS[metadata["cell"]["system"]]
        spans = load_network(info.network).contexts(rebuild(predictions, model, weights))
        # the corpus has no say in it
        provenance = Provenance.from_json(metadata["provenance"])
        weights_alone = {kind: names for kind, names in provenance.stand_ins.items() if kind == "weights"}
        said = marks(Provenance(stand_ins=weights_alone))
        digits = -1 if info.reads == "wav2vec" else 0
        rows.append([marked(info.title, said), "-".join(f"{round(span, digits):.0f}" for span in spans)])
    return ["Feature", "Context span [ms]"], rows
