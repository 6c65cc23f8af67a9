"""The common look of figures, and SVG files whose bytes depend on nothing but their content."""

import logging
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

matplotlib.use("Agg")
# a warning for each font that has no bold face
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

INK = "#222222"
FAINT = "#6b6b6b"
GRID = "#e3e3e3"
MARK = "#b35900"

# Okabe & Ito's palette, which stays apart under the common kinds of colour blindness, from dark to light
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a6d00", "#7a7a7a")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "h", ">", "p", "<", "*")
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
BLUE, VERMILION, GREEN, PINK, ORANGE, SKY, BLACK, OLIVE, GREY = COLOURS
_METHODS = {
    # noise robustness: what reads words too has the colour of its acoustic encoder
    "Single": (BLACK, "o"), "HFFN-Single": (BLACK, "h"), "MoE-SLC": (SKY, "^"), "MoE-DLC": (BLUE, "s"),
    "HFFN-MoE-DLC": (BLUE, "p"), "DANN": (ORANGE, "v"), "MADDoG": (VERMILION, "X"), "DSN-SLC": (PINK, "P"),
    "DSN-DLC": (GREEN, "D"), "HFFN-DSN-DLC": (GREEN, ">"), "Single (width-matched)": (GREY, "<"),
    "Single (shuffled labels)": (GREY, "*"), "Single (clean audio)": (BLACK, "P"), "Noise classifier": (OLIVE, "s"),
    # speaker invariance
    "SER_only": (BLACK, "^"), "SER_SR_MTL": (ORANGE, "o"), "SER_SR_DAT": (BLUE, "D"), "SER_SR_CGT": (VERMILION, "s"),
    "Random perturbation": (PINK, "v"), "SVC on mean and deviation": (OLIVE, "*"),
    # temporal context
    "Pitch pulse": (ORANGE, "D"), "Spectrogram": (BLACK, "s"), "Modulation": (SKY, "o"), "P. p. + Spec.": (OLIVE, "v"),
    "P. p. + Mod.": (VERMILION, "^"), "Spec. + Mod.": (BLUE, ">"), "All three": (GREEN, "X"), "Wav2vec": (PINK, "*"),
    "Wav2vec's classifier on log-mel": (GREY, "p"), "STRFNet on wav2vec": (GREY, "h"),
    "SVC on mean and deviation of log-mel": (OLIVE, "P"),
    # multilingual gating, and the features that its gates weigh
    "Base": (BLACK, "D"), "SB": (ORANGE, "^"), "OMoE": (SKY, "s"), "MMoE": (GREEN, "p"), "Ours": (VERMILION, "o"),
    "SB with the weights of Ours": (GREY, "P"), "Single language": (GREY, "X"), "Scaler and SVC": (OLIVE, ">"),
    "Allosaurus": (ORANGE, "P"), "WAV2VEC": (PINK, "o"), "MFCC": (BLACK, "X"),
    "GE2E": (GREEN, "^"), "BYOL": (BLUE, "<"),
    # speaker normalisation
    "Baseline": (BLACK, "*"), "Reverse (1)": (BLUE, "o"), "Reverse (0.1)": (SKY, "D"), "Forward (1)": (VERMILION, "v"),
    "Forward (0.1)": (ORANGE, "s"),
}  # fmt: skip

_LAST_RESORT = "Last Resort High-Efficiency"
# fonts of other scripts that systems come with; the last, of matplotlib itself, draws a box that names the script
_OTHER_SCRIPTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR",
    "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "PingFang SC", "Hiragino Sans",
    "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "SimHei", "Noto Sans Devanagari",
    "Noto Sans Bengali", "Noto Sans Thai", "Noto Sans Arabic", "Noto Sans Ethiopic", "Arial Unicode MS",
    _LAST_RESORT,
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
}


@cache
def _families() -> list[str]:
    """Return DejaVu Sans, which matplotlib brings along, and what is installed for the letters that it lacks."""
    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed)]


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw and save figures of this block in the common look, whatever the user's own matplotlibrc says.

    Letters that no installed font has become boxes in a PNG, without a warning for each.
    """
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS | {"font.family": _families()})
        yield


class Look(NamedTuple):
    """Colour and marker of a method; its dashes follow from the marker, so that it is known in grey, too."""

    color: str
    marker: str

    @property
    def line(self) -> dict[str, Any]:
        """How its lines look."""
        return {"color": self.color, "linestyle": DASHES[MARKERS.index(self.marker) % len(DASHES)]}

    @property
    def points(self) -> dict[str, Any]:
        """How its points look."""
        return {"color": self.color, "marker": self.marker}

    @property
    def curve(self) -> dict[str, Any]:
        """How lines with points on them look."""
        return {**self.line, "marker": self.marker, "markersize": 4.5}


_LOOKS = {name: Look(*look) for name, look in _METHODS.items()}
_OTHER_LOOKS = [
    look for marker in MARKERS for colour in COLOURS if (look := Look(colour, marker)) not in _LOOKS.values()
]


def method_looks(names: Iterable[str]) -> dict[str, Look]:
    """Return how methods look, by their names in tables: the same in every figure of every study.

    What is not listed here, such as a method of your own, has a look that follows from its name. Only where two of them
    in one figure would be alike does the second by name take another.
    """
    names = list(dict.fromkeys(names))
    looks = {name: _LOOKS[name] for name in names if name in _LOOKS}
    for name in sorted(set(names) - looks.keys()):
        place = zlib.crc32(name.encode())
        turned = (_OTHER_LOOKS[(place + step) % len(_OTHER_LOOKS)] for step in range(len(_OTHER_LOOKS)))
        looks[name] = next(look for look in turned if look not in looks.values())
    return {name: looks[name] for name in names}


def look_at(position: int) -> Look:
    """Return the look of what is no method, by its place: no lines of the first 36 are alike, and no points."""
    cycle, colour = divmod(position, len(COLOURS))
    return Look(COLOURS[colour], MARKERS[(colour + cycle) % len(DASHES)])


@cache
def _fonts() -> list[Any]:
    """Return the fonts of `_families` that have letters of their own."""
    names = [name for name in _families() if name != _LAST_RESORT]
    return [font_manager.get_font(font_manager.findfont(name, fallback_to_default=False)) for name in names]


def _lacks_letters(figure: Figure) -> bool:
    """Tell whether some letter of a figure is in no font that is installed."""
    letters = set("".join(text.get_text() for text in figure.findobj(Text))) - set("\n")
    return any(not any(font.get_char_index(ord(letter)) for font in _fonts()) for letter in letters)


def save_svg(figure: Figure, path: Path) -> None:
    """Write a figure as SVG without a date; call it within `figure_style`.

    Letters are drawn as outlines, the same on every machine. Where no font here has some of them, all stay text, which
    the reader's own fonts show.
    """
    with matplotlib.rc_context({"svg.fonttype": "none" if _lacks_letters(figure) else "path"}):
        figure.savefig(path, format="svg", metadata={"Date": None}, facecolor="white")
