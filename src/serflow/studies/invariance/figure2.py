"""Figure 2: embeddings of the validation speakers by emotion and by speaker, as t-SNE (section 4).

The paper shows one DAT model of the many-speaker corpus and four speakers picked at random; here the corpus of Table 2
stands below it, and the speakers are the first four by name. The silhouette (Rousseeuw, 1987) of the embeddings
themselves says in a number what a plane can only hint at: 1 where groups lie apart, 0 where they lie in one another.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from serflow.report.facts import marked, marks
from serflow.report.scatter import Panel, draw_scatter, project, scatter_table
from serflow.runs.embeddings import Embedded, read_embedded, silhouette
from serflow.runs.provenance import Provenance, joined
from serflow.stores.parquet import read_metadata

SHOWN_SPEAKERS = 4


class Files(NamedTuple):
    """``embeddings.parquet`` and ``predictions.parquet`` of a cell of each corpus."""

    embeddings: tuple[Path, ...]
    predictions: tuple[Path, ...]


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
        found, *_ = read_embedded(embeddings, predictions, "val")
        title = facts["titles"][corpus]
        panels += panels_of(marked(title, marks(provenance)), found)
        fits.append(f"{title}: run {found.run}, {found.fold}")
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
