"""From the ``metrics.json`` of cells to the value of a table's cell: over folds, cells and runs.

A measure is named by how it is scored and, where that is not the study's own task, by what was predicted: ``ua``,
``wa``, ``wer``, ``oracle_ua``, ``speaker_wa``.
"""

import functools
import math
import operator
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serflow.errors import StoreError
from serflow.files import read_sealed_json, two_digits
from serflow.runs.provenance import Provenance
from serflow.stores.parquet import iterate_batches, read_metadata
from serflow.training.metrics import Measure, Tally, score
from serflow.training.metrics import tally as count_hits

_OWN_TASK: dict[Measure, str] = {"ua": "prediction", "wa": "prediction", "wer": "words"}
_OF_THE_TRAINING = ("study", "cell", "name", "classes", "code", "provenance")
_AGAIN = "{}: {}; delete it and run the same command again"
SELECTORS = ("measure", "role", "predicted")
"""What a selection says of runs besides their cells: how they are scored, on which role, and what was predicted."""


class FitScores(NamedTuple):
    """One fit: its name, its utterances of each class by role, and its tallies by role and what was predicted.

    ``absent`` says why there is no tally.
    """

    run: int
    fold: str
    counts: Mapping[str, Mapping[str, int]]
    tallies: Mapping[tuple[str, str], Tally]
    absent: Mapping[tuple[str, str], str] = {}


class Run(NamedTuple):
    """A cell as its ``metrics.json`` tells of it; ``name`` is its cell, as in its path."""

    path: Path
    study: str
    name: str
    cell: Mapping[str, str]
    classes: Sequence[str]
    excluded: Mapping[str, int]
    provenance: Provenance
    fits: Sequence[FitScores]

    def runs(self) -> list[int]:
        """Return its runs, sorted."""
        return sorted({fit.run for fit in self.fits})


class Cell(Protocol):
    """A cell of runs, whatever was read of it."""

    @property
    def cell(self) -> Mapping[str, str]: ...  # noqa: D102

    @property
    def name(self) -> str: ...  # noqa: D102

    def runs(self) -> list[int]: ...  # noqa: D102


CellT = TypeVar("CellT", bound=Cell)


class Value(NamedTuple):
    """Mean and standard deviation (ddof 1; NaN for one) over runs in percent, their number, and the cells taken in."""

    mean: float
    std: float
    n_runs: int
    cells: Sequence[Run]


def parse_measure(measure: str) -> tuple[str, Measure]:
    """Return what was predicted, and how it is scored (``ua``, ``wa`` or ``wer``).

    Raises
    ------
    ValueError
        If there is no such measure.
    """
    what, _, kind = measure.rpartition("_")
    for known, own_task in _OWN_TASK.items():
        if kind == known:
            return what or own_task, known
    raise ValueError(f"no measure {measure!r}: it is named by ua, wa or wer, such as oracle_ua")


def kinds_of(what: str) -> tuple[Measure, ...]:
    """Return how a tally is scored: WER of ``words`` and of parts of them (``unseen_words``), else UA and WA."""
    return ("wer",) if what.endswith(_OWN_TASK["wer"]) else ("ua", "wa")


def read_run(path: Path) -> Run:
    """Read a ``metrics.json``.

    Raises
    ------
    StoreError
        If it is absent, changed by hand, or no such file.
    """
    if not path.is_file():
        raise StoreError(f"{path}: no such file; build it with `snakemake --cores 2 {path}`")
    content = read_sealed_json(path)
    if not {"study", "cell", "name", "classes", "excluded", "provenance", "fits"} <= content.keys():
        raise StoreError(_AGAIN.format(path, "not the metrics of a trained cell"))
    run = Run(
        path=path,
        study=content["study"],
        name=content["name"],
        cell=content["cell"],
        classes=content["classes"],
        excluded=content["excluded"],
        provenance=Provenance.from_json(content["provenance"]),
        fits=[_fit(entry, content["classes"]) for entry in content["fits"]],
    )
    _check_whole(run)
    _check_scores(run, content)
    return run


def _fit(entry: Mapping[str, Any], classes: Sequence[str]) -> FitScores:
    tallies = {}
    for role, of_role in entry["tallies"].items():
        for what, by_class in of_role.items():
            # what is not counted by the study's classes is in the order of the file
            names = classes if by_class.keys() == set(classes) else list(by_class)
            counted = np.array([by_class[name] for name in names], dtype=np.float64)
            tallies[role, what] = Tally(counted[:, 0], counted[:, 1])
    absent = {
        (role, what): reason for role, of_role in entry.get("absent", {}).items() for what, reason in of_role.items()
    }
    return FitScores(entry["run"], entry["fold"], entry["counts"], tallies, absent)


def _check_whole(run: Run) -> None:
    """Refuse fits that would make a mean wrong: none, repeated, or folds that are not those of every run."""
    names = [(fit.run, fit.fold) for fit in run.fits]
    if not names or len(set(names)) < len(names):
        raise StoreError(_AGAIN.format(run.path, "a run and fold occur twice" if names else "no fits"))
    folds = {fit.fold for fit in run.fits}
    if len(names) != len(folds) * len(run.runs()):
        raise StoreError(_AGAIN.format(run.path, f"not every run has the folds {', '.join(sorted(folds))}"))


def _check_scores(run: Run, content: Mapping[str, Any]) -> None:
    """Refuse scores that the predictions beside them do not give, and predictions of another training."""
    path = run.path.with_name("predictions.parquet")
    metadata = read_metadata(path)
    differing = [key for key in _OF_THE_TRAINING if metadata.get(key) != content.get(key)]
    if differing:
        raise StoreError(_AGAIN.format(run.path, f"{differing[0]} is another than that of {path.name}"))
    given = predicted_tallies(path, run.classes)
    for fit in run.fits:
        for (role, what), tally in fit.tallies.items():
            found = given.get((fit.run, fit.fold, role, what))
            if found is not None and not _equal(found, tally):
                said = f"run {fit.run}, fold {fit.fold}, {role}: the {what} scores are not what {path.name} gives"
                raise StoreError(_AGAIN.format(run.path, said))


def _equal(one: Tally, other: Tally) -> bool:
    return np.array_equal(one.hits, other.hits) and np.array_equal(one.totals, other.totals)


def predicted_tallies(path: Path, classes: Sequence[str]) -> dict[tuple[int, str, str, str], Tally]:
    """Return what predictions amount to, by run, fold, role and what was predicted.

    Parameters
    ----------
    path
        A ``predictions.parquet``; one row group is in memory at a time.
    classes
        Its classes; ``prediction`` is the study's own task, a column ``oracle_prediction`` gives ``oracle``.

    Raises
    ------
    StoreError
        If the file is absent or damaged, or a target or prediction is none of the classes.
    """
    found: dict[tuple[int, str, str, str], Tally] = {}
    for table in iterate_batches(path, kind="predictions"):
        fits = list(zip(*(table.column(name).to_pylist() for name in ("run", "fold", "role")), strict=True))
        targets = pc.list_flatten(table.column("target")).to_numpy()
        if targets.size != len(fits) * len(classes):
            raise StoreError(_AGAIN.format(path, f"targets are not of its {len(classes)} classes"))
        targets = targets.reshape(len(fits), len(classes))
        for column in table.column_names:
            what, _, kind = column.rpartition("_")
            if kind != "prediction" or table.column(column).null_count:
                continue
            chosen = pc.index_in(table.column(column), value_set=pa.array(classes, pa.string()))
            if chosen.null_count:
                raise StoreError(_AGAIN.format(path, f"a {column} is none of {', '.join(classes)}"))
            for fit in dict.fromkeys(fits):
                rows = np.array([place for place, other in enumerate(fits) if other == fit])
                counted = count_hits(targets[rows], chosen.to_numpy()[rows])
                key = (*fit, what or kind)
                found[key] = found[key] + counted if key in found else counted
    return found


def read_runs(paths: Iterable[Path]) -> list[Run]:
    """Read the cells of a study.

    Raises
    ------
    StoreError
        If one is absent, damaged or given twice, or they are of several studies.
    """
    runs = [read_run(path) for path in paths]
    names = [run.name for run in runs]
    for run in runs:
        if run.study != runs[0].study:
            raise StoreError(f"{run.path}: a run of the {run.study} study among those of {runs[0].study}")
        if names.count(run.name) > 1:
            raise StoreError(f"cell {run.name} is given twice; give each metrics.json once")
    return runs


def take(runs: Sequence[CellT], where: Mapping[str, tuple[str, ...]]) -> list[CellT]:
    """Return the cells that ``where`` takes in, in the order of its values.

    Raises
    ------
    StoreError
        If one is not among ``runs``, or there are several of a name.
    """
    named = {name: values for name, values in where.items() if name not in SELECTORS}
    chosen = []
    for values in product(*named.values()):
        wanted = dict(zip(named, values, strict=True))
        found = [run for run in runs if all(run.cell.get(name) == value for name, value in wanted.items())]
        if len(found) != 1:
            said = ", ".join(f"{name} {value}" for name, value in wanted.items())
            raise StoreError(
                f"a cell of {said} is missing; build its metrics.json and give it too"
                if not found
                else f"{said}: {len(found)} cells, the first is {found[0].name}; a table's cell must name one"
            )
        chosen += found
    return chosen


def common_runs(cells: Sequence[Cell]) -> list[int]:
    """Return the runs that all cells have.

    Raises
    ------
    StoreError
        If there is none.
    """
    found = sorted(set.intersection(*(set(cell.runs()) for cell in cells)))
    if not found:
        raise StoreError(
            f"cells {cells[0].name} and {cells[-1].name} have no run in common, so they cannot be averaged; give them "
            "the same seeds"
        )
    return found


def fold_scores(cell: Run, run: int, role: str, measure: str, over_folds: str) -> float:
    """Return a cell's score in one run, a share: the mean over its folds, or of their utterances together.

    Raises
    ------
    StoreError
        If a fit has no such tally, nothing was counted in it, or UA is pooled and the folds have not the same classes.
    """
    what, kind = parse_measure(measure)
    tallies = []
    for fit in cell.fits:
        if fit.run == run:
            found = fit.tallies.get((role, what))
            if found is None or not (found.totals > 0).any():
                raise StoreError(_AGAIN.format(cell.path, f"no {measure} of {role} in run {run}, fold {fit.fold}"))
            tallies.append(found)
    if over_folds == "pooled":
        if len({len(part.totals) for part in tallies}) == 1:
            return score(functools.reduce(operator.add, tallies), kind)
        if kind == "ua":
            raise StoreError(f"{cell.path}: {measure} of folds with other classes cannot be pooled; average the folds")
        # a share of all hits needs no classes: folds may know more speakers or fewer
        return score(Tally(*(np.concatenate(counts) for counts in zip(*map(astuple, tallies), strict=True))), kind)
    return math.fsum(score(part, kind) for part in tallies) / len(tallies)


def why_left_out(cells: Sequence[Run], runs: Sequence[int], role: str, what: str) -> str | None:
    """Say why a fit of some runs has no tally; None if it should have one."""
    found = (fit.absent.get((role, what)) for cell in cells for fit in cell.fits if fit.run in runs)
    return next((reason for reason in found if reason is not None), None)


def select(runs: Sequence[Run], where: Mapping[str, tuple[str, ...]], over_folds: str) -> Value | str:
    """Average the cells that ``where`` takes in within each run, then over runs; or say why that cannot be had.

    Parameters
    ----------
    runs
        All cells of the table.
    where
        Names of cells, and ``measure``, each with its values; ``role`` is ``test`` unless it is given; ``predicted``
        names a tally where the measure does not (see `measure_of`).
    over_folds
        ``mean`` or ``pooled``.

    Raises
    ------
    StoreError
        If a cell is missing, lacks the measure, or no run is common to all.
    """
    cells, role, measure = take(runs, where), _one(where, "role", "test"), measure_of(where)
    common = common_runs(cells)
    reason = why_left_out(cells, common, role, parse_measure(measure)[0])
    if reason is not None:
        return reason
    percents = [mean([100.0 * fold_scores(cell, run, role, measure, over_folds) for cell in cells]) for run in common]
    return Value(mean(percents), statistics.stdev(percents) if len(percents) > 1 else math.nan, len(percents), cells)


def measure_of(where: Mapping[str, tuple[str, ...]]) -> str:
    """Return the measure of a selection: ``chance_wa`` of measure ``wa`` and predicted ``chance``.

    So a row may say what was predicted, and a column how it is scored.
    """
    measure = _one(where, "measure")
    return f"{_one(where, 'predicted')}_{measure}" if "predicted" in where else measure


def _one(where: Mapping[str, tuple[str, ...]], name: str, default: str | None = None) -> str:
    values = where.get(name, () if default is None else (default,))
    if len(values) != 1:
        raise ValueError(f"a table's cell needs one {name}, not {', '.join(values) or 'none'}")
    return values[0]


def mean(values: Sequence[float]) -> float:
    """Return the mean, exactly rounded."""
    return math.fsum(values) / len(values)


def score_rows(run: Run) -> Iterator[list[Any]]:
    """Yield run, fold, role, what was predicted, n, and UA and WA, or WER, of each fit (percent; else empty)."""
    for fit in run.fits:
        for (role, what), tally in fit.tallies.items():
            n = round(float(tally.totals.sum()))
            kinds = kinds_of(what)
            scores = [two_digits(100.0 * score(tally, kind)) if kind in kinds else "" for kind in _OWN_TASK]
            yield [fit.run, fit.fold, role, what, n, *scores]
