"""What a study gives: a plan, which the rules ask, and what trains one fit. Typing only.

A study is a package of this folder. Its ``plan`` is made from the configuration, its ``train`` from the paper; nothing
else of it is known to what all studies share. ``docs/add-a-study.md`` goes through one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from serflow.report.headings import Layout
from serflow.settings.base import Section


class Curves(NamedTuple):
    """What the training curves show: the table whose rows are the lines, a column of the histories, and its name."""

    table: str
    value: str
    quantity: str


class Exposure(NamedTuple):
    """What a cell's score may owe to its test, or to what was learnt before.

    ``statistics`` says by what utterances features are standardised: those of ``training``, the ``utterance`` itself,
    all of the ``corpus`` with the test among them, or ``none``; ``chosen_on`` is the role that the period is chosen on,
    None where none is chosen; ``networks`` are the pretrained ones that the cell hears or reads through;
    ``hears_noise`` is False of what hears clean audio though it has a noise plan; ``remark`` says what a reader should
    know besides.
    """

    statistics: Mapping[str, str]
    chosen_on: str | None
    networks: Sequence[str] = ()
    hears_noise: bool = True
    remark: str = ""


class Leak(NamedTuple):
    """What the paper's protocol lets training know of the test, and the one setting that says so.

    ``setting`` is a key of the study's section, or of another by its full name, ``paper`` its value in the paper (or
    the like of it, for a corpus that is not the paper's), ``clean`` one that closes the leak; ``says`` what leaks, in a
    few words. It changes which splits there are, or which cells, and no option of a cell.
    """

    key: str
    says: str
    setting: str
    paper: Any
    clean: Any


class Plan(Protocol):
    """What the rules ask of a study: answered from the configuration alone, without torch, pandas or data.

    ``name`` is the study's folder, its key in ``config.yaml`` and its folder of results; ``title`` what people call the
    paper; ``about`` says in plain words, as Markdown, which paper it is and what it asks; ``tables`` are its tables of
    scores, in lists of those that are made together; the parts of a cell are the wildcards of the rule that trains it;
    ``settings`` is its section, ``root`` the folder of its runs.

    A plan may besides have ``why_no_cell(fields)`` and ``why_no_table(table)``: why there can be none of what somebody
    typed, None where there can.
    """

    def __hash__(self) -> int:
        """Return what tells plans apart: what is asked of one is kept by it."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def title(self) -> str: ...  # noqa: D102

    @property
    def about(self) -> str: ...  # noqa: D102

    @property
    def tables(self) -> Sequence[Sequence[str]]: ...  # noqa: D102

    @property
    def curves(self) -> Curves: ...  # noqa: D102

    @property
    def settings(self) -> Section: ...  # noqa: D102

    @property
    def root(self) -> str: ...  # noqa: D102

    def corpora(self) -> list[str]:
        """Return the corpora that it is trained on."""

    def cells(self, table: str | None = None) -> Sequence[tuple[str, ...]]:
        """Return the cells of a table, or of all; a cell is a NamedTuple whose fields are the wildcards of its rule."""

    def targets(self) -> list[str]:
        """Return what is made of the study: tables, what stands beside them, and figures, which its page shows."""

    def layout(self, table: str) -> Layout:
        """Return a table's rows and columns."""

    def options(self, cell: Any) -> dict[str, Any]:
        """Return what a cell's fits are trained with: no option that its method does not read."""

    def sources(self) -> list[str]:
        """Return what it rests on besides corpora, for citations: features, backbones, and ``esc50`` for its noise."""

    def runs(self, corpus: str) -> list[int]:
        """Return the runs of a corpus; a stand-in's own where it is one."""

    def unit(self) -> str:
        """Return what splits keep together, for intervals: dialogue or speaker."""

    def draws(self, corpus: str) -> list[str]:
        """Return the split of each run of a corpus, by the names of their protocols."""

    def departures(self, corpus: str) -> list[str]:
        """Say where settings are not the paper's."""

    def card_inputs(self) -> dict[str, list[str]]:
        """Return the files that the protocol card reads, by name."""

    def card_options(self) -> dict[str, Any]:
        """Return the options that the protocol card needs."""

    def protocol(self) -> dict[str, Any]:
        """Return what the protocol card says of the whole study, in order."""

    def exposure(self, cell: Any) -> Exposure:
        """Return what the audit is told of a cell."""

    def leaks(self) -> list[Leak]:
        """Return what training knows of the test by the paper's protocol, for the corpora that are asked for.

        Cells of a study that has any are named tuples with a ``corpus``.
        """

    def version(self, changed: Mapping[str, Any], root: str) -> "Plan":
        """Return the plan with some settings changed; its runs lie in ``root`` if cells do not tell them apart."""

    def modules(self, cell: Any) -> list[str]:
        """Return the modules that are loaded by name when a cell is trained, for the fingerprint of its code."""
