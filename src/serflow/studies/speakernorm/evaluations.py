"""Figures 2 and 3: WER and accuracy by update, of several cases, on every kind of folds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from serflow.report.curves import draw_curves
from serflow.report.facts import marks
from serflow.report.style import method_looks
from serflow.runs.provenance import Provenance, joined
from serflow.stores.parquet import check, read_table

COLUMNS = ["folds", "case", "measure", "run", "fold", "updates", "value"]
MEASURES = {"wer": "word error rate", "wa": "emotion accuracy"}
ROLES = {"test": "the test fold", "val": "held-out utterances of training speakers"}


class Files(NamedTuple):
    """``history.parquet`` of each cell."""

    histories: tuple[Path, ...]


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and its points, in percent; ``facts`` are those of the plan (`Plan.figure`)."""
    parts, provenances, levels = [], [], {}
    for path in files.histories:
        metadata = check(path, "history")
        provenances.append(Provenance.from_json(metadata["provenance"]))
        levels[metadata["cell"]["folds"], "wa"] = 100 / len(metadata["classes"])
        table = read_table(path, kind="history").to_pandas()
        for measure in MEASURES:
            values = table[["run", "fold", "updates"]].assign(value=100.0 * table[f"{facts['role']}_{measure}"])
            parts.append(values.assign(folds=metadata["cell"]["folds"], case=metadata["cell"]["case"], measure=measure))
    points = pd.concat(parts, ignore_index=True)[COLUMNS]
    fits = points["run"].astype(str) + "/" + points["fold"]
    curves = pd.DataFrame(
        {
            "row": points["folds"],
            "column": points["measure"],
            "line": points["case"],
            "fit": fits,
            "period": points["updates"],
            "value": points["value"],
        }
    )
    figure = draw_curves(
        curves,
        rows=facts["rows"],
        columns=MEASURES,
        lines=facts["lines"],
        looks=dict(zip(facts["methods"], method_looks(facts["methods"].values()).values(), strict=True)),
        title=facts["title"],
        quantity="%",
        note=f"Evaluated on {ROLES[facts['role']]}. Line: mean over runs and folds. Band: one standard deviation.",
        levels=levels,
        period="updates",
        marks=marks(joined(provenances)),
    )
    return figure, points
