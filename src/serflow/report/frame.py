"""What stands around the panels of a figure: heading, marks of the data, legend and small print. Lengths in inches."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from serflow.report.style import FAINT, INK, MARK

_TITLE, _BELOW_TITLE, _LINE, _NOTE, _NOTE_LINE = 0.22, 0.52, 0.2, 0.14, 0.16
_MARKS_RIGHT, _MARKS_GAP, _EDGE = 0.4, 0.3, 0.1
_TITLE_FONT: dict[str, Any] = {"size": 12.5, "weight": "bold"}
_MARK_FONT: dict[str, Any] = {"size": 9, "weight": "bold"}
_NOTE_FONT: dict[str, Any] = {"size": 7.5}


class Margins(NamedTuple):
    """Room around the panels of a figure whose legend and small print are empty."""

    left: float
    right: float
    top: float
    bottom: float


class Words(NamedTuple):
    """What is written around the panels.

    Parameters
    ----------
    title
        Heading of the figure; takes more lines if it has to.
    subtitle
        A line below the heading.
    marks
        What a reader must not overlook of the data: to the right of the heading, or below it where there is no room.
    handles
        Entries of the legend.
    note
        Small print at the bottom.
    indent
        Where the lines begin; None: flush with the panels.
    """

    title: str
    subtitle: str = ""
    marks: Sequence[str] = ()
    handles: Sequence[Artist] = ()
    note: str = ""
    indent: float | None = None


def framed(
    words: Words,
    shape: tuple[int, int],
    inner: tuple[float, float],
    margins: Margins,
    gaps: tuple[float, float] = (0.45, 0.45),
    *,
    legend_entry: float = 1.6,
    legend_handle: float = 1.6,
    width_ratios: Sequence[float] | None = None,
    **options: Any,
) -> tuple[Figure, Any]:
    """Return a figure with its words, and the axes of its panels, ``shape``.

    Parameters
    ----------
    words
        What is written; the figure grows by the lines that it needs.
    shape
        Rows and columns of panels.
    inner
        Width and height of all panels with their gaps.
    margins
        Room around them.
    gaps
        Room between columns, and between rows.
    legend_entry
        Room for an entry of the legend, which decides how many stand in a line.
    legend_handle
        Length of the line or the patch beside an entry, in font sizes.
    width_ratios
        Widths of the columns beside each other; equal by default.
    **options
        Passed to :meth:`matplotlib.figure.Figure.subplots`.
    """
    rows, columns = shape
    width = margins.left + inner[0] + margins.right
    left = margins.left if words.indent is None else words.indent
    right = min(margins.right, _MARKS_RIGHT)
    room = width - left - right
    title = _wrapped(words.title, width - left - _EDGE, _TITLE_FONT)
    marks = " · ".join(words.marks)
    needed = _width(words.title, _TITLE_FONT) + _MARKS_GAP + _width(marks, _MARK_FONT)
    beside = not marks or needed <= room
    in_a_line = max(1, min(len(words.handles), int(inner[0] / legend_entry)))
    note = _wrapped(words.note, room, _NOTE_FONT)
    legend_lines = math.ceil(len(words.handles) / in_a_line)
    top = margins.top + _LINE * (legend_lines + len(title) - 1 + (not beside))
    bottom = margins.bottom + (_NOTE_LINE * len(note) if words.note else 0)
    height = top + inner[1] + bottom
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": margins.left / width,
            "right": 1 - margins.right / width,
            "top": 1 - top / height,
            "bottom": bottom / height,
            "wspace": gaps[0] * columns / (inner[0] - gaps[0] * (columns - 1)),
            "hspace": gaps[1] * rows / (inner[1] - gaps[1] * (rows - 1)),
            "width_ratios": width_ratios,
        },
        **options,
    )
    x, y = left / width, _BELOW_TITLE + _LINE * (len(title) - 1)
    figure.text(x, 1 - _TITLE / height, "\n".join(title), color=INK, va="top", **_TITLE_FONT)
    if words.subtitle:
        figure.text(x, 1 - y / height, words.subtitle, fontsize=9, color=FAINT, va="top")
        y += _LINE
    if marks:
        place = (1 - right / width, 1 - (_TITLE + 0.02) / height) if beside else (x, 1 - y / height)
        figure.text(*place, marks, color=MARK, ha="right" if beside else "left", va="top", **_MARK_FONT)
        y += 0 if beside else _LINE
    if words.handles:
        figure.legend(
            handles=words.handles, loc="upper left", bbox_to_anchor=(x, 1 - y / height), ncols=in_a_line,
            handlelength=legend_handle, columnspacing=1.8, borderpad=0, borderaxespad=0, labelspacing=0.45,
        )  # fmt: skip
    if words.note:
        figure.text(x, _NOTE / height, "\n".join(note), color=FAINT, va="bottom", linespacing=1.4, **_NOTE_FONT)
    return figure, axes


def _width(text: str, font: Mapping[str, Any]) -> float:
    """Return how wide a line is, in inches."""
    return float(text_to_path.get_text_width_height_descent(text, FontProperties(**font), False)[0]) / 72


def _wrapped(text: str, width: float, font: Mapping[str, Any]) -> list[str]:
    """Break a text into lines, between words and after the points between names."""
    lines = [""]
    for word in text.replace(" · ", "\N{NO-BREAK SPACE}· ").split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _width(longer, font) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
