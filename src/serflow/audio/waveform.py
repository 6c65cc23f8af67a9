"""What a waveform is: one channel of float32 samples in -1..1."""

import numpy as np
import numpy.typing as npt

from serflow.errors import AudioError

FloatArray = npt.NDArray[np.float32]


def check_waveform(waveform: FloatArray) -> None:
    """Refuse what is not one channel of float32 samples.

    Raises
    ------
    AudioError
        If the waveform has another shape or type, or is empty.
    """
    if waveform.ndim != 1 or waveform.dtype != np.float32 or not len(waveform):
        raise AudioError(
            f"a waveform of {waveform.dtype} {waveform.shape} where float32 (n_samples,) with at least one sample "
            "is needed; read audio through the prepared-audio shards"
        )
