"""Training curves as small multiples: one panel per row and column, one line per method, by epoch."""

import math
import textwrap
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from serflow.report.style import FAINT, INK, line_style

_PANEL_WIDTH, _PANEL_HEIGHT = 2.9, 2.15
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP_WIDTH, _GAP_HEIGHT = 0.95, 0.3, 0.95, 0.68, 0.5, 0.42
_LEGEND_ENTRY, _LEGEND_LINE, _NOTE_CHARACTER, _NOTE_LINE = 1.35, 0.2, 0.068, 0.16
_MIN_WIDTH = 6.4
_TICK_STEPS = [1, 2, 5, 10]


def mean_curve(fits: pd.DataFrame) -> pd.DataFrame:
    """Average curves of fits that stopped after different periods.

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


def _draw_panel(axes: Axes, panel: pd.DataFrame, lines: Mapping[str, str]) -> None:
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
    """
    n_rows, n_columns = len(rows), len(columns)
    width = max(_LEFT + n_columns * (_PANEL_WIDTH + _GAP_WIDTH) - _GAP_WIDTH + _RIGHT, _MIN_WIDTH)
    inner = width - _LEFT - _RIGHT
    legend_columns = max(1, int(inner / _LEGEND_ENTRY))
    small_print = textwrap.wrap(note, int(inner / _NOTE_CHARACTER), break_on_hyphens=False)
    top = _TOP + _LEGEND_LINE * math.ceil(len(lines) / legend_columns)
    bottom = _BOTTOM + _NOTE_LINE * len(small_print)
    height = top + n_rows * (_PANEL_HEIGHT + _GAP_HEIGHT) - _GAP_HEIGHT + bottom
    figure = Figure(figsize=(width, height))
    panels = figure.subplots(
        n_rows,
        n_columns,
        sharex=True,
        sharey="col",
        squeeze=False,
        gridspec_kw={
            "left": _LEFT / width,
            "right": 1 - _RIGHT / width,
            "top": 1 - top / height,
            "bottom": bottom / height,
            "wspace": _GAP_WIDTH / _PANEL_WIDTH,
            "hspace": _GAP_HEIGHT / _PANEL_HEIGHT,
        },
    )
    for i, (row, heading) in enumerate(rows.items()):
        for j, column in enumerate(columns):
            axes: Axes = panels[i, j]
            _draw_panel(axes, curves[(curves["row"] == row) & (curves["column"] == column)], lines)
            for words, level in (levels or {}).items():
                _draw_level(axes, words, level)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=_TICK_STEPS))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=_TICK_STEPS))
            axes.margins(x=0.03)
        _label_row(panels[i, 0], heading, quantity)
    for j, heading in enumerate(columns.values()):
        panels[0, j].set_title(heading, pad=8)
        panels[-1, j].set_xlabel("epoch", color=FAINT)
    _add_frame(figure, lines, title, "\n".join(small_print), legend_columns)
    return figure


def _label_row(first: Axes, heading: str, quantity: str) -> None:
    first.set_ylabel(quantity, color=FAINT, labelpad=6)
    first.annotate(
        heading, (0, 0.5), xycoords="axes fraction", xytext=(-54, 0), textcoords="offset points",
        rotation=90, ha="center", va="center", fontweight="bold",
    )  # fmt: skip


def _add_frame(figure: Figure, lines: Mapping[str, str], title: str, small_print: str, legend_columns: int) -> None:
    """Add heading, legend and small print, all flush with the left edge of the panels."""
    width, height = figure.get_size_inches()
    left = _LEFT / width
    figure.text(left, 1 - 0.22 / height, title, fontsize=12.5, fontweight="bold", color=INK, va="top")
    handles = [Line2D([], [], label=label, **line_style(i)) for i, label in enumerate(lines.values())]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(left, 1 - 0.5 / height), ncols=legend_columns,
        handlelength=2.6, columnspacing=1.8, borderpad=0, borderaxespad=0, labelspacing=0.45,
    )  # fmt: skip
    figure.text(left, 0.14 / height, small_print, fontsize=7.5, color=FAINT, va="bottom", linespacing=1.4)
