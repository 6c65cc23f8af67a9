"""Architectures that are found: the gates between low-level and high-level features of each language (section 4.3.2).

High-level features u_1 to u_M have nothing but their number: another run may find the same architecture with u_1 and
u_2 exchanged. So the picture shows a fit as it is, and takes the mean over high-level features before that over runs.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from safetensors import safe_open

from serflow.errors import StoreError
from serflow.files import check_digest
from serflow.report.facts import marks
from serflow.report.frame import Margins, Words, framed
from serflow.report.style import FAINT, GRID, INK
from serflow.runs.provenance import Provenance, joined
from serflow.settings.base import checked
from serflow.stores.parquet import check
from serflow.studies.multigating.architecture import Gate, Transitions, read_gates
from serflow.studies.multigating.options import Options

FloatArray = npt.NDArray[np.floating]
COLUMNS = ["run", "fold", "language", "low", "high", "value", "open_probability"]
_CELL_WIDTH, _CELL_HEIGHT, _GAP, _GAP_HEIGHT = 0.58, 0.42, 0.55, 0.16
_MARGINS = Margins(left=0.95, right=0.3, top=1.2, bottom=0.95)
_DARK = 0.62


class Files(NamedTuple):
    """``predictions.parquet``, whose metadata hold the options, and ``model.safetensors`` of each corpus."""

    predictions: tuple[Path, ...]
    models: tuple[Path, ...]


class Architecture(NamedTuple):
    """The gates of a language in a fit, those to u_1 first."""

    run: int
    fold: str
    gates: list[Gate]

    def values(self) -> FloatArray:
        """Return the values at test time, ``(high, low)``."""
        found: FloatArray = np.array([gate.value for gate in self.gates])
        return found.reshape(math.isqrt(len(found)), -1)


class Found(NamedTuple):
    """The architectures of a language, one a fit, and what they come from."""

    corpus: str
    features: tuple[str, ...]
    fits: list[Architecture]
    provenance: Provenance


def read_architectures(path: Path, language: str, options: Options) -> list[Architecture]:
    """Return the gates of a language in all fits of a cell, by run and fold.

    Raises
    ------
    StoreError
        If the file is damaged, or lacks the transitions of the language.
    """
    check_digest(path)
    features = options.sharing.weighed(options.features)
    transitions = Transitions(len(features), options.sharing.width, options.nas)
    found = []
    with safe_open(path, framework="pt") as handle:
        names = set(handle.keys())
        fits = sorted({(int(run), fold) for run, fold, _ in (name.split("/", 2) for name in names)})
        if not fits:
            raise StoreError(f"{path}: holds no weights; give the cell of a network")
        for run, fold in fits:
            prefix = f"{run}/{fold}/sharing.transitions.{language}."
            lacking = [part for part in transitions.state_dict() if prefix + part not in names]
            if lacking:
                raise StoreError(f"{path}: lacks {prefix}{lacking[0]}; delete it and run the same command again")
            transitions.load_state_dict({part: handle.get_tensor(prefix + part) for part in transitions.state_dict()})
            found.append(Architecture(run, fold, read_gates(transitions, features)))
    return found


def read_found(predictions: Path, model: Path) -> Found:
    """Return the architectures of the language of a cell."""
    metadata = check(predictions, "predictions")
    options = checked(Options, metadata["options"], str(predictions))
    corpus = metadata["cell"]["corpus"]
    (language,) = (name for name, own in options.languages.items() if own.corpus == corpus)
    return Found(
        corpus,
        options.sharing.weighed(options.features),
        read_architectures(model, language, options),
        Provenance.from_json(metadata["provenance"]),
    )


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and all gates; ``facts`` say what ``languages`` (by corpus) and ``features`` are called.

    Raises
    ------
    StoreError
        If a file is damaged, or lacks the transitions of its language.
    """
    found = [read_found(*paths) for paths in zip(files.predictions, files.models, strict=True)]
    titles = [facts["languages"][of_language.corpus] for of_language in found]
    lines = [
        line for title, of_language in zip(titles, found, strict=True) for line in _lines(title, of_language, facts)
    ]
    return _draw(dict(zip(titles, found, strict=True)), facts["features"]), pd.DataFrame(lines, columns=COLUMNS)


def _lines(title: str, found: Found, facts: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for fit in found.fits:
        for gate in fit.gates:
            high = f"u{found.features.index(gate.high) + 1}"
            numbers = (f"{gate.value:.4g}", f"{gate.open_probability:.4g}")
            yield (fit.run, fit.fold, title, facts["features"][gate.low], high, *numbers)


def _draw(found: Mapping[str, Found], titles: Mapping[str, str]) -> Figure:
    first = next(iter(found.values()))
    shown, n_features = first.fits[0], len(first.features)
    high = [f"u{place + 1}" for place in range(n_features)]
    figure, grid = framed(
        Words(
            "Gates between features, by language",
            f"Run {shown.run}, fold {shown.fold}: from low-level features (below) to high-level features (left)",
            marks(joined(of_language.provenance for of_language in found.values())),
            note=_note(found),
        ),
        (2, len(found)),
        (len(found) * (n_features * _CELL_WIDTH + _GAP) - _GAP, (n_features + 1) * _CELL_HEIGHT + _GAP_HEIGHT),
        _MARGINS,
        (_GAP, _GAP_HEIGHT),
        height_ratios=(n_features, 1),
    )
    for (upper, lower), (title, of_language) in zip(grid.T, found.items(), strict=True):
        upper.set_title(title)
        _draw_values(upper, of_language.fits[0].values())
        _draw_values(lower, *over_runs(of_language.fits))
        upper.set_xticks([])
        upper.set_yticks(range(n_features), high)
        lower.set_yticks([0], ["mean"])
        low = [titles[name] for name in of_language.features]
        lower.set_xticks(range(n_features), low, rotation=35, ha="right", rotation_mode="anchor")
    return figure


def _note(found: Mapping[str, Found]) -> str:
    fits = next(iter(found.values())).fits
    over = f"high-level features and {len(fits)} fits" if len(fits) > 1 else "high-level features"
    spread = ", and standard deviation of the runs" if len({fit.run for fit in fits}) > 1 else ""
    zeros = [f"{title} {_share_of_zeros(of_language.fits)}" for title, of_language in found.items()]
    return (
        f"A gate is 0 (white) where a transition is cut, and 1 (dark) where it is whole. Lowest row: mean over {over}"
        f"{spread}. Gates that are 0, of all fits: {', '.join(zeros)}."
    )


def over_runs(fits: Sequence[Architecture]) -> tuple[FloatArray, FloatArray | None]:
    """Return mean and deviation over runs, ``(1, low)`` each, of the means over high-level features and folds.

    There is no deviation of one run.
    """
    of_runs: dict[int, list[FloatArray]] = {}
    for fit in fits:
        of_runs.setdefault(fit.run, []).append(fit.values().mean(0))
    means = np.array([np.mean(of_run, axis=0) for of_run in of_runs.values()])
    return means.mean(0)[None], means.std(0, ddof=1)[None] if len(means) > 1 else None


def _share_of_zeros(fits: Sequence[Architecture]) -> str:
    share = statistics.fmean(float((fit.values() == 0).mean()) for fit in fits)
    return f"{100 * share:.1f} %"


def _draw_values(axes: Axes, values: FloatArray, spread: FloatArray | None = None) -> None:
    """Draw values of 0 to 1, ``(rows, columns)``, as shades with the numbers in them."""
    axes.imshow(values, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID)
    axes.tick_params(length=0, labelsize=7.5, labelcolor=INK)
    # white lines between the cells
    for edge in range(1, values.shape[0]):
        axes.axhline(edge - 0.5, color="white", linewidth=1.2)
    for edge in range(1, values.shape[1]):
        axes.axvline(edge - 0.5, color="white", linewidth=1.2)
    for (row, column), value in np.ndenumerate(values):
        ink = "white" if value > _DARK else INK if value else FAINT
        said = "0" if value == 0 else f"{value:.2f}"
        if spread is not None:
            said += f"\n±{spread[row, column]:.2f}"
        axes.text(column, row, said, ha="center", va="center", color=ink, fontsize=7 if spread is None else 6.3)
