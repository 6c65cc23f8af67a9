"""Utterances to listen to and to look at: FLAC and a spectrogram, clean and with the noise of a profile."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.image
import numpy as np
import soundfile

from serflow.audio.decode import SAMPLE_RATE
from serflow.audio.mel import MelSpectrogram
from serflow.audio.prepared import FloatArray, iterate_prepared
from serflow.errors import StoreError
from serflow.files import digested_path
from serflow.noise.mixing import ClipBank, PlanRow, planned, read_plan
from serflow.stores.parquet import read_metadata

CLEAN = "clean"
_SPAN_DB = 70.0
_LEVELS = 32


class Sound(NamedTuple):
    """A recording of an utterance: its files' name without suffix, below the folder, and what noise it has."""

    stem: str
    noise: str


def file_stem(corpus: str, utterance: str, condition: str) -> str:
    """Return the name of a recording's files below the folder: readable, and no two utterances have one."""
    slug = re.sub(r"[^A-Za-z0-9._-]", "_", utterance)[-60:]
    digest = hashlib.sha256(utterance.encode()).hexdigest()[:8]
    return f"{corpus}/{slug}-{digest}-{condition}"


def noise_words(row: PlanRow) -> str:
    """Say which noise a recording has, and how loud."""
    return f"{row.condition}, {row.clip}, {row.achieved_snr_db:+.1f} dB SNR"


def cut(
    folder: Path,
    audio: Sequence[Path],
    wanted: Mapping[str, Mapping[str, Collection[str]]],
    plans: Sequence[Path] = (),
    clips: Path | None = None,
) -> dict[tuple[str, str], dict[str, Sound]]:
    """Write recordings, one utterance in memory at a time.

    Parameters
    ----------
    folder
        Where they go.
    audio
        Shards of prepared audio.
    wanted
        By corpus and utterance, the profiles that it is heard in besides clean.
    plans, clips
        Noise plans, and the noise; needed where a profile is asked for.

    Returns
    -------
    dict
        By corpus and utterance, the recordings by condition: clean first.

    Raises
    ------
    StoreError
        If a file is damaged, or an utterance has no audio.
    """
    noise = _planned(plans, wanted)
    bank = None if clips is None else ClipBank.read(clips)
    mel = MelSpectrogram(feature="report", n_mels=64, n_fft=512, win_length=400, hop_length=160, fmin=0.0, fmax=8000.0)
    found: dict[tuple[str, str], dict[str, Sound]] = {}
    for path in audio:
        corpus = str(read_metadata(path)["corpus"])
        asked = wanted.get(corpus, {})
        if not asked:
            continue
        for item in iterate_prepared(path, expect={"corpus": corpus}):
            if item.utterance not in asked:
                continue
            sounds = {CLEAN: Sound(file_stem(corpus, item.utterance, CLEAN), "")}
            _write(folder, sounds[CLEAN].stem, item.waveform, mel)
            for profile in sorted(asked[item.utterance]):
                row = noise.get((corpus, profile, item.utterance))
                if row is None or bank is None:
                    raise StoreError(f"results/noise/{corpus}: no {profile} of {item.utterance}; give plan and clips")
                sounds[profile] = Sound(file_stem(corpus, item.utterance, profile), noise_words(row))
                _write(folder, sounds[profile].stem, bank.mix(item.waveform, row), mel)
            found[corpus, item.utterance] = sounds
    lacking = [(corpus, name) for corpus, names in wanted.items() for name in names if (corpus, name) not in found]
    for corpus, name in lacking:
        raise StoreError(f"results/audio/{corpus}: no audio of {name}, which was predicted; delete it and run again")
    return found


def _planned(
    plans: Sequence[Path], wanted: Mapping[str, Mapping[str, Collection[str]]]
) -> dict[tuple[str, str, str], PlanRow]:
    """Return the noise of the utterances that are heard in it, by corpus, profile and utterance."""
    found: dict[tuple[str, str, str], PlanRow] = {}
    for path in plans:
        metadata = read_metadata(path)
        corpus, profile = str(metadata["corpus"]), str(metadata["profile"])
        names = [name for name, profiles in wanted.get(corpus, {}).items() if profile in profiles]
        rows = read_plan(path, expect={"corpus": corpus, "profile": profile}) if names else {}
        found.update({(corpus, profile, name): planned(rows, name, path) for name in names})
    return found


def _write(folder: Path, stem: str, waveform: FloatArray, mel: MelSpectrogram) -> None:
    """Write ``.flac`` and ``.png``; 16 bits, enough to listen to."""
    with digested_path(folder / f"{stem}.flac") as path:
        soundfile.write(path, np.clip(waveform, -1, 1), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    with digested_path(folder / f"{stem}.png") as path:
        matplotlib.image.imsave(
            path, spectrogram(waveform, mel), cmap="magma", vmin=0, vmax=1, origin="lower", format="png",
            metadata={"Software": "serflow"},
        )  # fmt: skip


def spectrogram(waveform: FloatArray, mel: MelSpectrogram) -> FloatArray:
    """Return log-mel power between 0 (70 dB below the loudest) and 1, in steps, ``(bands, frames)``."""
    power = mel(waveform).T
    decibels = 10.0 * np.log10(np.maximum(power, 1e-12))
    share = np.clip(1.0 + (decibels - decibels.max()) / _SPAN_DB, 0.0, 1.0)
    steps: FloatArray = (np.rint(share * (_LEVELS - 1)) / (_LEVELS - 1)).astype(np.float32)
    return steps
