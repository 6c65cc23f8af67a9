"""Training histories of DLC runs as curves: what `serflow.report.curves` draws."""

from pathlib import Path
from typing import Any

import pandas as pd

from serflow.errors import StoreError
from serflow.stores import parquet

CELL_KEYS = ("experiment", "method", "corpus", "profile")


def read_history(path: Path, measure: str) -> pd.DataFrame:
    """Return the curves of all fits in one ``history.parquet``.

    Parameters
    ----------
    path
        A file of kind ``history``.
    measure
        ``"train_ua"`` or ``"val_ua"``.

    Returns
    -------
    pandas.DataFrame
        fit (file, seed and held-out condition), period (from 0), value (percent).

    Raises
    ------
    StoreError
        If the file is absent, damaged, or has no value in some period.
    """
    columns = ["seed", "held_out", "stage", "period", measure]
    table = parquet.read_table(path, kind="history", columns=columns).to_pandas()
    # of a network that is trained in stages, the last
    table = table[table["stage"].isin(["all", "fusion"])]
    if table.empty or table[measure].isna().any():
        raise StoreError(f"{path}: no {measure} in some period; delete it and run the same command again")
    fit = f"{path}/" + table["seed"].astype(str) + "/" + table["held_out"]
    return pd.DataFrame({"fit": fit, "period": table["period"], "value": 100.0 * table[measure]})


def read_cell(path: Path) -> dict[str, Any]:
    """Return experiment, method, corpus and profile of a ``history.parquet``.

    Raises
    ------
    StoreError
        If its metadata lack one of them.
    """
    metadata = parquet.read_metadata(path)
    missing = [key for key in CELL_KEYS if key not in metadata]
    if missing:
        raise StoreError(f"{path}: its metadata lack {', '.join(missing)}; delete it and run the same command again")
    return {key: metadata[key] for key in CELL_KEYS}
