"""A bootstrap over runs, and within each over what the split keeps together (dialogues or speakers).

It tells how scores would vary with other trainings and other test utterances. A replicate draws as many clusters as the
test sets of a run have, with replacement, once for each corpus and run, and scores all cells on the same draw:
differences between them are paired. Runs that are tested on the same clusters share the draw (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, ch. 13). In a mean over folds each fold counts as much as is drawn of it: where
each tests one speaker, to draw speakers is to draw folds.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from serflow.errors import StoreError
from serflow.protocols.splits import split_unit
from serflow.runs.provenance import Provenance
from serflow.stores import parquet
from serflow.training.metrics import reference_classes

REPLICATES = 1000
_PERCENTILES = (2.5, 97.5)
# numbers of one array of weights; 32 MB
_CHUNK = 1 << 22
_AGAIN = "{}: {}; delete it and run the same command again"
PREDICTION_OF = {"prediction": "prediction", "oracle": "oracle_prediction"}
"""Column of what was predicted, by the name of its tally."""
WORDS = ("edits", "words")
"""Columns of what WER is counted from."""
_READ = ("run", "fold", "role", "utterance", "target", *PREDICTION_OF.values(), *WORDS)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Clusters(NamedTuple):
    """The utterances of a corpus: row and cluster of each (a number), what a cluster is, and what the data are."""

    path: Path
    rows: dict[str, int]
    clusters: IntArray
    unit: str
    marks: tuple[str, ...]


class Counted(NamedTuple):
    """What a fit counts on its test set; arrays are ``(n,)``, in the order of the corpus.

    ``rows`` and ``clusters`` are those of `Clusters`. Each utterance adds ``hits`` of ``totals`` to its class, a number
    below ``n_classes``: 1 or 0 of 1 for a prediction, edits of words for WER.
    """

    rows: IntArray
    clusters: IntArray
    classes: IntArray
    hits: FloatArray
    totals: FloatArray
    n_classes: int


class CellFits(NamedTuple):
    """A cell, its name as in its path, and the places of its fits in the table of predictions, by run and fold.

    ``provenance`` is what it was made from.
    """

    path: Path
    cell: Mapping[str, str]
    name: str
    classes: Sequence[str]
    table: pa.Table
    fits: Mapping[tuple[int, str], npt.NDArray[np.intp]]
    provenance: Provenance

    def runs(self) -> list[int]:
        """Return its runs, sorted."""
        return sorted({run for run, _ in self.fits})


def read_clusters(path: Path, unit: str) -> Clusters:
    """Read which utterances of a corpus belong together.

    Parameters
    ----------
    path
        The corpus's ``utterances.parquet``.
    unit
        ``dialogue`` or ``speaker``; see `serflow.protocols.splits.split_unit`.

    Raises
    ------
    StoreError
        If the file is absent or damaged.
    """
    metadata = parquet.check(path, "utterances")
    columns = ["utterance", "dialogue", "speaker"]
    table = parquet.read_table(path, columns=columns)
    names, dialogues, speakers = (table.column(name).to_pylist() for name in columns)
    units = [split_unit(unit, *row) for row in zip(names, dialogues, speakers, strict=True)]
    number = {unit: i for i, unit in enumerate(sorted(set(units)))}
    without = sum(dialogue is None for dialogue in dialogues)
    kept_together = "speaker"
    if unit == "dialogue":
        kept_together = "utterance" if without == len(names) else "dialogue or utterance" if without else "dialogue"
    return Clusters(
        path=path,
        rows={name: row for row, name in enumerate(names)},
        clusters=np.array([number[unit] for unit in units], dtype=np.int64),
        unit=kept_together,
        marks=tuple(mark for mark in ("synthetic", "partial") if metadata[mark]),
    )


def clusters_by_corpus(paths: Iterable[Path], unit: str) -> dict[str, Clusters]:
    """Return the clusters of several utterance tables by their corpora; see `read_clusters`."""
    return {str(parquet.read_metadata(path)["corpus"]): read_clusters(path, unit) for path in paths}


def read_predictions(path: Path, role: str = "test") -> CellFits:
    """Read the predictions of a cell; one that could not be trained has none at all, and no fits.

    Raises
    ------
    StoreError
        If the file is absent or damaged, or has predictions and none of ``role``.
    """
    metadata = parquet.check(path, "predictions")
    parts, n_rows = [], 0
    # what was scored of all that is predicted, a fit at a time
    for table in parquet.read_groups(path, columns=_READ):
        n_rows += table.num_rows
        parts.append(table.filter(pc.equal(table.column("role"), role)).drop_columns(["role"]))
    chosen = pa.concat_tables(parts) if parts else parquet.read_table(path, columns=["run", "fold", "utterance"])
    if n_rows and not chosen.num_rows:
        raise StoreError(_AGAIN.format(path, f"no predictions of {role} utterances"))
    places: dict[tuple[int, str], list[int]] = {}
    runs, folds = (chosen.column(name).to_pylist() for name in ("run", "fold"))
    for place, key in enumerate(zip(runs, folds, strict=True)):
        places.setdefault(key, []).append(place)
    fits = {key: np.array(rows) for key, rows in places.items()}
    provenance = Provenance.from_json(metadata["provenance"])
    return CellFits(path, metadata["cell"], metadata["name"], metadata["classes"], chosen, fits, provenance)


def _targets(column: pa.ChunkedArray, n_classes: int) -> FloatArray | None:
    """Return distributions ``(n, n_classes)``; None where one has another length."""
    lengths = pc.list_value_length(column).to_numpy()
    if not (lengths == n_classes).all():
        return None
    values: FloatArray = pc.list_flatten(column).to_numpy()
    return values.reshape(len(column), n_classes)


def _counted(cell: CellFits, what: str) -> tuple[IntArray, FloatArray, FloatArray, int]:
    """Return class, hits and totals of each prediction, and the number of classes."""
    table, classes = cell.table, cell.classes
    needed = WORDS if what == "words" else ("target", PREDICTION_OF[what])
    absent = [name for name in needed if name not in table.column_names or table.column(name).null_count]
    if absent:
        raise StoreError(_AGAIN.format(cell.path, f"not every prediction has a value of {absent[0]}"))
    if what == "words":
        edits, words = (np.asarray(table.column(name).to_numpy(), dtype=np.float64) for name in WORDS)
        return np.zeros(len(words), dtype=np.int64), edits, words, 1
    number = {name: i for i, name in enumerate(classes)}
    targets = _targets(table.column("target"), len(classes))
    said = table.column(PREDICTION_OF[what]).to_pylist()
    predictions = np.array([number.get(name, -1) for name in said], dtype=np.int64)
    if targets is None or (predictions < 0).any():
        raise StoreError(
            _AGAIN.format(cell.path, f"targets or predictions are not of the classes {', '.join(classes)}")
        )
    hits = np.take_along_axis(targets, predictions[:, None], axis=1)[:, 0] == targets.max(axis=1)
    return reference_classes(targets).astype(np.int64), hits.astype(np.float64), np.ones(len(hits)), len(classes)


def counted_fits(cell: CellFits, corpus: Clusters, what: str) -> dict[tuple[int, str], Counted]:
    """Return what each fit of a cell counts, by run and fold.

    Raises
    ------
    StoreError
        If an utterance is not of the corpus or is given twice in a fit, or a prediction is missing or no class.
    """
    names = cell.table.column("utterance").to_pylist()
    missing = [name for name in names if name not in corpus.rows]
    if missing:
        raise StoreError(
            _AGAIN.format(cell.path, f"utterance {missing[0]!r} ({len(missing)} such) is not in {corpus.path}")
        )
    rows = np.array([corpus.rows[name] for name in names], dtype=np.int64)
    classes, hits, totals, n_classes = _counted(cell, what)
    fits = {}
    for key, places in cell.fits.items():
        ordered = places[np.argsort(rows[places])]
        of_fit = rows[ordered]
        if (np.diff(of_fit) == 0).any():
            raise StoreError(_AGAIN.format(cell.path, "an utterance occurs twice in a fit"))
        fits[key] = Counted(
            of_fit, corpus.clusters[of_fit], classes[ordered], hits[ordered], totals[ordered], n_classes
        )
    return fits


def _weights(n_clusters: int, replicates: int, *names: str | int) -> Iterator[FloatArray]:
    """Yield how often each replicate draws each cluster, ``(some replicates, n_clusters)``."""
    from serflow.training.seeds import numpy_generator

    generator = numpy_generator("intervals", *names)
    shares = np.full(n_clusters, 1.0 / n_clusters)
    step = max(1, _CHUNK // n_clusters)
    for start in range(0, replicates, step):
        yield generator.multinomial(n_clusters, shares, size=min(step, replicates - start)).astype(np.float64)


def _by_cluster(fit: Counted, clusters: IntArray) -> FloatArray:
    """Return hits, then totals, of each class by cluster: ``(len(clusters), 2 * n_classes)``."""
    n = len(clusters) * fit.n_classes
    place = np.searchsorted(clusters, fit.clusters) * fit.n_classes + fit.classes
    shape = (len(clusters), fit.n_classes)
    sums = [np.bincount(place, weights=values, minlength=n).reshape(shape) for values in (fit.hits, fit.totals)]
    return np.concatenate(sums, axis=1)


def _tests(folds: Sequence[Counted], clusters: IntArray) -> FloatArray:
    """Return which clusters are tested in which folds, 1 or 0: ``(folds, clusters)``."""
    return np.stack([np.isin(clusters, fold.clusters) for fold in folds]).astype(np.float64)


def _score(counts: FloatArray, kind: str) -> FloatArray:
    """Return the score of each row of hits and totals; NaN where nothing is counted."""
    hits, totals = np.split(counts, 2, axis=1)
    if kind != "ua":
        hits, totals = hits.sum(axis=1, keepdims=True), totals.sum(axis=1, keepdims=True)
    shares = np.divide(hits, totals, out=np.zeros_like(hits), where=totals > 0)
    present = (totals > 0).sum(axis=1)
    found: FloatArray = np.divide(shares.sum(axis=1), present, out=np.full(len(counts), np.nan), where=present > 0)
    return found


def _over_folds(folds: Sequence[FloatArray], shares: FloatArray, kind: str, over_folds: str) -> FloatArray:
    """Return the score of a run from the counts of its folds, ``(n, 2 * n_classes)`` each; NaN where there are none.

    In a mean over folds each counts by ``shares``, ``(folds, n)``: the clusters that are drawn of it, by those that it
    has. So a fold of one speaker counts as often as the speaker is drawn.
    """
    if over_folds == "pooled":
        return _score(np.sum(folds, axis=0), kind)
    if len(folds) == 1:
        return _score(folds[0], kind)
    scores = np.stack([_score(fold, kind) for fold in folds])
    sums, drawn = np.where(shares > 0, shares * scores, 0.0).sum(axis=0), shares.sum(axis=0)
    found: FloatArray = np.divide(sums, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
    return found


Wanted = tuple[str, str, str]
"""A cell's name, what was predicted, and how it is scored."""


class RunScores(NamedTuple):
    """A cell in one run, in percent: its score, that of every replicate, and how much it was tested on."""

    value: float
    replicates: FloatArray
    n_clusters: int
    n_utterances: int


def score_runs(
    fits: Mapping[Wanted, Mapping[tuple[int, str], Counted]], corpus: str, over_folds: str, replicates: int
) -> dict[tuple[Wanted, int], RunScores]:
    """Score all that is wanted of one corpus, run by run, on the same draws of clusters."""
    found: dict[tuple[Wanted, int], RunScores] = {}
    first_with: dict[bytes, int] = {}
    for run in sorted({run for of_cell in fits.values() for run, _ in of_cell}):
        tested = {
            wanted: [fit for (of_run, _), fit in of_cell.items() if of_run == run] for wanted, of_cell in fits.items()
        }
        tested = {wanted: folds for wanted, folds in tested.items() if folds}
        clusters = np.unique(np.concatenate([fit.clusters for folds in tested.values() for fit in folds]))
        counts = [_by_cluster(fit, clusters) for folds in tested.values() for fit in folds]
        tests = {wanted: _tests(folds, clusters) for wanted, folds in tested.items()}
        ends = np.cumsum([count.shape[1] for count in counts])[:-1]
        together = np.concatenate(counts, axis=1)
        # runs with the same test clusters are drawn alike
        drawn_as = first_with.setdefault(clusters.tobytes(), run)
        scores: dict[Wanted, list[FloatArray]] = {wanted: [] for wanted in tested}
        for weights in _weights(len(clusters), replicates, corpus, drawn_as):
            # sums of whole numbers are exact in float64, in whatever order BLAS adds them
            drawn = iter(np.split(weights @ together, ends, axis=1))
            for wanted, folds in tested.items():
                shares = tests[wanted] @ weights.T / tests[wanted].sum(axis=1, keepdims=True)
                scores[wanted].append(_over_folds([next(drawn) for _ in folds], shares, wanted[2], over_folds))
        for wanted, folds in tested.items():
            whole = [_by_cluster(fit, clusters).sum(axis=0, keepdims=True) for fit in folds]
            found[wanted, run] = RunScores(
                100.0 * float(_over_folds(whole, np.ones((len(folds), 1)), wanted[2], over_folds)[0]),
                100.0 * np.concatenate(scores[wanted]),
                len(np.unique(np.concatenate([fit.clusters for fit in folds]))),
                len(np.unique(np.concatenate([fit.rows for fit in folds]))),
            )
    return found


def over_runs(replicates: FloatArray) -> FloatArray:
    """Return the mean over runs that are drawn as well, ``(replicates,)`` from ``(runs, replicates)``.

    Of n runs, n - 1 are drawn with replacement: the variance of their mean is then the unbiased one, which matters for
    so few (Rao and Wu, Resampling inference with complex survey data, JASA 83, 1988). The draw depends on the numbers
    alone, so what has as many runs is drawn alike. One run is taken as it is: how it would vary with another training
    cannot be known from it.
    """
    from serflow.training.seeds import numpy_generator

    n_runs, n = replicates.shape
    if n_runs == 1:
        one: FloatArray = replicates[0]
        return one
    drawn = numpy_generator("intervals", "runs", n_runs, n).integers(n_runs, size=(n_runs - 1, n))
    found: FloatArray = np.take_along_axis(replicates, drawn, axis=0).mean(axis=0)
    return found


def interval(replicates: FloatArray, n_clusters: int) -> tuple[float, float]:
    """Return the percentiles of the replicates that are not NaN; NaN where one cluster leaves nothing to draw."""
    kept = replicates[~np.isnan(replicates)]
    if n_clusters < 2 or not len(kept):
        return math.nan, math.nan
    low, high = np.percentile(kept, _PERCENTILES)
    return float(low), float(high)
