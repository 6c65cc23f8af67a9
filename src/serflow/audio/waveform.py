"""What a waveform is: one channel of float32 samples in -1..1."""

import numpy as np
import numpy.typing as npt

from serflow.errors import AudioError
from serflow.rounding import rounding

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


def is_constant(waveform: FloatArray) -> bool:
    """Return whether samples differ by no more than rounding at full scale, where decoders and resamplers compute.

    So do a single sample, and silence that has the last bit of 24 for noise.
    """
    lowest, highest = float(waveform.min()), float(waveform.max())
    return bool(highest - lowest <= rounding(max(1.0, highest, -lowest)))
