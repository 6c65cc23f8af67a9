"""Bars around zero: panels below each other, groups side by side, one bar a series, with a reference beside each."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from serflow.report.frame import Margins, Words, framed
from serflow.report.style import FAINT, INK, Look

_SLOT, _GROUP_GAP, _PANEL_HEIGHT, _GAP_HEIGHT = 0.26, 1.4, 2.1, 0.95
_MARGINS = Margins(left=0.8, right=0.25, top=0.98, bottom=0.75)
_MIN_INNER, _MIN_PITCH = 5.35, 1.1
_BAR = 0.82
# with a reference in the slot the bar is narrower and stands to its left
_BAR_BESIDE, _BAR_SHIFT, _MARKER_SHIFT = 0.62, -0.13, 0.36
_BAND = "#f6f6f6"
_TICK_STEPS = [1, 2, 5, 10]
_MARKER: dict[str, Any] = {
    "linestyle": "none", "marker": "D", "markersize": 4.2, "markerfacecolor": "white", "markeredgecolor": INK,
    "markeredgewidth": 1.0,
}  # fmt: skip


class Series(NamedTuple):
    """How the bars of a series look: legend entry, look, and whether they are striped."""

    label: str
    look: Look
    striped: bool = False


def bar_fill(look: Look, striped: bool = False) -> dict[str, Any]:
    """Return the fill of a bar; its marker stands at its end, and in the legend."""
    hatch = {"hatch": "/////"} if striped else {}
    return {"facecolor": look.color, "edgecolor": "white", "linewidth": 0.0, "alpha": 0.55, **hatch}


def bar_end(look: Look) -> dict[str, Any]:
    """Return how the end of a bar is marked."""
    return {**look.points, "markersize": 7.0, "markeredgecolor": "white", "markeredgewidth": 0.5, "linestyle": "none"}


def _signed(value: float, _: int) -> str:
    return "0" if abs(value) < 1e-9 else f"{value:+g}".replace("-", "\N{MINUS SIGN}")


def _draw_group(axes: Axes, group: pd.DataFrame, first: float, shown: Mapping[str, Series], beside: bool) -> None:
    found = {row.series: row for row in group.itertuples(index=False)}
    for place, (name, series) in enumerate(shown.items()):
        row = found.get(name)
        if row is None:
            axes.annotate(
                "n/a", (first + place, 0.0), xytext=(0, 2), textcoords="offset points",
                fontsize=6.5, color=FAINT, ha="center", va="bottom",
            )  # fmt: skip
            continue
        x = first + place + (_BAR_SHIFT if beside else 0.0)
        axes.bar(x, row.value, _BAR_BESIDE if beside else _BAR, zorder=2, **bar_fill(series.look, series.striped))
        axes.plot(x, row.value, zorder=5, **bar_end(series.look))
        if not math.isnan(row.spread):
            axes.errorbar(x, row.value, row.spread, color=INK, elinewidth=1.0, capsize=2.2, capthick=1.0, zorder=4)
        if not math.isnan(row.reference):
            axes.plot(first + place + _MARKER_SHIFT, row.reference, zorder=5, **_MARKER)


def _draw_panel(
    axes: Axes, panel: pd.DataFrame, groups: Mapping[str, str], series: Mapping[str, Series], pitch: float, beside: bool
) -> None:
    """Draw the groups of a panel, their middles ``pitch`` slots apart."""
    present = set(panel["series"])
    shown = {name: look for name, look in series.items() if name in present}
    centres = [number * pitch for number in range(len(groups))]
    for centre in centres[1::2]:
        axes.axvspan(centre - pitch / 2, centre + pitch / 2, color=_BAND, linewidth=0, zorder=0)
    for centre, group in zip(centres, groups, strict=True):
        _draw_group(axes, panel[panel["group"] == group], centre - (len(shown) - 1) / 2, shown, beside)
    axes.axhline(0.0, color=INK, linewidth=1.0, zorder=3)
    axes.set_xticks(centres, list(groups.values()), color=INK, fontsize=9)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-pitch / 2, (len(groups) - 0.5) * pitch)
    axes.spines["bottom"].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=_TICK_STEPS))
    axes.yaxis.set_major_formatter(FuncFormatter(_signed))


def draw_bars(
    bars: pd.DataFrame,
    *,
    panels: Mapping[str, str],
    groups: Mapping[str, str],
    series: Mapping[str, Series],
    title: str,
    quantity: str,
    note: str,
    reference: str,
    marks: Sequence[str] = (),
) -> Figure:
    """Draw grouped bars; a series that a group lacks is marked ``n/a`` there.

    Parameters
    ----------
    bars
        Columns panel, group, series, value, spread (half the length of the error bar; NaN: none), reference (of
        another's value, drawn as a mark beside the bar; NaN: none).
    panels, groups
        Headings of the panels and labels of the groups, by their names in ``bars``, in order.
    series
        Legend entries and looks by name, in order. A panel leaves room for the series that it has.
    title, quantity, note, reference
        Heading of the figure, label of the vertical axis, small print below, and legend entry of the references.
    marks
        What a reader must not overlook of the data.
    """
    span = max((bars.loc[bars["panel"] == panel, "series"].nunique() for panel in panels), default=1) or 1
    beside = bool(bars["reference"].notna().any())
    inner = max(len(groups) * max((span + _GROUP_GAP) * _SLOT, _MIN_PITCH), _MIN_INNER)
    handles = [Line2D([], [], label=own.label, **bar_end(own.look)) for own in series.values()]
    handles += [Line2D([], [], label=reference, **_MARKER)] if beside else []
    figure, grid = framed(
        Words(title, handles=handles, note=note, marks=marks),
        (len(panels), 1),
        (inner, len(panels) * (_PANEL_HEIGHT + _GAP_HEIGHT) - _GAP_HEIGHT),
        _MARGINS,
        (0.0, _GAP_HEIGHT),
        sharey=True,
    )
    for axes, (panel, heading) in zip(grid[:, 0], panels.items(), strict=True):
        _draw_panel(axes, bars[bars["panel"] == panel], groups, series, inner / len(groups) / _SLOT, beside)
        axes.set_title(heading, pad=8)
        axes.set_ylabel(quantity, color=FAINT, labelpad=6)
    return figure
