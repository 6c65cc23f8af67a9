"""What a cell leaves behind: predictions, histories, metrics and weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from serflow.files import write_json
from serflow.stores.parquet import write_batches
from serflow.studies.dlc.cell import CellName, FitResult
from serflow.studies.dlc.data import CONDITIONS, CellData
from serflow.training.checkpoints import save_weights

PREDICTIONS_SCHEMA = pa.schema(
    [
        ("seed", pa.int32()),
        ("held_out", pa.string()),
        ("utterance", pa.string()),
        ("condition", pa.string()),
        ("gate", pa.string()),
        ("target", pa.list_(pa.float64())),
        ("label", pa.string()),
        ("prediction", pa.string()),
        ("oracle_prediction", pa.string()),
        ("probabilities", pa.list_(pa.float64())),
    ]
)
HISTORY_SCHEMA = pa.schema(
    [
        ("seed", pa.int32()),
        ("held_out", pa.string()),
        ("stage", pa.string()),
        ("period", pa.int32()),
        ("updates", pa.int32()),
        ("loss", pa.float64()),
        ("task_loss", pa.float64()),
        ("reconstruction_loss", pa.float64()),
        ("similarity_loss", pa.float64()),
        ("difference_loss", pa.float64()),
        ("critic_loss", pa.float64()),
        ("train_ua", pa.float64()),
        ("val_ua", pa.float64()),
        ("val_loss", pa.float64()),
    ]
)


def _predictions(data: CellData, result: FitResult) -> pa.Table:
    n = len(result.rows)
    targets = data.targets[result.rows]
    return pa.table(
        [
            [result.seed] * n,
            [result.held_out] * n,
            [data.utterances[row] for row in result.rows],
            [CONDITIONS[data.conditions[row]] for row in result.rows],
            pa.nulls(n, pa.string()) if result.gates is None else result.gates,
            targets.tolist(),
            [data.classes[index] for index in targets.argmax(1)],
            [data.classes[index] for index in result.probabilities.argmax(1)],
            pa.nulls(n, pa.string())
            if result.oracle is None
            else [data.classes[index] for index in result.oracle.argmax(1)],
            result.probabilities.tolist(),
        ],
        schema=PREDICTIONS_SCHEMA,
    )


def _history(result: FitResult) -> pa.Table:
    rows = [{"seed": result.seed, "held_out": result.held_out, **row} for row in result.history]
    return pa.Table.from_pylist(rows, schema=HISTORY_SCHEMA)


def write_predictions(path: Path, data: CellData, results: Sequence[FitResult], metadata: Mapping[str, Any]) -> None:
    """Write a row per fit and test utterance (kind ``predictions``)."""
    tables = (_predictions(data, result) for result in results)
    write_batches(path, PREDICTIONS_SCHEMA, tables, kind="predictions", metadata=metadata)


def write_history(path: Path, results: Sequence[FitResult], metadata: Mapping[str, Any]) -> None:
    """Write a row per fit and epoch (kind ``history``)."""
    tables = (_history(result) for result in results)
    write_batches(path, HISTORY_SCHEMA, tables, kind="history", metadata=metadata)


def write_metrics(
    path: Path, cell: CellName, data: CellData, results: Sequence[FitResult], modality: str, code: str
) -> None:
    """Write scores and counts of each fit as JSON; UA and WA are shares, 0 to 1."""
    content = {
        "study": "dlc",
        **cell._asdict(),
        "modality": modality,
        "classes": list(data.classes),
        "code": code,
        "parameters": results[0].n_parameters,
        "fits": [
            {
                "seed": result.seed,
                "held_out": result.held_out,
                "ua": result.ua,
                "wa": result.wa,
                "oracle_ua": result.oracle_ua,
                "majority_ua": result.majority_ua,
                "chance_ua": result.chance_ua,
                "n_train": result.n_train,
                "n_val": result.n_val,
                "n_test": result.n_test,
                "best_epoch": result.best_epoch,
                "epochs": len(result.history),
            }
            for result in results
        ],
        "excluded": {"no label of the study": data.excluded},
    }
    write_json(path, content)


def write_model(path: Path, results: Sequence[FitResult], metadata: Mapping[str, Any]) -> None:
    """Write the best weights of each fit as ``{seed}/{held_out}/{parameter}``."""
    weights = {
        f"{result.seed}/{result.held_out}/{name}": value for result in results for name, value in result.weights.items()
    }
    save_weights(path, weights, metadata)
