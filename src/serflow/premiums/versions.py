"""Versions of a study: as its paper has it, clean, and clean with a single leak set back to the paper's.

Typing only: a version is a plan of changed settings, whose runs lie in a folder of their own. What has the settings of
the configuration is not trained twice.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from serflow.report.headings import Layout, merged
from serflow.studies.contract import Plan

AS_IN_PAPER, WITHOUT_LEAKS, WITH = "paper", "clean", "with_"
VERSION_PATTERN = rf"{AS_IN_PAPER}|{WITHOUT_LEAKS}|{WITH}[a-z_]+"


def root_of(version: str, study: str) -> str:
    """Return the folder of a version's runs."""
    return f"results/versions/{version}/{study}"


@functools.cache
def versions(plan: Plan) -> Mapping[str, Plan]:
    """Return the versions of a study by name; none where its protocol has no leak that a setting closes.

    Those that train the same are one plan, under the first of their names: that of the configuration first, then in
    the order of the result.
    """
    leaks = plan.leaks()
    if not leaks:
        return {}
    clean = {leak.setting: leak.clean for leak in leaks}
    values: dict[str, Mapping[str, Any]] = {
        AS_IN_PAPER: {leak.setting: leak.paper for leak in leaks},
        WITHOUT_LEAKS: clean,
        **{WITH + leak.key: {**clean, leak.setting: leak.paper} for leak in leaks},
    }
    known: list[Plan] = [plan]
    found: dict[str, Plan] = {}
    for name, changed in values.items():
        made = plan.version(changed, root_of(name, plan.name))
        same = next((other for other in known if _same(other, made)), None)
        found[name] = same or made
        known += [] if same else [made]
    return found


def _same(one: Plan, other: Plan) -> bool:
    """Say whether two versions train the same."""
    return one.settings == other.settings and all(_alike(one, other, corpus) for corpus in one.corpora())


def _alike(one: Plan, other: Plan, corpus: str) -> bool:
    """Say whether two versions have the same splits and the same cells of a corpus."""
    return one.draws(corpus) == other.draws(corpus) and _by_corpus(one).get(corpus) == _by_corpus(other).get(corpus)


@functools.cache
def _by_corpus(version: Plan) -> Mapping[str, Sequence[tuple[str, ...]]]:
    """Return all cells of a version; those of a study with leaks name their corpus."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for cell in version.cells():
        found.setdefault(cell.corpus, []).append(cell)  # type: ignore[attr-defined]
    return found


def roots_of(plan: Plan) -> dict[str, dict[str, str]]:
    """Return by version and corpus where the runs lie: what two versions train alike of a corpus is trained once."""
    of = versions(plan)
    known = [plan, *of.values()]
    return {
        name: {
            corpus: next(other.root for other in known if _alike(other, version, corpus)) for corpus in plan.corpora()
        }
        for name, version in of.items()
    }


def trained_apart(plan: Plan) -> dict[str, Plan]:
    """Return the versions whose runs are not those of the study itself nor of another version, by name."""
    return {name: version for name, version in versions(plan).items() if version.root == root_of(name, plan.name)}


def corpora_of(plan: Plan, version: str = WITHOUT_LEAKS) -> list[str]:
    """Return the corpora of which a version is told: those that it trains on in another way than the clean one.

    Of the clean version these are the corpora of which any other is told.
    """
    of = versions(plan)
    told = [other for name, other in of.items() if version in (name, WITHOUT_LEAKS)]
    return [name for name in plan.corpora() if any(not _alike(other, of[WITHOUT_LEAKS], name) for other in told)]


def cells_of(version: Plan, table: str, corpora: Collection[str]) -> list[tuple[str, ...]]:
    """Return the cells of a table that are of some corpora; those of a study with leaks name theirs."""
    return [cell for cell in version.cells(table) if cell.corpus in corpora]  # type: ignore[attr-defined]


def layout_of(version: Plan, table: str, corpora: Collection[str]) -> Layout:
    """Return a table without what stands beside it and without what takes in another corpus than these."""
    layout = version.layout(table)
    rows, columns = (
        [heading for heading in headings if set(merged(heading.where).get("corpus", ())).issubset(corpora)]
        for headings in (layout.rows, layout.columns)
    )
    return layout._replace(rows=rows, columns=columns, departures={}, quoted=())


def tables_of(plan: Plan) -> list[str]:
    """Return the tables whose premiums can be told: those with intervals that have cells of `corpora_of`."""
    corpora = corpora_of(plan)
    if not corpora:
        return []
    return [
        table
        for tables in plan.tables
        for table in tables
        if f"results/{plan.name}/{table}_intervals.csv" in plan.targets() and cells_of(plan, table, corpora)
    ]
