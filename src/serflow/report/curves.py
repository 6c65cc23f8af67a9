"""Training curves, by period of training: a few lines in a panel, or each line in a panel of its own."""

import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from serflow.report.frame import Margins, Words, framed
from serflow.report.style import FAINT, Look

_PANEL_WIDTH, _PANEL_HEIGHT, _GAP_WIDTH, _GAP_HEIGHT = 2.9, 2.15, 0.5, 0.42
_MARGINS = Margins(left=0.95, right=0.3, top=0.95, bottom=0.68)
_LEGEND_ENTRY, _LEGEND_HANDLE = 1.35, 2.6
_MIN_INNER = 5.15
_MARKS_A_LINE = 5
_BANDS = 4
"""Bands of more lines than these hide one another."""
_SMALL_WIDTH, _SMALL_HEIGHT, _SMALL_GAP, _SMALL_GAP_HEIGHT, _BESIDE = 1.5, 0.95, 0.4, 0.2, 4
_SMALL_MARGINS = Margins(left=1.6, right=0.3, top=1.05, bottom=0.68)
_OTHERS = "#cfcfcf"
_TICK_STEPS = [1, 2, 5, 10]


def mean_curve(fits: pd.DataFrame) -> pd.DataFrame:
    """Average curves of fits that stopped at different periods.

    Parameters
    ----------
    fits
        Columns fit, period, value; one row per fit and period.

    Returns
    -------
    pandas.DataFrame
        Indexed by period: mean, std (ddof 1; missing where one fit is left), n, the fits that reached it. It ends
        where fewer than half of the fits are left, since a mean over the few longest fits says little.
    """
    curve = fits.groupby("period")["value"].agg(mean="mean", std="std", n="count")
    return curve[2 * curve["n"] >= fits["fit"].nunique()]


def draw_lines(axes: Axes, panel: pd.DataFrame, looks: Mapping[str, Look], bands: bool = True) -> None:
    """Draw the lines of a panel (columns line, fit, period, value), each with its deviation as a band if asked for."""
    for line, look in looks.items():
        fits = panel[panel["line"] == line]
        if fits.empty:
            continue
        curve = mean_curve(fits)
        periods = curve.index.to_numpy()
        mean, std = curve["mean"].to_numpy(), curve["std"].fillna(0.0).to_numpy()
        if bands:
            axes.fill_between(periods, mean - std, mean + std, color=look.color, alpha=0.13, linewidth=0)
        axes.plot(periods, mean, zorder=3, markevery=_marked(len(periods)), **look.curve)


def _marked(n: int) -> list[int]:
    """Return the places of the points of a line that are marked: the last, and some before it."""
    step = max(1, -(-n // _MARKS_A_LINE))
    return list(range((n - 1) % step, n, step))


def _panel(curves: pd.DataFrame, row: str, column: str) -> pd.DataFrame:
    return curves[(curves["row"] == row) & (curves["column"] == column)]


def draw_chance(axes: Axes, level: float, words: bool = True) -> None:
    """Draw a line at what a uniform guess scores (percent), with its words below it if asked for."""
    axes.axhline(level, color=FAINT, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
    axes.margins(y=0.12)
    if words:
        axes.annotate(
            f"chance, {level:.1f} %", (1.0, level), xycoords=("axes fraction", "data"), xytext=(0, -3),
            textcoords="offset points", ha="right", va="top", color=FAINT, fontsize=8,
        )  # fmt: skip


def draw_curves(
    curves: pd.DataFrame,
    *,
    rows: Mapping[str, str],
    columns: Mapping[str, str],
    lines: Mapping[str, str],
    looks: Mapping[str, Look],
    title: str,
    quantity: str,
    note: str,
    levels: Mapping[tuple[str, str], float] | None = None,
    period: str = "epoch",
    marks: Sequence[str] = (),
) -> Figure:
    """Draw panels of a few training curves; a line is the mean over its fits, its band one standard deviation.

    Parameters
    ----------
    curves
        Columns row, column, line, fit, period, value (percent).
    rows, columns, lines
        Headings of the rows and columns of panels, and legend entries, by their names in ``curves``, in order.
    looks
        Of the lines, by their names.
    title, quantity, note
        Heading of the figure, label of the vertical axis, and small print below.
    levels
        What chance is (percent), by row and column of panels; a dashed line.
    period
        What a period of the training is: label of the horizontal axis.
    marks
        What a reader must not overlook of the data.
    """
    n_rows, n_columns = len(rows), len(columns)
    handles = [Line2D([], [], label=label, **looks[name].curve) for name, label in lines.items()]
    figure, panels = framed(
        Words(title, handles=handles, note=note, marks=marks),
        (n_rows, n_columns),
        (
            max(n_columns * (_PANEL_WIDTH + _GAP_WIDTH) - _GAP_WIDTH, _MIN_INNER),
            n_rows * (_PANEL_HEIGHT + _GAP_HEIGHT) - _GAP_HEIGHT,
        ),
        _MARGINS,
        (_GAP_WIDTH, _GAP_HEIGHT),
        legend_entry=_LEGEND_ENTRY,
        legend_handle=_LEGEND_HANDLE,
        sharex=True,
        sharey="col",
    )
    for i, (row, heading) in enumerate(rows.items()):
        for j, column in enumerate(columns):
            axes: Axes = panels[i, j]
            drawn = {name: looks[name] for name in lines}
            draw_lines(axes, _panel(curves, row, column), drawn, bands=len(lines) <= _BANDS)
            if (row, column) in (levels or {}):
                draw_chance(axes, (levels or {})[row, column])
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=_TICK_STEPS))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=_TICK_STEPS))
            axes.margins(x=0.03)
        _label_row(panels[i, 0], heading, quantity)
    for j, heading in enumerate(columns.values()):
        panels[0, j].set_title(heading, pad=8)
        panels[-1, j].set_xlabel(period, color=FAINT)
    return figure


def _label_row(first: Axes, heading: str, quantity: str) -> None:
    first.set_ylabel(quantity, color=FAINT, labelpad=6)
    first.annotate(
        heading, (0, 0.5), xycoords="axes fraction", xytext=(-54, 0), textcoords="offset points",
        rotation=90, ha="center", va="center", fontweight="bold",
    )  # fmt: skip


def draw_multiples(
    curves: pd.DataFrame,
    *,
    rows: Mapping[str, str],
    columns: Mapping[str, str],
    lines: Mapping[str, str],
    looks: Mapping[str, Look],
    title: str,
    quantity: str,
    note: str,
    levels: Mapping[tuple[str, str], float],
    period: str = "epoch",
    marks: Sequence[str] = (),
) -> Figure:
    """Draw each line in a panel of its own, over the others in grey: a row per line, a column per row and column.

    Where there is one column, lines stand beside each other. Parameters are those of `draw_curves`.
    """
    there = {key for key, _ in curves.groupby(["row", "column", "line"], sort=False)}
    facets = [(row, column) for row in rows for column in columns if any(key[:2] == (row, column) for key in there)]
    alone = len(facets) == 1
    beside = min(_BESIDE, len(lines)) if alone else len(facets)
    below = -(-len(lines) // beside) if alone else len(lines)
    gap_height = 2.2 * _SMALL_GAP_HEIGHT if alone else _SMALL_GAP_HEIGHT
    margins = _SMALL_MARGINS._replace(left=_MARGINS.left) if alone else _SMALL_MARGINS
    shown = [_facet(rows, columns, *facets[0])] if alone else []
    figure, panels = framed(
        Words(title, ": ".join([*filter(None, shown), f"{quantity} by {period}"]), note=note, marks=marks),
        (below, beside),
        (
            max(beside * (_SMALL_WIDTH + _SMALL_GAP) - _SMALL_GAP, _MIN_INNER),
            below * (_SMALL_HEIGHT + gap_height) - gap_height,
        ),
        margins._replace(top=margins.top + (0.2 if len(rows) > 1 else 0.0)),
        (_SMALL_GAP, gap_height),
        sharex=True,
        sharey=True if alone else "col",
    )
    for place, (name, label) in enumerate(lines.items()):
        for j, facet in enumerate(facets):
            axes: Axes = panels[divmod(place, beside)] if alone else panels[place, j]
            if (*facet, name) not in there:
                axes.set_axis_off()
                continue
            found = _panel(curves, *facet)
            for other in lines:
                if other != name and (*facet, other) in there:
                    curve = mean_curve(found[found["line"] == other])
                    axes.plot(curve.index, curve["mean"], color=_OTHERS, linewidth=0.8, zorder=2)
            draw_lines(axes, found, {name: looks[name]})
            if facet in levels:
                draw_chance(axes, levels[facet], words=False)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, steps=_TICK_STEPS))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=3, steps=_TICK_STEPS))
            axes.tick_params(labelsize=7)
            axes.margins(x=0.04)
            if alone:
                axes.set_title(label, fontsize=8.5, pad=4)
        if not alone:
            _name_row(panels[place, 0], label)
    for axes in panels.flat[len(lines) :] if alone else ():
        axes.set_axis_off()
    for j, column in enumerate(panels.T):
        lowest = [axes for axes in column if axes.axison][-1]
        if not alone:
            panels[0, j].set_title(_facet(rows, columns, *facets[j], "\n"), fontsize=8.5, pad=8)
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel(period, color=FAINT, fontsize=8)
    return figure


def _facet(rows: Mapping[str, str], columns: Mapping[str, str], row: str, column: str, between: str = ", ") -> str:
    named = [columns[column], *([rows[row]] if len(rows) > 1 else [])]
    return between.join(name for name in named if name)


def _name_row(first: Axes, label: str) -> None:
    first.annotate(
        textwrap.fill(label, 18), (0, 0.5), xycoords="axes fraction", xytext=(-30, 0), textcoords="offset points",
        ha="right", va="center", fontweight="bold", fontsize=8.5, annotation_clip=False,
    )  # fmt: skip
