"""Table I of the DLC paper, in the paper's own shape."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from serflow.report.corpora import CorpusFacts
from serflow.studies.dlc import paper
from serflow.studies.dlc.catalog import method_info, method_names
from serflow.studies.dlc.paper import OVERALL
from serflow.studies.dlc.results import CELL

NOT_APPLICABLE = "n/a"
_EXPERIMENT_TITLES = {"exp1": "1", "exp2": "2"}


def ordered_rows(summary: pd.DataFrame, methods: Sequence[str]) -> list[tuple[str, str]]:
    """Return the (experiment, method) pairs of the table: the paper's rows as it prints them, then others.

    A multimodal method that no corpus can have is a row all the same.

    Parameters
    ----------
    summary
        As `serflow.studies.dlc.results.summarise` returns it.
    methods
        Names of all methods; gives the order of those that are not in the paper.
    """
    built = {(str(row.experiment), str(row.method)) for row in summary.itertuples(index=False)}
    absent = set(methods) & set(method_names()) - {method for _, method in built}
    built |= {(experiment, method) for method in absent for experiment in method_info(method).experiments}
    printed = paper.rows()
    named = [row for row in built if row[1] in methods and row not in printed]
    # controls that come with the training of others are named by nobody and stand last
    unnamed = built - set(printed) - set(named)
    order = [*printed, *sorted(named, key=lambda row: methods.index(row[1])), *sorted(unnamed)]
    return sorted(built, key=lambda row: (row[0], order.index(row)))


def table_columns(corpora: Iterable[str], profiles: Sequence[str]) -> list[tuple[str, str]]:
    """Return the (corpus, profile) pairs of Table I from left to right."""
    columns = [(corpus, profile) for corpus in [*corpora, OVERALL] for profile in profiles]
    return [*columns, (OVERALL, OVERALL)]


def _heading(corpus: str, profile: str, facts: Mapping[str, CorpusFacts]) -> str:
    if corpus == OVERALL:
        synthetic = any(fact.synthetic or fact.synthetic_noise for fact in facts.values())
        overall = "Overall (synthetic)" if synthetic else "Overall"
        return overall if profile == OVERALL else f"{overall} {profile}"
    return f"{facts[corpus].label} {profile}"


def table1(
    summary: pd.DataFrame, facts: Mapping[str, CorpusFacts], profiles: Sequence[str], methods: Sequence[str]
) -> pd.DataFrame:
    """Return Table I: a row per experiment and method, a column per corpus and profile, UA in percent.

    A cell that its corpus cannot have says ``n/a``: a multimodal method where utterances have no turns.

    Parameters
    ----------
    summary
        As `serflow.studies.dlc.results.summarise` returns it, with the overall means.
    facts
        The corpora, in the order of the columns.
    profiles, methods
        Names, in order.
    """
    means = summary.set_index(CELL)["mean"]
    lines = []
    for experiment, method in ordered_rows(summary, methods):
        line = {"Experiment": _EXPERIMENT_TITLES.get(experiment, experiment), "Method": paper.method_title(method)}
        for corpus, profile in table_columns(facts, profiles):
            mean = means.get((experiment, method, corpus, profile))
            line[_heading(corpus, profile, facts)] = NOT_APPLICABLE if mean is None else f"{mean:.2f}"
        lines.append(line)
    return pd.DataFrame(lines)
