"""A number over cells of a table, with an interval that takes in how training varies.

Where the cells rest on predictions, test clusters and runs are drawn (`serflow.runs.bootstrap`), all cells on the same
draws. Where only scores are kept (speakers that a head tells, say), runs alone tell: Student's interval of their mean.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from serflow.claims.ledger import Term
from serflow.report.headings import Layout, merged, why_absent
from serflow.report.intervals import TEST, TableIntervals
from serflow.runs.bootstrap import Clusters, FloatArray, interval, over_runs, read_predictions
from serflow.runs.scores import Run, common_runs, fold_scores, mean, measure_of, parse_measure, take, why_left_out
from serflow.stores import parquet

BOTH, RUNS_ALONE = "clusters and runs", "runs alone"
_LEVEL = 0.975


class Estimate(NamedTuple):
    """A number in points: its mean over runs, its 95 % interval, and what was drawn for it.

    ``n_clusters`` is that of the smallest test set; None where clusters were not drawn. One run leaves the interval to
    test sampling alone.
    """

    value: float
    low: float
    high: float
    n_runs: int
    n_clusters: int | None
    drawn: str


class TableNumbers:
    """The numbers of one table."""

    def __init__(self, layout: Layout, runs: Sequence[Run], clusters: Mapping[str, Clusters], replicates: int) -> None:
        self.layout = layout._replace(rows=[row._replace(baseline=None) for row in layout.rows])
        self.runs = runs
        self.clusters = clusters
        self.replicates = replicates
        self._intervals: dict[str, TableIntervals] = {}

    def cells(self, terms: Sequence[Term]) -> list[Run]:
        """Return the cells of runs that a number takes in, each once; those of a cell that is n/a are none."""
        found = [
            run for term in terms if not why_absent(term.row, term.column) for run in take(self.runs, self._where(term))
        ]
        return list({run.name: run for run in found}.values())

    def estimate(self, terms: Sequence[Term]) -> Estimate | str:
        """Return a number, or what it needs."""
        for term in terms:
            reason = why_absent(term.row, term.column)
            if reason is not None:
                return f"{' '.join(term.row.name)}, {' '.join(term.column.name)} ({reason})"
        return self._drawn(terms) if all(map(self._is_predicted, terms)) else self._over_runs(terms)

    def _where(self, term: Term) -> dict[str, tuple[str, ...]]:
        return merged(self.layout.where, term.row.where, term.column.where)

    def _role(self, term: Term) -> str:
        return self._where(term).get("role", (TEST,))[0]

    def _is_predicted(self, term: Term) -> bool:
        """Say whether a cell rests on predictions that are kept."""
        return self._index(term) in self._of_role(self._role(term)).entries

    def _index(self, term: Term) -> tuple[int, int]:
        names = [row.name for row in self.layout.rows]
        return names.index(term.row.name), [column.name for column in self.layout.columns].index(term.column.name)

    def _of_role(self, role: str) -> TableIntervals:
        if role not in self._intervals:
            paths = [run.path.with_name("predictions.parquet") for run in self.runs]
            kept = [path for path in paths if _has(path, role)]
            cells = [read_predictions(path, role) for path in kept]
            # where some cell lacks them, no number of the role is drawn
            layout = self.layout if len(kept) == len(paths) else self.layout._replace(rows=[])
            self._intervals[role] = TableIntervals(layout, cells, self.clusters, self.replicates, role)
        return self._intervals[role]

    def _drawn(self, terms: Sequence[Term]) -> Estimate:
        parts = [(term.sign, self._of_role(self._role(term)), self._index(term)) for term in terms]
        runs = common_runs([cell for _, intervals, place in parts for cell in intervals.entries[place].cells])
        samples = [(sign, intervals.sample(*place, runs)) for sign, intervals, place in parts]
        replicates = np.sum([sign * sample.replicates for sign, sample in samples], axis=0)
        values = np.sum([sign * sample.values for sign, sample in samples], axis=0)
        n_clusters = min(sample.n_clusters for _, sample in samples)
        low, high = interval(over_runs(replicates), n_clusters)
        return Estimate(mean(values.tolist()), low, high, len(runs), n_clusters, BOTH)

    def _over_runs(self, terms: Sequence[Term]) -> Estimate | str:
        runs = common_runs(self.cells(terms))
        values = np.zeros(len(runs))
        for term in terms:
            where = self._where(term)
            cells, measure, role = take(self.runs, where), measure_of(where), self._role(term)
            reason = why_left_out(cells, runs, role, parse_measure(measure)[0])
            if reason is not None:
                return f"{' '.join(term.row.name)}, {' '.join(term.column.name)} ({reason})"
            scores = [
                mean([100.0 * fold_scores(cell, run, role, measure, self.layout.over_folds) for cell in cells])
                for run in runs
            ]
            values += term.sign * np.array(scores)
        return Estimate(float(values.mean()), *student(values), len(runs), None, RUNS_ALONE)


def _has(path: Path, role: str) -> bool:
    """Say whether predictions have a role; those of a cell that could not be trained are none, and lack nothing."""
    roles = parquet.read_table(path, columns=["role"]).column("role").unique().to_pylist()
    return not roles or role in roles


def student(values: FloatArray) -> tuple[float, float]:
    """Return the 95 % interval of a mean over runs by Student's t; NaN of one run."""
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return math.nan, math.nan
    half = float(t.ppf(_LEVEL, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return float(values.mean()) - half, float(values.mean()) + half
