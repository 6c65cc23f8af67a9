"""What a plain classifier reads of an utterance: the same features, each as a vector."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from serflow.studies.multigating.data import SEQUENCES, LanguageData, Packed, Standardised
from serflow.training.statistics import utterance_statistics

FloatArray = npt.NDArray[np.floating]


def utterance_vectors(part: LanguageData) -> FloatArray:
    """Return the features of each utterance side by side, ``(n, dim)``.

    Mean and deviation over the frames of Allosaurus, wav2vec and MFCC; the embedding of GE2E as released; the vector
    of BYOL.
    """
    columns = [
        utterance_statistics(_rows(packed)) if feature in SEQUENCES else np.concatenate(list(_rows(packed)))
        for feature, packed in part.features.items()
    ]
    return np.concatenate(columns, axis=1)


def _rows(packed: Packed | Standardised) -> Iterator[FloatArray]:
    return (packed[row] for row in range(len(packed.rows)))
