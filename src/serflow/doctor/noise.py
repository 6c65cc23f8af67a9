"""ESC-50 against what is published, by the functions of the stage that reads it."""

from collections import Counter
from collections.abc import Sequence

from serflow.audio.decode import open_recording
from serflow.config import Config
from serflow.doctor.findings import Diagnosis
from serflow.errors import AudioError, SerflowError
from serflow.inspection.description import Table
from serflow.noise.esc50 import ClipFile, RejectedClip, check_complete, list_clips, read_clips
from serflow.noise.published import ADDRESS, LICENCE, PUBLISHED_CLIPS, PUBLISHED_PER_GROUP
from serflow.progress import progress
from serflow.reasons import by_reason
from serflow.settings.base import SYNTHETIC
from serflow.settings.written import Written

ESC50 = "esc50"
_FETCH = f"serflow fetch {ESC50} --into data"
_SHOWN_ROWS = 60


def diagnose_noise(config: Config, documents: Sequence[Written] = (), *, decode: bool = False) -> Diagnosis:
    """Return what is wrong with the noise and what is missing of it; ``decode`` reads all clips of its groups."""
    about = Diagnosis(ESC50, stand_in=config.noise.esc50.root == SYNTHETIC)
    if about.stand_in:
        about.note("a stand-in, which a run makes: synthetic noises, not ESC-50")
        return about
    if (absent := config.absent_esc50(documents)) is not None:
        where, source, *_ = absent.splitlines()
        about.wrong(f"{where}. {source.strip()}", _FETCH, "noise: {esc50: {root: /path/to/it}}")
        return about
    root, partial = config.esc50_root(), config.noise.esc50.allow_partial
    try:
        listed, rejected, warnings = list_clips(root)
        found = _read(listed, rejected) if decode else _look(listed, rejected)
        short = check_complete(found, rejected, root, allow_partial=True)
    except SerflowError as error:
        about.wrong(str(error), _FETCH)
        return about
    groups = Counter(found)
    told = ", ".join(f"{group} {n}" for group, n in groups.items())
    listing = "meta/esc50.csv is another" if warnings else f"{PUBLISHED_CLIPS:,} are listed, as published"
    about.ok(f"{groups.total():,} clips of the three groups of noises ({told}); {listing}")
    for warning in warnings:
        about.note(warning)
    if short and partial:
        about.note(f"not as published, which allow_partial lets pass: {', '.join(short)}")
    elif short:
        about.wrong(
            f"not as published: {', '.join(short)}. Complete it from {ADDRESS} ({LICENCE}), or go on with those:",
            _FETCH,
            "noise: {esc50: {allow_partial: true}}",
        )
    if rejected:
        about.note(f"{len(rejected):,} clips rejected ({by_reason(clip.reason for clip in rejected)})")
        about.tables.append(Table(f"{ESC50}: rejected", RejectedClip._fields, rejected[:_SHOWN_ROWS]))
    rows = [[group, n, PUBLISHED_PER_GROUP] for group, n in groups.items()]
    about.tables.append(Table(f"{ESC50}: clips", ["group", "clips", "published"], rows))
    return about


def _read(listed: Sequence[ClipFile], rejected: list[RejectedClip]) -> list[str]:
    """Return the group of each clip that can be decoded; the others are appended to ``rejected``."""
    clips = progress(read_clips(listed, rejected), len(listed), f"{ESC50}: decoded", unit="clip")
    return [clip.group for clip in clips]


def _look(listed: Sequence[ClipFile], rejected: list[RejectedClip]) -> list[str]:
    """Return the group of each clip whose header can be read; the others are appended to ``rejected``."""
    groups = []
    for clip in listed:
        try:
            if clip.path is None:
                raise AudioError("no such file")
            with open_recording(clip.path):
                groups.append(clip.group)
        except AudioError as error:
            name = clip.path.name if clip.path else f"{clip.clip}.wav"
            rejected.append(RejectedClip(clip.clip, f"audio/{name}", str(error)))
    return groups
