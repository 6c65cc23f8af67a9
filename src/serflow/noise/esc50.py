"""ESC-50 (Piczak, ACM Multimedia 2015): its layout, and the three groups of clips used as noise.

The DLC paper (section III-B) uses three of the five super-categories: natural soundscapes, human non-speech
sounds and interior sounds, 400 clips each.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from serflow.audio.decode import SAMPLE_RATE, decode
from serflow.audio.prepared import PcmArray, quantise
from serflow.errors import AudioError, CorpusError, NoiseError
from serflow.folders import is_file, is_folder, why_no_file
from serflow.label_files import read_rows
from serflow.noise.published import (
    ADDRESS,
    GROUPS,
    LICENCE,
    PUBLISHED_CLASSES,
    PUBLISHED_CLIPS,
    PUBLISHED_PER_CLASS,
    PUBLISHED_PER_GROUP,
)
from serflow.printable import printable

_NAME = re.compile(r"([1-5])-(\d+)-([A-Z])-(\d|[1-4]\d)\.wav")
_COLUMNS = {"filename", "fold", "target", "category"}
_KEY = "noise.esc50.root in config.yaml"
_EXAMPLES = 3


class ClipFile(NamedTuple):
    """A clip that ``meta/esc50.csv`` lists in one of the three groups. ``path`` is ``None`` where it has no file."""

    clip: str
    fold: int
    target: int
    category: str
    group: str
    path: Path | None


class RejectedClip(NamedTuple):
    """A listed clip that cannot be used; ``path`` is relative to the root."""

    clip: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip as it is mixed: ``pcm16`` is ``(n_samples,)`` int16 at 16 kHz without zeros at either end.

    ``trimmed_start_s`` and ``trimmed_end_s`` (s) tell how much digital silence was taken off.
    """

    clip: str
    fold: int
    target: int
    category: str
    group: str
    pcm16: PcmArray
    trimmed_start_s: float
    trimmed_end_s: float


def _obtain() -> str:
    return f"ESC-50 can be had from {ADDRESS} ({LICENCE}); set {_KEY} to the folder that holds audio/ and meta/"


def _read_meta(root: Path) -> list[dict[str, str]]:
    meta = root / "meta" / "esc50.csv"
    if not is_folder(root):
        raise NoiseError(f"{root}: no such folder ({_KEY}). {_obtain()}")
    for part in (meta, root / "audio"):
        if why_no_file(part) == "there is no such file":
            inner = next((p.parents[1] for p in sorted(root.glob("*/meta/esc50.csv"))), None)
            hint = f"; did you mean {inner}?" if inner else ""
            raise NoiseError(f"{root}: not ESC-50, for {part} is not there ({_KEY}){hint}. {_obtain()}")
    try:
        rows = read_rows(meta, any_encoding=True)
        with os.scandir(root / "audio"):
            pass
    except CorpusError as error:
        raise NoiseError(f"{error}. {_obtain()}") from error
    except OSError as error:
        raise NoiseError(f"{root / 'audio'}: cannot be read: {error.strerror or error}; make it readable") from error
    missing = sorted(_COLUMNS - set(rows.header))
    if missing:
        raise NoiseError(f"{meta}: no column {', '.join(missing)}; it is not the table of ESC-50. {_obtain()}")
    return [{column: printable(cell) for column, cell in row.items()} for _, row in rows.by_name()]


def _audio_file(root: Path, clip: str) -> Path | None:
    candidates = (root / "audio" / f"{clip}{suffix}" for suffix in (".wav", ".flac"))
    return next((path for path in candidates if is_file(path)), None)


def list_clips(root: Path) -> tuple[list[ClipFile], list[RejectedClip], list[str]]:
    """List the clips of the three groups.

    Returns
    -------
    listed
        Clips of the groups, in the table's order, with or without a file.
    rejected
        Rows of the table that make no sense (a name that is not ESC-50's, a target other than the name's).
    warnings
        Where the table differs from the published one.

    Raises
    ------
    NoiseError
        If ``root`` is not ESC-50.
    """
    rows = _read_meta(root)
    listed: dict[str, ClipFile] = {}
    rejected = []
    for row in rows:
        name = row["filename"]
        match = _NAME.fullmatch(name)
        reason = None
        if match is None:
            reason = "the name is not ESC-50's fold-id-take-target.wav"
        elif (row["fold"], row["target"]) != (match[1], match[4]):
            reason = f"fold {row['fold']} and target {row['target']} of meta/esc50.csv are not those of the name"
        elif Path(name).stem in listed:
            reason = "listed twice in meta/esc50.csv"
        if match is None or reason is not None:
            rejected.append(RejectedClip(Path(name).stem, f"audio/{name}", reason or ""))
            continue
        target = int(match[4])
        if target // 10 in GROUPS:
            clip = Path(name).stem
            listed[clip] = ClipFile(
                clip, int(match[1]), target, row["category"], GROUPS[target // 10], _audio_file(root, clip)
            )
    return list(listed.values()), rejected, _differences(rows)


def _differences(rows: Sequence[dict[str, str]]) -> list[str]:
    warnings = []
    if len(rows) != PUBLISHED_CLIPS:
        warnings.append(f"meta/esc50.csv lists {len(rows)} clips of {PUBLISHED_CLIPS} published")
    per_class = Counter(row["target"] for row in rows)
    odd = [t for t in range(PUBLISHED_CLASSES) if per_class[str(t)] != PUBLISHED_PER_CLASS]
    if odd:
        warnings.append(f"meta/esc50.csv lists other than {PUBLISHED_PER_CLASS} clips of {len(odd)} classes")
    return warnings


def check_complete(
    available: Sequence[str], rejected: Sequence[RejectedClip], root: Path, allow_partial: bool
) -> list[str]:
    """Check that enough clips are there; say, a line each, which groups have fewer than published.

    Parameters
    ----------
    available
        Group of each clip that can be used.
    rejected
        Clips that cannot, as examples for the message.
    root
        Folder of ESC-50, for the message.
    allow_partial
        Go on with fewer clips than published.

    Raises
    ------
    NoiseError
        If a group has no clip, or fewer than published and ``allow_partial`` is false.
    """
    found = Counter(available)
    short = [
        f"{group}: {found[group]} of {PUBLISHED_PER_GROUP} clips"
        for group in GROUPS.values()
        if found[group] != PUBLISHED_PER_GROUP
    ]
    examples = "; ".join(f"{clip.path}: {clip.reason}" for clip in rejected[:_EXAMPLES])
    told = f"{', '.join(short)}" + (f" (e.g. {examples})" if examples else "")
    if any(not found[group] for group in GROUPS.values()):
        raise NoiseError(f"{root}: a group of noises has no usable clip: {told}. {_obtain()}")
    if short and not allow_partial:
        raise NoiseError(
            f"{root}: not all of ESC-50 is there: {told}. Complete it from {ADDRESS}, "
            "or set `noise.esc50.allow_partial: true` in config.yaml to go on with the clips that are there"
        )
    return short


def read_clip(listed: ClipFile) -> Clip:
    """Decode a clip and take the digital silence off its ends.

    Many clips were padded to 5 s with zeros by their publisher. Zeros at the ends would make an SNR over the
    segment depend on padding.

    Raises
    ------
    AudioError
        If the file is absent, damaged or silent.
    """
    if listed.path is None:
        raise AudioError("listed in meta/esc50.csv, but there is no such file (.wav or .flac)")
    pcm16, _ = quantise(decode(listed.path).waveform)
    sounding = np.flatnonzero(pcm16)
    first, last = int(sounding[0]), int(sounding[-1]) + 1
    return Clip(
        clip=listed.clip,
        fold=listed.fold,
        target=listed.target,
        category=listed.category,
        group=listed.group,
        pcm16=pcm16[first:last],
        trimmed_start_s=first / SAMPLE_RATE,
        trimmed_end_s=(len(pcm16) - last) / SAMPLE_RATE,
    )


def read_clips(listed: Sequence[ClipFile], rejected: list[RejectedClip]) -> Iterator[Clip]:
    """Yield the clips that can be used; append the others to ``rejected`` with the reason."""
    for clip in listed:
        try:
            yield read_clip(clip)
        except AudioError as error:
            path = f"audio/{clip.path.name if clip.path else clip.clip + '.wav'}"
            rejected.append(RejectedClip(clip.clip, path, str(error)))
