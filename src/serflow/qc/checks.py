"""Checks of a study's tables, a line each, those that find nothing too.

Scores are held against controls that need no training: chance and the largest class, which every fit tallies, an oracle
where there is one, and shuffled labels, which must stay at chance. What a test can tell is reckoned by clusters, as
intervals are.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from serflow.qc.bands import Band
from serflow.report.facts import data_reasons
from serflow.report.headings import Heading, Layout, full_name, printed_name
from serflow.report.intervals import TEST, TableIntervals
from serflow.report.tables import Filled, Published, fill
from serflow.runs.bootstrap import REPLICATES, CellFits, Clusters, FloatArray, interval, over_runs
from serflow.runs.scores import Run, common_runs, fold_scores, mean

FINE, LOOK, DOUBTFUL, WRONG = range(4)
"""How bad a finding is."""
COLUMNS = (
    "check", "table", "row", "column", "severity", "value", "low", "high", "scaled", "n_runs", "n_clusters", "says",
)  # fmt: skip
# of a two-sided test at 5 % with that power: the quantiles of 97.5 % and 80 % of the normal distribution
_DETECTABLE = 1.959964 + 0.841621
_MANY_MISSING = 10.0
_SHUFFLED = "shuffled"
_PLAIN = "svc"
"""What every study calls its plain classifier."""
_TRAINED = ("system", "method", "variant")
"""What a row says of the training, and not of the data."""


class Check(NamedTuple):
    """A line: what was looked at, what was found, and between which bounds it should lie (NaN for none), in percent.

    ``scaled`` is where a score lies between chance (0) and what can be reached (1).
    """

    check: str
    table: str
    row: str
    column: str
    severity: int
    value: float
    low: float = math.nan
    high: float = math.nan
    scaled: float = math.nan
    n_runs: int = 0
    n_clusters: int | None = None
    says: str = ""


class Sources(NamedTuple):
    """What is checked: the runs of a study, their predictions of the test, whose they are, and what was published."""

    runs: Sequence[Run]
    cells: Sequence[CellFits]
    clusters: Mapping[str, Clusters]
    published: Mapping[str, Published]
    bands: Sequence[Band]


def check_table(name: str, layout: Layout, sources: Sources, replicates: int = REPLICATES) -> Iterator[Check]:
    """Yield the checks of a table.

    Raises
    ------
    StoreError
        If a file of the runs is absent or damaged.
    """
    table = fill(layout, sources.runs)
    yield _missing(name, table)
    intervals = TableIntervals(layout, sources.cells, sources.clusters, replicates)
    for i, j in intervals.entries:
        if intervals.entries[i, j].what != "prediction":
            continue
        scored = _Scored(name, table, intervals, i, j)
        yield from scored.of_controls()
        yield from scored.of_plain()
        yield from scored.of_published(sources.bands)
        yield from scored.of_size(sources.published.get(name, {}))


def check_fits(runs: Sequence[Run]) -> Check:
    """Return how many fits left no score of their test."""
    fits = [(run, fit) for run in runs for fit in run.fits]
    failed = [
        f"{run.name} run {fit.run}, fold {fit.fold}: {fit.absent.get((TEST, 'prediction'), 'no score')}"
        for run, fit in fits
        if (TEST, "prediction") not in fit.tallies
    ]
    share = 100.0 * len(failed) / len(fits)
    says = f"{len(failed)} of {len(fits)} fits: {_some(failed)}" if failed else f"none of {len(fits)} fits"
    return Check("failed fits", "", "", "", _by_share(share), share, high=0.0, says=says)


def _by_share(percent: float) -> int:
    return FINE if percent == 0 else LOOK if percent < _MANY_MISSING else DOUBTFUL if percent < 50 else WRONG


def _some(said: Sequence[str], most: int = 3) -> str:
    more = len(said) - most
    return "; ".join(said[:most]) + (f"; and {more} more" if more > 0 else "")


def _missing(name: str, table: Filled) -> Check:
    missing = {place: found for place, found in table.cells.items() if isinstance(found, str)}
    share = 100.0 * len(missing) / len(table.cells)
    reasons = list(dict.fromkeys(found.removeprefix("n/a: ") for found in missing.values()))
    says = f"{len(missing)} of {len(table.cells)} cells" + (f": {_some(reasons)}" if reasons else "")
    return Check("missing cells", name, "", "", _by_share(share), share, high=0.0, says=says)


class _Scored:
    """A cell of a table that rests on predictions of the study's own task."""

    def __init__(self, name: str, table: Filled, intervals: TableIntervals, i: int, j: int) -> None:
        self.name = name
        self.intervals = intervals
        self.place = (i, j)
        self.entry = intervals.entries[i, j]
        self.layout = table.layout
        self.row, self.column = self.layout.rows[i], self.layout.columns[j]
        self.runs = common_runs(self.entry.cells)
        self.sample = intervals.sample(i, j, self.runs)
        self.low, self.high = interval(over_runs(self.sample.replicates), self.sample.n_clusters)
        of_runs = [value.cells for value in [table.value(i, j)] if value is not None]
        self.cells: Sequence[Run] = of_runs[0] if of_runs else []

    def _line(
        self, check: str, severity: int, low: float, high: float, says: str = "", scaled: float = math.nan
    ) -> Check:
        return Check(
            check, self.name, full_name(self.row), full_name(self.column), severity, self.sample.value, low, high,
            scaled, len(self.runs), self.sample.n_clusters, says,
        )  # fmt: skip

    def _control(self, what: str, run: int | None = None) -> float:
        """Return what a control scores on the same tests, in percent: ``chance``, or ``majority``."""
        measure = f"{what}_{self.entry.kind}"
        runs = self.runs if run is None else [run]
        return mean(
            [
                100.0 * fold_scores(cell, one, TEST, measure, self.layout.over_folds)
                for one in runs
                for cell in self.cells
            ]
        )

    def _oracle(self) -> tuple[str, float] | None:
        """Return the row of the oracle of the same cells, and its score."""
        where = {**self.row.where, "measure": f"oracle_{self.entry.kind}"}
        for i, row in enumerate(self.layout.rows):
            if dict(row.where) == where and (i, self.place[1]) in self.intervals.entries:
                return full_name(row), self.intervals.sample(i, self.place[1], self.runs).value
        return None

    def _plain(self) -> tuple[int, int] | None:
        """Return the cell of the plain classifier of the same data; None where the table has none."""
        for i, row in enumerate(self.layout.rows):
            place = (i, self.place[1])
            if _PLAIN in row.where.values() and _data(row) == _data(self.row) and place in self.intervals.entries:
                return place
        return None

    def _is_shuffled(self) -> bool:
        return any(_SHUFFLED in str(value) for value in self.row.where.values())

    def of_controls(self) -> Iterator[Check]:
        """Yield whether the score lies between its controls, and which runs never left chance."""
        if not self.cells or any((TEST, "chance") not in fit.tallies for cell in self.cells for fit in cell.fits):
            return
        floor = self._control("chance")
        if self.entry.kind == "wa":
            floor = max(floor, self._control("majority"))
        oracle = self._oracle()
        top = 100.0 if oracle is None else oracle[1]
        scaled = (self.sample.value - floor) / (top - floor) if top > floor else math.nan
        if self._is_shuffled():
            yield self._of_shuffled(floor)
            return
        severity, says = FINE, ""
        if self.high < floor:
            severity, says = DOUBTFUL, "below chance, or the largest class, by the whole interval"
        elif self.sample.value <= floor:
            severity, says = LOOK, "no better than chance, or the largest class"
        elif oracle is not None and self.sample.value > top:
            severity = DOUBTFUL if self.low > top else LOOK
            says = f"above {oracle[0]}, which is told what it has to guess"
        yield self._line("controls", severity, floor, top, says, scaled)
        yield self._of_runs(floor)

    def _of_shuffled(self, floor: float) -> Check:
        if math.isnan(self.low):
            says = "one cluster in the test set: shuffled labels cannot be told from chance"
            return self._line("controls", LOOK, math.nan, floor, says)
        leaks = self.low > floor
        says = "labels were shuffled, and the score is above chance: something of the test is known" if leaks else ""
        return self._line("controls", WRONG if leaks else FINE, math.nan, floor, says)

    def _of_runs(self, floor: float) -> Check:
        """Return which runs cannot be told from chance, each by its own test clusters."""
        stuck = [
            run
            for run, of_run in zip(self.runs, self.sample.replicates, strict=True)
            if not interval(of_run, self.sample.n_clusters)[0] > floor
        ]
        share = 100.0 * len(stuck) / len(self.runs)
        if self.sample.n_clusters < 2:
            says, severity = "one cluster in the test set: no run can be told from chance", LOOK
        else:
            says = f"run {', '.join(map(str, stuck))} cannot be told from chance" if stuck else ""
            severity = FINE if not stuck else LOOK if len(stuck) < len(self.runs) else DOUBTFUL
        return self._line("left chance", severity, math.nan, math.nan, says)._replace(value=100.0 - share, low=100.0)

    def of_plain(self) -> Iterator[Check]:
        """Yield whether the row does better than a plain classifier on the same test, where the table has one."""
        place = self._plain()
        if place is None or _PLAIN in self.row.where.values() or self._is_shuffled():
            return
        runs = common_runs([*self.entry.cells, *self.intervals.entries[place].cells])
        mine, theirs = self.intervals.sample(*self.place, runs), self.intervals.sample(*place, runs)
        difference = mine.value - theirs.value
        high = interval(over_runs(mine.replicates - theirs.replicates), mine.n_clusters)[1]
        severity, says = FINE, f"beside {full_name(self.layout.rows[place[0]])}, {theirs.value:.1f}"
        if difference <= 0:
            severity = DOUBTFUL if high < 0 else LOOK
            beaten = "worse, by the whole interval: look for the cause first" if high < 0 else "no better"
            says = f"{says}: {beaten}"
        found = self._line("plain baseline", severity, 0.0, math.nan, says)
        yield found._replace(value=difference, n_runs=len(runs), n_clusters=mine.n_clusters)

    def of_published(self, bands: Sequence[Band]) -> Iterator[Check]:
        """Yield whether the score lies where others' do; of the publishers' whole data alone."""
        if data_reasons(self.cells):
            return
        row, column = printed_name(self.row), printed_name(self.column)
        for band in bands:
            if not band.is_of(self.name, row, column) or self.row.reasons or self.column.reasons:
                continue
            outside = not band.low <= self.sample.value <= band.high
            beyond = self.low > band.high or self.high < band.low
            side = "above" if self.sample.value > band.high else "below"
            says = f"{side} what others found; {band.source}" if outside else band.source
            severity = DOUBTFUL if beyond else LOOK if outside else FINE
            yield self._line("published", severity, _bound(band.low), _bound(band.high), says)

    def of_size(self, published: Published) -> Iterator[Check]:
        """Yield the smallest difference to the row's baseline that this test would find in 80 % of cases."""
        against = self.intervals.against(*self.place)
        if against is None:
            return
        runs = common_runs([*self.entry.cells, *self.intervals.entries[against].cells])
        mine, theirs = self.intervals.sample(*self.place, runs), self.intervals.sample(*against, runs)
        detectable = detectable_difference(mine.replicates - theirs.replicates)
        claimed = self._claimed(published)
        trained = f"{len(runs)} runs" if len(runs) > 1 else "one run, however training varies,"
        units = dict.fromkeys(self.intervals.clusters[cell.cell["corpus"]].unit for cell in self.entry.cells)
        several = "clusters" if mine.n_clusters > 1 else "cluster"
        clusters = f"{mine.n_clusters} {several} ({' or '.join(units)}) and {trained}"
        said = f"{clusters} tell differences of {detectable:.1f} points in four of five tries"
        if mine.n_clusters < 2 or math.isnan(detectable):
            yield self._line("size", LOOK, math.nan, claimed, f"{clusters} tell no difference")._replace(value=math.nan)
            return
        small = claimed == claimed and detectable > claimed
        says = f"{said}; the paper has one of {claimed:.1f}" if claimed == claimed else said
        found = self._line("size", LOOK if small else FINE, math.nan, claimed, says)
        yield found._replace(value=detectable, n_runs=len(runs), n_clusters=mine.n_clusters)

    def _claimed(self, published: Published) -> float:
        """Return the difference to the baseline that the paper prints; NaN where it prints none."""
        if self.row.baseline is None or self.row.reasons or self.column.reasons:
            return math.nan
        column = printed_name(self.column)
        both = [published.get((name, column)) for name in (self.row.name, self.row.baseline)]
        means = [found.mean for found in both if found is not None]
        return abs(means[0] - means[1]) if len(means) == 2 else math.nan


def _data(row: Heading) -> Mapping[str, Any]:
    """Return what a row says of its data and measure, and not of what is trained."""
    return {key: value for key, value in row.where.items() if key not in _TRAINED}


def _bound(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def detectable_difference(replicates: FloatArray) -> float:
    """Return the smallest true difference that a two-sided test at 5 % finds in 80 % of cases.

    Parameters
    ----------
    replicates
        Paired differences of a bootstrap, ``(runs, replicates)``; their deviation over draws of clusters and of runs is
        the standard error.
    """
    return _DETECTABLE * float(np.nanstd(over_runs(replicates)))
