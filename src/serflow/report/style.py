"""The common look of figures, and SVG files whose bytes depend on nothing but their content."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure

matplotlib.use("Agg")
# a warning for each font that has no bold face
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

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

# fonts of other scripts that systems come with; the last, of matplotlib itself, draws a box that names the script
_OTHER_SCRIPTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR",
    "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "PingFang SC", "Hiragino Sans",
    "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "SimHei", "Noto Sans Devanagari",
    "Noto Sans Bengali", "Noto Sans Thai", "Noto Sans Arabic", "Noto Sans Ethiopic", "Arial Unicode MS",
    "Last Resort High-Efficiency",
)  # fmt: skip

_SETTINGS: dict[Any, Any] = {
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


@cache
def _families() -> list[str]:
    """Return DejaVu Sans, which matplotlib brings along, and what is installed for the letters that it lacks."""
    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed)]


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw and save figures of this block in the common look, whatever the user's own matplotlibrc says.

    Letters that no installed font has become boxes, without a warning for each.
    """
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS | {"font.family": _families()})
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
