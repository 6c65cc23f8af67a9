"""Which trained cells are asked at every level of noise, and what they are told, from the configuration alone."""

from typing import Any

from serflow.errors import ConfigError
from serflow.settings.base import CLEAN
from serflow.studies.dlc.catalog import Cell, method_info
from serflow.studies.dlc.plan import Plan


def swept_cells(plan: Plan) -> list[Cell]:
    """Return the cells, by corpus and method.

    Raises
    ------
    ConfigError
        If there is none, or the feature has a network of its own.
    """
    asked = plan.settings.robustness
    methods = plan.settings.swept_methods()
    if not methods:
        raise ConfigError(
            f"dlc.robustness.methods: no method is trained in {asked.experiment} that can be asked at other levels of "
            "noise; name some, or set dlc.robustness.experiment"
        )
    backbone = plan.data.backbone(plan.settings.feature)
    if backbone is not None:
        raise ConfigError(
            f"dlc.robustness: {plan.settings.feature} (dlc.feature) has a network of its own ({backbone}), through "
            "which audio is not sent again at every level; set dlc.feature: mfb"
        )
    profile = asked.profile or plan.settings.profiles[0]
    return [Cell(asked.experiment, method, corpus, profile) for corpus in plan.corpora() for method in methods]


def sweep_options(plan: Plan, cell: Cell) -> dict[str, Any]:
    """Return what a cell and, for methods with experts, its noise classifier were trained with."""
    gate = plan.gate(cell)
    return {"options": plan.options(cell), "gate_options": None if gate is None else plan.options(gate)}


def sweep_facts(plan: Plan) -> dict[str, Any]:
    """Return what the figures say of the cells: titles of methods and corpora, and what networks were trained on."""
    cells = swept_cells(plan)
    return {
        "methods": {cell.method: method_info(cell.method).title for cell in cells},
        "trained_on": {cell.method: CLEAN if method_info(cell.method).hears_clean else cell.profile for cell in cells},
        "corpora": {corpus: plan.data.title(corpus) for corpus in plan.corpora()},
        "unit": plan.unit(),
    }
