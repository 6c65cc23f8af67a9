"""What a study gives: a plan, which the rules ask, and what trains one fit. Typing only.

A study is a package of this folder. Its ``plan`` is made from the configuration, its ``train`` from the paper; nothing
else of it is known to what all studies share. ``docs/add-a-study.md`` goes through one.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from serflow.report.headings import Layout


class Plan(Protocol):
    """What the rules ask of a study: answered from the configuration alone, without torch, pandas or data.

    ``name`` is the study's folder, its key in ``config.yaml`` and its folder of results; ``title`` what people call the
    paper; ``tables`` are its tables of scores.
    """

    name: str
    title: str
    tables: Sequence[str]

    def corpora(self) -> list[str]:
        """Return the corpora that it is trained on."""

    def cells(self, table: str | None = None) -> Sequence[tuple[str, ...]]:
        """Return the cells of a table, or of all; a cell is a NamedTuple whose fields are the wildcards of its rule."""

    def layout(self, table: str) -> Layout:
        """Return a table's rows and columns."""

    def options(self, cell: Any) -> dict[str, Any]:
        """Return what a cell's fits are trained with: no option that its method does not read."""

    def runs(self, corpus: str) -> list[int]:
        """Return the runs of a corpus; a stand-in's own where it is one."""

    def departures(self, corpus: str) -> list[str]:
        """Say where settings are not the paper's."""

    def modules(self, cell: Any) -> list[str]:
        """Return the modules that are loaded by name when a cell is trained, for the fingerprint of its code."""
