"""Confidence intervals of a table, and paired differences to the baselines of its rows.

The intervals (95 %, percentile) tell how the mean over runs would vary with other test utterances and, where there are
several runs, with other trainings; see `serflow.runs.bootstrap`.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from serflow.errors import StoreError
from serflow.files import two_digits
from serflow.report.facts import marks
from serflow.report.headings import Heading, Layout, full_name, merged, why_absent
from serflow.runs.bootstrap import (
    PREDICTION_OF,
    REPLICATES,
    CellFits,
    Clusters,
    Counted,
    FloatArray,
    RunScores,
    Wanted,
    clusters_by_corpus,
    counted_fits,
    interval,
    over_runs,
    read_predictions,
    score_runs,
)
from serflow.runs.provenance import joined
from serflow.runs.scores import common_runs, mean, measure_of, parse_measure, take

TEST = "test"
OF_CORPORA = ("synthetic", "partial")
"""Marks that corpora have of themselves, in `Clusters`."""
FEW_CLUSTERS = 20
COLUMNS = (
    "column", "measure", "value", "low", "high", "baseline", "difference", "difference_low", "difference_high",
    "n_clusters", "n_utterances", "n_runs", "replicates", "note",
)  # fmt: skip


class Sample(NamedTuple):
    """A cell of the table: its value in percent in each run, and that of every replicate, ``(runs, replicates)``.

    A replicate in which nothing is counted is NaN. Counts are of the smallest test set of the runs; of a mean
    over corpora, their sum.
    """

    values: FloatArray
    replicates: FloatArray
    n_clusters: int
    n_utterances: int

    @property
    def value(self) -> float:
        """The mean over runs."""
        return mean(self.values.tolist())


class _Entry(NamedTuple):
    """A cell of the table: the cells of runs that it takes in, and how they are scored."""

    cells: Sequence[CellFits]
    what: str
    kind: str
    measure: str


class TableIntervals:
    """The samples of a table's cells; corpora that are ``apart`` are not drawn as those of other tables are."""

    def __init__(
        self,
        layout: Layout,
        cells: Sequence[CellFits],
        clusters: Mapping[str, Clusters],
        replicates: int = REPLICATES,
        role: str = TEST,
        apart: Collection[str] = (),
    ) -> None:
        self.layout = layout
        self.role = role
        self.clusters = clusters
        self.n_replicates = replicates
        self.entries = {
            (i, j): entry
            for i, row in enumerate(layout.rows)
            for j, column in enumerate(layout.columns)
            if (entry := self._entry(cells, row, column)) is not None
        }
        self._scores: dict[tuple[Wanted, int], RunScores] = {}
        for corpus, of_corpus in clusters.items():
            wanted = {
                (cell.name, entry.what, entry.kind): cell
                for entry in self.entries.values()
                for cell in entry.cells
                if cell.cell["corpus"] == corpus
            }
            fits = {key: counted_fits(cell, of_corpus, key[1]) for key, cell in wanted.items()}
            if fits:
                self._check_paired(fits)
                # other roles are of other clusters, and drawn apart from those of the test
                drawn_as = [corpus, *([] if role == TEST else [role]), *(["apart"] if corpus in apart else [])]
                self._scores.update(score_runs(fits, " ".join(drawn_as), layout.over_folds, replicates))

    def _entry(self, cells: Sequence[CellFits], row: Heading, column: Heading) -> _Entry | None:
        """Return a cell of the table; None where there is none, nothing was predicted, or it is of another role."""
        where = merged(self.layout.where, row.where, column.where)
        measure = measure_of(where)
        what, kind = parse_measure(measure)
        of_role = where.get("role", (TEST,)) == (self.role,)
        if why_absent(row, column) or what not in (*PREDICTION_OF, "words") or not of_role:
            return None
        taken = take(cells, where)
        return _Entry(taken, what, kind, measure) if all(cell.fits for cell in taken) else None

    def against(self, i: int, j: int) -> tuple[int, int] | None:
        """Return the cell of the table that a cell's difference is taken to, None where there is none."""
        name = self.layout.rows[i].baseline
        rows = [row for row, heading in enumerate(self.layout.rows) if heading.name == name]
        return (rows[0], j) if rows and (rows[0], j) in self.entries else None

    def _check_paired(self, fits: Mapping[Wanted, Mapping[tuple[int, str], Counted]]) -> None:
        """Refuse a row whose fits or test utterances are not its baseline's, in the runs that both have."""
        for (i, j), entry in self.entries.items():
            against = self.against(i, j)
            if against is None:
                continue
            other = self.entries[against]
            for cell, base in zip(entry.cells, other.cells, strict=True):
                keys = (cell.name, entry.what, entry.kind), (base.name, other.what, other.kind)
                if any(key not in fits for key in keys):
                    continue
                mine, theirs = (fits[key] for key in keys)
                runs = set(cell.runs()) & set(base.runs())
                names = [{fit for fit in part if fit[0] in runs} for part in (mine, theirs)]
                if names[0] != names[1] or any(
                    not np.array_equal(mine[fit].rows, theirs[fit].rows) for fit in names[0]
                ):
                    raise StoreError(
                        f"predictions of {cell.name} and of its baseline {base.name} are not of the same folds and "
                        "test utterances; delete both and run the same command again"
                    )

    def sample(self, i: int, j: int, runs: Sequence[int]) -> Sample:
        """Return a cell of the table in the given runs."""
        entry = self.entries[i, j]
        parts = {run: [self._scores[(cell.name, entry.what, entry.kind), run] for cell in entry.cells] for run in runs}
        # counts add up over corpora; of several cells on one corpus (noise profiles) the smallest counts
        corpora = dict.fromkeys(cell.cell["corpus"] for cell in entry.cells)
        sizes = [
            [
                min(
                    getattr(part, field)
                    for of_run in parts.values()
                    for cell, part in zip(entry.cells, of_run, strict=True)
                    if cell.cell["corpus"] == corpus
                )
                for corpus in corpora
            ]
            for field in ("n_clusters", "n_utterances")
        ]
        return Sample(
            np.array([mean([part.value for part in of_run]) for of_run in parts.values()]),
            np.array([np.mean([part.replicates for part in of_run], axis=0) for of_run in parts.values()]),
            sum(sizes[0]),
            sum(sizes[1]),
        )

    def fewest_clusters(self, i: int, j: int, runs: Sequence[int]) -> int:
        """Return the clusters of the smallest test set that a cell of the table takes in, in the given runs."""
        entry = self.entries[i, j]
        return min(
            self._scores[(cell.name, entry.what, entry.kind), run].n_clusters for cell in entry.cells for run in runs
        )

    def _remarks(self, entry: _Entry) -> list[str]:
        corpora = list(dict.fromkeys(cell.cell["corpus"] for cell in entry.cells))
        besides = besides_corpora(entry.cells)
        if len(corpora) == 1:
            clusters = self.clusters[corpora[0]]
            return [f"cluster: {clusters.unit}", *clusters.marks, *besides]
        among = [mark for mark in OF_CORPORA if any(mark in self.clusters[corpus].marks for corpus in corpora)]
        return [*(f"{mark} among the corpora" for mark in among), *besides]

    def line(self, i: int, j: int) -> list[Any]:
        """Return the line of a cell; see `table_intervals`."""
        entry, against, name = self.entries[i, j], self.against(i, j), self.layout.rows[i].baseline
        runs = common_runs(entry.cells)
        sample = self.sample(i, j, runs)
        replicates = over_runs(sample.replicates)
        low, high = interval(replicates, sample.n_clusters)
        both, difference = runs, (math.nan,) * 3
        if against is not None:
            both = common_runs([*entry.cells, *self.entries[against].cells])
            one, other = self.sample(i, j, both), self.sample(*against, both)
            paired = over_runs(one.replicates - other.replicates)
            difference = (one.value - other.value, *interval(paired, sample.n_clusters))
        notes = self._remarks(entry)
        if len(runs) == 1:
            notes.append("one run: test sampling only, not how training varies")
        if sample.n_clusters < FEW_CLUSTERS:
            notes.append(f"few clusters: {sample.n_clusters} in the smallest test set")
        empty = int(np.isnan(replicates).sum())
        if empty:
            notes.append(f"{empty:,} of {len(replicates):,} replicates left out: nothing is counted in them")
        if against is not None and len(both) < len(runs):
            notes.append(f"difference over runs {', '.join(map(str, both))} alone")
        if name and against is None:
            notes.append(f"no predictions of the baseline {name[-1]}")
        percents = [two_digits(value) for value in (sample.value, low, high)]
        return [
            *self.layout.rows[i].name, full_name(self.layout.columns[j]), entry.measure, *percents,
            name[-1] if name else "", *map(two_digits, difference), sample.n_clusters, sample.n_utterances, len(runs),
            len(replicates), "; ".join(notes),
        ]  # fmt: skip


def besides_corpora(cells: Iterable[CellFits]) -> list[str]:
    """Return the marks of what cells were made from besides corpora: of noise and weights."""
    return [mark for mark in marks(joined(cell.provenance for cell in cells)) if mark not in OF_CORPORA]


def table_intervals(
    layout: Layout, predictions: Iterable[Path], utterances: Iterable[Path], unit: str, replicates: int = REPLICATES
) -> tuple[list[str], list[list[Any]]]:
    """Return the intervals of a table, a line per cell of the table that rests on predictions of test utterances.

    Parameters
    ----------
    layout
        The table.
    predictions
        ``predictions.parquet`` of each cell.
    utterances
        ``utterances.parquet`` of each corpus.
    unit
        What the split keeps together: ``dialogue`` or ``speaker``.
    replicates
        Number of draws.

    Returns
    -------
    list, list
        Heading and lines: the names of the row, then `COLUMNS`: column, measure, value, low, high, baseline (the name
        of its row; empty for the baselines), difference (value minus the baseline's), difference_low, difference_high
        (all in percent), n_clusters, n_utterances (of the smallest test set of the runs), n_runs, replicates, note.

    Raises
    ------
    StoreError
        If a file is absent, damaged or given twice, a corpus has no utterance table, or a row was tested on other
        utterances than its baseline.
    """
    cells = [read_predictions(path, TEST) for path in predictions]
    clusters = clusters_by_corpus(utterances, unit)
    names = [cell.name for cell in cells]
    for cell in cells:
        corpus = cell.cell.get("corpus")
        if corpus not in clusters:
            raise StoreError(
                f"{cell.path}: no utterances.parquet of corpus {corpus!r} is given; give corpora/{corpus} too"
                if corpus
                else f"{cell.path}: a cell of several corpora; intervals are of cells of one"
            )
        if names.count(cell.name) > 1:
            raise StoreError(f"cell {cell.name} is given twice; give each predictions.parquet once")
    table = TableIntervals(layout, cells, clusters, replicates)
    return [*(part.lower() for part in layout.corner), *COLUMNS], [table.line(i, j) for i, j in table.entries]
