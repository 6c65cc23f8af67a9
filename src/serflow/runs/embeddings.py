"""Embeddings of fits, with the emotion and speaker of each utterance; and how far apart groups of vectors lie."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.errors import StoreError
from serflow.runs.artefacts import EMBEDDINGS_KIND, PREDICTIONS_KIND
from serflow.stores.parquet import check, read_table


class Embedded(NamedTuple):
    """Embeddings of a fit, ``(n, dim)``, with the emotion, speaker and name of each utterance."""

    run: int
    fold: str
    vectors: npt.NDArray[np.float32]
    emotions: list[str]
    speakers: list[str]
    utterances: list[str]


def read_embedded(embeddings: Path, predictions: Path, role: str) -> list[Embedded]:
    """Return the embeddings of a cell's utterances of a role, fit by fit in the order of the file.

    Raises
    ------
    StoreError
        If a file is damaged, the two are not of one cell, or there is nothing of this role.
    """
    cell = check(embeddings, EMBEDDINGS_KIND)["cell"]
    check(predictions, PREDICTIONS_KIND, {"cell": cell})
    vectors = read_table(embeddings).to_pandas()
    said = read_table(predictions, columns=["run", "fold", "role", "utterance", "label", "speaker"]).to_pandas()
    of_role = vectors[vectors["role"] == role]
    if of_role.empty:
        raise StoreError(f"{embeddings}: holds no {role} utterances; delete it and run the same command again")
    both = of_role.merge(said, on=["run", "fold", "role", "utterance"], how="left", validate="one_to_one")
    if both["label"].isna().any():
        raise StoreError(f"{predictions}: lacks utterances of {embeddings}; delete both and run again")
    return [
        Embedded(
            int(of_fit["run"].iloc[0]),
            str(of_fit["fold"].iloc[0]),
            np.stack(of_fit["vector"].to_numpy()).astype(np.float32),
            of_fit["label"].tolist(),
            of_fit["speaker"].tolist(),
            of_fit["utterance"].tolist(),
        )
        for _, of_fit in both.groupby(["run", "fold"], sort=False)
    ]


def silhouette(vectors: npt.NDArray[Any], groups: Sequence[str]) -> float | None:
    """Return the mean silhouette of groups of vectors ``(n, dim)``; None where there is one group, or one a vector."""
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(vectors, groups)) if 1 < len(set(groups)) < len(groups) else None
