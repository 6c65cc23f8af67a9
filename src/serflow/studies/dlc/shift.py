"""Which emotions become which in noise: from what a network says of clean audio, and from what it should say."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from serflow.noise.plan import CONDITIONS
from serflow.report.frame import Margins, Words, framed
from serflow.report.style import FAINT, INK
from serflow.studies.dlc.swept import (
    CLEAN_DB,
    COLUMN_OF,
    Swept,
    headings,
    line_title,
    noise_of,
    read_swept,
    remarks,
    trained_on,
)

COLUMNS = ["corpus", "method", "trained_on", "noise", "snr_db", "of", "from", "to", "count", "share", "note"]
HEARD, TRUE = "heard in clean audio", "true"
"""What a row of a matrix is of."""
_MARGINS = Margins(left=1.95, right=0.3, top=0.95, bottom=1.25)
_CELL, _GAP_WIDTH, _GAP_HEIGHT = 0.34, 0.3, 0.3
_LEAST = 1.25
"""Side of a matrix of few classes, beside which its names stand."""
_BETWEEN = 0.45
"""Between corpora, where the names of the columns stand."""
_DARK = 55.0
"""Percent from which numbers are white."""

FloatArray = npt.NDArray[np.float64]


class Files(NamedTuple):
    """What the cells said in noise, and ``utterances.parquet`` of each corpus."""

    predictions: tuple[Path, ...]
    utterances: tuple[Path, ...]


def shift_counts(before: Sequence[str], after: Sequence[str], classes: Sequence[str]) -> FloatArray:
    """Return how many go from each class (rows) to each (columns), ``(classes, classes)``.

    ``before`` and ``after`` are of the same utterances in order.
    """
    number = {name: place for place, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)))
    for one, other in zip(before, after, strict=True):
        counts[number[one], number[other]] += 1
    return counts


def shares(counts: FloatArray) -> FloatArray:
    """Return the percentages of each row; NaN in one without any."""
    totals = counts.sum(axis=1, keepdims=True)
    found: FloatArray = np.divide(100.0 * counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    return found


def shift_table(cells: Sequence[Swept], facts: Mapping[str, Any]) -> pd.DataFrame:
    """Return all matrices, a row a cell of them, of all runs together.

    Returns
    -------
    pandas.DataFrame
        corpus, method, trained_on (as in `serflow.studies.dlc.robustness.robustness_table`), noise, snr_db, of
        (`HEARD` or `TRUE`: what ``from`` is), from, to (classes), count (predictions), share (percent of those from
        the class; NaN where there are none), note.
    """
    lines = []
    for swept in cells:
        for line in swept.lines:
            column = COLUMN_OF[line]
            for kind, snr_db in swept.points():
                if snr_db == CLEAN_DB:
                    continue
                clean, noisy = swept.at(kind, CLEAN_DB), swept.at(kind, snr_db)
                after = noisy.loc[clean.index, column].to_list()
                for of, before in ((HEARD, clean[column]), (TRUE, clean["label"])):
                    counts = shift_counts(before.to_list(), after, swept.classes)
                    of_all = shares(counts)
                    lines += [
                        (
                            swept.cell["corpus"], line_title(swept, line, facts),
                            trained_on(swept, facts), kind, snr_db, of, one, other, int(counts[i, j]), of_all[i, j],
                            "; ".join(remarks(swept)),
                        )
                        for i, one in enumerate(swept.classes)
                        for j, other in enumerate(swept.classes)
                    ]  # fmt: skip
    return pd.DataFrame(lines, columns=COLUMNS)


def _draw_matrix(axes: Axes, matrix: pd.DataFrame) -> None:
    axes.imshow(matrix.to_numpy(), cmap="Blues", vmin=0.0, vmax=100.0, aspect="auto")
    for i, j in np.ndindex(matrix.shape):
        value = matrix.iat[i, j]
        text = "" if np.isnan(value) else f"{value:.0f}"
        axes.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if value >= _DARK else INK)
    axes.grid(False)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def draw_shift(table: pd.DataFrame, corpora: Mapping[str, str], marks: Sequence[str] = ()) -> Figure:
    """Draw the matrices of `shift_table` in the loudest noise: a column a kind, a row a corpus and method."""
    loudest = table["snr_db"].min()
    drawn = table[(table["snr_db"] == loudest) & (table["of"] == HEARD)]
    kinds = [kind for kind in CONDITIONS if kind in set(drawn["noise"])]
    rows: list[tuple[str, str] | None] = []
    for corpus in corpora:
        methods = dict.fromkeys(drawn.loc[drawn["corpus"] == corpus, "method"])
        rows += [*([None] if rows else []), *((corpus, method) for method in methods)]
    n_classes = max(len(set(drawn[drawn["corpus"] == corpus]["from"])) for corpus in corpora)
    side = max(_CELL * n_classes, _LEAST)
    heights = [_BETWEEN if row is None else side for row in rows]
    noise = noise_of(drawn)
    level = f"{loudest:g}".replace("-", "\N{MINUS SIGN}")
    figure, panels = framed(
        Words(
            f"What becomes of each emotion at {level} dB",
            marks=marks,
            note="Row: what the network says of the clean audio; column: what it says of the same utterance in noise; "
            "percent of the row, all runs together. The diagonal is what stays. A row without numbers: what it says of "
            f"no clean utterance.{f' Trained in noise: {noise}.' if noise else ''}",
        ),
        (len(rows), len(kinds)),
        (
            len(kinds) * (side + _GAP_WIDTH) - _GAP_WIDTH,
            sum(heights) + (len(rows) - 1) * _GAP_HEIGHT,
        ),
        _MARGINS,
        (_GAP_WIDTH, _GAP_HEIGHT),
        height_ratios=heights,
    )
    for row, named in enumerate(rows):
        if named is None:
            for axes in panels[row]:
                axes.set_axis_off()
            continue
        corpus, method = named
        of_row = drawn[(drawn["corpus"] == corpus) & (drawn["method"] == method)]
        classes = list(dict.fromkeys(of_row["from"]))
        for place, kind in enumerate(kinds):
            found = of_row[of_row["noise"] == kind].pivot(index="from", columns="to", values="share")
            axes = panels[row, place]
            _draw_matrix(axes, found.loc[classes, classes])
            last = row + 1 == len(rows) or rows[row + 1] is None
            axes.set_xticks(range(len(classes)), classes if last else [], rotation=45, ha="right", color=INK)
            axes.set_yticks(range(len(classes)), classes if place == 0 else [], color=INK)
        heading = f"{corpora[corpus]}\n{method}".replace(" (", "\n(")
        panels[row, 0].set_ylabel(heading, color=FAINT, labelpad=8)
    for place, kind in enumerate(kinds):
        panels[0, place].set_title(f"{kind} noise", pad=8)
    return figure


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and all matrices, with the corpora by their headings; ``facts`` as `shift_table` takes them."""
    cells = [read_swept(path) for path in files.predictions]
    table = shift_table(cells, facts)
    over = headings(cells, facts["corpora"])
    return draw_shift(table, over.names, over.stamp), table.assign(corpus=table["corpus"].map(facts["corpora"]))
