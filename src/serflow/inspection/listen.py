"""Utterances to listen to: clean, and with the noise that a profile adds, as WAV files."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from serflow.audio.decode import SAMPLE_RATE
from serflow.audio.prepared import FloatArray, iterate_prepared
from serflow.errors import ConfigError, StoreError
from serflow.files import atomic_path
from serflow.inspection.examples import Labelled, choose, emotion_rank, read_labels
from serflow.inspection.paths import build_command, near_match
from serflow.noise.mixing import ClipBank, PlanRow, planned, read_plan

CLEAN = "clean"


class Rendered(NamedTuple):
    """A file that was written; the fields of the noise are None for clean speech. SNRs in dB, duration in s."""

    file: Path
    utterance: str
    emotion: str | None
    condition: str
    clip: str | None
    requested_snr_db: float | None
    achieved_snr_db: float | None
    duration_s: float


def render(
    results: Path,
    corpus: str,
    folder: Path,
    *,
    utterances: Sequence[str] = (),
    emotion: str | None = None,
    n: int = 3,
    profiles: Sequence[str] = ("h1",),
) -> list[Rendered]:
    """Write clean and noisy WAVs of some utterances into ``folder``.

    24 bits, for speech at -30 dB SNR would lose half of its 16 bits to the noise.

    Parameters
    ----------
    results
        The folder that the workflow wrote.
    corpus
        Name of the corpus.
    folder
        Where the WAV files go.
    utterances
        Which; if none is given, ``n`` are chosen.
    emotion
        Choose among utterances of this emotion.
    n
        How many to choose.
    profiles
        Noise profiles to hear, besides clean speech.

    Raises
    ------
    StoreError
        If something has not been built; the message has the command that builds it.
    ConfigError
        If there is no such utterance or emotion.
    """
    labels = read_labels(_required(results / "corpora" / corpus / "utterances.parquet"))
    chosen = _choose(labels, corpus, utterances, emotion, n)
    plan_paths = {name: _required(results / "noise" / corpus / f"{name}.parquet") for name in profiles}
    shards = {name: results / "audio" / corpus / f"{name}.parquet" for name in sorted({e.shard for e in chosen})}
    for shard in shards.values():
        _required(shard)
    plans = {name: read_plan(path, expect={"corpus": corpus, "profile": name}) for name, path in plan_paths.items()}
    bank = ClipBank.read(_required(results / "noise" / "clips.parquet")) if plans else None
    waveforms = _read_waveforms(corpus, shards, chosen)
    rendered = []
    for entry in chosen:
        waveform = waveforms[entry.utterance]
        rendered.append(_write(folder, entry, waveform, CLEAN, None))
        for profile, plan in plans.items():
            row = planned(plan, entry.utterance, plan_paths[profile])
            assert bank is not None
            rendered.append(_write(folder, entry, bank.mix(waveform, row), profile, row))
    return rendered


def _required(path: Path) -> Path:
    if path.is_file():
        return path
    command = build_command(path)
    hint = f"build it with `{command}`" if command else "--results names the folder that the workflow wrote"
    near = near_match(path.parent) if path.parent.parent.name == "corpora" else None
    hint = hint if near is None else f"did you mean {near.name}? If not, {hint}"
    siblings = sorted(entry.stem for entry in path.parent.glob("*.parquet")) if path.parent.is_dir() else []
    there = f"; there are {', '.join(siblings)}" if siblings and "noise" in path.parts else ""
    raise StoreError(f"{path}: not there{there}; {hint}")


def _choose(
    labels: list[Labelled], corpus: str, utterances: Sequence[str], emotion: str | None, n: int
) -> list[Labelled]:
    by_name = {entry.utterance: entry for entry in labels}
    for name in utterances:
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, n=3, cutoff=0.3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise ConfigError(f"--utterance {name}: {corpus} has no such utterance{hint}")
    if utterances:
        return [by_name[name] for name in dict.fromkeys(utterances)]
    if emotion is not None:
        known = sorted({entry.emotion for entry in labels if entry.emotion is not None}, key=emotion_rank)
        if emotion not in known:
            raise ConfigError(f"--emotion {emotion}: {corpus} has {', '.join(known) or 'no emotion labels'}")
        labels = [entry for entry in labels if entry.emotion == emotion]
    return choose(labels, n)


def _read_waveforms(corpus: str, shards: dict[str, Path], chosen: Sequence[Labelled]) -> dict[str, FloatArray]:
    found: dict[str, FloatArray] = {}
    for shard, path in shards.items():
        wanted = {entry.utterance for entry in chosen if entry.shard == shard}
        for item in iterate_prepared(path, expect={"corpus": corpus}):
            if item.utterance in wanted:
                found[item.utterance] = item.waveform
        absent = sorted(wanted - found.keys())
        if absent:
            raise StoreError(
                f"{path}: has no audio of {absent[0]}, which the utterance table puts there; build it again"
            )
    return found


def _write(folder: Path, entry: Labelled, waveform: FloatArray, profile: str, row: PlanRow | None) -> Rendered:
    name = re.sub(r"[^\w.-]", "_", entry.utterance)
    name += f"_{CLEAN}" if row is None else f"_{profile}_{row.condition}_{row.achieved_snr_db:+.0f}dB"
    path = folder / f"{name}.wav"
    with atomic_path(path) as temporary:
        soundfile.write(temporary, np.clip(waveform, -1, 1), SAMPLE_RATE, format="WAV", subtype="PCM_24")
    return Rendered(
        path,
        entry.utterance,
        entry.emotion,
        CLEAN if row is None else f"{profile}, {row.condition}",
        None if row is None else row.clip,
        None if row is None else row.snr_db,
        None if row is None else row.achieved_snr_db,
        len(waveform) / SAMPLE_RATE,
    )
