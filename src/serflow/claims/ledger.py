"""The sentences of a paper that its tables can bear out or not: ``published/claims.yaml`` of its study, checked.

An assertion is about one number in points: a cell of a table, the difference of two rows in a column, of two columns in
a row, or the difference of such differences. Names are the paper's; ``*`` in that of a column stands for any corpus,
so that a claim can be looked at on other corpora than the paper's.
"""

import functools
import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field, model_validator

from serflow.errors import ConfigError
from serflow.report.headings import Heading, Layout, printed_name
from serflow.settings.base import Name, Section, SettingError, checked
from serflow.settings.written import read

FILE = "claims.yaml"
Relation = Literal["above", "below", "not above", "not below", "alike", "about"]
RELATIONS: tuple[str, ...] = get_args(Relation)
_NEEDS_MARGIN = ("alike", "about")


class Assertion(Section):
    """What must be so of some cells of a table.

    Parameters
    ----------
    table
        Its name.
    rows
        One row, or two, of which the second is subtracted.
    columns
        Each is judged on its own; a pair is a difference, of which the second is subtracted.
    relation
        ``above`` the margin, ``below`` minus the margin, ``not above`` and ``not below`` them, ``alike``: within the
        margin of zero, ``about``: within the margin of `value`.
    margin
        In points of percent.
    value
        What the paper prints, in percent; for ``about``.
    """

    table: Name
    rows: Annotated[list[str], Field(min_length=1, max_length=2)]
    columns: Annotated[list[str | tuple[str, str]], Field(min_length=1)]
    relation: Annotated[Relation, Field(alias="is")]
    margin: Annotated[float, Field(ge=0)] = 0.0
    value: float | None = None

    @model_validator(mode="after")
    def _check(self) -> "Assertion":
        if (self.relation == "about") != (self.value is not None):
            raise SettingError("value", "stands with `is: about`, and with nothing else")
        if self.relation in _NEEDS_MARGIN and not self.margin:
            raise SettingError("margin", f"`is: {self.relation}` needs one, in points")
        if self.relation != "about" and len(self.rows) == 1 and any(isinstance(name, str) for name in self.columns):
            raise SettingError("rows", "one row in one column is no difference; give two rows, or pairs of columns")
        return self

    @property
    def target(self) -> float:
        """What the number is held against, before the margin."""
        return self.value or 0.0

    def said(self) -> str:
        """Return what must be so, behind the name of the number: ``above 0``, ``from 85 to 89``."""
        low = f"{self.target - self.margin:g}"
        high = f"{self.target + self.margin:g}"
        of = {"above": high, "below": low, "not above": high, "not below": low}
        return f"{self.relation} {of[self.relation]}" if self.relation in of else f"from {low} to {high}"


class Claim(Section):
    """A sentence of a paper, in other words.

    Parameters
    ----------
    sentence
        What it says.
    section
        Where it stands.
    asserts
        What must all be so.
    needs
        Why no table of ours can tell, where none can.
    """

    sentence: str
    section: str
    asserts: tuple[Assertion, ...] = ()
    needs: str | None = None

    @model_validator(mode="after")
    def _check(self) -> "Claim":
        if bool(self.asserts) == bool(self.needs):
            raise SettingError("asserts", "give what must be so, or `needs`: why no table can tell")
        return self


class Claims(Section):
    """All claims of a paper by name."""

    claims: dict[Name, Claim]

    def tables(self) -> list[str]:
        """Return the tables that they are about, each once."""
        return list(dict.fromkeys(part.table for claim in self.claims.values() for part in claim.asserts))


def claims_path(study: str) -> Path:
    """Return where the claims of a study stand, whether there are any or not."""
    return Path(str(resources.files(f"serflow.studies.{study}"))) / "published" / FILE


@functools.cache
def read_claims(path: Path) -> Claims:
    """Read the claims of a study.

    Raises
    ------
    ConfigError
        If the file is absent or not as `Claims` has it; names file and key.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; write the paper's claims there, as docs/trust.md shows")
    return checked(Claims, read(path).content, str(path))


class Term(NamedTuple):
    """A cell of a table that is added (``sign`` 1) or subtracted (-1)."""

    sign: int
    row: Heading
    column: Heading


class Number(NamedTuple):
    """What an assertion is about, in one column or pair of columns: its name, and its cells; or what it needs."""

    name: str
    terms: tuple[Term, ...]
    needs: str | None = None


def numbers(assertion: Assertion, layout: Layout | None) -> list[Number]:
    """Return what an assertion is about in a table as the configuration has it; None if it has no such table."""
    rows = " - ".join(assertion.rows)
    if layout is None:
        return [Number(_named(rows, column), (), f"table {assertion.table}") for column in assertion.columns]
    found = {name: _row(name, layout) for name in assertion.rows}
    absent = [name for name, heading in found.items() if heading is None]
    of_all = []
    for asked in assertion.columns:
        pairs = _columns(asked, layout)
        if absent or not pairs:
            columns = asked if isinstance(asked, str) else f"{asked[0]} and {asked[1]}"
            lacks = f"row {absent[0]}" if absent else f"column {columns}"
            of_all.append(Number(_named(rows, asked), (), f"{lacks} in {assertion.table}"))
            continue
        for pair in pairs:
            terms = tuple(
                Term(sign * way, heading, column)
                for sign, heading in zip((1, -1), (found[name] for name in assertion.rows), strict=False)
                for way, column in zip((1, -1), pair, strict=False)
                if heading is not None
            )
            names = tuple(" ".join(column.name) for column in pair)
            of_all.append(Number(_named(rows, names[0] if len(names) == 1 else (names[0], names[1])), terms))
    return of_all


def _named(rows: str, column: str | tuple[str, str]) -> str:
    return f"{rows}, {column if isinstance(column, str) else f'{column[0]} - {column[1]}'}"


def _row(name: str, layout: Layout) -> Heading | None:
    return next((heading for heading in layout.rows if printed_name(heading) == name), None)


def _columns(asked: str | tuple[str, str], layout: Layout) -> list[tuple[Heading, ...]]:
    """Return the columns, or pairs of them, that a name fits: the paper's own where there are any."""
    names = (asked,) if isinstance(asked, str) else asked
    of_names: list[dict[str, Heading]] = []
    for name in names:
        form = re.compile(re.escape(name).replace(r"\*", "(.+)"))
        fits = [(form.fullmatch(printed_name(column)), column) for column in layout.columns]
        found = [(" ".join(match.groups()), column) for match, column in fits if match is not None]
        own = [(star, column) for star, column in found if not column.reasons]
        # the first of a name, as of folds that are called alike
        of_names.append(dict(reversed(own or found)))
    first, *others = of_names
    stars = [star for star in reversed(first) if all(star in other for other in others)]
    return [tuple(part[star] for part in of_names) for star in stars]
