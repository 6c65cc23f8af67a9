"""Versions of a study: as its paper has it, clean, and clean with a single leak set back to the paper's.

Typing only: a version is a plan of changed settings, whose runs lie in a folder of their own. What has the settings of
the configuration is not trained twice.
"""

from collections.abc import Collection, Mapping
from typing import Any

from serflow.report.headings import Layout, merged
from serflow.studies.contract import Plan

AS_IN_PAPER, WITHOUT_LEAKS, WITH = "paper", "clean", "with_"
VERSION_PATTERN = rf"{AS_IN_PAPER}|{WITHOUT_LEAKS}|{WITH}[a-z_]+"


def root_of(version: str, study: str) -> str:
    """Return the folder of a version's runs."""
    return f"results/versions/{version}/{study}"


def versions(plan: Plan) -> dict[str, Plan]:
    """Return the versions of a study by name; none where its protocol has no leak that a setting closes.

    Those of equal settings are one plan, under the first of their names: that of the configuration first, then in the
    order of the result.
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
        same = next((other for other in known if other.settings == made.settings), None)
        found[name] = same or made
        known += [] if same else [made]
    return found


def trained_apart(plan: Plan) -> dict[str, Plan]:
    """Return the versions whose runs are not those of the study itself nor of another version, by name."""
    return {name: version for name, version in versions(plan).items() if version.root == root_of(name, plan.name)}


def corpora_of(plan: Plan) -> list[str]:
    """Return the corpora whose premiums can be told: those that the clean version splits in another way."""
    of = versions(plan)
    return [name for name in plan.corpora() if of and of[AS_IN_PAPER].draws(name) != of[WITHOUT_LEAKS].draws(name)]


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
