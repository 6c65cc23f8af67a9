"""What the job of a cell asks of a machine.

Measured with ``benchmarks/temporal_step.py`` are a crop of the engineered rows (42 to 46 MB, 103 to 249 ms) and of
wav2vec trained whole (413 MB); what lies between is reckoned from these, on the safe side.
"""

import math
from typing import NamedTuple

from serflow.studies.temporal.catalog import SYSTEMS
from serflow.studies.temporal.options import Options


class Cost(NamedTuple):
    """Of a training step on a crop of 3 s, at the paper's sizes: time on a CPU core (ms), and memory (MB)."""

    ms: float
    mb: float


_CROP_S = 3.0
_FIRST_STREAM, _MORE_STREAMS = Cost(110, 45), Cost(75, 30)
_LEARNED = {"none": Cost(600, 110), "context": Cost(1000, 250), "encoder": Cost(1500, 420), "all": Cost(1500, 420)}
_SEGMENT_NET_ON_MEL, _STRFNET_ON_WAV2VEC = Cost(60, 30), Cost(2000, 480)
# what a process needs before its first step: libraries and audio; for wav2vec its weights, their best and two moments
_BASE_MB, _WAV2VEC_MB = 1500, 1000
_BASE_MINUTES = 60
_WEEK = 7 * 24 * 60


def _step(system: str, options: Options) -> Cost:
    info = SYSTEMS[system]
    if info.reads == "wav2vec":
        return _LEARNED[options.segment_net.fine_tune] if info.network == "segment_net" else _STRFNET_ON_WAV2VEC
    if info.network == "segment_net":
        return _SEGMENT_NET_ON_MEL
    more = len(info.streams) - 1
    return Cost(_FIRST_STREAM.ms + more * _MORE_STREAMS.ms, _FIRST_STREAM.mb + more * _MORE_STREAMS.mb)


def memory_mb(system: str, options: Options) -> int:
    """Return the memory that a job may need: a batch of crops, or as many samples of whole utterances."""
    info, crops = SYSTEMS[system], options.training.batch_size * options.augment.crop_s / _CROP_S
    if info.network == "svc":
        return _BASE_MB
    base = _BASE_MB + (_WAV2VEC_MB if info.reads == "wav2vec" else 0)
    return base + math.ceil(crops * _step(system, options).mb)


def minutes(system: str, options: Options, n_utterances: int, n_fits: int) -> int:
    """Return how long a job may take on a CPU core, about twice what it does, and a week at most.

    Parameters
    ----------
    system, options
        Of the cell.
    n_utterances
        Of the corpus: those of training, and those that are validated after each epoch.
    n_fits
        Runs times folds.
    """
    if SYSTEMS[system].network == "svc":
        return _BASE_MINUTES
    crop_ms = _step(system, options).ms * options.augment.crop_s / _CROP_S
    epochs = n_fits * options.training.epochs
    return min(_BASE_MINUTES + math.ceil(2 * epochs * n_utterances * crop_ms / 60_000), _WEEK)
