"""Mixing noise into speech as a plan says. Noisy copies are never stored: readers mix when they read."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from serflow.audio.prepared import FloatArray, PcmArray, pcm_to_float
from serflow.errors import NoiseError
from serflow.stores.parquet import iterate_batches, read_metadata, read_table, write_table

CLIPS_KIND = "clips"
PLAN_KIND = "noise_plan"
PLAN_SCHEMA = pa.schema(
    [
        ("utterance", pa.string()),
        ("condition", pa.string()),
        ("clip", pa.string()),
        ("offset", pa.int32()),
        ("snr_db", pa.float64()),
        ("gain_db", pa.float64()),
        ("achieved_snr_db", pa.float64()),
        ("scale", pa.float64()),
    ]
)


class PlanRow(NamedTuple):
    """Which noise goes into an utterance, and at what level.

    The clip is looped from ``offset`` (samples at 16 kHz), amplified by ``gain_db`` and added; the sum is
    multiplied by ``scale``. ``snr_db`` is what the profile asks for, ``achieved_snr_db`` what the mixture has.
    """

    utterance: str
    condition: str
    clip: str
    offset: int
    snr_db: float
    gain_db: float
    achieved_snr_db: float
    scale: float


def power(signal: npt.NDArray[Any]) -> float:
    """Return the mean power of a signal, summed in float64 without BLAS, whose sums depend on its threads."""
    return float(np.mean(np.square(signal, dtype=np.float64)))


def noise_segment(clip: PcmArray, offset: int, n_samples: int) -> FloatArray:
    """Return ``n_samples`` of a clip, looped from ``offset`` on, as float32 in [-1, 1)."""
    return pcm_to_float(np.resize(np.roll(clip, -offset), n_samples))


def amplified(segment: FloatArray, gain_db: float) -> FloatArray:
    """Return a segment of noise at the level at which it is added."""
    return segment * np.float32(10.0 ** (gain_db / 20.0))


def mix(speech: FloatArray, clip: PcmArray, row: PlanRow) -> FloatArray:
    """Return the noisy utterance, float32 of the speech's length.

    Parameters
    ----------
    speech
        Waveform at 16 kHz, ``(n_samples,)``, full scale 1.
    clip
        The whole clip that ``row`` names, as `ClipBank` gives it.
    row
        The utterance's row of the plan.
    """
    noise = amplified(noise_segment(clip, row.offset, len(speech)), row.gain_db)
    return (speech + noise) * np.float32(row.scale)


class ClipBank:
    """The noise clips in memory, as int16: 160 KB a clip, 192 MB for the 1,200 of ESC-50.

    Attributes
    ----------
    clips
        Clip by name, ``(n_samples,)`` int16 at 16 kHz without leading and trailing zeros.
    by_condition
        Sorted names of the clips of each condition.
    fold_of
        ESC-50's own fold of each clip, where it is known.
    synthetic
        Whether the clips are stand-ins.
    warnings
        What a reader of results should know of them.
    """

    def __init__(
        self,
        clips: Mapping[str, PcmArray],
        groups: Mapping[str, str],
        synthetic: bool = False,
        folds: Mapping[str, int] | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        self.clips = dict(clips)
        self.fold_of = dict(folds or {})
        self.synthetic = synthetic
        self.warnings = list(warnings)
        self.by_condition: dict[str, list[str]] = {}
        for name in sorted(groups):
            self.by_condition.setdefault(groups[name], []).append(name)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read ``clips.parquet``.

        Raises
        ------
        StoreError
            If the file is damaged or is not what it should be.
        """
        clips: dict[str, PcmArray] = {}
        groups: dict[str, str] = {}
        folds: dict[str, int] = {}
        for table in iterate_batches(path, kind=CLIPS_KIND, columns=["clip", "group", "fold", "pcm16"]):
            for row in table.to_pylist():
                clips[row["clip"]] = np.frombuffer(row["pcm16"], dtype="<i2")
                groups[row["clip"]] = row["group"]
                folds[row["clip"]] = row["fold"]
        metadata = read_metadata(path)
        return cls(clips, groups, bool(metadata["synthetic"]), folds, metadata["warnings"])

    def of_folds(self, folds: Collection[int]) -> dict[str, list[str]]:
        """Return the names of the clips of each condition that are in some of ESC-50's folds."""
        return {
            condition: [name for name in names if self.fold_of.get(name) in folds]
            for condition, names in self.by_condition.items()
        }

    def __getitem__(self, name: str) -> PcmArray:
        try:
            return self.clips[name]
        except KeyError:
            raise NoiseError(
                f"clip {name!r} of the noise plan is not among the {len(self.clips)} noise clips; "
                "the plan was made with other clips: delete it and run the same command again"
            ) from None

    def mix(self, speech: FloatArray, row: PlanRow) -> FloatArray:
        """Return the noisy utterance; see `mix`."""
        return mix(speech, self[row.clip], row)


def write_plan(path: str | os.PathLike[str], rows: Iterable[PlanRow], metadata: Mapping[str, Any]) -> None:
    """Write a noise plan, a row an utterance."""
    table = pa.Table.from_pylist([row._asdict() for row in rows], schema=PLAN_SCHEMA)
    write_table(path, table, kind=PLAN_KIND, metadata=metadata)


def read_plan(path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> dict[str, PlanRow]:
    """Return the rows of a noise plan by utterance.

    Raises
    ------
    StoreError
        If the file is damaged or its metadata differ from ``expect``.
    """
    rows = read_table(path, kind=PLAN_KIND, expect=expect).to_pylist()
    return {row["utterance"]: PlanRow(**row) for row in rows}


def planned(plan: Mapping[str, PlanRow], utterance: str, path: Path) -> PlanRow:
    """Return an utterance's row of the plan read from ``path``.

    Raises
    ------
    NoiseError
        If the plan has none.
    """
    if utterance not in plan:
        raise NoiseError(
            f"{path}: no row for utterance {utterance!r}; the plan was made for other audio: "
            "delete it and run the same command again"
        )
    return plan[utterance]
