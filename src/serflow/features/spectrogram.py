"""Log-mel spectrogram: 30 bands, 0-8 kHz, 50 ms Hamming windows every 12.5 ms (Xia et al., Interspeech 2021).

The paper gives the 30 bands and the warping; its framing is open. 50 ms every 12.5 ms is the reading by which three
frames span the 75 ms that its Table 1 gives. ``warp`` shifts the bands as another length of the vocal tract would; a
training loop that draws one per utterance builds its bank with ``warped_edges`` and ``mel_filters`` of
`serflow.audio.mel`.
"""

from collections.abc import Mapping
from typing import Any

from serflow.features._log_mel import LogMel
from serflow.features.base import merge_parameters

DEFAULTS = {
    "n_mels": 30,
    "n_fft": 1024,
    "win_length": 800,
    "hop_length": 200,
    "fmin": 0.0,
    "fmax": 8000.0,
    "floor": 1e-6,
    "warp": 0.0,
}


def build(parameters: Mapping[str, Any]) -> LogMel:
    """Return the log-mel spectrogram with ``parameters`` in place of `DEFAULTS`.

    Raises
    ------
    ConfigError
        If a parameter is unknown, of the wrong type or out of its range.
    """
    return LogMel("spectrogram", "hamming", **merge_parameters("spectrogram", DEFAULTS, parameters))
