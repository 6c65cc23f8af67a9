"""Pilot: does the paper's optimiser leave chance level in a few epochs? Train UA by epoch per optimiser."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from serflow.report.curves import draw_curves, mean_curve
from serflow.report.facts import marks
from serflow.report.style import look_at
from serflow.runs.histories import read_history
from serflow.runs.provenance import Provenance
from serflow.stores.parquet import read_metadata

COLUMNS = ["optimiser", "period", "train_ua_mean", "train_ua_std", "n_fits", "chance"]
_NOTE = "Line: mean over fits. Band: one standard deviation. A line ends where fewer than half of its fits are left."


class Files(NamedTuple):
    """``history.parquet`` of each optimiser."""

    adadelta: Path
    adam: Path


def pilot_curves(histories: Mapping[str, Path]) -> pd.DataFrame:
    """Return train UA (percent) of every fit: line (optimiser), fit, period, value."""
    parts = [read_history(path, "train_ua").assign(line=optimiser) for optimiser, path in histories.items()]
    return pd.concat(parts, ignore_index=True).assign(row="", column="")


def pilot_table(curves: pd.DataFrame, chance: float) -> pd.DataFrame:
    """Return what the figure shows: `COLUMNS`, shares in percent."""
    parts = []
    for optimiser in curves["line"].unique():
        curve = mean_curve(curves[curves["line"] == optimiser]).reset_index()
        parts.append(curve.assign(optimiser=optimiser, chance=chance))
    table = pd.concat(parts, ignore_index=True)
    table = table.rename(columns={"mean": "train_ua_mean", "std": "train_ua_std", "n": "n_fits"})
    return table[COLUMNS]


def draw_pilot(curves: pd.DataFrame, chance: float, title: str, stamp: Sequence[str] = ()) -> Figure:
    """Draw `pilot_curves` with a line at chance level (percent); ``title`` and ``stamp`` say of what data."""
    lines = {name: name.capitalize() for name in curves["line"].unique()}
    return draw_curves(
        curves,
        rows={"": ""},
        columns={"": title},
        lines=lines,
        looks={name: look_at(place) for place, name in enumerate(lines)},
        title="Pilot of Single: which optimiser leaves chance",
        quantity="training UA (%)",
        note=_NOTE,
        levels={("", ""): chance},
        marks=stamp,
    )


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and its curves; ``facts`` hold the ``title`` of the corpus."""
    metadata = read_metadata(files.adam)
    title, stamp = facts["title"], marks(Provenance.from_json(metadata["provenance"]))
    chance = 100.0 / len(metadata["classes"])
    curves = pilot_curves(files._asdict())
    figure = draw_pilot(curves, chance, f"{title}, {metadata['cell']['profile']}", stamp)
    return figure, pilot_table(curves, chance)
