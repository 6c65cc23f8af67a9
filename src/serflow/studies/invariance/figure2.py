"""Figure 2: embeddings of the validation speakers by emotion and by speaker, as t-SNE (section 4).

The paper shows one DAT model of the many-speaker corpus and four speakers picked at random; here the corpus of Table 2
stands below it, and the speakers are the first four by name. The silhouette (Rousseeuw, 1987) of the embeddings
themselves says in a number what a plane can only hint at: 1 where groups lie apart, 0 where they lie in one another.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from serflow.errors import StoreError
from serflow.report.facts import marked, marks
from serflow.report.scatter import Panel, draw_scatter, project, scatter_table
from serflow.runs.artefacts import EMBEDDINGS_KIND
from serflow.runs.provenance import Provenance, joined
from serflow.stores.parquet import check, read_metadata, read_table

SHOWN_SPEAKERS = 4


class Files(NamedTuple):
    """``embeddings.parquet`` and ``predictions.parquet`` of a cell of each corpus."""

    embeddings: tuple[Path, ...]
    predictions: tuple[Path, ...]


class Embedded(NamedTuple):
    """Validation embeddings of a fit, ``(n, dim)``, with the emotion, speaker and name of each utterance."""

    fit: str
    vectors: np.ndarray[Any, np.dtype[np.float32]]
    emotions: list[str]
    speakers: list[str]
    utterances: list[str]


def read_embedded(embeddings: Path, predictions: Path, role: str = "val") -> Embedded:
    """Return the embeddings of a cell's first fit.

    Raises
    ------
    StoreError
        If a file is damaged, or the two are not of one cell.
    """
    cell = check(embeddings, EMBEDDINGS_KIND)["cell"]
    check(predictions, "predictions", {"cell": cell})
    vectors = read_table(embeddings).to_pandas()
    said = read_table(predictions, columns=["run", "fold", "role", "utterance", "label", "speaker"]).to_pandas()
    run, fold = vectors.loc[vectors["role"] == role, ["run", "fold"]].iloc[0]
    of_fit = vectors[(vectors["run"] == run) & (vectors["fold"] == fold) & (vectors["role"] == role)]
    both = of_fit.merge(said, on=["run", "fold", "role", "utterance"], how="left", validate="one_to_one")
    if both["label"].isna().any():
        raise StoreError(f"{predictions}: lacks utterances of {embeddings}; delete both and run again")
    return Embedded(
        f"run {run}, {fold}",
        np.stack(both["vector"].to_numpy()).astype(np.float32),
        both["label"].tolist(),
        both["speaker"].tolist(),
        both["utterance"].tolist(),
    )


def silhouette(vectors: np.ndarray[Any, Any], groups: Sequence[str]) -> float | None:
    """Return the mean silhouette of groups of vectors ``(n, dim)``; None where there is one group, or one a vector."""
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(vectors, groups)) if 1 < len(set(groups)) < len(groups) else None


def _heading(title: str, found: Embedded, by: str, groups: Sequence[str]) -> str:
    score = silhouette(found.vectors, groups)
    return f"{title}, by {by}" + ("" if score is None else f"\nsilhouette {score:.2f}")


def panels_of(title: str, found: Embedded) -> list[Panel]:
    """Return the panels of a corpus: by emotion, and by speaker, of whom the first four are shown."""
    plane = project(found.vectors, "tsne")
    shown = sorted(set(found.speakers))[:SHOWN_SPEAKERS]
    return [
        Panel(_heading(title, found, "emotion", found.emotions), plane, "emotion", found.emotions, found.utterances),
        Panel(
            _heading(title, found, "speaker", found.speakers), plane, "speaker", found.speakers, found.utterances, shown
        ),
    ]


def make_figure(files: Files, facts: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and its points; ``facts`` hold the ``titles`` of the corpora and that of the ``system``."""
    panels: list[Panel] = []
    fits, provenances = [], []
    for embeddings, predictions in zip(files.embeddings, files.predictions, strict=True):
        metadata = read_metadata(embeddings)
        provenance = Provenance.from_json(metadata["provenance"])
        corpus = metadata["cell"]["corpus"]
        found = read_embedded(embeddings, predictions)
        title = facts["titles"][corpus]
        panels += panels_of(marked(title, marks(provenance)), found)
        fits.append(f"{title}: {found.fit}")
        provenances.append(provenance)
    figure = draw_scatter(
        panels,
        title=f"Embeddings of {facts['system']} on validation speakers",
        note=f"Best epoch of one fit each ({'; '.join(fits)}). By speaker, up to {SHOWN_SPEAKERS} speakers are shown; "
        "silhouettes are of the embeddings of all.",
        marks=marks(joined(provenances)),
        columns=2,
    )
    return figure, scatter_table(panels)
