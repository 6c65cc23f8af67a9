"""What a table is made of: rows and columns by their names in the paper, and the runs that each takes in.

A study says it from the configuration alone, so nothing here needs data; as JSON it is a parameter of the rule that
makes the table.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

Where = Mapping[str, str | Sequence[str]]
NOT_APPLICABLE = "n/a"


class Heading(NamedTuple):
    """A row or a column of a table.

    Parameters
    ----------
    name
        As printed in the paper, in as many parts as the table has columns (rows) of names; a mark of the data
        (``(synthetic)``) stands after the first part of a column, and after the last of a row.
    where
        The runs that it takes in: names of cells, and ``measure`` or ``role``, each one value or several. Several are
        averaged.
    baseline
        The name of the row that differences are taken to; None for none.
    without
        Why it has no value for a name of the other heading (``{"emodb": "no turns in dialogues"}``); such cells say
        ``n/a``.
    reasons
        Why the paper has no such row or column, though it may have one of this name.
    printed
        The name in the paper, where a corpus has a title of the user's own here; None for `name`.
    """

    name: tuple[str, ...]
    where: Where
    baseline: tuple[str, ...] | None = None
    without: Mapping[str, str] = {}
    reasons: tuple[str, ...] = ()
    printed: tuple[str, ...] | None = None


class Layout(NamedTuple):
    """A table of scores: its rows and columns in the paper's order, and how a cell is made of fits.

    Parameters
    ----------
    corner
        Headings of the rows' names.
    rows, columns
        In order.
    where
        What all cells have in common.
    over_folds
        The scores of a run's folds are averaged (``mean``), or their utterances are taken together (``pooled``).
    show
        What a cell prints: the mean over runs, or mean and standard deviation.
    departures
        Where settings are not the paper's, by corpus; for the comparison.
    quoted
        Names of rows that the paper quotes from others; its numbers stand above ours, marked.
    beside
        A table of words of the study with the same rows, by its name in the results; its columns stand between the
        rows' names and their scores. None for none.
    printed
        The paper's table that stands beside it; None for the one of its own name.
    """

    corner: tuple[str, ...]
    rows: Sequence[Heading]
    columns: Sequence[Heading]
    where: Mapping[str, str | Sequence[str]] = {}
    over_folds: Literal["mean", "pooled"] = "mean"
    show: Literal["mean", "mean_std"] = "mean"
    departures: Mapping[str, Sequence[str]] = {}
    quoted: Sequence[tuple[str, ...]] = ()
    beside: str | None = None
    printed: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain lists and mappings."""
        plain = self._asdict()
        return {**plain, **{part: [heading._asdict() for heading in plain[part]] for part in ("rows", "columns")}}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Layout":
        """Return what `to_json` gave."""

        def heading(entry: Mapping[str, Any]) -> Heading:
            baseline = entry["baseline"]
            return Heading(
                tuple(entry["name"]),
                entry["where"],
                None if baseline is None else tuple(baseline),
                entry["without"],
                tuple(entry["reasons"]),
                None if entry["printed"] is None else tuple(entry["printed"]),
            )

        parts = {part: [heading(entry) for entry in content[part]] for part in ("rows", "columns")}
        quoted = tuple(tuple(name) for name in content["quoted"])
        return cls(**{**content, **parts, "corner": tuple(content["corner"]), "quoted": quoted})


def full_name(heading: Heading) -> str:
    """Return the name of a row or column, in one piece."""
    return " ".join(heading.name)


def printed_name(heading: Heading) -> str:
    """Return the name of a row or column in the paper, in one piece."""
    return " ".join(heading.printed or heading.name)


def merged(*wheres: Where) -> dict[str, tuple[str, ...]]:
    """Join what a table, a row and a column say of the runs; each name with its values."""
    return {
        name: (value,) if isinstance(value, str) else tuple(value) for where in wheres for name, value in where.items()
    }


def why_absent(row: Heading, column: Heading) -> str | None:
    """Say why a row has no value in a column (``n/a: ...``); None if it has."""
    for one, other in ((row, column), (column, row)):
        for values in merged(other.where).values():
            for value in values:
                if value in one.without:
                    return f"{NOT_APPLICABLE}: {one.without[value]}"
    return None
