"""Training curves as small multiples: one panel per row and column, one line per method, by period of training."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from serflow.report.frame import Margins, Words, framed
from serflow.report.style import FAINT, line_style

_PANEL_WIDTH, _PANEL_HEIGHT, _GAP_WIDTH, _GAP_HEIGHT = 2.9, 2.15, 0.5, 0.42
_MARGINS = Margins(left=0.95, right=0.3, top=0.95, bottom=0.68)
_LEGEND_ENTRY, _LEGEND_HANDLE = 1.35, 2.6
_MIN_INNER = 5.15
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


def draw_lines(axes: Axes, panel: pd.DataFrame, lines: Mapping[str, str]) -> None:
    """Draw the lines of a panel: columns line, fit, period, value."""
    for position, (line, label) in enumerate(lines.items()):
        fits = panel[panel["line"] == line]
        if fits.empty:
            continue
        curve = mean_curve(fits)
        periods = curve.index.to_numpy()
        style = line_style(position)
        mean, std = curve["mean"].to_numpy(), curve["std"].fillna(0.0).to_numpy()
        axes.fill_between(periods, mean - std, mean + std, color=style["color"], alpha=0.13, linewidth=0)
        axes.plot(periods, mean, label=label, zorder=3, **style)
        axes.plot(periods[-1:], mean[-1:], marker="o", markersize=4, zorder=4, color=style["color"])


def _draw_level(axes: Axes, words: str, level: float) -> None:
    """Draw a horizontal line with its words below it, and make room for them."""
    axes.axhline(level, color=FAINT, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
    axes.annotate(
        words, (1.0, level), xycoords=("axes fraction", "data"), xytext=(0, -3), textcoords="offset points",
        ha="right", va="top", color=FAINT, fontsize=8,
    )  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(bottom=min(low, level - 0.12 * (high - low)))


def draw_curves(
    curves: pd.DataFrame,
    *,
    rows: Mapping[str, str],
    columns: Mapping[str, str],
    lines: Mapping[str, str],
    title: str,
    quantity: str,
    note: str,
    levels: Mapping[str, float] | None = None,
    period: str = "epoch",
    marks: Sequence[str] = (),
) -> Figure:
    """Draw panels of training curves; a line is the mean over its fits, its band one standard deviation.

    Parameters
    ----------
    curves
        Columns row, column, line, fit, period, value (percent).
    rows, columns, lines
        Headings of the rows and columns of panels, and legend entries, by their names in ``curves``, in order.
    title, quantity, note
        Heading of the figure, label of the vertical axis, and small print below.
    levels
        Horizontal lines to draw in every panel, in percent, by the words beside them.
    period
        What a period of the training is: label of the horizontal axis.
    marks
        What a reader must not overlook of the data.
    """
    n_rows, n_columns = len(rows), len(columns)
    handles = [Line2D([], [], label=label, **line_style(i)) for i, label in enumerate(lines.values())]
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
            draw_lines(axes, curves[(curves["row"] == row) & (curves["column"] == column)], lines)
            for words, level in (levels or {}).items():
                _draw_level(axes, words, level)
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
