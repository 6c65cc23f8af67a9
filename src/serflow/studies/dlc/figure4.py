"""Figure 4 of the DLC paper: what each method gains over its baseline, by corpus, beside the paper's gain.

A gain is the mean over noise profiles of a method's UA minus its baseline's (Single, or HFFN-Single for multimodal
methods), its deviation the standard deviation over profiles (ddof 1; the paper does not say which). The paper printed
no numbers: its gains are computed from its Table I.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from serflow.errors import StoreError
from serflow.report.bars import Series, draw_bars
from serflow.report.corpora import CorpusFacts, NoiseFacts
from serflow.studies.dlc import paper
from serflow.studies.dlc.baselines import baseline, modality
from serflow.studies.dlc.comparison import data_reasons, profile_reasons
from serflow.studies.dlc.paper import OVERALL
from serflow.studies.dlc.results import summarise
from serflow.studies.dlc.tables import ordered_rows

PANELS = {"exp1": "a", "exp2": "b"}
COLUMNS = ["panel", "method", "corpus", "gain", "std", "n_profiles", "n_seeds", "paper_gain", "paper_std", "note"]
_HEADINGS = {
    "a": "(a) Experiment 1: noise conditions known from training",
    "b": "(b) Experiment 2: a noise condition that training did not hear",
}
_ROW = ["experiment", "method", "corpus"]
_MULTIMODAL = "hffn_"
_NOTE = (
    "Bar: mean over noise profiles of a method's UA minus its baseline's, which is Single or, for multimodal methods "
    "(striped), HFFN-Single. Black line: one standard deviation over the profiles (ddof 1); none where there is one "
    "profile. n/a: the method was not run on that corpus."
)
_PAPER_NOTE = (
    " Mark: the paper's gain, computed from its Table I; only beside corpora and noise that are the paper's own."
)


def _by_profile(means: pd.DataFrame, value: str) -> pd.DataFrame:
    """Return means with a row per experiment, method and corpus, and a column per profile."""
    return means.pivot(index=_ROW, columns="profile", values=value)


def _gains(means: pd.DataFrame, experiment: str, method: str, against: str, corpus: str) -> pd.Series:
    """Return a method's means minus its baseline's, in points, of the profiles that both have."""
    rows = [(experiment, name, corpus) for name in (method, against)]
    if not all(row in means.index for row in rows):
        return pd.Series(dtype=float)
    return (means.loc[rows[0]] - means.loc[rows[1]]).dropna()


def paper_gains() -> pd.DataFrame:
    """Return the paper's gains: experiment, method (title), corpus, gain, std (percent points), from its Table I."""
    table = paper.table1()
    means = _by_profile(table[table["corpus"] != OVERALL], "ua")
    names = {title: name for name, title in paper.method_titles().items()}
    lines = []
    for experiment, title, corpus in means.index:
        against = baseline(names[title])
        if against is not None:
            gains = _gains(means, experiment, title, paper.method_title(against), corpus)
            lines.append((experiment, title, corpus, gains.mean(), gains.std(ddof=1)))
    return pd.DataFrame(lines, columns=[*_ROW, "gain", "std"])


def _check_seeds(scores: pd.DataFrame, cell: Sequence[str], against: str) -> None:
    experiment, method, corpus = cell
    of_corpus = scores[(scores["experiment"] == experiment) & (scores["corpus"] == corpus)]
    seeds = {
        name: {
            tuple(sorted(of_cell)) for _, of_cell in of_corpus[of_corpus["method"] == name].groupby("profile")["seed"]
        }
        for name in (method, against)
    }
    if len(set.union(*seeds.values())) > 1:
        raise StoreError(
            f"cells of {experiment}/{method}/{corpus} and of its baseline {against} have other seeds; build them again"
        )


def figure4_table(
    scores: pd.DataFrame,
    facts: Mapping[str, CorpusFacts],
    profiles: Sequence[str],
    methods: Sequence[str],
    noise: NoiseFacts,
) -> pd.DataFrame:
    """Return the bars of Figure 4; a method without cells on a corpus, or without its baseline there, has none.

    Parameters
    ----------
    scores
        As `serflow.studies.dlc.results.seed_scores` returns them.
    facts
        The corpora, in order.
    profiles, methods
        Names, in order.
    noise
        The noise clips.

    Returns
    -------
    pandas.DataFrame
        panel (a: experiment 1, b: experiment 2), method (name), corpus, gain, std (points of UA in percent; NaN for one
        profile), n_profiles, n_seeds, paper_gain, paper_std (NaN where the data are not the paper's), note.

    Raises
    ------
    StoreError
        If a method has other seeds than its baseline.
    """
    summary = summarise(scores)
    means, n_seeds = _by_profile(summary, "mean"), _by_profile(summary, "n")
    published = paper_gains().set_index(_ROW)
    lines: list[dict[str, Any]] = []
    for experiment, method in ordered_rows(summary, methods):
        against = baseline(method)
        if against is None:
            continue
        for corpus in facts:
            gains = _gains(means, experiment, method, against, corpus)
            if gains.empty:
                continue
            _check_seeds(scores, (experiment, method, corpus), against)
            key = (experiment, paper.method_title(method), corpus)
            built = list(gains.index)
            reasons = profile_reasons(OVERALL, built) + data_reasons(corpus, facts, noise)
            if not reasons and key not in published.index:
                reasons.append("not a bar of the paper")
            without = [profile for profile in profiles if profile not in built]
            remarks = [f"no cell of the method or its baseline in {', '.join(without)}"] if without else []
            remarks += ["one profile: no deviation"] if len(gains) == 1 else []
            lines.append(
                {
                    "panel": PANELS[experiment],
                    "method": method,
                    "corpus": corpus,
                    "gain": gains.mean(),
                    "std": gains.std(ddof=1),
                    "n_profiles": len(gains),
                    "n_seeds": int(n_seeds.loc[(experiment, method, corpus)].min()),
                    "paper_gain": float("nan") if reasons else published.loc[key, "gain"],
                    "paper_std": float("nan") if reasons else published.loc[key, "std"],
                    "note": "; ".join([*reasons, *remarks, *facts[corpus].remarks, *noise.remarks]),
                }
            )
    return pd.DataFrame(lines, columns=COLUMNS)


def _series(methods: Sequence[str]) -> dict[str, Series]:
    """Return the look of each method: a multimodal one has the colour of its acoustic encoder's, in stripes."""
    colours: dict[str, int] = {}
    return {
        method: Series(
            label=paper.method_title(method),
            colour=colours.setdefault(method.removeprefix(_MULTIMODAL), len(colours)),
            striped=modality(method) == "multi",
        )
        for method in methods
    }


def draw_figure4(table: pd.DataFrame, facts: Mapping[str, CorpusFacts]) -> Figure:
    """Draw `figure4_table`, in the paper's form; corpora are labelled as synthetic or partial where they are."""
    bars = table.rename(
        columns={"corpus": "group", "method": "series", "gain": "value", "std": "spread", "paper_gain": "reference"}
    )
    compared = bool(table["paper_gain"].notna().any())
    return draw_bars(
        bars,
        panels={panel: _HEADINGS[panel] for panel in sorted(set(table["panel"])) or ["a"]},
        groups={name: fact.label.replace(" (", "\n(") for name, fact in facts.items()},
        series=_series(list(dict.fromkeys(table["method"]))),
        title="Gain over the baseline",
        quantity="gain in UA (points)",
        note=_NOTE + (_PAPER_NOTE if compared else ""),
        reference="the paper",
    )
