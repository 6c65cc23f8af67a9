"""Accuracy against the number of speakers of training, by which section 4 explains where CGT helps and where not.

The speakers of a smaller set are among those of a larger one, and all their utterances are trained on: with more
speakers there are more utterances, too.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from serflow.report.curves import draw_chance
from serflow.report.facts import marks
from serflow.report.frame import Margins, Words, framed
from serflow.report.headings import Layout
from serflow.report.style import FAINT, method_looks
from serflow.report.tables import fill, taken_in
from serflow.runs.provenance import joined
from serflow.runs.scores import read_runs
from serflow.studies.invariance.catalog import COUNTED

COLUMNS = ["system", "speakers", "accuracy", "std", "n_runs"]
_MARGINS = Margins(left=0.85, right=0.3, top=0.95, bottom=0.68)


class Files(NamedTuple):
    """``metrics.json`` of each cell."""

    cells: tuple[Path, ...]


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and its points; ``facts`` hold the ``layout`` of the table, and the ``title`` of the corpus."""
    table = fill(Layout.from_json(facts["layout"]), read_runs(files.cells))
    rows = []
    for i, row in enumerate(table.layout.rows):
        for j, column in enumerate(table.layout.columns):
            value = table.value(i, j)
            if value is not None:
                count = int(str(column.where["variant"]).removeprefix(COUNTED))
                rows.append((row.name[0], count, value.mean, value.std, value.n_runs))
    points = pd.DataFrame(rows, columns=COLUMNS)
    systems = list(dict.fromkeys(points["system"]))
    looks = method_looks(systems)
    figure, ((axes,),) = framed(
        Words(
            f"Accuracy by speakers of training, {facts['title']}",
            handles=[Line2D([], [], label=name, **look.curve) for name, look in looks.items()],
            note="Point: mean over runs on the test speakers; each run draws its own speakers of training. Bar: one "
            "standard deviation.",
            marks=marks(joined(run.provenance for run in taken_in(table))),
        ),
        (1, 1),
        (5.2, 3.0),
        _MARGINS,
        legend_handle=2.6,
    )
    for name, look in looks.items():
        found = points[points["system"] == name]
        axes.errorbar(found["speakers"], found["accuracy"], yerr=found["std"].fillna(0.0), capsize=2, **look.curve)
    axes.set_xscale("log", base=2)
    for level in sorted({100 / len(run.classes) for run in taken_in(table)}):
        draw_chance(axes, level)
    counts = sorted(set(points["speakers"]))
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlabel("speakers of training", color=FAINT)
    axes.set_ylabel("test accuracy (%)", color=FAINT)
    return figure, points
