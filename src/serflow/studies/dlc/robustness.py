"""Robustness curves of the DLC study: UA, and how much of what is heard in clean audio stays, by level of noise."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from serflow.noise.plan import CONDITIONS
from serflow.report.curves import draw_chance
from serflow.report.frame import Margins, Words, framed
from serflow.report.intervals import FEW_CLUSTERS
from serflow.report.style import FAINT, GRID, method_looks
from serflow.runs.bootstrap import (
    PREDICTION_OF,
    REPLICATES,
    Clusters,
    Wanted,
    clusters_by_corpus,
    counted_fits,
    interval,
    over_runs,
    score_runs,
)
from serflow.settings.base import CLEAN
from serflow.studies.dlc.swept import (
    CLEAN_DB,
    COLUMN_OF,
    Swept,
    headings,
    line_title,
    method_of,
    noise_of,
    read_swept,
    remarks,
    trained_on,
)

COLUMNS = [
    "corpus", "method", "trained_on", "noise", "snr_db", "ua", "low", "high", "unchanged", "chance", "n_utterances",
    "n_runs", "note",
]  # fmt: skip
_MARGINS = Margins(left=0.95, right=1.75, top=0.95, bottom=0.68)
_WIDTH, _HEIGHT, _GAP_WIDTH, _GAP_HEIGHT = 2.1, 1.75, 0.25, 0.42
_LABEL_HEIGHT = 0.085
"""Of a panel, that a name takes at the end of its line."""
_MEASURES = {"ua": "UA (%)", "unchanged": "said as in clean audio (%)"}
_NOTE = (
    "Above: UA on test utterances mixed with noise of one kind at one level, its 95 % interval over test clusters and "
    "runs as a band. Below: the share of utterances that are given the class that the same network gives them in clean "
    "audio. The point at the left is clean audio. Full lines: trained in noise{}; dashed, hollow: on clean audio; "
    "dotted: routed by the true kind of noise. Clip and offset of an utterance are the same at all levels."
)


class Files(NamedTuple):
    """What the cells said in noise, and ``utterances.parquet`` of each corpus."""

    predictions: tuple[Path, ...]
    utterances: tuple[Path, ...]


def unchanged_share(clean: Sequence[str], noisy: Sequence[str]) -> float:
    """Return the percentage of predictions that are the same in noise; both are of the same utterances in order."""
    return 100.0 * float(np.mean([one == other for one, other in zip(clean, noisy, strict=True)]))


def _scores(cells: Sequence[Swept], clusters: Clusters, replicates: int) -> dict[tuple[Wanted, int], Any]:
    """Score every line of a corpus at every point, all on the same draws of clusters."""
    fits = {}
    for swept in cells:
        for kind, snr_db in swept.points():
            for line in swept.lines:
                wanted = _wanted(swept, line, kind, snr_db)
                fits[wanted] = counted_fits(swept.fits(kind, snr_db, wanted[0]), clusters, wanted[1])
    return score_runs(fits, cells[0].cell["corpus"], "mean", replicates)


def _wanted(swept: Swept, line: str, kind: str, snr_db: float) -> Wanted:
    what = next(name for name, column in PREDICTION_OF.items() if column == COLUMN_OF[line])
    return f"{'/'.join(swept.cell.values())} in {kind} at {snr_db} dB", what, "ua"


def robustness_table(
    cells: Sequence[Swept], clusters: Mapping[str, Clusters], facts: Mapping[str, Any], replicates: int = REPLICATES
) -> pd.DataFrame:
    """Return the points of the curves.

    Parameters
    ----------
    cells
        What each said.
    clusters
        Of each corpus.
    facts
        Titles of ``methods`` and ``corpora``, and what each was ``trained_on``.
    replicates
        Draws of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        corpus, method, trained_on (``clean`` or a profile, with what was added to its levels), noise, snr_db (NaN:
        clean audio), ua, low, high, unchanged, chance (percent), n_utterances (of the smallest test set of the runs),
        n_runs, note.
    """
    lines = []
    for corpus in facts["corpora"]:
        of_corpus = [swept for swept in cells if swept.cell["corpus"] == corpus]
        scores = _scores(of_corpus, clusters[corpus], replicates) if of_corpus else {}
        for swept in of_corpus:
            runs = sorted(swept.frame["run"].unique().tolist())
            for line in swept.lines:
                for kind, snr_db in swept.points():
                    found = [scores[_wanted(swept, line, kind, snr_db), run] for run in runs]
                    few = min(score.n_clusters for score in found)
                    low, high = interval(over_runs(np.array([score.replicates for score in found])), few)
                    column = COLUMN_OF[line]
                    clean, noisy = swept.at(kind, CLEAN_DB)[column], swept.at(kind, snr_db)[column]
                    lines.append(
                        (
                            corpus,
                            line_title(swept, line, facts),
                            trained_on(swept, facts),
                            kind,
                            math.nan if snr_db == CLEAN_DB else snr_db,
                            float(np.mean([score.value for score in found])),
                            low,
                            high,
                            unchanged_share(clean.to_list(), noisy.loc[clean.index].to_list()),
                            100.0 / len(swept.classes),
                            min(score.n_utterances for score in found),
                            len(runs),
                            "; ".join(_notes(swept, clusters[corpus], few, len(runs))),
                        )
                    )
    return pd.DataFrame(lines, columns=COLUMNS)


def _notes(swept: Swept, clusters: Clusters, n_clusters: int, n_runs: int) -> list[str]:
    alone = ["one run: test sampling only, not how training varies"] if n_runs == 1 else []
    few = [f"few clusters: {n_clusters} in the smallest test set"] if n_clusters < FEW_CLUSTERS else []
    return [f"cluster: {clusters.unit}", *alone, *few, *remarks(swept)]


def spread_out(places: Sequence[float], least: float) -> list[float]:
    """Return places in their order, moved as little as needed to lie ``least`` apart."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[tuple[float, int]] = []
    for i in order:
        groups.append((places[i], 1))
        # what would overlap is set out evenly around its middle
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < least * (groups[-1][1] + groups[-2][1]) / 2:
            (right, n_right), (left, n_left) = groups.pop(), groups.pop()
            groups.append(((right * n_right + left * n_left) / (n_right + n_left), n_right + n_left))
    found = [middle + (k - (n - 1) / 2) * least for middle, n in groups for k in range(n)]
    return [found[order.index(i)] for i in range(len(places))]


def _looks(titles: Iterable[str], clean: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return how lines look: colour and marker of their methods, dashes of what they were trained on or routed by."""
    of_methods = method_looks(map(method_of, titles))
    looks: dict[str, dict[str, Any]] = {}
    for title in titles:
        method = method_of(title)
        looks[title] = {**of_methods[method].points, "linestyle": "-" if title == method else (0, (1.4, 1.4))}
        if title in clean:
            looks[title] |= {"linestyle": (0, (5, 1.6)), "markerfacecolor": "white"}
    return looks


def _draw_panel(
    axes: Axes, panel: pd.DataFrame, measure: str, clean_at: float, looks: Mapping[str, Mapping[str, Any]]
) -> None:
    for method, points in panel.groupby("method", sort=False):
        look = looks[method]
        noisy = points[points["snr_db"].notna()].sort_values("snr_db")
        clean = points[points["snr_db"].isna()]
        if measure == "ua" and noisy["low"].notna().all():
            axes.fill_between(noisy["snr_db"], noisy["low"], noisy["high"], color=look["color"], alpha=0.1, linewidth=0)
        axes.plot(noisy["snr_db"], noisy[measure], markersize=4.0, zorder=3, **look)
        axes.plot([clean_at], clean[measure], markersize=4.0, zorder=3, **{**look, "linestyle": "none"})
    levels = sorted(panel["snr_db"].dropna().unique())
    axes.axvline((clean_at + levels[-1]) / 2, color=GRID, linewidth=0.8, zorder=0)
    axes.set_xticks([*levels, clean_at], [*(f"{level:g}".replace("-", "\N{MINUS SIGN}") for level in levels), "clean"])
    pad = 0.05 * (clean_at - levels[0])
    axes.set_xlim(clean_at + pad, levels[0] - pad)


def _name_lines(axes: Axes, panel: pd.DataFrame, measure: str, looks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the names of the lines at their ends, in the loudest noise."""
    ends = panel[panel["snr_db"] == panel["snr_db"].min()]
    low, high = axes.get_ylim()
    places = spread_out(ends[measure].to_list(), _LABEL_HEIGHT * (high - low))
    for end, place in zip(ends.itertuples(index=False), places, strict=True):
        axes.annotate(
            end.method, (1.0, place), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
            color=looks[end.method]["color"], fontsize=8, va="center", annotation_clip=False,
        )  # fmt: skip


def draw_robustness(points: pd.DataFrame, corpora: Mapping[str, str], marks: Sequence[str] = ()) -> Figure:
    """Draw `robustness_table`: a column a kind of noise, two rows a corpus; ``corpora`` are their headings."""
    kinds = [kind for kind in CONDITIONS if kind in set(points["noise"])]
    shape = (len(_MEASURES) * len(corpora), len(kinds))
    noise = noise_of(points)
    looks = _looks(dict.fromkeys(points["method"]), set(points.loc[points["trained_on"] == CLEAN, "method"]))
    figure, panels = framed(
        Words(
            "Trained networks in louder and louder noise",
            marks=marks,
            note=_NOTE.format(f" ({noise})" if noise else ""),
        ),
        shape,
        (shape[1] * (_WIDTH + _GAP_WIDTH) - _GAP_WIDTH, shape[0] * (_HEIGHT + _GAP_HEIGHT) - _GAP_HEIGHT),
        _MARGINS,
        (_GAP_WIDTH, _GAP_HEIGHT),
        sharey="row",
    )
    levels = points["snr_db"].dropna()
    clean_at = levels.max() + max(3.0, 0.2 * (levels.max() - levels.min()))
    for number, (corpus, heading) in enumerate(corpora.items()):
        for row, (measure, quantity) in enumerate(_MEASURES.items(), len(_MEASURES) * number):
            of_corpus = points[points["corpus"] == corpus]
            for place, kind in enumerate(kinds):
                _draw_panel(panels[row, place], of_corpus[of_corpus["noise"] == kind], measure, clean_at, looks)
                if measure == "ua":
                    draw_chance(panels[row, place], float(of_corpus["chance"].iloc[0]), words=place == 0)
            _name_lines(panels[row, -1], of_corpus[of_corpus["noise"] == kinds[-1]], measure, looks)
            panels[row, 0].set_ylabel(f"{heading}\n{quantity}", color=FAINT)
    for place, kind in enumerate(kinds):
        panels[0, place].set_title(f"{kind} noise", pad=8)
        panels[-1, place].set_xlabel("SNR (dB)", color=FAINT)
    return figure


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and its points, with the corpora by their headings; ``facts`` as `robustness_table`."""
    cells = [read_swept(path) for path in files.predictions]
    points = robustness_table(cells, clusters_by_corpus(files.utterances, facts["unit"]), facts)
    over = headings(cells, facts["corpora"])
    figure = draw_robustness(points, over.names, over.stamp)
    return figure, points.assign(corpus=points["corpus"].map(facts["corpora"]))
