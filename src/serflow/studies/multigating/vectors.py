"""What a plain classifier reads of an utterance: the same features, each as a vector."""

import numpy as np
import numpy.typing as npt

from serflow.studies.multigating.data import SEQUENCES, LanguageData, Packed, Standardised

FloatArray = npt.NDArray[np.floating]


def utterance_vectors(part: LanguageData) -> FloatArray:
    """Return the features of each utterance side by side, ``(n, dim)``.

    Mean and deviation over the frames of Allosaurus, wav2vec and MFCC; the embedding of GE2E as released; the vector
    of BYOL.
    """
    columns = [
        _statistics(packed) if feature in SEQUENCES else _vectors(packed) for feature, packed in part.features.items()
    ]
    return np.concatenate(columns, axis=1)


def _statistics(packed: Packed | Standardised) -> FloatArray:
    found = []
    for row in range(len(packed.rows)):
        frames = packed[row].astype(np.float64)
        found.append(np.concatenate([frames.mean(0), frames.std(0)]))
    return np.array(found)


def _vectors(packed: Packed | Standardised) -> FloatArray:
    return np.concatenate([packed[row] for row in range(len(packed.rows))])
