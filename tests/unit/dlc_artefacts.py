"""Made-up artefacts of DLC runs, written by the real writers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from serflow.files import write_json
from serflow.stores import parquet

HELD_OUT = {"exp1": ["none"], "exp2": ["human", "interior", "natural"]}
CONDITIONS = ["human", "interior", "natural"]


def write_metrics(
    folder: Path,
    cell: tuple[str, str, str, str],
    ua: Mapping[int, Sequence[float]],
    n_test: int = 200,
    excluded: Mapping[str, int] | None = None,
) -> Path:
    """Write metrics.json of a cell; ``ua`` holds a value per held-out condition for each seed (wa is ua / 2)."""
    experiment, method, corpus, profile = cell
    fits = [
        {
            "seed": seed,
            "held_out": held_out,
            "ua": value,
            "wa": value / 2,
            "n_train": 700,
            "n_val": 100,
            "n_test": n_test,
            "best_epoch": 3,
            "epochs": 5,
        }
        for seed, values in ua.items()
        for held_out, value in zip(HELD_OUT[experiment], values, strict=True)
    ]
    path = folder.joinpath("runs", "dlc", *cell, "metrics.json")
    content = {
        "study": "dlc",
        "experiment": experiment,
        "method": method,
        "modality": "uni",
        "corpus": corpus,
        "profile": profile,
        "classes": CONDITIONS if method == "noise_classifier" else ["low", "mid", "high"],
        "code": "0" * 16,
        "parameters": 600_000,
        "fits": fits,
        "excluded": dict(excluded or {}),
    }
    write_json(path, content)
    return path


def write_utterances(
    folder: Path,
    corpus: str,
    *,
    synthetic: bool = False,
    partial: bool = False,
    rejected: int = 0,
    listed: int = 5531,
    warnings: Sequence[str] = (),
) -> Path:
    path = folder / "corpora" / corpus / "utterances.parquet"
    metadata = {
        "corpus": corpus,
        "title": corpus,
        "synthetic": synthetic,
        "partial": partial,
        "counts": {"listed": listed, "accepted": listed - rejected, "rejected": rejected},
        "warnings": list(warnings),
    }
    parquet.write_table(path, pa.table({"utterance": ["u"]}), kind="utterances", metadata=metadata)
    return path


def write_clips(folder: Path, *, synthetic: bool = False, warnings: Sequence[str] = ()) -> Path:
    path = folder / "noise" / "clips.parquet"
    metadata = {"synthetic": synthetic, "warnings": list(warnings)}
    parquet.write_table(path, pa.table({"clip": ["c"]}), kind="clips", metadata=metadata)
    return path


def write_history(
    folder: Path, cell: tuple[str, str, str, str], val_ua: Mapping[tuple[int, str], Sequence[float | None]]
) -> Path:
    """Write history.parquet; ``val_ua`` holds the curve of each (seed, held-out condition)."""
    experiment, method, corpus, profile = cell
    rows = [
        {"seed": seed, "held_out": held_out, "stage": "all", "period": epoch, "val_ua": value, "train_ua": value}
        for (seed, held_out), curve in val_ua.items()
        for epoch, value in enumerate(curve)
    ]
    path = folder.joinpath("runs", "dlc", *cell, "history.parquet")
    metadata = {"experiment": experiment, "method": method, "corpus": corpus, "profile": profile}
    parquet.write_table(path, pa.Table.from_pylist(rows), kind="history", metadata=metadata)
    return path
