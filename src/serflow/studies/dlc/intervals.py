"""Confidence intervals of Table I: a bootstrap over what the split keeps together (dialogues or speakers).

A replicate draws as many clusters as a test set has, with replacement, once for each corpus and seed, and scores
every method, experiment, profile and held-out condition on the same draw: differences between methods are paired.
The intervals (95 %, percentile: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13) tell how the mean
over the given seeds would vary with other test utterances; training again with other seeds is no part of them, and
the test sets of two seeds count as independent.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from serflow.errors import StoreError
from serflow.splits import split_unit
from serflow.stores import parquet
from serflow.studies.dlc import paper
from serflow.studies.dlc.baselines import baseline
from serflow.studies.dlc.histories import read_cell
from serflow.studies.dlc.paper import OVERALL
from serflow.studies.dlc.tables import ordered_rows, table_columns
from serflow.training.metrics import reference_classes, unweighted_accuracy

REPLICATES = 1000
FEW_CLUSTERS = 20
_MARKS = {"synthetic stand-in": "synthetic", "partial corpus": "partial"}
_PERCENTILES = (2.5, 97.5)
# numbers of one array of weights; 32 MB
_CHUNK = 1 << 22

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class CorpusClusters(NamedTuple):
    """The utterances of a corpus: row and cluster of each (a number), what a cluster is, and what the data are."""

    path: Path
    rows: dict[str, int]
    clusters: IntArray
    unit: str
    marks: tuple[str, ...]


class Fit(NamedTuple):
    """What one fit says of its test set; arrays are ``(n,)``, in the order of the corpus.

    ``rows`` and ``clusters`` are those of `CorpusClusters`, ``classes`` the reference classes (below ``n_classes``),
    ``hits`` whether the prediction is right, ``ua`` the fit's UA as `unweighted_accuracy` gives it.
    """

    rows: IntArray
    clusters: IntArray
    classes: IntArray
    hits: npt.NDArray[np.bool_]
    n_classes: int
    ua: float


class Sample(NamedTuple):
    """A cell, or a mean of cells: its UA and that of every replicate, ``(replicates,)``, in percent.

    A replicate in which some fit has no utterance is NaN. Counts are of the smallest test set of its seeds; of a mean
    over corpora, their sum.
    """

    ua: float
    replicates: FloatArray
    n_clusters: int
    n_utterances: int
    n_seeds: int


Cell = tuple[str, str, str, str]
Fits = dict[tuple[int, str], Fit]


def read_clusters(path: Path, protocol: str) -> CorpusClusters:
    """Read which utterances of a corpus belong together.

    Parameters
    ----------
    path
        The corpus's ``utterances.parquet``.
    protocol
        ``dialogue`` or ``speaker``; see `serflow.splits.split_unit`.

    Raises
    ------
    StoreError
        If the file is absent or damaged.
    """
    metadata = parquet.check(path, "utterances")
    columns = ["id", "dialogue", "speaker"]
    table = parquet.read_table(path, columns=columns)
    names, dialogues, speakers = (table.column(name).to_pylist() for name in columns)
    units = [split_unit(protocol, *row) for row in zip(names, dialogues, speakers, strict=True)]
    number = {unit: i for i, unit in enumerate(sorted(set(units)))}
    without = sum(dialogue is None for dialogue in dialogues)
    kept_together = "speaker"
    if protocol == "dialogue":
        kept_together = "utterance" if without == len(names) else "dialogue or utterance" if without else "dialogue"
    marks = [mark for mark, key in _MARKS.items() if metadata[key]]
    return CorpusClusters(
        path=path,
        rows={name: row for row, name in enumerate(names)},
        clusters=np.array([number[unit] for unit in units], dtype=np.int64),
        unit=kept_together,
        marks=tuple(marks),
    )


def _targets(column: pa.ChunkedArray, n_classes: int) -> FloatArray | None:
    """Return distributions ``(n, n_classes)``; None where one has another length."""
    lengths = pc.list_value_length(column).to_numpy()
    if not (lengths == n_classes).all():
        return None
    values: FloatArray = pc.list_flatten(column).to_numpy()
    return values.reshape(len(column), n_classes)


def _fit(rows: IntArray, targets: FloatArray, predictions: IntArray, corpus: CorpusClusters) -> Fit:
    order = np.argsort(rows)
    rows, targets, predictions = rows[order], targets[order], predictions[order]
    return Fit(
        rows=rows,
        clusters=corpus.clusters[rows],
        classes=reference_classes(targets).astype(np.int64),
        hits=np.take_along_axis(targets, predictions[:, None], axis=1)[:, 0] == targets.max(axis=1),
        n_classes=targets.shape[1],
        ua=unweighted_accuracy(targets, predictions),
    )


def read_fits(path: Path, corpus: CorpusClusters) -> Fits:
    """Return the fits in one ``predictions.parquet`` by seed and held-out condition.

    Raises
    ------
    StoreError
        If the file is absent or damaged, or an utterance is not of the corpus or is given twice.
    """
    again = f"{path}: {{}}; delete it and run the same command again"
    columns = ["seed", "held_out", "utterance", "target", "prediction"]
    table = parquet.read_table(path, kind="predictions", columns=columns)
    if not table.num_rows:
        raise StoreError(again.format("no predictions"))
    names = table.column("utterance").to_pylist()
    missing = [name for name in names if name not in corpus.rows]
    if missing:
        raise StoreError(again.format(f"utterance {missing[0]!r} ({len(missing)} such) is not in {corpus.path}"))
    classes = {name: i for i, name in enumerate(parquet.read_metadata(path).get("classes", ()))}
    rows = np.array([corpus.rows[name] for name in names], dtype=np.int64)
    targets = _targets(table.column("target"), len(classes))
    predictions = np.array([classes.get(name, -1) for name in table.column("prediction").to_pylist()], dtype=np.int64)
    if targets is None or (predictions < 0).any():
        raise StoreError(again.format(f"targets or predictions are not of the classes {', '.join(classes)}"))
    places = table.select(["seed", "held_out"]).to_pandas().groupby(["seed", "held_out"]).indices
    fits = {
        (int(seed), str(held_out)): _fit(rows[place], targets[place], predictions[place], corpus)
        for (seed, held_out), place in places.items()
    }
    if any((np.diff(fit.rows) == 0).any() for fit in fits.values()):
        raise StoreError(again.format("an utterance occurs twice in a fit"))
    return fits


def _weights(n_clusters: int, replicates: int, *names: str | int) -> Iterator[FloatArray]:
    """Yield how often each replicate draws each cluster, ``(some replicates, n_clusters)``."""
    from serflow.training.seeds import numpy_generator

    generator = numpy_generator("intervals", *names)
    shares = np.full(n_clusters, 1.0 / n_clusters)
    step = max(1, _CHUNK // n_clusters)
    for start in range(0, replicates, step):
        yield generator.multinomial(n_clusters, shares, size=min(step, replicates - start)).astype(np.float64)


def _counts(fit: Fit, clusters: IntArray) -> FloatArray:
    """Return hits, then utterances, of each class by cluster: ``(len(clusters), 2 * n_classes)``."""
    n = len(clusters) * fit.n_classes
    place = np.searchsorted(clusters, fit.clusters) * fit.n_classes + fit.classes
    hits, totals = np.bincount(place, weights=fit.hits, minlength=n), np.bincount(place, minlength=n)
    shape = (len(clusters), fit.n_classes)
    return np.concatenate([hits.reshape(shape), totals.reshape(shape)], axis=1)


def _ua(counts: FloatArray) -> FloatArray:
    """Return the mean recall of each row of hits and totals: over its classes, NaN where there is none."""
    hits, totals = np.split(counts, 2, axis=1)
    recalls = np.divide(hits, totals, out=np.zeros_like(hits), where=totals > 0)
    present = (totals > 0).sum(axis=1)
    mean: FloatArray = np.divide(recalls.sum(axis=1), present, out=np.full(len(counts), np.nan), where=present > 0)
    return mean


def replicate_scores(fits: Sequence[Fit], replicates: int, *names: str | int) -> FloatArray:
    """Return UA (a share) of fits of one corpus and seed on the same draws of clusters.

    A class that a replicate lacks is left out of its mean; a replicate without an utterance of a fit is NaN.

    Parameters
    ----------
    fits
        Their clusters together are what is drawn from.
    replicates
        Number of draws.
    names
        What the draws depend on.

    Returns
    -------
    numpy.ndarray
        ``(len(fits), replicates)``.
    """
    clusters = np.unique(np.concatenate([fit.clusters for fit in fits]))
    counts = [_counts(fit, clusters) for fit in fits]
    ends = np.cumsum([count.shape[1] for count in counts])[:-1]
    together = np.concatenate(counts, axis=1)
    parts = []
    for weights in _weights(len(clusters), replicates, *names):
        # sums of whole numbers are exact in float64, in whatever order BLAS adds them
        parts.append([_ua(drawn) for drawn in np.split(weights @ together, ends, axis=1)])
    return np.concatenate([np.stack(part) for part in parts], axis=1)


def _check_paired(corpus: str, cells: Mapping[Cell, Fits]) -> None:
    """Refuse a method whose fits or test utterances are not its baseline's."""
    for (experiment, method, _, profile), fits in cells.items():
        name = baseline(method)
        against = cells.get((experiment, name, corpus, profile)) if name else None
        if against is None:
            continue
        same = fits.keys() == against.keys()
        if not same or any(not np.array_equal(fits[fit].rows, against[fit].rows) for fit in fits):
            raise StoreError(
                f"predictions of {experiment}/{method}/{corpus}/{profile} and of its baseline {name} are not of the "
                "same seeds, held-out conditions and test utterances; delete both and run the same command again"
            )


def _n_distinct(arrays: Iterable[IntArray]) -> int:
    return len(np.unique(np.concatenate(list(arrays))))


def _sample(fits: Fits, scores: Mapping[tuple[int, str], FloatArray]) -> Sample:
    """Average fits over held-out conditions, then over seeds."""
    of_seed: dict[int, list[tuple[int, str]]] = {}
    for key in fits:
        of_seed.setdefault(key[0], []).append(key)
    percents = [100.0 * math.fsum(fits[key].ua for key in keys) / len(keys) for keys in of_seed.values()]
    replicates = [100.0 * np.mean([scores[key] for key in keys], axis=0) for keys in of_seed.values()]
    return Sample(
        ua=math.fsum(percents) / len(percents),
        replicates=np.mean(replicates, axis=0),
        n_clusters=min(_n_distinct(fits[key].clusters for key in keys) for keys in of_seed.values()),
        n_utterances=min(_n_distinct(fits[key].rows for key in keys) for keys in of_seed.values()),
        n_seeds=len(of_seed),
    )


def corpus_samples(paths: Mapping[Cell, Path], corpus: CorpusClusters, replicates: int) -> dict[Cell, Sample]:
    """Return the sample of every cell of one corpus.

    Parameters
    ----------
    paths
        ``predictions.parquet`` by experiment, method, corpus (the same for all) and profile.
    corpus
        Its utterances.
    replicates
        Number of draws.

    Raises
    ------
    StoreError
        If a file is absent or damaged, or a method was tested on other utterances than its baseline.
    """
    cells = {cell: read_fits(path, corpus) for cell, path in paths.items()}
    name = next(iter(cells))[2]
    _check_paired(name, cells)
    scores: dict[Cell, dict[tuple[int, str], FloatArray]] = {cell: {} for cell in cells}
    for seed in sorted({seed for fits in cells.values() for seed, _ in fits}):
        keys = [(cell, key) for cell, fits in cells.items() for key in fits if key[0] == seed]
        drawn = replicate_scores([cells[cell][key] for cell, key in keys], replicates, name, seed)
        for (cell, key), values in zip(keys, drawn, strict=True):
            scores[cell][key] = values
    return {cell: _sample(fits, scores[cell]) for cell, fits in cells.items()}


def _mean(samples: Sequence[Sample], over_corpora: bool) -> Sample:
    size = sum if over_corpora else min
    return Sample(
        ua=math.fsum(sample.ua for sample in samples) / len(samples),
        replicates=np.mean([sample.replicates for sample in samples], axis=0),
        n_clusters=size(sample.n_clusters for sample in samples),
        n_utterances=size(sample.n_utterances for sample in samples),
        n_seeds=min(sample.n_seeds for sample in samples),
    )


def with_overall(samples: Mapping[Cell, Sample], corpora: Sequence[str], profiles: Sequence[str]) -> dict[Cell, Sample]:
    """Add the mean over corpora per profile, and the mean of those over profiles, of methods that have all of them."""
    found = dict(samples)
    for experiment, method in dict.fromkeys((cell[0], cell[1]) for cell in samples):
        row = (experiment, method)
        for profile in profiles:
            cells = [(*row, corpus, profile) for corpus in corpora]
            if all(cell in samples for cell in cells):
                found[*row, OVERALL, profile] = _mean([samples[cell] for cell in cells], over_corpora=True)
        cells = [(*row, OVERALL, profile) for profile in profiles]
        if all(cell in found for cell in cells):
            found[*row, OVERALL, OVERALL] = _mean([found[cell] for cell in cells], over_corpora=False)
    return found


def _interval(replicates: FloatArray, n_clusters: int) -> tuple[float, float]:
    """Return the percentiles of the replicates that are not NaN; NaN where one cluster leaves nothing to draw."""
    kept = replicates[~np.isnan(replicates)]
    if n_clusters < 2 or not len(kept):
        return math.nan, math.nan
    low, high = np.percentile(kept, _PERCENTILES)
    return float(low), float(high)


def _line(cell: Cell, samples: Mapping[Cell, Sample], remarks: Sequence[str]) -> dict[str, Any]:
    experiment, method, corpus, profile = cell
    sample = samples[cell]
    low, high = _interval(sample.replicates, sample.n_clusters)
    name = baseline(method)
    against = samples.get((experiment, name, corpus, profile)) if name else None
    difference = (math.nan,) * 3
    if against is not None:
        paired = sample.replicates - against.replicates
        difference = (sample.ua - against.ua, *_interval(paired, sample.n_clusters))
    notes = list(remarks)
    if sample.n_clusters < FEW_CLUSTERS:
        notes.append(f"few clusters: {sample.n_clusters} in the smallest test set")
    empty = int(np.isnan(sample.replicates).sum())
    if empty:
        notes.append(f"{empty:,} of {len(sample.replicates):,} replicates left out: a fit has no utterance in them")
    if name and against is None:
        notes.append(f"no predictions of the baseline {paper.method_title(name)}")
    return {
        "experiment": experiment,
        "method": paper.method_title(method),
        "corpus": corpus,
        "profile": profile,
        "ua": sample.ua,
        "low": low,
        "high": high,
        "baseline": paper.method_title(name) if name else "",
        "difference": difference[0],
        "difference_low": difference[1],
        "difference_high": difference[2],
        "n_clusters": sample.n_clusters,
        "n_utterances": sample.n_utterances,
        "n_seeds": sample.n_seeds,
        "replicates": len(sample.replicates),
        "note": "; ".join(notes),
    }


def _by_corpus(predictions: Sequence[Path], corpora: Mapping[str, Path]) -> dict[str, dict[Cell, Path]]:
    """Return the predictions of each corpus, in the order of ``corpora``, by cell."""
    found: dict[str, dict[Cell, Path]] = {corpus: {} for corpus in corpora}
    for path in predictions:
        said = read_cell(path)
        cell = (said["experiment"], said["method"], said["corpus"], said["profile"])
        corpus = cell[2]
        if corpus not in found:
            raise StoreError(f"{path}: no utterances.parquet of corpus {corpus!r} is given; give corpora/{corpus} too")
        if cell in found[corpus]:
            raise StoreError(f"cell {'/'.join(cell)} is given twice; give each predictions.parquet once")
        found[corpus][cell] = path
    return {corpus: cells for corpus, cells in found.items() if cells}


def table1_intervals(
    predictions: Sequence[Path], utterances: Sequence[Path], protocol: str, replicates: int = REPLICATES
) -> pd.DataFrame:
    """Return the intervals of Table I, a line per cell and per mean over corpora.

    Parameters
    ----------
    predictions
        ``predictions.parquet`` of each cell. A method may lack corpora; it then has no mean over them.
    utterances
        ``utterances.parquet`` of each corpus, in the order of the table.
    protocol
        What the split keeps together: ``dialogue`` or ``speaker``.
    replicates
        Number of draws.

    Returns
    -------
    pandas.DataFrame
        experiment, method (title), corpus, profile, ua, low, high, baseline (title; empty for the baselines),
        difference (ua minus the baseline's), difference_low, difference_high (all in percent), n_clusters,
        n_utterances (of the smallest test set of the seeds), n_seeds, replicates, note.

    Raises
    ------
    StoreError
        If a file is absent, damaged or given twice, a corpus has no utterance table, or a method was tested on other
        utterances than its baseline.
    """
    tables = {str(parquet.read_metadata(path)["corpus"]): path for path in utterances}
    paths = _by_corpus(predictions, tables)
    corpora = list(paths)
    profiles = sorted({cell[3] for cells in paths.values() for cell in cells})
    samples: dict[Cell, Sample] = {}
    remarks: dict[str, list[str]] = {}
    for corpus, cells in paths.items():
        clusters = read_clusters(tables[corpus], protocol)
        remarks[corpus] = [f"cluster: {clusters.unit}", *clusters.marks]
        samples.update(corpus_samples(cells, clusters, replicates))
    samples = with_overall(samples, corpora, profiles)
    remarks[OVERALL] = [
        f"{mark} among the corpora" for mark in _MARKS if any(mark in remarks[corpus] for corpus in corpora)
    ]
    built = pd.DataFrame([cell[:2] for cell in samples], columns=["experiment", "method"])
    lines = [
        _line((*row, *column), samples, remarks[column[0]])
        for row in ordered_rows(built, sorted(set(built["method"])))
        for column in table_columns(corpora, profiles)
        if (*row, *column) in samples
    ]
    return pd.DataFrame(lines)
