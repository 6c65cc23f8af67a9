"""Figure 3: what the tower reads of test utterances, as t-SNE, by the weight of the contrastive loss (section 5.3.1).

The paper reads off the picture that a larger weight makes emotions more compact: utterances of one emotion more alike,
those of two less. The table says it of each utterance of every fit: its silhouette (Rousseeuw, 1987), and its mean
cosine similarity, which is what the loss is of, to the others of its emotion and to those of other emotions.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from serflow.files import two_digits
from serflow.report.facts import marks
from serflow.report.scatter import Panel, draw_scatter, project
from serflow.report.tables import four_digits
from serflow.runs.embeddings import Embedded, read_embedded
from serflow.runs.provenance import Provenance, joined
from serflow.stores.parquet import read_metadata

FloatArray = npt.NDArray[np.floating]
COLUMNS = ["alpha", "run", "fold", "utterance", "emotion", "silhouette", "within", "between", "x", "y"]
_MEASURES = ("silhouette", "within", "between")


class Files(NamedTuple):
    """``embeddings.parquet`` and ``predictions.parquet`` of the cell of each alpha."""

    embeddings: tuple[Path, ...]
    predictions: tuple[Path, ...]


class Compactness(NamedTuple):
    """How each vector lies among those of its emotion and of others, ``(n,)`` each; NaN where there are none.

    Parameters
    ----------
    silhouette
        Of Euclidean distances, 1 where emotions lie apart, 0 where they lie in one another; 0 for the only one of its
        emotion.
    within, between
        Mean cosine similarity to the others of the same emotion, and to those of other emotions.
    """

    silhouette: FloatArray
    within: FloatArray
    between: FloatArray


def compactness(vectors: FloatArray, emotions: Sequence[str]) -> Compactness:
    """Return how vectors ``(n, dim)`` of emotions ``(n,)`` lie among each other."""
    from sklearn.metrics import silhouette_samples
    from sklearn.metrics.pairwise import cosine_similarity

    n = len(emotions)
    if not np.isfinite(vectors).all():
        return Compactness(*np.full((len(_MEASURES), n), np.nan))
    same = np.array(emotions)[:, None] == np.array(emotions)
    similarity = cosine_similarity(vectors.astype(np.float64))
    apart = 1 < len(set(emotions)) < n
    return Compactness(
        silhouette_samples(vectors, emotions) if apart else np.full(n, np.nan),
        _means(similarity, same & ~np.eye(n, dtype=bool)),
        _means(similarity, ~same),
    )


def _means(values: FloatArray, taken: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the mean of the values ``(n, n)`` that are taken in each row, NaN where none is."""
    counts = taken.sum(1)
    means: FloatArray = np.where(counts > 0, (values * taken).sum(1) / np.maximum(counts, 1), np.nan)
    return means


def _of_fit(alpha: str, found: Embedded) -> pd.DataFrame:
    """Return the rows of a fit, which has no points."""
    measured = compactness(found.vectors, found.emotions)
    return pd.DataFrame(
        {
            "alpha": alpha, "run": found.run, "fold": found.fold, "utterance": found.utterances,
            "emotion": found.emotions, **measured._asdict(), "x": math.nan, "y": math.nan,
        }
    )  # fmt: skip


def over_runs(rows: pd.DataFrame, measure: str) -> str | None:
    """Return the mean of a measure over runs, with its deviation where there are several; None where there is none.

    That of a run is the mean over the test utterances of its fits.
    """
    of_runs = [float(value) for value in rows.groupby("run")[measure].mean().dropna()]
    if not of_runs:
        return None
    spread = f" ± {two_digits(statistics.stdev(of_runs))}" if len(of_runs) > 1 else ""
    return f"{two_digits(statistics.fmean(of_runs))}{spread}"


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and its points; ``facts`` hold the ``title`` of the corpus, and ``alphas`` by variant.

    Panels are of the first fit of a cell, the table has all.
    """
    panels, tables, likenesses, fits, provenances = [], [], [], [], []
    for embeddings, predictions in zip(files.embeddings, files.predictions, strict=True):
        metadata = read_metadata(embeddings)
        alpha = facts["alphas"][metadata["cell"]["variant"]]
        embedded = read_embedded(embeddings, predictions, "test")
        shown, plane = embedded[0], project(embedded[0].vectors, "tsne")
        rows = pd.concat([_of_fit(alpha, found) for found in embedded], ignore_index=True)
        rows.loc[: len(shown.utterances) - 1, ["x", "y"]] = plane.points
        said = {measure: over_runs(rows, measure) for measure in _MEASURES}
        heading = f"\N{GREEK SMALL LETTER ALPHA} = {alpha}\nsilhouette {said['silhouette'] or 'n/a'}"
        panels.append(Panel(heading, plane, "emotion", shown.emotions, shown.utterances))
        likenesses.append(f"{said['within'] or 'n/a'} and {said['between'] or 'n/a'} at {alpha}")
        tables.append(rows)
        fits.append(f"run {shown.run}, fold {shown.fold}")
        provenances.append(Provenance.from_json(metadata["provenance"]))
    table = pd.concat(tables, ignore_index=True)[COLUMNS]
    figure = draw_scatter(
        panels,
        title=f"What the tower reads of test utterances, {facts['title']}",
        subtitle="By emotion, at several weights \N{GREEK SMALL LETTER ALPHA} of the contrastive loss",
        note=f"Points: {' / '.join(dict.fromkeys(fits))}. Silhouettes are of the representations themselves; of "
        "several runs, mean and standard deviation. Mean cosine similarity within emotions and between them: "
        f"{', '.join(likenesses)}.",
        marks=marks(joined(provenances)),
    )
    return figure, table.assign(**{measure: [four_digits(value) for value in table[measure]] for measure in _MEASURES})
