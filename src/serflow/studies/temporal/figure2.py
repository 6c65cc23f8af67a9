"""Figure 2: UA and accuracy (WA) against the number of segment classifiers (section 4.2)."""

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
from serflow.report.style import FAINT, look_at
from serflow.report.tables import fill, taken_in
from serflow.runs.provenance import joined
from serflow.runs.scores import read_runs

COLUMNS = ["segments", "measure", "mean", "std", "n_runs"]
_MARGINS = Margins(left=0.85, right=0.3, top=0.95, bottom=0.68)


class Files(NamedTuple):
    """``metrics.json`` of each cell."""

    cells: tuple[Path, ...]


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and its points; ``facts`` hold the ``layout`` of the table, and the ``title`` of the corpus."""
    table = fill(Layout.from_json(facts["layout"]), read_runs(files.cells))
    rows = []
    for j, column in enumerate(table.layout.columns):
        for i, row in enumerate(table.layout.rows):
            value = table.value(i, j)
            if value is not None:
                rows.append((int(row.name[0]), column.name[0], value.mean, value.std, value.n_runs))
    points = pd.DataFrame(rows, columns=COLUMNS)
    measures = list(dict.fromkeys(points["measure"]))
    looks = {name: look_at(place) for place, name in enumerate(measures)}
    figure, ((axes,),) = framed(
        Words(
            f"Segment classifiers, {facts['title']}",
            handles=[Line2D([], [], label=name, **look.curve) for name, look in looks.items()],
            note="Point: mean over folds and runs on the test speakers, wav2vec as it is. Bar: one standard deviation "
            "of the runs.",
            marks=marks(joined(run.provenance for run in taken_in(table))),
        ),
        (1, 1),
        (5.2, 3.0),
        _MARGINS,
        legend_handle=2.6,
    )
    for name, look in looks.items():
        found = points[points["measure"] == name]
        axes.errorbar(found["segments"], found["mean"], yerr=found["std"].fillna(0.0), capsize=2, **look.curve)
    for level in sorted({100 / len(run.classes) for run in taken_in(table)}):
        draw_chance(axes, level)
    axes.set_xticks(sorted(set(points["segments"])))
    axes.set_xlabel("segment classifiers", color=FAINT)
    axes.set_ylabel("test (%)", color=FAINT)
    return figure, points
