"""Figure: validation UA by epoch of every method, a panel per corpus and experiment."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from serflow.errors import StoreError
from serflow.report.curves import draw_curves
from serflow.studies.dlc import paper
from serflow.studies.dlc.histories import read_cell, read_history

_EXPERIMENTS = {"exp1": "Experiment 1", "exp2": "Experiment 2"}
_NOTE = (
    "Line: mean over fits (of all noise profiles, seeds and, in experiment 2, held-out conditions). Band: one standard "
    "deviation. A line ends where fewer than half of its fits are still training (early stopping)."
)


def validation_curves(histories: Sequence[Path]) -> pd.DataFrame:
    """Return the curves of all histories: row (experiment), column (corpus), line (method), fit, period, value."""
    parts = []
    for path in histories:
        cell = read_cell(path)
        parts.append(
            read_history(path, "val_ua").assign(row=cell["experiment"], column=cell["corpus"], line=cell["method"])
        )
    return pd.concat(parts, ignore_index=True)


def draw_validation_curves(curves: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw `validation_curves`.

    Parameters
    ----------
    curves
        As `validation_curves` returns them.
    titles
        Heading of each corpus by its name, in order; says "(synthetic)" where it is.

    Raises
    ------
    StoreError
        If the corpora of ``curves`` and ``titles`` differ.
    """
    if set(curves["column"]) != set(titles):
        raise StoreError(
            f"the histories are of corpora {', '.join(sorted(set(curves['column'])))}, "
            f"the titles of {', '.join(sorted(titles))}; give a history and a title for each corpus"
        )
    ranks = list(paper.method_titles())
    built = sorted(set(curves["line"]))
    methods = [name for name in ranks if name in built] + [name for name in built if name not in ranks]
    return draw_curves(
        curves,
        rows={name: _EXPERIMENTS.get(name, name) for name in sorted(set(curves["row"]))},
        columns=titles,
        lines={name: paper.method_title(name) for name in methods},
        title="Training on noisy speech",
        quantity="validation UA (%)",
        note=_NOTE,
    )
