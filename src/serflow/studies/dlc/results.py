"""From the ``metrics.json`` of training cells to means over seeds (Sec. VI of the DLC paper).

A cell is one experiment, method, corpus and profile with all its seeds. In experiment 2 a seed's score is the
mean over the held-out noise conditions.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from serflow.errors import StoreError
from serflow.files import read_json
from serflow.studies.dlc.paper import OVERALL

CELL = ["experiment", "method", "corpus", "profile"]
NOT_HELD_OUT = "none"


def _read_cell(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise StoreError(f"{path}: no such file; build it with `snakemake --cores 2 {path}`")
    cell = read_json(path)
    missing = [key for key in [*CELL, "study", "fits"] if key not in cell]
    if missing or cell["study"] != "dlc" or not cell["fits"]:
        said = f"without {', '.join(missing)}" if missing else f"study {cell['study']!r}, {len(cell['fits'])} fits"
        raise StoreError(f"{path}: not the metrics of a trained DLC cell ({said}); delete it and run again")
    return dict(cell)


def _check_fits(path: Path, experiment: str, fits: pd.DataFrame, measure: str) -> None:
    """Refuse fits that would make a seed's mean wrong: repeated, missing or without a score."""
    again = f"{path}: {{}}; delete it and run the same command again"
    if fits.duplicated(["seed", "held_out"]).any():
        raise StoreError(again.format("a seed and held-out condition occur twice"))
    scores = fits.get(measure, [])
    if not len(scores) or not all(isinstance(score, int | float) and 0.0 <= score <= 1.0 for score in scores):
        raise StoreError(again.format(f"a fit has no {measure} between 0 and 1"))
    conditions = set(fits["held_out"])
    if (conditions == {NOT_HELD_OUT}) != (experiment == "exp1") or len(fits) != len(conditions) * fits[
        "seed"
    ].nunique():
        raise StoreError(
            again.format(f"held-out conditions {sorted(conditions)} do not fit {experiment} in every seed")
        )


def seed_scores(paths: Sequence[Path], measure: str = "ua") -> pd.DataFrame:
    """Read cells and return a row per cell and seed.

    Parameters
    ----------
    paths
        ``metrics.json`` files, one per cell.
    measure
        ``"ua"``, ``"wa"``, or a control's: ``"oracle_ua"``, ``"chance_ua"``, ``"majority_ua"``.

    Returns
    -------
    pandas.DataFrame
        experiment, method, corpus, profile, seed, percent (mean over held-out conditions), n_test (utterances of
        the smallest test set), excluded (dict: reason to number of utterances left out of training and test).

    Raises
    ------
    StoreError
        If a cell is absent, given twice, or is not whole.
    """
    rows = []
    for path in paths:
        cell = _read_cell(path)
        fits = pd.DataFrame(cell["fits"])
        _check_fits(path, cell["experiment"], fits, measure)
        for seed, of_seed in fits.groupby("seed"):
            rows.append(
                {
                    **{key: cell[key] for key in CELL},
                    "seed": seed,
                    "percent": 100.0 * math.fsum(of_seed[measure]) / len(of_seed),
                    "n_test": int(of_seed["n_test"].min()),
                    "excluded": cell.get("excluded", {}),
                }
            )
    scores = pd.DataFrame(rows, columns=[*CELL, "seed", "percent", "n_test", "excluded"])
    twice = scores[scores.duplicated([*CELL, "seed"])]
    if len(twice):
        raise StoreError(f"cell {'/'.join(twice.iloc[0][CELL])} is given twice; give each metrics.json once")
    return scores


CONTROLS = {"oracle_gate": "oracle_ua", "chance": "chance_ua", "majority": "majority_ua"}
"""Rows of the table that come with the training of others, by the measure that holds them."""


def control_scores(paths: Sequence[Path], controls: Sequence[str]) -> pd.DataFrame:
    """Return rows as `seed_scores` does for the controls that need no training of their own.

    ``oracle_gate`` gives a row ``{method}_oracle`` for every method that was routed by the true condition too
    (experiment 1); ``chance`` and ``majority`` are read from the cells of Single.

    Parameters
    ----------
    paths
        ``metrics.json`` files, one per cell.
    controls
        Keys of ``CONTROLS``.
    """
    parts = []
    for control in controls:
        if control == "oracle_gate":
            routed = [path for path in paths if _read_cell(path)["fits"][0].get("oracle_ua") is not None]
            rows = seed_scores(routed, CONTROLS[control])
            parts.append(rows.assign(method=rows["method"] + "_oracle"))
        else:
            single = [path for path in paths if _read_cell(path)["method"] == "single"]
            parts.append(seed_scores(single, CONTROLS[control]).assign(method=control))
    return pd.concat(parts, ignore_index=True) if parts else seed_scores([])


def check_complete(
    scores: pd.DataFrame,
    methods: Sequence[str],
    corpora: Sequence[str],
    profiles: Sequence[str],
    without: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Refuse rows with holes, cells that nobody asked for, methods without a row, and seeds that differ.

    ``without`` names the corpora that a method cannot have: a multimodal one where there are no turns.

    Raises
    ------
    StoreError
        Naming the first cell that is missing or too many.
    """
    for column, asked in {"method": methods, "corpus": corpora, "profile": profiles}.items():
        extra = sorted(set(scores[column]) - set(asked))
        if extra:
            raise StoreError(
                f"a cell of {column} {extra[0]!r} is given, but the table was asked for {', '.join(asked)}"
            )
    without = without or {}
    unbuilt = [
        method
        for method in methods
        if method not in set(scores["method"]) and set(corpora) - set(without.get(method, ()))
    ]
    if unbuilt:
        raise StoreError(f"no cell of method {unbuilt[0]!r} is given; build its runs or take it out of the table")
    seeds_of = scores.groupby(CELL)["seed"].agg(lambda seeds: tuple(sorted(seeds))).to_dict()
    first: tuple[int, ...] | None = None
    for experiment, method in scores[["experiment", "method"]].drop_duplicates().itertuples(index=False):
        for corpus in corpora:
            if corpus in without.get(method, ()):
                continue
            for profile in profiles:
                cell = "/".join((experiment, method, corpus, profile))
                seeds = seeds_of.get((experiment, method, corpus, profile))
                if seeds is None:
                    raise StoreError(f"cell {cell} is missing; build runs/dlc/{cell}/metrics.json and give it too")
                first = first or seeds
                if seeds != first:
                    raise StoreError(f"cell {cell} has seeds {seeds} where the first cell has {first}; build it again")


def with_overall(scores: pd.DataFrame) -> pd.DataFrame:
    """Add, for every seed, the mean over corpora per profile, and the mean of those over profiles (Table I).

    A row that lacks a corpus has no such means: they could not be held against the other rows'.
    """
    row = ["experiment", "method"]
    added_to = scores[scores.groupby(row)["corpus"].transform("nunique") == scores["corpus"].nunique()]
    by_profile = added_to.groupby([*row, "profile", "seed"], sort=False)["percent"].mean().reset_index()
    over_all = by_profile.groupby([*row, "seed"], sort=False)["percent"].mean().reset_index()
    added = [by_profile.assign(corpus=OVERALL), over_all.assign(corpus=OVERALL, profile=OVERALL)]
    return pd.concat([scores[[*CELL, "seed", "percent"]], *added], ignore_index=True)


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Return per cell the mean (percent), the std over seeds (ddof 1; missing for one seed) and n, the seeds."""
    summary = scores.groupby(CELL, sort=False)["percent"].agg(mean="mean", std="std", n="size")
    return summary.reset_index()
