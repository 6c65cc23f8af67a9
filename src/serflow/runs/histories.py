"""Training histories as curves: what `serflow.report.curves` draws."""

from pathlib import Path

import pandas as pd

from serflow.errors import StoreError
from serflow.stores import parquet


def read_history(path: Path, value: str) -> pd.DataFrame:
    """Return the curves of all fits in one ``history.parquet``; of a network trained in stages, those of the last.

    Parameters
    ----------
    path
        A file of kind ``history``.
    value
        A column of it that is a share, e.g. ``"val_ua"``.

    Returns
    -------
    pandas.DataFrame
        fit (file, run and fold), period (from 0), value (percent); no rows of what has no periods, a plain classifier.

    Raises
    ------
    StoreError
        If the file is absent, damaged, or has no value in some period.
    """
    table = parquet.read_table(path, kind="history").to_pandas()
    if table.empty:
        return pd.DataFrame({"fit": [], "period": [], "value": []})
    if value not in table:
        raise StoreError(f"{path}: no {value}; delete it and run the same command again")
    if "stage" in table and table["stage"].notna().any():
        last = table.groupby(["run", "fold"])["stage"].transform("last")
        table = table[table["stage"] == last]
    if table[value].isna().any():
        raise StoreError(f"{path}: no {value} in some period; delete it and run the same command again")
    fit = f"{path}/" + table["run"].astype(str) + "/" + table["fold"]
    return pd.DataFrame({"fit": fit, "period": table["period"], "value": 100.0 * table[value]})
