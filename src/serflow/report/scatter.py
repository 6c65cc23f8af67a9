"""Vectors as points in a plane, in panels: principal components or t-SNE, coloured by emotion, speaker or what else."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from serflow.order import natural
from serflow.report.frame import Margins, Words, framed
from serflow.report.style import EMOTION_STYLES, FAINT, UNLABELLED, look_at
from serflow.rounding import rounding

Projection = Literal["pca", "tsne"]
Looks = Mapping[str | None, Mapping[str, Any]]

TITLES: Mapping[Projection, str] = {"pca": "Principal components", "tsne": "t-SNE"}
_PERPLEXITY = 30.0
_FEWEST = 4
_PANEL, _LEGEND, _GAP, _GAP_HEIGHT = 3.0, 1.75, 0.7, 0.85
_MARGINS = Margins(left=0.8, right=_LEGEND, top=1.0, bottom=0.68)
_MAX_ENTRIES = 14


class Plane(NamedTuple):
    """Vectors as points; several panels may show the same ones.

    Parameters
    ----------
    points
        Coordinates, ``(n, 2)``; NaN where there are none.
    axes
        Names of the axes.
    words
        What was projected how; for the small print.
    fault
        Why there are no coordinates; None if there are.
    """

    points: NDArray[np.float64]
    axes: tuple[str, str]
    words: str
    fault: str | None = None


class Panel(NamedTuple):
    """A panel: points, and what they are coloured by.

    Parameters
    ----------
    heading
        Stands above it.
    plane
        From `project`; the same plane in two panels gives both the same coordinates.
    by
        What the groups are, e.g. ``emotion``; panels with the same have one legend.
    groups
        Of each point, ``(n,)``; None where it has none.
    names
        Of each point, e.g. its utterance, ``(n,)``; for the table.
    only
        The groups to show; all by default.
    """

    heading: str
    plane: Plane
    by: str
    groups: Sequence[str | None]
    names: Sequence[str]
    only: Sequence[str] | None = None

    def shown(self) -> list[int]:
        """Return the places of the points to show."""
        return [row for row, group in enumerate(self.groups) if self.only is None or group in self.only]


def project(vectors: NDArray[Any], projection: Projection, perplexity: float = _PERPLEXITY) -> Plane:
    """Bring vectors into a plane; the same vectors always get the same points.

    t-SNE starts from the principal components, with a standard deviation of 1e-4 along the first, so nothing in it is
    drawn at random.

    Parameters
    ----------
    vectors
        ``(n, dim)``.
    projection
        ``pca`` or ``tsne``. t-SNE needs 4 vectors that are not all alike.
    perplexity
        Of t-SNE; at most a third of the other points.
    """
    n, dim = vectors.shape
    words = f"{TITLES[projection]} of {n:,} vectors of {dim:,} values"
    fault = None
    if not n:
        fault = "no vectors"
    elif not np.isfinite(vectors).all():
        fault = f"{int((~np.isfinite(vectors)).any(axis=1).sum()):,} of {n:,} vectors hold NaN or infinite values"
    elif projection == "tsne" and n < _FEWEST:
        fault = f"t-SNE needs {_FEWEST} vectors, there are {n}"
    elif projection == "tsne" and np.all(np.ptp(vectors, axis=0) <= rounding(np.abs(vectors).max(axis=0))):
        fault = f"t-SNE needs vectors that differ, all {n:,} are alike"
    if fault is not None:
        return Plane(np.full((n, 2), np.nan), ("", ""), words, fault)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    points, shares = _principal_components(centred)
    if projection == "pca":
        return Plane(points, (f"PC 1 ({shares[0]:.0f} % of variance)", f"PC 2 ({shares[1]:.0f} %)"), words)
    from sklearn.manifold import TSNE

    used = min(perplexity, (n - 1) / 3)
    start = (1e-4 * points / points[:, 0].std()).astype(np.float32)
    tsne = TSNE(2, perplexity=used, init=start, random_state=0)
    embedded = tsne.fit_transform(centred.astype(np.float32)).astype(np.float64)
    return Plane(embedded, ("t-SNE 1", "t-SNE 2"), f"{words}, perplexity {used:.3g}")


def _principal_components(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[float]]:
    """Return the first two components ``(n, 2)``, each axis with its largest entry positive, and shares in percent."""
    spread, directions = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(spread)[::-1][:2]
    axes = directions[:, order]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    points = np.zeros((len(centred), 2))
    points[:, : axes.shape[1]] = centred @ axes
    total = max(float(spread.sum()), 1e-300)
    return points, [100 * max(0.0, float(spread[place])) / total for place in order] + [0.0]


def looks_of(groups: Iterable[str | None]) -> dict[str | None, Mapping[str, Any]]:
    """Return colour and marker of each group, in order; emotions look the same in every figure, no label is grey."""
    found = set(groups)
    names = {name for name in found if name is not None}
    looks: dict[str | None, Mapping[str, Any]] = {}
    if names <= set(EMOTION_STYLES):
        looks |= {name: look for name, look in EMOTION_STYLES.items() if name in names}
    else:
        looks |= {name: look_at(position).points for position, name in enumerate(sorted(names, key=natural))}
    return looks | {None: UNLABELLED} if None in found else looks


def draw_points(axes: Axes, points: NDArray[np.float64], groups: Sequence[str | None], looks: Looks) -> None:
    """Draw points ``(n, 2)`` in the colours of their groups."""
    size = 26 if len(points) < 400 else 14 if len(points) < 1500 else 7
    for group, look in looks.items():
        rows = [row for row, name in enumerate(groups) if name == group]
        axes.scatter(
            points[rows, 0], points[rows, 1], s=size, alpha=0.75, linewidths=0, rasterized=len(points) > 2000, **look
        )
    axes.grid(True, axis="both")


def add_legend(axes: Axes, looks: Looks, counts: Mapping[str | None, int] | None = None) -> None:
    """Put a legend to the right of a panel; of very many groups it names the first."""
    many = len(looks) > _MAX_ENTRIES
    handles = [
        Line2D(
            [], [], linestyle="", markersize=6, label=label if counts is None else f"{label} ({counts[name]:,})", **look
        )
        for name, look in list(looks.items())[: _MAX_ENTRIES - 1 if many else None]
        for label in [name or "no label"]
    ]
    if many:
        handles.append(Line2D([], [], linestyle="", label=f"and {len(looks) - len(handles):,} more"))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.02), handletextpad=0.3, fontsize=8.5)


def draw_scatter(
    panels: Sequence[Panel],
    *,
    title: str,
    subtitle: str = "",
    note: str = "",
    marks: Sequence[str] = (),
    columns: int = 3,
) -> Figure:
    """Draw panels of points; one without coordinates says why.

    Parameters
    ----------
    panels
        In order, ``columns`` of them in a row.
    title, subtitle, note
        Heading of the figure, a line below it, and small print, to which is added what was projected how.
    marks
        What a reader must not overlook of the data.
    columns
        Number of panels beside each other.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    # a legend stands to the right of the last of neighbours that share it
    legends = [
        place for place, panel in enumerate(panels)
        if (place + 1) % columns == 0 or place + 1 == len(panels) or panels[place + 1].by != panel.by
    ]  # fmt: skip
    gap = _LEGEND + 0.5 if any((place + 1) % columns and place + 1 < len(panels) for place in legends) else _GAP
    figure, grid = framed(
        Words(title, subtitle, marks, note=" ".join([note, *_described(panels)]).strip()),
        (rows, columns),
        (columns * (_PANEL + gap) - gap, rows * (_PANEL + _GAP_HEIGHT) - _GAP_HEIGHT),
        _MARGINS._replace(top=_MARGINS.top + (0.2 if subtitle else 0)),
        (gap, _GAP_HEIGHT),
    )
    for place, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
        looks = looks_of(_shown(other for other in panels if other.by == panel.by))
        axes.set_title(panel.heading)
        _draw_panel(axes, panel, looks)
        first = place - place % columns
        named = _shown(other for other in panels[first : first + columns] if other.by == panel.by)
        if place in legends and named:
            add_legend(axes, {name: look for name, look in looks.items() if name in named})
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    return figure


def _shown(panels: Iterable[Panel]) -> set[str | None]:
    """Return the groups of which panels show points."""
    return {panel.groups[row] for panel in panels if panel.plane.fault is None for row in panel.shown()}


def _draw_panel(axes: Axes, panel: Panel, looks: Looks) -> None:
    """Draw a panel as a square whose limits are those of the whole plane, whichever groups are shown."""
    points, names, _, fault = panel.plane
    if fault is not None:
        axes.text(0.5, 0.5, textwrap.fill(fault, 40), transform=axes.transAxes, ha="center", va="center", color=FAINT)
        axes.set(xticks=[], yticks=[])
        return
    shown = panel.shown()
    draw_points(axes, points[shown], [panel.groups[row] for row in shown], looks)
    low, high = points.min(axis=0), points.max(axis=0)
    middle, reach = (low + high) / 2, 0.55 * max(float((high - low).max()), 1e-12)
    axes.set_xlim(middle[0] - reach, middle[0] + reach)
    axes.set_ylim(middle[1] - reach, middle[1] + reach)
    axes.set_xlabel(names[0], color=FAINT)
    axes.set_ylabel(names[1], color=FAINT)


def _described(panels: Sequence[Panel]) -> list[str]:
    """Return what was projected how, once where it is alike."""
    said = {panel.plane.words for panel in panels}
    if len(said) == 1:
        return [f"{said.pop()}."]
    said_of: dict[str, list[str]] = {}
    for panel in panels:
        said_of.setdefault(panel.plane.words, []).append(panel.heading.splitlines()[0])
    return [f"{' and '.join(dict.fromkeys(headings))}: {words}." for words, headings in said_of.items()]


def scatter_table(panels: Sequence[Panel]) -> pd.DataFrame:
    """Return what the figure shows: panel, name, by, group, x, y (NaN where a panel has no coordinates)."""
    return pd.DataFrame(
        [
            (panel.heading, panel.names[row], panel.by, panel.groups[row], *panel.plane.points[row])
            for panel in panels
            for row in panel.shown()
        ],
        columns=["panel", "name", "by", "group", "x", "y"],
    )
