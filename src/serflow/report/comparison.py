"""Our numbers beside a paper's, cell by cell. All values are percent.

What the paper prints in a row and column stands beside ours whatever ours was made from. The two are compared, that is
subtracted, where ours rests on the paper's own, real and complete data; else the note says why not.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from serflow.files import two_digits
from serflow.report.facts import data_reasons, run_remarks
from serflow.report.headings import Heading, Layout, full_name, printed_name
from serflow.report.tables import Filled, Printed, Published
from serflow.runs.provenance import joined
from serflow.runs.scores import Run

COLUMNS = ("column", "ours_mean", "ours_std", "n_runs", "paper", "paper_std", "difference", "note")


def other_settings(layout: Layout, cells: Sequence[Run]) -> list[str]:
    """Say where the settings that cells of a table were made with are not the paper's."""
    corpora = dict.fromkeys(cell.cell.get("corpus", "") for cell in cells)
    return list(dict.fromkeys(said for corpus in corpora for said in layout.departures.get(corpus, ())))


def _remarks(layout: Layout, cells: Sequence[Run]) -> list[str]:
    """Return where settings depart from the paper's, what the data say of themselves, and what the runs left out."""
    remarks = joined(cell.provenance for cell in cells).remarks
    return [*other_settings(layout, cells), *remarks, *run_remarks(cells)]


def reasons(row: Heading, column: Heading, cells: Sequence[Run]) -> list[str]:
    """Say why a cell is not compared with the paper; empty if it is."""
    return [*row.reasons, *column.reasons, *data_reasons(cells)]


def beside_paper(table: Filled, published: Published) -> tuple[list[str], list[list[Any]]]:
    """Return heading and a line per cell of a table.

    Returns
    -------
    list, list
        The names of the row, then column, ours_mean, ours_std, n_runs, paper, paper_std (empty where it prints none),
        difference (ours - paper; empty where they are not compared), note.
    """
    layout = table.layout
    lines: list[list[Any]] = []
    for i, row in enumerate(layout.rows):
        for j, column in enumerate(layout.columns):
            value, name = table.value(i, j), full_name(column)
            cells = value.cells if value else []
            why_not = [*([] if value else [str(table.cells[i, j])]), *reasons(row, column, cells)]
            # where the paper has no such row or column, its number under that name is another thing
            named = None if row.reasons or column.reasons else published.get((row.name, printed_name(column)))
            if not why_not and named is None:
                why_not.append("not printed in the paper")
            paper = named or Printed(math.nan)
            mean, std, n_runs = (value.mean, value.std, value.n_runs) if value else (math.nan, math.nan, 0)
            difference = math.nan if why_not else round(mean, 2) - paper.mean
            note = "; ".join([*why_not, *(_remarks(layout, cells) if cells else [])])
            ours, theirs = map(two_digits, (mean, std)), map(two_digits, (*paper, difference))
            lines.append([*row.name, name, *ours, n_runs, *theirs, note])
    quoted = [
        [*row, name, None, None, 0, *map(two_digits, published[row, name]), None, "the paper quotes it from others"]
        for row in layout.quoted
        for name in map(full_name, layout.columns)
        if (row, name) in published
    ]
    return [*(part.lower() for part in layout.corner), *COLUMNS], [*quoted, *lines]


def words_beside_paper(
    heading: Sequence[str],
    rows: Sequence[Sequence[str]],
    published: Mapping[tuple[str, str], str],
    printed: Mapping[str, str] | None = None,
) -> tuple[list[str], list[list[Any]]]:
    """Return a line per cell of a table of words: ours, the paper's (empty where it has none), and whether they agree.

    Marks of the data behind the name of a row or column, in brackets, are left aside. ``printed`` are names in the
    paper, where they have others here.
    """

    def in_paper(name: str) -> str:
        own = name.split(" (")[0]
        return (printed or {}).get(own, own)

    lines: list[list[Any]] = []
    for name, *cells in rows:
        for column, ours in zip(heading[1:], cells, strict=True):
            paper = published.get((in_paper(name), in_paper(column)))
            lines.append([name, column, ours, paper, None if paper is None else ours == paper])
    return [heading[0].lower(), "column", "ours", "paper", "same"], lines
