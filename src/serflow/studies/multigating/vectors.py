"""What a plain classifier reads of an utterance: the same features, each as a vector."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from serflow.errors import WeightsError
from serflow.studies.multigating.data import SEQUENCES, LanguageData, Packed, as_partials
from serflow.studies.multigating.speaker_encoder import SpeakerEncoder, load_speaker_encoder

FloatArray = npt.NDArray[np.floating]


def utterance_vectors(part: LanguageData, weights: Path | None) -> FloatArray:
    """Return the features of each utterance side by side, ``(n, dim)``.

    Mean and deviation over the frames of Allosaurus, wav2vec and MFCC, the embedding of GE2E as it was released, and
    the vector of BYOL.

    Raises
    ------
    WeightsError
        If GE2E is read and its weights are not there, or not its own.
    """
    columns = []
    for feature, packed in part.features.items():
        if feature in SEQUENCES:
            columns.append(_statistics(packed))
        elif feature == "ge2e":
            if weights is None:
                raise WeightsError("GE2E is read, and no record of its weights was given; name one")
            columns.append(_embeddings(packed, load_speaker_encoder(weights, torch.device("cpu"), trained=False)))
        else:
            columns.append(np.concatenate([packed[row] for row in range(len(packed.rows))]))
    return np.concatenate(columns, axis=1)


def _statistics(packed: Packed) -> FloatArray:
    found = []
    for row in range(len(packed.rows)):
        frames = packed[row].astype(np.float64)
        found.append(np.concatenate([frames.mean(0), frames.std(0)]))
    return np.array(found)


@torch.no_grad()
def _embeddings(packed: Packed, encoder: SpeakerEncoder) -> FloatArray:
    found = [encoder(as_partials([packed[row]]), 1).numpy() for row in range(len(packed.rows))]
    return np.concatenate(found)
