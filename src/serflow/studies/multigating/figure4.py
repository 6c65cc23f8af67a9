"""Figure 4: what each feature alone can do for a language, beside the weight that its gate gives it (section 5.3.2).

The paper reads off the picture that gates give larger weights to better features. Here the rank correlation (Spearman)
of UA and weight over the features of a language says it in a number: 1 if better features have larger weights
throughout, -1 if smaller ones. Of four features there are but 24 orders: below 1 it is no evidence by itself.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from serflow.errors import StoreError
from serflow.files import two_digits
from serflow.report.bars import bar_end, bar_fill
from serflow.report.facts import Stamped, stamped
from serflow.report.frame import Margins, Words, framed
from serflow.report.headings import Layout
from serflow.report.style import FAINT, INK, Look, method_looks
from serflow.report.tables import Filled, fill, four_digits, taken_in
from serflow.runs.provenance import Provenance, joined
from serflow.runs.scores import Value, mean, read_runs
from serflow.settings.base import checked
from serflow.stores.parquet import read_metadata, read_table
from serflow.studies.multigating.catalog import ONLY
from serflow.studies.multigating.options import Options

COLUMNS = [
    "language", "feature", "ua", "ua_std", "wa", "wa_std", "n_runs", "weight", "weight_std", "n_gate_runs",
    "rank_correlation",
]  # fmt: skip
_SLOT, _GROUP_GAP, _MIN_INNER, _HEIGHT, _GAP = 0.2, 0.35, 2.6, 2.2, 0.8
_BAR, _MARK_SHIFT = 0.62, 0.41
_MARGINS = Margins(left=0.75, right=0.25, top=0.98, bottom=0.6)
_LEVEL: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 2.5))}
_WA: dict[str, Any] = {
    "linestyle": "none", "marker": "D", "markersize": 3.4, "markerfacecolor": "white", "markeredgecolor": INK,
    "markeredgewidth": 0.9,
}  # fmt: skip


class Files(NamedTuple):
    """``metrics.json`` of the cells with one feature, and ``predictions.parquet`` of the gated cell of each corpus."""

    cells: tuple[Path, ...]
    predictions: tuple[Path, ...]


class Weights(NamedTuple):
    """How the gate of a language weighs features on its test utterances.

    Parameters
    ----------
    corpus
        Of the language.
    features, selector
        What is weighed, in order, and what the gate reads.
    of_runs
        Mean weights, ``(runs, features)``.
    provenance
        Of the cell.
    """

    corpus: str
    features: tuple[str, ...]
    selector: str
    of_runs: npt.NDArray[np.float64]
    provenance: Provenance


def read_weights(path: Path) -> Weights:
    """Return the mean weights over the test utterances of each run, those of all folds together.

    Raises
    ------
    StoreError
        If the file is absent or damaged, or has no weight of each feature.
    """
    rows = read_table(path, kind="predictions", columns=["run", "role", "gates"]).to_pandas()
    metadata = read_metadata(path)
    options = checked(Options, metadata["options"], str(path))
    features = options.sharing.weighed(options.features)
    tested = rows[rows["role"] == "test"]
    if tested.empty or any(gates is None or len(gates) != len(features) for gates in tested["gates"]):
        raise StoreError(
            f"{path}: not every test utterance has a weight of each of {', '.join(features)}; delete it and run the "
            "same command again"
        )
    of_runs = [np.mean(np.stack(of_run.to_numpy()), axis=0) for _, of_run in tested.groupby("run")["gates"]]
    return Weights(
        metadata["cell"]["corpus"],
        features,
        options.sharing.selector,
        np.array(of_runs),
        Provenance.from_json(metadata["provenance"]),
    )


def _alone(table: Filled, corpus: str, feature: str, measure: str) -> Value:
    """Return what a network of one language and one feature does."""
    layout = table.layout
    (row,) = (place for place, found in enumerate(layout.rows) if found.where["variant"] == ONLY + feature)
    (column,) = (
        place
        for place, found in enumerate(layout.columns)
        if (found.where["corpus"], found.where["measure"]) == (corpus, measure)
    )
    value = table.value(row, column)
    if value is None:
        raise StoreError(f"no {measure} of {feature} alone on {corpus}: {table.cells[row, column]}")
    return value


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's rank correlation; NaN of fewer than three pairs, or where all of one are alike."""
    from scipy.stats import spearmanr

    alike = min(len(set(one)), len(set(other))) < 2
    return math.nan if len(one) < 3 or alike else float(spearmanr(one, other).statistic)


def figure4_table(table: Filled, weights: Sequence[Weights], facts: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row a language and feature, see `COLUMNS`: UA and WA in percent, weights as shares."""
    lines = []
    for of_language in weights:
        alone = [
            [_alone(table, of_language.corpus, feature, measure) for measure in ("ua", "wa")]
            for feature in of_language.features
        ]
        means = [mean(of_runs.tolist()) for of_runs in of_language.of_runs.T]
        n_runs = len(of_language.of_runs)
        correlation = rank_correlation([ua.mean for ua, _ in alone], means)
        for feature, (ua, wa), weight, of_runs in zip(
            of_language.features, alone, means, of_language.of_runs.T, strict=True
        ):
            spread = statistics.stdev(of_runs.tolist()) if n_runs > 1 else math.nan
            lines.append(
                (
                    facts["languages"][of_language.corpus], facts["features"][feature], ua.mean, ua.std, wa.mean,
                    wa.std, ua.n_runs, weight, spread, n_runs, correlation,
                )
            )  # fmt: skip
    return pd.DataFrame(lines, columns=COLUMNS)


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and its bars.

    ``facts`` hold the ``layout`` of the table of single features, and what ``languages`` (by corpus) and ``features``
    are called.

    Raises
    ------
    StoreError
        If a file is damaged, or gates do not weigh the same features in all languages.
    """
    table = fill(Layout.from_json(facts["layout"]), read_runs(files.cells))
    weights = [read_weights(path) for path in files.predictions]
    first = weights[0]
    for path, of_language in zip(files.predictions, weights, strict=True):
        if (of_language.features, of_language.selector) != (first.features, first.selector):
            raise StoreError(
                f"{path}: its gates weigh other features than those of {first.corpus}; delete both and run the same "
                "command again"
            )
    bars = figure4_table(table, weights, facts)
    chances = {facts["languages"][run.cell["corpus"]]: 100 / len(run.classes) for run in taken_in(table)}
    figure = _draw(bars, _labels(table, weights, facts), chances, facts["features"][first.selector])
    shares = ("weight", "weight_std", "rank_correlation")
    return figure, bars.assign(**{name: [four_digits(value) for value in bars[name]] for name in shares})


def _labels(table: Filled, weights: Sequence[Weights], facts: Mapping[str, Any]) -> Stamped:
    found = {}
    for of_language in weights:
        alone = [cell.provenance for cell in taken_in(table) if cell.cell["corpus"] == of_language.corpus]
        found[facts["languages"][of_language.corpus]] = joined([*alone, of_language.provenance])
    return stamped({name: name for name in found}, found)


def _draw(bars: pd.DataFrame, labels: Stamped, chances: Mapping[str, float], selector: str) -> Figure:
    features = list(dict.fromkeys(bars["feature"]))
    looks = method_looks(features)
    group = len(features) * _SLOT + _GROUP_GAP
    inner = max(len(labels.names) * group, _MIN_INNER)
    said = bars.drop_duplicates("language")
    correlations = [
        f"{language} {two_digits(value) or 'n/a'}"
        for language, value in zip(said["language"], said["rank_correlation"], strict=True)
    ]
    figure, ((left, right),) = framed(
        Words(
            "Features alone, and how gates weigh them",
            marks=labels.stamp,
            handles=[
                *(Line2D([], [], label=name, **bar_end(look)) for name, look in looks.items()),
                Line2D([], [], label="WA, (a)", **_WA),
            ],
            note="(a) Bar: UA of a network that reads one feature of one language, mean over runs. (b) Bar: mean "
            f"weight over the test utterances, mean over runs; gates read {selector}. Dashed: chance, and all "
            "features weighed alike. Line: one standard deviation of the runs. Rank correlation of UA and weight over "
            "features: "
            f"{', '.join(correlations)}.",
        ),
        (1, 2),
        (2 * inner + _GAP, _HEIGHT),
        _MARGINS,
        (_GAP, 0.0),
        legend_entry=1.05,
        legend_handle=1.0,
    )
    for axes, heading, value, label in (
        (left, "(a) Single features", "ua", "test UA (%)"),
        (right, "(b) Gates", "weight", "mean weight"),
    ):
        _draw_bars(axes, bars, looks, list(labels.names), value, inner / len(labels.names) / _SLOT)
        axes.set_xticks(
            axes.get_xticks(), [label.replace(" (", "\n(") for label in labels.names.values()], color=INK, fontsize=9
        )
        axes.set_title(heading, pad=8)
        axes.set_ylabel(label, color=FAINT)
    pitch = inner / len(labels.names) / _SLOT
    for place, name in enumerate(labels.names):
        left.hlines(chances[name], (place - 0.5) * pitch, (place + 0.5) * pitch, zorder=3, **_LEVEL)
    left.set_ylim(0, 100)
    right.axhline(1 / len(features), zorder=3, **_LEVEL)
    return figure


def _draw_bars(
    axes: Axes, bars: pd.DataFrame, looks: Mapping[str, Look], languages: Sequence[str], value: str, pitch: float
) -> None:
    """Draw the bars of each language, their middles ``pitch`` slots apart; beside UA stands WA."""
    centres = [number * pitch for number in range(len(languages))]
    beside = _MARK_SHIFT / 2 if value == "ua" else 0.0
    for centre, language in zip(centres, languages, strict=True):
        found = bars[bars["language"] == language]
        for place, row in enumerate(found.to_dict("records")):
            x = centre + place - (len(found) - 1) / 2
            look = looks[row["feature"]]
            axes.bar(x - beside, row[value], _BAR, zorder=2, **bar_fill(look))
            axes.plot(x - beside, row[value], zorder=5, **bar_end(look))
            spread = row[f"{value}_std"]
            if not math.isnan(spread):
                axes.errorbar(
                    x - beside, row[value], spread, color=INK, elinewidth=0.9, capsize=1.8, capthick=0.9, zorder=4
                )
            if beside:
                axes.plot(x + beside, row["wa"], zorder=5, **_WA)
    axes.set_xticks(centres)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-pitch / 2, (len(languages) - 0.5) * pitch)
    axes.set_ylim(bottom=0)
