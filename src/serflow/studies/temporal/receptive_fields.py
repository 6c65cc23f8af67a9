"""Receptive fields that a row with modulation has learnt: each as a picture, and all by rate and scale (section 2.1).

A pair of fields has one rate (radians a frame) and one scale (radians a band), read from the weights of a run; here
they are in Hz and in cycles a band. What they were drawn as before training is not kept, and is not shown.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from safetensors import safe_open

from serflow.audio.mel import SAMPLE_RATE
from serflow.errors import StoreError
from serflow.files import check_digest
from serflow.report.facts import marks
from serflow.report.frame import Margins, Words, framed
from serflow.report.style import COLOURS, FAINT
from serflow.runs.provenance import Provenance
from serflow.settings.base import checked
from serflow.stores.parquet import check
from serflow.studies.temporal.catalog import SYSTEMS, Cell
from serflow.studies.temporal.options import Options
from serflow.studies.temporal.strf import GaborStrf, odd_taps

FloatArray = npt.NDArray[np.floating]
COLUMNS = ["run", "fold", "reads", "rate_hz", "scale"]
_PAIRS_BESIDE = 4
_WIDTH, _HEIGHT = 6.9, 0.95
"""Of all fields beside each other, and of a row of them (inches)."""
_PLANE_HEIGHT, _GAP = 2.5, 0.75
_MARGINS = Margins(left=0.75, right=0.35, top=1.1, bottom=0.68)


class Files(NamedTuple):
    """``predictions.parquet``, whose metadata hold the options, and ``model.safetensors`` of a cell."""

    predictions: Path
    model: Path


class Fields(NamedTuple):
    """The fields of a fit, by rate.

    Parameters
    ----------
    run, fold
        Of the fit.
    reads
        What they are on: ``spectrogram``, or ``pulses``.
    rates
        Hz, ``(pairs,)``.
    scales
        Cycles a band, ``(pairs,)``.
    kernels
        The cosine and the sine field of each pair, ``(pairs, 2, taps, bands)``.
    """

    run: int
    fold: str
    reads: str
    rates: FloatArray
    scales: FloatArray
    kernels: FloatArray


def _hop_ms(options: Options) -> float:
    return 1000 * options.framing.hop / SAMPLE_RATE


def cycles(angles: FloatArray) -> FloatArray:
    """Return radians a step as cycles a step, 0 to 0.5.

    At whole steps a cosine of any angle is one of 0 to pi, and a sine is one of those but for its sign.
    """
    turned: FloatArray = np.abs((angles + math.pi) % (2 * math.pi) - math.pi) / (2 * math.pi)
    return turned


def read_fields(path: Path, system: str, options: Options) -> list[Fields]:
    """Return the fields of all fits of a cell.

    Raises
    ------
    StoreError
        If the file is damaged, or the network has none.
    """
    streams = {place: stream.of for place, stream in enumerate(SYSTEMS[system].streams) if stream.layer == "strf"}
    if not streams:
        having = [name for name, info in SYSTEMS.items() if any(stream.layer == "strf" for stream in info.streams)]
        raise StoreError(f"{path}: a network of {system} has no receptive fields; give a cell of {', '.join(having)}")
    check_digest(path)
    found = []
    with safe_open(path, framework="pt") as handle:
        names = set(handle.keys())
        for fit in sorted({name.rpartition("/")[0] for name in names}, key=_natural):
            run, _, fold = fit.partition("/")
            for place, reads in streams.items():
                named = [f"{fit}/classifier.streams.{place}.{part}" for part in ("rates", "scales")]
                if not names.issuperset(named):
                    raise StoreError(f"{path}: lacks {named[0]}; delete it and run the same command again")
                rates, scales = (handle.get_tensor(name).double() for name in named)
                found.append(_fields(int(run), fold, reads, rates, scales, options))
    return found


def _natural(fit: str) -> tuple[int, str]:
    run, _, fold = fit.partition("/")
    return int(run), fold


def _fields(run: int, fold: str, reads: str, rates: torch.Tensor, scales: torch.Tensor, options: Options) -> Fields:
    """Return the fields of rates (radians a frame) and scales (radians a band), ``(pairs,)`` each."""
    taps, bands = odd_taps(options.strfnet.support_ms / _hop_ms(options)), odd_taps(options.strfnet.support_bands)
    layer = GaborStrf(len(rates), taps, bands).double()
    with torch.no_grad():
        layer.rates.copy_(rates)
        layer.scales.copy_(scales)
        kernels = layer.kernels().reshape(2, len(rates), taps, bands).transpose(0, 1).numpy()
    hertz = cycles(rates.numpy()) * 1000 / _hop_ms(options)
    order = np.argsort(hertz, kind="stable")
    return Fields(run, fold, reads, hertz[order], cycles(scales.numpy())[order], kernels[order])


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and its points; ``facts`` hold the ``titles`` of the corpora.

    Pictures are of the first fit, points of all.

    Raises
    ------
    StoreError
        If a file is damaged, or the network has no receptive fields.
    """
    metadata = check(files.predictions, "predictions")
    cell = Cell(**metadata["cell"])
    options = checked(Options, metadata["options"], str(files.predictions))
    fits = read_fields(files.model, cell.system, options)
    shown, others = fits[0], fits[1:]
    pairs = len(shown.rates)
    rows = -(-pairs // _PAIRS_BESIDE)
    looks = [Line2D([], [], linestyle="", marker="o", color=COLOURS[0], label="fit of the pictures")]
    if others:
        looks.append(Line2D([], [], linestyle="", marker="o", color="#b5b5b5", label=f"other fits ({len(others)})"))
    figure, ((pictures,), (plane,)) = framed(
        Words(
            f"Learnt receptive fields of {SYSTEMS[cell.system].title}, {facts['titles'][cell.corpus]}",
            f"Run {shown.run}, fold {shown.fold}: {pairs} pairs on the {_READ[shown.reads]} by rate; "
            "left the cosine, right the sine",
            marks(Provenance.from_json(metadata["provenance"])),
            looks,
            note="Red: above 0, blue: below, from -1 to 1. A rate above half the frame rate is given as its alias "
            "below it, and so is a scale above half a cycle a band. What training began with is not shown.",
        ),
        (2, 1),
        (_WIDTH, rows * _HEIGHT + _GAP + _PLANE_HEIGHT),
        _MARGINS,
        (0.0, _GAP),
        height_ratios=(rows * _HEIGHT, _PLANE_HEIGHT),
    )
    _draw_fields(figure, pictures, shown, options)
    _draw_plane(plane, shown, others, options)
    return figure, pd.DataFrame(
        [
            (fit.run, fit.fold, fit.reads, float(rate), f"{scale:.4f}")
            for fit in fits
            for rate, scale in zip(fit.rates, fit.scales, strict=True)
        ],
        columns=COLUMNS,
    )


_READ = {"spectrogram": "spectrogram", "pulses": "pitch pulses"}


def _draw_fields(figure: Figure, place: Axes, fields: Fields, options: Options) -> None:
    """Draw pairs of fields into the place of some axes, in rows of four pairs."""
    spec = place.get_subplotspec()
    assert spec is not None
    pairs, _, taps, bands = fields.kernels.shape
    place.remove()
    rows = -(-pairs // _PAIRS_BESIDE)
    widths = [1.0, 1.0, 0.15] * _PAIRS_BESIDE
    grid = spec.subgridspec(rows, len(widths) - 1, wspace=0.1, hspace=0.75, width_ratios=widths[:-1])
    half_ms, half_bands = 0.5 * taps * _hop_ms(options), 0.5 * bands
    for pair, (rate, scale) in enumerate(zip(fields.rates, fields.scales, strict=True)):
        row, column = divmod(pair, _PAIRS_BESIDE)
        lowest = pair + _PAIRS_BESIDE >= pairs
        for phase, kernel in enumerate(fields.kernels[pair]):
            axes = figure.add_subplot(grid[row, 3 * column + phase])
            axes.imshow(
                kernel.T, origin="lower", aspect="auto", interpolation="nearest", cmap="RdBu_r", vmin=-1, vmax=1,
                extent=(-half_ms, half_ms, -half_bands, half_bands), rasterized=True,
            )  # fmt: skip
            axes.grid(False)
            axes.tick_params(labelsize=6.5, labelbottom=lowest, labelleft=column == phase == 0)
            axes.set_xticks([-_tick(half_ms), 0, _tick(half_ms)])
            axes.set_yticks([-(bands // 2), 0, bands // 2])
            if phase == 0:
                axes.set_title(f"{rate:.1f} Hz, {scale:.3f} cycles/band", fontsize=7, fontweight="normal", pad=3)
            if lowest:
                axes.set_xlabel("ms", color=FAINT, fontsize=7, labelpad=1)
        if column == 0:
            figure.axes[-2].set_ylabel("mel bands", color=FAINT, fontsize=7, labelpad=1)


def _tick(half_ms: float) -> float:
    """Return a round time well within half a support: 1, 2 or 5 times a power of ten (ms)."""
    power = 10.0 ** math.floor(math.log10(0.8 * half_ms))
    return power * max(step for step in (1, 2, 5) if step * power <= 0.8 * half_ms)


def _draw_plane(axes: Axes, shown: Fields, others: Sequence[Fields], options: Options) -> None:
    """Draw rates and scales of all fits as points."""
    for fit in others:
        axes.scatter(fit.rates, fit.scales, s=9, color="#b5b5b5", linewidths=0)
    axes.scatter(shown.rates, shown.scales, s=22, color=COLOURS[0], linewidths=0)
    axes.set_xlim(0, 500 / _hop_ms(options))
    axes.set_ylim(0, 0.5)
    axes.grid(True, axis="both")
    axes.set_xlabel("rate (Hz)", color=FAINT)
    axes.set_ylabel("scale (cycles a band)", color=FAINT)
