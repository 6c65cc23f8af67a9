"""Prepared audio: shards of 16 kHz mono PCM16, the only audio that later stages read."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from serflow.audio.decode import SAMPLE_RATE, decode
from serflow.errors import AudioError
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
        ("pcm16_sha256", pa.string()),
    ]
)
FULL_SCALE = 32768.0

_ROW_GROUP = 64
_ROW_GROUP_BYTES = 8 << 20

FloatArray = npt.NDArray[np.float32]
PcmArray = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class PreparedUtterance:
    """An utterance behind the door: ``pcm16`` is ``(n_samples,)`` int16 at 16 kHz.

    ``clipped_samples`` counts samples that exceeded full scale when they were quantised; the ``source`` fields
    describe the file it came from.
    """

    utterance: str
    pcm16: PcmArray
    source_rate: int
    source_channels: int
    source_subtype: str
    clipped_samples: int

    @property
    def waveform(self) -> FloatArray:
        """Samples as float32 in [-1, 1), shape ``(n_samples,)``."""
        return pcm_to_float(self.pcm16)


def pcm_to_float(pcm16: PcmArray) -> FloatArray:
    """Return int16 samples as float32 in [-1, 1)."""
    return pcm16.astype(np.float32) / np.float32(FULL_SCALE)


def quantise(waveform: FloatArray) -> tuple[PcmArray, int]:
    """Round a waveform to int16 and count the samples that had to be clipped.

    Raises
    ------
    AudioError
        If nothing but zeros is left.
    """
    levels = np.rint(waveform.astype(np.float64) * FULL_SCALE)
    clipped = int(np.count_nonzero((levels < -32768) | (levels > 32767)))
    pcm16 = np.clip(levels, -32768, 32767).astype(np.int16)
    if not pcm16.any():
        raise AudioError("digital silence: every sample is below half a step of 16-bit audio")
    return pcm16, clipped


def prepare(
    utterance: str,
    path: str | os.PathLike[str],
    start: float | None = None,
    end: float | None = None,
    *,
    min_duration_s: float,
    max_duration_s: float | None = None,
) -> PreparedUtterance:
    """Decode and quantise one utterance; the parameters are those of `serflow.audio.decode.decode`.

    Raises
    ------
    AudioError
        If it cannot be used.
    """
    decoded = decode(path, start, end, min_duration_s=min_duration_s, max_duration_s=max_duration_s)
    pcm16, clipped = quantise(decoded.waveform)
    return PreparedUtterance(
        utterance, pcm16, decoded.source_rate, decoded.source_channels, decoded.source_subtype, clipped
    )


def _table(group: list[PreparedUtterance]) -> pa.Table:
    samples = [item.pcm16.astype("<i2", copy=False).tobytes() for item in group]
    columns = [
        [item.utterance for item in group],
        [SAMPLE_RATE] * len(group),
        [len(item.pcm16) for item in group],
        samples,
        [item.source_rate for item in group],
        [item.source_channels for item in group],
        [item.source_subtype for item in group],
        [item.clipped_samples for item in group],
        [hashlib.sha256(entry).hexdigest() for entry in samples],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, AUDIO_SCHEMA, strict=True)]
    return pa.table(arrays, schema=AUDIO_SCHEMA)


def _batches(utterances: Iterable[PreparedUtterance]) -> Iterator[pa.Table]:
    group: list[PreparedUtterance] = []
    n_bytes = 0
    for item in utterances:
        group.append(item)
        n_bytes += item.pcm16.nbytes
        if len(group) == _ROW_GROUP or n_bytes >= _ROW_GROUP_BYTES:
            yield _table(group)
            group, n_bytes = [], 0
    if group:
        yield _table(group)


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
        _batches(utterances),
        kind=AUDIO_KIND,
        metadata=metadata,
        use_dictionary=["source_subtype"],
    )


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
