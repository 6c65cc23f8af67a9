"""What the stores of frames and of vectors share: a row, what is refused, and rows in groups of bounded size."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.errors import StoreError
from serflow.stores._rounding import check_mantissa_bits, round_mantissa
from serflow.stores.groups import grouped

FloatArray = npt.NDArray[np.float32]
Metadata = Mapping[str, Any] | Callable[[], Mapping[str, Any]]

GROUP_BYTES = 16 << 20
"""Values of a row group: frames of a large network fill one before its utterances are as many as they may be."""


class FrameRow(NamedTuple):
    """An utterance's frames: ``frames`` is ``(n_frames, dim)`` float32."""

    utterance: str
    frames: FloatArray


def check_row(row: FrameRow, dim: int, where: Path, what: str) -> None:
    """Refuse frames of another shape or type, or that are not finite.

    Raises
    ------
    StoreError
        Naming the utterance.
    """
    if row.frames.ndim != 2 or row.frames.shape[1] != dim or row.frames.dtype != np.float32:
        rows = "n_frames" if what == "frames" else "1"
        raise StoreError(
            f"{where}: {what} of {row.utterance} are {row.frames.dtype} {row.frames.shape}, not float32 ({rows}, {dim})"
        )
    if not np.isfinite(row.frames).all():
        raise StoreError(f"{where}: {what} of {row.utterance} hold NaN or infinity")


def row_groups(rows: Iterable[FrameRow], size: int) -> Iterator[list[FrameRow]]:
    """Yield rows in lists of up to ``size``, or of 16 MiB if that comes first."""
    return grouped(rows, size, lambda row: row.frames.nbytes, GROUP_BYTES)


def joined(group: list[FrameRow], mantissa_bits: int | None) -> FloatArray:
    """Return the values of a group one after the other, ``(n_values,)``, rounded if asked for."""
    values = np.concatenate([row.frames.ravel() for row in group])
    return values if mantissa_bits is None else round_mantissa(values, mantissa_bits)


def with_store_entries(metadata: Metadata, dim: int, mantissa_bits: int | None) -> Callable[[], Mapping[str, Any]]:
    """Return ``metadata`` with ``dim`` and ``mantissa_bits``, evaluated when the rows have been written.

    Raises
    ------
    StoreError
        If ``mantissa_bits`` is out of its range.
    """
    check_mantissa_bits(mantissa_bits)

    def entries() -> Mapping[str, Any]:
        given = metadata() if callable(metadata) else metadata
        return {**given, "dim": dim, "mantissa_bits": mantissa_bits}

    return entries
