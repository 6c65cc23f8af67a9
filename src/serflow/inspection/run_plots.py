"""Pictures of runs of any study: how trainings went, what was taken for what, what a network says of an utterance."""

import importlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from serflow.errors import StoreError
from serflow.inspection.describers.runs import SHARES, confusions, measure_words, run_metadata, run_title
from serflow.inspection.paths import results_folder
from serflow.plugins import plugin_names
from serflow.report.curves import draw_chance, draw_lines
from serflow.report.frame import Margins, Words, framed
from serflow.report.marks import provenance_marks
from serflow.report.style import FAINT, INK, Look, look_at
from serflow.runs.provenance import Provenance
from serflow.stores.parquet import read_table

_NAMES = ("run", "fold", "stage", "period", "updates")
_PARTS = {"train": "Training", "val": "Validation", "test": "Test"}
_STUDIES, _LOOK = "serflow.studies", "look"
_COLUMNS = 3
_PANEL_WIDTH, _PANEL_HEIGHT, _GAP_WIDTH, _GAP_HEIGHT = 2.9, 1.95, 0.6, 0.85
_CELL = 0.62
_BANDS = 4


def draw_history(path: Path) -> Figure:
    """Draw every value of a history by period, a panel each; a line is the mean over the runs of a fold.

    Parameters
    ----------
    path
        ``history.parquet``, or the folder or ``metrics.json`` of a run.

    Raises
    ------
    StoreError
        If it is damaged, or has nothing to draw.
    """
    folder = path if path.is_dir() else path.parent
    file = path if path.suffix == ".parquet" else folder / "history.parquet"
    metadata = run_metadata(file, "history")
    table = read_table(file, kind="history").to_pandas()
    values = [name for name in table.columns if name not in _NAMES and table[name].notna().any()]
    if not values:
        raise StoreError(f"{file}: no values to draw; it has {', '.join(table.columns)}")
    # scores first: they are what the other values are there for
    values.sort(key=lambda name: name.split("_")[-1] not in SHARES)
    parts = [name for name in ("stage", "fold") if table[name].nunique() > 1]
    table["line"] = table[parts].astype(str).agg(", ".join, axis=1) if parts else "all"
    looks = {name: look_at(place) for place, name in enumerate(table["line"].unique())}
    bands = len(looks) <= _BANDS
    columns = min(_COLUMNS, len(values))
    rows = -(-len(values) // columns)
    handles = [Line2D([], [], label=name, **look.curve) for name, look in looks.items()]
    figure, grid = framed(
        Words(
            run_title(metadata),
            marks=provenance_marks(Provenance.from_json(metadata["provenance"])),
            handles=handles if len(looks) > 1 else (),
            note=f"Line: mean over {_which(metadata['runs'])}. {'Band: one standard deviation. ' if bands else ''}"
            "A line ends where fewer than half of its fits are still training. Dashed: chance.",
        ),
        (rows, columns),
        (
            max(columns * (_PANEL_WIDTH + _GAP_WIDTH) - _GAP_WIDTH, 5.15),
            rows * (_PANEL_HEIGHT + _GAP_HEIGHT) - _GAP_HEIGHT,
        ),
        Margins(left=0.75, right=0.3, top=0.95, bottom=0.68),
        (_GAP_WIDTH, _GAP_HEIGHT),
        legend_entry=1.7,
        legend_handle=2.6,
    )
    for axes, name in zip(grid.flat, values, strict=False):
        _draw_value(axes, table, name, looks, bands)
        if _guessed(name):
            draw_chance(axes, 100 / len(metadata["classes"]), words=False)
    for axes in grid.flat[len(values) :]:
        axes.set_visible(False)
    return figure


def _which(runs: Sequence[int]) -> str:
    return f"run{'s' if len(runs) > 1 else ''} {', '.join(map(str, runs))}"


def _guessed(name: str) -> bool:
    """Tell whether a column is a score of the study's own classes."""
    part, _, measure = name.partition("_")
    return part in _PARTS and measure in ("ua", "wa")


def _draw_value(axes: Axes, table: pd.DataFrame, name: str, looks: dict[str, Look], bands: bool) -> None:
    """Draw one column of a history; shares in percent."""
    part, _, rest = name.partition("_")
    words = measure_words(name if part not in _PARTS else rest)
    share = name.split("_")[-1] in SHARES
    axes.set_title(" ".join([_PARTS.get(part, ""), words, "(%)" if share else ""]).strip(), pad=8)
    curves = table.assign(fit=table["run"], value=(100 if share else 1) * table[name])
    draw_lines(axes, curves, looks, bands)
    axes.set_xlabel("period", color=FAINT)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.margins(x=0.03)


def draw_confusion(path: Path) -> Figure:
    """Draw how often each class was taken for which, a panel per role, over all fits of a run.

    Raises
    ------
    StoreError
        If the file is damaged, or has no rows.
    """
    metadata = run_metadata(path, "predictions")
    found = confusions(path)
    if not found:
        raise StoreError(f"{path}: holds no predictions to draw")
    classes = metadata["classes"]
    names = max(map(len, classes))
    side = max(_CELL * len(classes), 2.4)
    inner = len(found) * (side + 1.3) - 1.3
    left = 0.8 + 0.075 * names
    figure, ((*panels,),) = framed(
        Words(
            run_title(metadata),
            f"{sum(map(Counter.total, found.values())):,} predictions of {_which(metadata['runs'])}",
            provenance_marks(Provenance.from_json(metadata["provenance"])),
            note="Rows: labels, with their number. Columns: predictions, in percent of the row.",
        ),
        (1, len(found)),
        (inner, side),
        Margins(left, max(0.4, 6.4 - left - inner), top=1.15, bottom=0.5 + 0.075 * names),
        (1.3, 0.0),
    )
    for axes, (role, counts) in zip(panels, found.items(), strict=True):
        grid = np.array([[counts[label, prediction] for prediction in classes] for label in classes], dtype=float)
        totals = grid.sum(axis=1)
        shares = np.divide(grid, totals[:, np.newaxis], out=np.zeros_like(grid), where=totals[:, np.newaxis] > 0)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        axes.grid(False)
        for (row, column), share in np.ndenumerate(shares):
            if totals[row]:
                ink = "white" if share > 0.6 else INK
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8.5, color=ink)
        axes.set_xticks(range(len(classes)), classes, rotation=90 if names > 6 else 0)
        axes.set_yticks(range(len(classes)), [f"{c} ({n:,.0f})" for c, n in zip(classes, totals, strict=True)])
        axes.set_title(_PARTS.get(role, role))
    return figure


def draw_utterance(path: Path, utterance: str) -> Figure:
    """Draw what a network of a run says of an utterance, as the module ``look`` of its study does.

    Parameters
    ----------
    path
        Folder or ``metrics.json`` of a run.
    utterance
        Name.

    Raises
    ------
    StoreError
        If the study has no such picture, or something is absent or damaged that is needed for it.
    """
    folder = path if path.is_dir() else path.parent
    study = run_metadata(folder / "predictions.parquet", "predictions")["study"]
    if study not in plugin_names(_STUDIES) or _LOOK not in plugin_names(f"{_STUDIES}.{study}"):
        raise StoreError(
            f"{folder}: runs of {study} have no picture of one utterance; leave --utterance or --plot away"
        )
    results = results_folder(folder)
    if results is None:
        raise StoreError(
            f"{folder}: lies in no results folder, where the audio of {utterance} would be; give the run where the "
            "workflow wrote it"
        )
    figure: Figure = importlib.import_module(f"{_STUDIES}.{study}.{_LOOK}").picture(folder, results, utterance)
    return figure
