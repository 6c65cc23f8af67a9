"""The common look of figures, and SVG files whose bytes depend on nothing but their content."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

matplotlib.use("Agg")

INK = "#222222"
FAINT = "#6b6b6b"
GRID = "#e3e3e3"
MARK = "#b35900"

# Okabe & Ito's palette, which stays apart under the common kinds of colour blindness, from dark to light
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a6d00", "#7a7a7a")
MARKERS = ("o", "^", "s", "D")
EMOTION_STYLES: dict[str, dict[str, Any]] = {
    emotion: {"color": colour, "marker": marker}
    for emotion, colour, marker in [
        ("anger", "#D55E00", "o"), ("anxiety", "#000000", "s"), ("boredom", "#8a6d00", "^"), ("calm", "#009E73", "s"),
        ("disgust", "#009E73", "^"), ("excitement", "#E69F00", "s"), ("fear", "#CC79A7", "^"),
        ("frustration", "#D55E00", "s"), ("happiness", "#E69F00", "o"), ("neutral", "#7a7a7a", "o"),
        ("sadness", "#0072B2", "o"), ("surprise", "#56B4E9", "^"), ("other", "#000000", "D"),
        ("undecided", "#7a7a7a", "D"),
    ]
}  # fmt: skip
"""How points of an emotion look, the same in every figure."""
UNLABELLED: dict[str, Any] = {"color": "#b5b5b5", "marker": "o"}
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.4, 1.4)), (0, (6, 1.5, 1.4, 1.5)))

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "ytick.major.size": 0,
    "lines.linewidth": 1.7,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.hashsalt": "serflow",
    "svg.fonttype": "path",
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw and save figures of this block in the common look, whatever the user's own matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def line_style(position: int) -> dict[str, Any]:
    """Return colour and dashes of the line at ``position``; no two of the first 36 are alike."""
    cycle, colour = divmod(position, len(COLOURS))
    return {"color": COLOURS[colour], "linestyle": DASHES[(colour + cycle) % len(DASHES)]}


def point_style(position: int) -> dict[str, Any]:
    """Return colour and marker of the group at ``position``; no two of the first 36 are alike."""
    cycle, colour = divmod(position, len(COLOURS))
    return {"color": COLOURS[colour], "marker": MARKERS[(colour + cycle) % len(MARKERS)]}


def save_svg(figure: Figure, path: Path) -> None:
    """Write a figure as SVG without a date; call it within `figure_style`."""
    figure.savefig(path, format="svg", metadata={"Date": None}, facecolor="white")
