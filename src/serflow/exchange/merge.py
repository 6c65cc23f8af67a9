"""The tables of a study from runs of several labs, with the origin of each cell."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from serflow.errors import StoreError
from serflow.exchange.state import CellState, cell_folders, read_state, results_of
from serflow.files import two_digits, write_csv
from serflow.report.facts import marks
from serflow.report.headings import Layout, full_name, merged, why_absent
from serflow.runs.provenance import joined
from serflow.runs.scores import SELECTORS, Run, Value, read_run, select, take

COLUMNS = ("column", "mean", "std", "n_runs", "marks", "origin", "note")
CELLS = ("study", "cell", "origin", "also_in", "predictions_sha256", "note")


class Origin(NamedTuple):
    """A cell of runs: the tree that it is taken from, all that have it, and whether these predict the same."""

    run: Run
    tree: str
    also: tuple[str, ...]
    differing: tuple[str, ...]
    state: CellState


def read_origins(trees: Sequence[Path], study: str) -> dict[str, Origin]:
    """Return the cells of a study in several trees, by name: each from the first tree that has it.

    Raises
    ------
    StoreError
        If a tree has no runs, is given twice, or a file of it is damaged.
    """
    places = [results_of(tree).resolve() for tree in trees]
    if len(set(places)) < len(places):
        raise StoreError("a tree of results is given twice; give each lab's once")
    found: dict[str, list[tuple[str, Path, CellState]]] = {}
    for tree, results in zip(trees, places, strict=True):
        states = read_state(results).cells
        for folder in cell_folders(results, study):
            name = folder.relative_to(results / "runs" / study).as_posix()
            found.setdefault(name, []).append((str(tree), folder, states[f"{study}/{name}"]))
    origins = {}
    for name, several in found.items():
        (first, where, state), *others = several
        origins[name] = Origin(
            read_run(where / "metrics.json"),
            first,
            tuple(other for other, _, _ in others),
            tuple(other for other, _, of_other in others if of_other.predicted != state.predicted),
            state,
        )
    return origins


def merge_table(layout: Layout, origins: Mapping[str, Origin]) -> tuple[list[str], list[list[Any]]]:
    """Return a line a cell of a table: mean and deviation over runs, in percent, and whose runs it is made of.

    A cell for which no tree has all runs has no value, and says what is missing.
    """
    runs = [origin.run for origin in origins.values()]
    lines: list[list[Any]] = []
    for row in layout.rows:
        for column in layout.columns:
            where = merged(layout.where, row.where, column.where)
            lacks = why_absent(row, column) or _missing(runs, where) or _apart(runs, where)
            value = lacks or select(runs, where, layout.over_folds)
            if not isinstance(value, Value):
                lines.append([*row.name, full_name(column), "", "", 0, "", "", value])
                continue
            taken = [origins[run.name] for run in take(runs, where)]
            stamp = "; ".join(marks(joined(run.provenance for run in value.cells)))
            said = [two_digits(value.mean), two_digits(value.std), value.n_runs, stamp]
            lines.append([*row.name, full_name(column), *said, _whose(taken), "; ".join(_notes(taken))])
    return [*(part.lower() for part in layout.corner), *COLUMNS], lines


def _missing(runs: Sequence[Run], where: Mapping[str, tuple[str, ...]]) -> str | None:
    """Say which cell of runs no tree has; None if all are there."""
    named = {name: values for name, values in where.items() if name not in SELECTORS}
    for values in product(*named.values()):
        wanted = dict(zip(named, values, strict=True))
        if not any(all(run.cell.get(name) == value for name, value in wanted.items()) for run in runs):
            return f"in no tree: {', '.join(f'{name} {value}' for name, value in wanted.items())}"
    return None


def _apart(runs: Sequence[Run], where: Mapping[str, tuple[str, ...]]) -> str | None:
    """Say which runs the cells of a mean have, where they have none in common; None if they have."""
    of_cells = {run.name: run.runs() for run in take(runs, where)}
    if set.intersection(*map(set, of_cells.values())):
        return None
    return f"no run in common: {', '.join(f'{name} has {_listed(of_run)}' for name, of_run in of_cells.items())}"


def _listed(numbers: Sequence[int]) -> str:
    return " and ".join(map(str, numbers))


def _whose(taken: Sequence[Origin]) -> str:
    trees = list(dict.fromkeys(origin.tree for origin in taken))
    if len(trees) == 1:
        return trees[0]
    return "; ".join(f"{', '.join(one.run.name for one in taken if one.tree == tree)}: {tree}" for tree in trees)


def _notes(taken: Sequence[Origin]) -> list[str]:
    """Say where others have other predictions, and where what is averaged was not trained alike."""
    differing = dict.fromkeys(tree for origin in taken for tree in origin.differing)
    notes = [f"other predictions in {tree}" for tree in differing]
    if len({origin.tree for origin in taken}) > 1:
        if len({origin.state.code for origin in taken}) > 1:
            notes.append("trained by several versions of the code")
        if len({repr(origin.state.options) for origin in taken}) > 1:
            notes.append("trained with several settings")
    return notes


def merge(trees: Sequence[Path], layouts: Mapping[str, Mapping[str, Layout]], into: Path) -> list[Path]:
    """Write the tables of all studies that any tree has runs of, and a list of the cells; return the files.

    Parameters
    ----------
    trees
        Folders of results, or of what was exported; of what several have the first counts.
    layouts
        By study and table.
    into
        Gets ``{study}/{table}.csv`` and ``cells.csv``; a table without a run loses the file that it has there.

    Raises
    ------
    StoreError
        If a tree has no runs or is damaged, or no tree has runs of a study.
    """
    written, cells = [], []
    for study, tables in layouts.items():
        origins = read_origins(trees, study)
        for name, layout in tables.items():
            heading, lines = merge_table(layout, origins)
            path = into / study / f"{name}.csv"
            # a table of which nothing was trained says nothing, and one of an earlier merge is not of these trees
            if any(line[-2] for line in lines):
                write_csv(path, heading, lines)
                written.append(path)
            else:
                path.unlink(missing_ok=True)
        cells += [
            [study, name, one.tree, "; ".join(one.also), one.state.predicted, _said_of(one)]
            for name, one in sorted(origins.items())
        ]
    if not cells:
        raise StoreError(f"{', '.join(map(str, trees))}: no runs of a study that is known; give folders of results")
    write_csv(into / "cells.csv", CELLS, cells)
    return [*written, into / "cells.csv"]


def _said_of(origin: Origin) -> str:
    if not origin.also:
        return ""
    return f"other predictions in {', '.join(origin.differing)}" if origin.differing else "the same predictions in all"
