"""The premium of a leak: the score with it, minus that of the clean version, cell by cell of a table.

The two versions are other trainings, and as a rule tested on other utterances. Speakers are drawn, and runs: where all
runs of both are tested on the same speakers these are drawn alike, else apart (`serflow.runs.bootstrap`). Where only
some are the same, the interval is wider for it: what they have in common is not taken out of the difference.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from serflow.errors import StoreError
from serflow.files import two_digits
from serflow.noise.conditions import profile_of
from serflow.premiums.versions import AS_IN_PAPER, WITH, WITHOUT_LEAKS
from serflow.report.headings import Layout, full_name, merged, printed_name, why_absent
from serflow.report.intervals import FEW_CLUSTERS, TableIntervals, besides_corpora
from serflow.runs.bootstrap import REPLICATES, CellFits, Clusters, interval, over_runs
from serflow.runs.provenance import joined
from serflow.runs.scores import common_runs, take

UNIT = "speaker"
LEAST_SPEAKERS = 5
"""With fewer in a test set no interval is told."""
ALL = "all"
"""What is told as one leak where there are several: the paper's protocol and the clean one."""
COLUMNS = (
    "table", "row", "column", "corpora", "leak", "measure", "with_leak", "without", "premium", "std", "low", "high",
    "drawn", "n_speakers", "n_runs", "note",
)  # fmt: skip


class Version(NamedTuple):
    """A table in one version of a study: its layout, and the cells of runs that it takes its own from."""

    layout: Layout
    cells: Sequence[CellFits]


def by_profile(cells: Sequence[CellFits]) -> list[CellFits]:
    """Return cells by the profiles of their noise, as columns name them.

    Where clips follow splits a cell has the runs of one split; all of a profile are one cell here.

    Raises
    ------
    StoreError
        If they are not of the same classes.
    """
    found: dict[tuple[str, ...], CellFits] = {}
    for cell in cells:
        named = {name: profile_of(value) if name == "profile" else value for name, value in cell.cell.items()}
        key = tuple(named.values())
        found[key] = _together(found[key], cell) if key in found else cell._replace(cell=named)
    return list(found.values())


def _together(one: CellFits, other: CellFits) -> CellFits:
    if one.classes != other.classes or one.fits.keys() & other.fits.keys():
        raise StoreError(
            f"{other.path}: has other classes than {one.path}, or runs that this has; delete both and run the same "
            "command again"
        )
    fits = {key: places + one.table.num_rows for key, places in other.fits.items()}
    return one._replace(
        table=pa.concat_tables([one.table, other.table]),
        fits={**one.fits, **fits},
        provenance=joined([one.provenance, other.provenance]),
    )


def leaks_told(leaks: Sequence[str]) -> dict[str, str]:
    """Return the version that each leak is told by, against the clean one; several are told together as well."""
    together = {ALL: AS_IN_PAPER} if len(leaks) > 1 else {}
    return {**together, **{leak: WITH + leak for leak in leaks}}


def premiums(
    table: str,
    versions: Mapping[str, Version],
    leaks: Sequence[str],
    clusters: Mapping[str, Clusters],
    replicates: int = REPLICATES,
) -> Iterator[list[Any]]:
    """Yield `COLUMNS` of each cell of a table that rests on predictions in both versions.

    Parameters
    ----------
    table
        Its name.
    versions
        By name: the clean one, and those of `leaks_told`.
    leaks
        Their names.
    clusters
        Speakers of each corpus.
    replicates
        Draws of the bootstrap.
    """
    clean = versions[WITHOUT_LEAKS]
    for leak, version in leaks_told(leaks).items():
        other = versions[version]
        alike = {corpus for corpus in clusters if _tested(clean, clusters, corpus) == _tested(other, clusters, corpus)}
        without = TableIntervals(_bare(clean.layout), clean.cells, clusters, replicates)
        leaky = TableIntervals(_bare(other.layout), other.cells, clusters, replicates, apart=set(clusters) - alike)
        names = {_name(without, *place): place for place in reversed(without.entries)}
        for place in _first(leaky):
            if (found := names.get(_name(leaky, *place))) is not None:
                yield [table, *_line(leak, leaky, place, without, found, alike)]


def _bare(layout: Layout) -> Layout:
    """Return a layout without baselines: rows are not compared with each other here."""
    return layout._replace(rows=[row._replace(baseline=None) for row in layout.rows])


def _tested(version: Version, clusters: Mapping[str, Clusters], corpus: str) -> dict[int, set[int]]:
    """Return the speakers of a corpus that each run of a table's cells is tested on."""
    found: dict[int, set[int]] = {}
    rows, speakers = clusters[corpus].rows, clusters[corpus].clusters
    for cell in _taken(version):
        if cell.cell["corpus"] == corpus:
            runs, names = (cell.table.column(name).to_pylist() for name in ("run", "utterance"))
            for run, name in set(zip(runs, names, strict=True)):
                found.setdefault(run, set()).add(int(speakers[rows[name]]))
    return found


def _taken(version: Version) -> list[CellFits]:
    """Return the cells of runs that a table takes in, each once."""
    layout = version.layout
    found = [
        cell
        for row in layout.rows
        for column in layout.columns
        if not why_absent(row, column)
        for cell in take(version.cells, merged(layout.where, row.where, column.where))
    ]
    return list({cell.name: cell for cell in found}.values())


def _name(intervals: TableIntervals, i: int, j: int) -> tuple[str, str]:
    """Return what a cell is called in all versions: columns may be titled by the protocol."""
    return full_name(intervals.layout.rows[i]), printed_name(intervals.layout.columns[j])


def _first(intervals: TableIntervals) -> list[tuple[int, int]]:
    """Return the cells of the table, the first of each name."""
    return list({_name(intervals, *place): place for place in reversed(intervals.entries)}.values())[::-1]


def _line(
    leak: str,
    leaky: TableIntervals,
    place: tuple[int, int],
    clean: TableIntervals,
    other: tuple[int, int],
    alike: set[str],
) -> list[Any]:
    entries = leaky.entries[place], clean.entries[other]
    runs = common_runs([cell for entry in entries for cell in entry.cells])
    with_leak, without = leaky.sample(*place, runs), clean.sample(*other, runs)
    corpora = dict.fromkeys(cell.cell["corpus"] for entry in entries for cell in entry.cells)
    n_speakers = min(leaky.fewest_clusters(*place, runs), clean.fewest_clusters(*other, runs))
    drawn = "alike" if alike.issuperset(corpora) else "apart"
    low = high = math.nan
    of_corpora = (mark for corpus in corpora for mark in clean.clusters[corpus].marks)
    notes = list(dict.fromkeys([*of_corpora, *besides_corpora(cell for entry in entries for cell in entry.cells)]))
    if n_speakers < LEAST_SPEAKERS:
        drawn = ""
        notes.append(f"no interval: {n_speakers} speaker(s) in the smallest test set, {LEAST_SPEAKERS} are needed")
    else:
        low, high = interval(over_runs(with_leak.replicates - without.replicates), n_speakers)
        if n_speakers < FEW_CLUSTERS:
            notes.append(f"few speakers: {n_speakers} in the smallest test set")
    if len(runs) == 1:
        notes.append("one run: test sampling only, not how training varies")
    of_runs = with_leak.values - without.values
    std = float(np.std(of_runs, ddof=1)) if len(runs) > 1 else math.nan
    values = with_leak.value, without.value, with_leak.value - without.value, std, low, high
    return [
        *_name(leaky, *place), " ".join(corpora), leak, entries[0].measure, *map(two_digits, values), drawn,
        n_speakers, len(runs), "; ".join(notes),
    ]  # fmt: skip
