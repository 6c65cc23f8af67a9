"""Prepared audio: shards of 16 kHz mono PCM16, the only audio that later stages read."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from serflow.audio.decode import MAX_DURATION_S, SAMPLE_RATE, open_recording
from serflow.errors import AudioError
from serflow.stores.groups import grouped
from serflow.stores.parquet import iterate_batches, write_batches

AUDIO_KIND = "audio"
AUDIO_SCHEMA = pa.schema(
    [
        ("utterance", pa.string()),
        ("sample_rate", pa.int32()),
        ("n_samples", pa.int32()),
        ("pcm16", pa.binary()),
        ("source_rate", pa.int32()),
        ("source_channels", pa.int32()),
        ("source_subtype", pa.string()),
        ("clipped_samples", pa.int32()),
        ("clipped_share", pa.float64()),
        ("pcm16_sha256", pa.string()),
    ]
)
FULL_SCALE = 32768.0
LOUD_SHARE = 0.001
"""Share of samples at full scale that is said: 0.0001 is the most in 1,794 files of EmoDB, nEMO and RAVDESS."""

_SHOWN = 5
_ROW_GROUP = 64
_ROW_GROUP_BYTES = 8 << 20

FloatArray = npt.NDArray[np.float32]
PcmArray = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class PreparedUtterance:
    """An utterance behind the door: ``pcm16`` is ``(n_samples,)`` int16 at 16 kHz.

    ``clipped_samples`` counts samples that exceeded full scale when they were quantised; ``clipped_share`` is the share
    of samples that were at full scale or beyond in the file; the ``source`` fields describe that file.
    """

    utterance: str
    pcm16: PcmArray
    source_rate: int
    source_channels: int
    source_subtype: str
    clipped_samples: int
    clipped_share: float = 0.0

    @property
    def waveform(self) -> FloatArray:
        """Samples as float32 in [-1, 1), shape ``(n_samples,)``."""
        return pcm_to_float(self.pcm16)


def pcm_to_float(pcm16: PcmArray) -> FloatArray:
    """Return int16 samples as float32 in [-1, 1)."""
    return pcm16.astype(np.float32) / np.float32(FULL_SCALE)


def _round(waveform: FloatArray) -> tuple[PcmArray, int]:
    levels = np.rint(waveform.astype(np.float64) * FULL_SCALE)
    clipped = int(np.count_nonzero((levels < -32768) | (levels > 32767)))
    return np.clip(levels, -32768, 32767).astype(np.int16), clipped


def _check_sound(pcm16: PcmArray) -> None:
    if not pcm16.any():
        raise AudioError("digital silence: every sample is below half a step of 16-bit audio")


def quantise(waveform: FloatArray) -> tuple[PcmArray, int]:
    """Round a waveform to int16 and count the samples that had to be clipped.

    Raises
    ------
    AudioError
        If nothing but zeros is left.
    """
    pcm16, clipped = _round(waveform)
    _check_sound(pcm16)
    return pcm16, clipped


def prepare(
    utterance: str,
    path: str | os.PathLike[str],
    start: float | None = None,
    end: float | None = None,
    *,
    min_duration_s: float,
    max_duration_s: float = MAX_DURATION_S,
) -> PreparedUtterance:
    """Decode and quantise one utterance; the parameters are those of `serflow.audio.decode.decode`.

    Raises
    ------
    AudioError
        If it cannot be used.
    """
    samples = bytearray()
    clipped = 0
    with open_recording(path, start, end, min_duration_s=min_duration_s, max_duration_s=max_duration_s) as recording:
        for block in recording.blocks():
            levels, n_clipped = _round(block)
            samples += levels.data.cast("B")
            clipped += n_clipped
    pcm16 = np.frombuffer(samples, np.int16)
    _check_sound(pcm16)
    return PreparedUtterance(
        utterance,
        pcm16,
        recording.rate,
        recording.channels,
        recording.subtype,
        clipped,
        recording.clipped_share,
    )


def _table(group: list[PreparedUtterance]) -> pa.Table:
    samples = [item.pcm16.astype("<i2", copy=False) for item in group]
    columns = [
        [item.utterance for item in group],
        [SAMPLE_RATE] * len(group),
        [len(item.pcm16) for item in group],
        _binary(samples),
        [item.source_rate for item in group],
        [item.source_channels for item in group],
        [item.source_subtype for item in group],
        [item.clipped_samples for item in group],
        [item.clipped_share for item in group],
        [hashlib.sha256(entry.data).hexdigest() for entry in samples],
    ]
    return pa.table(dict(zip(AUDIO_SCHEMA.names, columns, strict=True)), schema=AUDIO_SCHEMA)


def _binary(samples: list[PcmArray]) -> pa.Array:
    """Return the bytes of arrays; `pa.array` would never let go of their memory (pyarrow 26, of any `memoryview`)."""
    offsets = np.cumsum([0, *(entry.nbytes for entry in samples)]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.concatenate(samples))]
    return pa.Array.from_buffers(pa.binary(), len(samples), buffers)


def write_prepared(
    path: str | os.PathLike[str],
    utterances: Iterable[PreparedUtterance],
    metadata: Mapping[str, Any],
) -> int:
    """Write a shard of prepared audio and return the number of utterances.

    Row groups hold up to 64 utterances or 8 MiB, and only one is held in memory. No utterance at all is a legal
    shard.
    """
    return write_batches(
        path,
        AUDIO_SCHEMA,
        map(_table, grouped(utterances, _ROW_GROUP, lambda item: item.pcm16.nbytes, _ROW_GROUP_BYTES)),
        kind=AUDIO_KIND,
        metadata=metadata,
        use_dictionary=["source_subtype"],
        # the least and the greatest of long samples would be held in memory several times
        write_statistics=[name for name in AUDIO_SCHEMA.names if name != "pcm16"],
    )


def source_notes(rows: Sequence[tuple[str, str, float]]) -> list[str]:
    """Return what is to be said of the files that a corpus was made from, a sentence each.

    Parameters
    ----------
    rows
        Utterance, ``source_subtype`` and ``clipped_share`` of all of them.
    """
    notes = []
    clipped = [utterance for utterance, _, share in rows if share > LOUD_SHARE]
    if clipped:
        names = ", ".join(clipped[:_SHOWN]) + (f" and {len(clipped) - _SHOWN} more" if len(clipped) > _SHOWN else "")
        notes.append(
            f"{len(clipped)} of {len(rows)} utterances are clipped, with more than {100 * LOUD_SHARE:g} % of their "
            f"samples at full scale ({names}; clipped_share in results/audio)"
        )
    n_mpeg = sum(subtype.startswith("MPEG_LAYER") for _, subtype, _ in rows)
    if n_mpeg:
        notes.append(
            f"{n_mpeg} of {len(rows)} utterances were MP3: encoders pad both ends with up to 0.1 s, which stays where "
            "the file does not declare it"
        )
    return notes


def iterate_prepared(
    path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None
) -> Iterator[PreparedUtterance]:
    """Yield the utterances of a shard in order, one row group in memory at a time.

    Raises
    ------
    StoreError
        If the file is damaged or its metadata differ from ``expect``.
    """
    columns = [name for name in AUDIO_SCHEMA.names if name not in ("sample_rate", "n_samples", "pcm16_sha256")]
    for table in iterate_batches(path, kind=AUDIO_KIND, expect=expect, columns=columns):
        for row in table.to_pylist():
            yield PreparedUtterance(**{**row, "pcm16": np.frombuffer(row["pcm16"], dtype="<i2")})
