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
_MARGINS = Margins(left=2.4, right=0.3, top=1.2, bottom=1.25)
_CELL, _GAP_WIDTH, _GAP_HEIGHT = 0.34, 0.25, 0.25
_LEAST = 1.25
"""Side of a matrix of few classes, beside which its names stand."""
_BETWEEN = 0.7
"""Between corpora, where the names of the next one's classes stand."""
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
    """Draw the matrices of `shift_table` in the loudest noise.

    A row is of a method; corpora stand beside each other, and each has a column for every kind of noise.
    """
    loudest = table["snr_db"].min()
    drawn = table[(table["snr_db"] == loudest) & (table["of"] == HEARD)]
    kinds = [kind for kind in CONDITIONS if kind in set(drawn["noise"])]
    by_corpus = {corpus: drawn[drawn["corpus"] == corpus] for corpus in corpora}
    methods = list(dict.fromkeys(method for of_corpus in by_corpus.values() for method in of_corpus["method"]))
    sides = [max(_CELL * of_corpus["from"].nunique(), _LEAST) for of_corpus in by_corpus.values()]
    # between corpora lies an empty column, in which the names of the next one's classes stand
    widths = [width for side in sides for width in (_BETWEEN, *[side] * len(kinds))][1:]
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
        (len(methods), len(widths)),
        (
            sum(widths) + (len(widths) - 1) * _GAP_WIDTH,
            len(methods) * (max(sides) + _GAP_HEIGHT) - _GAP_HEIGHT,
        ),
        _MARGINS,
        (_GAP_WIDTH, _GAP_HEIGHT),
        width_ratios=widths,
    )
    for axes in panels.flat:
        axes.set_axis_off()
    for place, (corpus, of_corpus) in enumerate(by_corpus.items()):
        first = place * (len(kinds) + 1)
        _draw_corpus(panels[:, first : first + len(kinds)], of_corpus, methods, kinds)
        panels[0, first].annotate(
            corpora[corpus], (0, 1), (0, 26), xycoords="axes fraction", textcoords="offset points", color=INK, size=9.5
        )
    for row, method in enumerate(methods):
        panels[row, 0].annotate(
            method.replace(" (", "\n("), (0, 0.5), (-_MARGINS.left * 72 + 8, 0), xycoords="axes fraction",
            textcoords="offset points", va="center", color=FAINT,
        )  # fmt: skip
    return figure


def _draw_corpus(panels: npt.NDArray[Any], drawn: pd.DataFrame, methods: Sequence[str], kinds: Sequence[str]) -> None:
    """Draw a corpus: ``panels``, ``(methods, kinds)``; the place of a method that it has not stays empty."""
    classes = list(dict.fromkeys(drawn["from"]))
    own = set(drawn["method"])
    rows = [row for row, method in enumerate(methods) if method in own]
    for row in rows:
        of_row = drawn[drawn["method"] == methods[row]]
        for place, kind in enumerate(kinds):
            axes = panels[row, place]
            axes.set_axis_on()
            found = of_row[of_row["noise"] == kind].pivot(index="from", columns="to", values="share")
            _draw_matrix(axes, found.loc[classes, classes])
            named = classes if row == rows[-1] else []
            axes.set_xticks(range(len(classes)), named, rotation=45, ha="right", color=INK)
            axes.set_yticks(range(len(classes)), classes if place == 0 else [], color=INK)
    for place, kind in enumerate(kinds):
        panels[rows[0], place].set_title(f"{kind} noise", pad=8)


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and all matrices, with the corpora by their headings; ``facts`` as `shift_table` takes them."""
    cells = [read_swept(path) for path in files.predictions]
    table = shift_table(cells, facts)
    over = headings(cells, facts["corpora"])
    return draw_shift(table, over.names, over.stamp), table.assign(corpus=table["corpus"].map(facts["corpora"]))
