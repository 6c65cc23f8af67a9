"""Our numbers beside the DLC paper's, cell by cell, and why a cell has no counterpart.

A cell is compared where it is the paper's row and profile on the paper's own, real and complete corpus with real
noise; a mean over corpora where that holds for exactly the paper's three. All values are percent.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from serflow.report.corpora import CorpusFacts, NoiseFacts
from serflow.studies.dlc import paper, tables
from serflow.studies.dlc.paper import OVERALL
from serflow.studies.dlc.results import CELL
from serflow.studies.dlc.tables import ordered_rows, table_columns

_NOT_BUILT = (float("nan"), float("nan"), 0)
SMALL_TEST_SET = 100
_PAPER_PROFILES = ("h1", "h2", "h3")


def _percent(value: float) -> str:
    return "" if pd.isna(value) else f"{round(value, 2) + 0.0:.2f}"


def data_reasons(corpus: str, facts: Mapping[str, CorpusFacts], noise: NoiseFacts) -> list[str]:
    """Say why results on a corpus, or on all of them, have no counterpart in the paper; empty if they have."""
    reasons = []
    if corpus == OVERALL:
        if set(facts) != set(paper.CORPORA):
            reasons.append("not the paper's three corpora")
        if any(fact.synthetic for fact in facts.values()):
            reasons.append("synthetic stand-in among the corpora: not compared")
        if any(fact.partial for fact in facts.values()):
            reasons.append("partial corpus among the corpora: not compared")
    else:
        if corpus not in paper.CORPORA:
            reasons.append("not a corpus of the paper")
        if facts[corpus].synthetic:
            reasons.append("synthetic stand-in: not compared")
        if facts[corpus].partial:
            reasons.append("partial corpus: not compared")
    if noise.synthetic:
        reasons.append("synthetic noise: not compared")
    return reasons


def profile_reasons(profile: str, profiles: Sequence[str]) -> list[str]:
    """Say why results in a profile, or in all of them, have no counterpart in the paper; empty if they have."""
    if profile == OVERALL:
        return [] if set(profiles) == set(_PAPER_PROFILES) else ["not the paper's three profiles"]
    return [] if profile in _PAPER_PROFILES else ["not a profile of the paper"]


def _cell_remarks(of_cell: pd.DataFrame) -> list[str]:
    """Say what the runs of a cell left out, and whether their test sets are small."""
    excluded = sorted(of_cell["excluded"].iloc[0].items())
    remarks = [f"{count:,} utterances left out: {why}" for why, count in excluded if count]
    smallest = int(of_cell["n_test"].min())
    if smallest < SMALL_TEST_SET:
        remarks.append(f"small data: {smallest} utterances in the smallest test set")
    return remarks


def _notes(
    scores: pd.DataFrame, facts: Mapping[str, CorpusFacts], noise: NoiseFacts
) -> dict[tuple[str, ...], list[str]]:
    """Return the remarks of every cell: those of its corpus, of the noise, then those of its runs."""
    return {
        (experiment, method, corpus, profile): [*facts[corpus].remarks, *noise.remarks, *_cell_remarks(of_cell)]
        for (experiment, method, corpus, profile), of_cell in scores.groupby(CELL)
    }


def compare_table1(
    scores: pd.DataFrame,
    summary: pd.DataFrame,
    facts: Mapping[str, CorpusFacts],
    profiles: Sequence[str],
    methods: Sequence[str],
    noise: NoiseFacts,
) -> pd.DataFrame:
    """Return a line per cell of our Table I; cells that say ``n/a`` there have no number.

    Parameters
    ----------
    scores
        As `serflow.studies.dlc.results.seed_scores` returns them.
    summary
        Their means with the overall means.
    facts
        The corpora, in the order of the table.
    profiles, methods
        Names, in order.
    noise
        The noise clips.

    Returns
    -------
    pandas.DataFrame
        experiment, method, corpus, profile, ours_mean, ours_std, n_seeds, paper, difference (ours - paper), note.
    """
    published = paper.table1().set_index(CELL)["ua"]
    ours = summary.set_index(CELL)[["mean", "std", "n"]]
    notes = _notes(scores, facts, noise)
    lines = []
    for experiment, method in ordered_rows(summary, methods):
        title = paper.method_title(method)
        in_paper = (experiment, title) in published.index.droplevel(["corpus", "profile"])
        for corpus, profile in table_columns(facts, profiles):
            built = (experiment, method, corpus, profile) in ours.index
            mean, std, n_seeds = ours.loc[(experiment, method, corpus, profile)] if built else _NOT_BUILT
            reasons = [] if built else [f"{tables.NOT_APPLICABLE}: no turns in dialogues"]
            reasons += [] if in_paper else ["not a row of the paper"]
            reasons += profile_reasons(profile, profiles) + data_reasons(corpus, facts, noise)
            value = float("nan") if reasons else float(published[experiment, title, corpus, profile])
            lines.append(
                {
                    "experiment": experiment,
                    "method": title,
                    "corpus": corpus,
                    "profile": profile,
                    "ours_mean": _percent(mean),
                    "ours_std": _percent(std),
                    "n_seeds": int(n_seeds),
                    "paper": _percent(value),
                    "difference": _percent(round(mean, 2) - value),
                    "note": "; ".join(reasons + notes.get((experiment, method, corpus, profile), [])),
                }
            )
    return pd.DataFrame(lines)


NOISE_COLUMNS = ["experiment", "corpus", "profile", "accuracy_mean", "accuracy_std", "n_seeds", "paper", "note"]


def compare_noise_classifier(
    scores: pd.DataFrame,
    summary: pd.DataFrame,
    facts: Mapping[str, CorpusFacts],
    profiles: Sequence[str],
    noise: NoiseFacts,
) -> pd.DataFrame:
    """Return the noise classifier's accuracy per corpus and profile, and its mean beside the paper's (Sec. VII).

    Parameters and percent as in `compare_table1`; ``scores`` and ``summary`` are of accuracy.
    """
    published = paper.noise_classifier().set_index(["experiment", "corpus", "profile"])["accuracy"]
    ours = summary.set_index(["experiment", "corpus", "profile"])[["mean", "std", "n"]]
    notes = _notes(scores, facts, noise)
    lines = []
    for experiment in sorted(scores["experiment"].unique()):
        for corpus, profile in table_columns(facts, profiles):
            mean, std, n_seeds = ours.loc[(experiment, corpus, profile)]
            printed = (experiment, corpus, profile) in published.index
            reasons = ["not printed in the paper"] if not printed else []
            reasons += profile_reasons(profile, profiles) + data_reasons(corpus, facts, noise)
            remarks = notes.get((experiment, "noise_classifier", corpus, profile), [])
            lines.append(
                {
                    "experiment": experiment,
                    "corpus": corpus,
                    "profile": profile,
                    "accuracy_mean": _percent(mean),
                    "accuracy_std": _percent(std),
                    "n_seeds": int(n_seeds),
                    "paper": "" if reasons else f"{published[experiment, corpus, profile]:g}",
                    "note": "; ".join(reasons + remarks),
                }
            )
    return pd.DataFrame(lines, columns=NOISE_COLUMNS)
