"""The noise plan: which clip goes into which utterance, from where, at what level (DLC paper, section III-B).

Every draw depends on its own names alone: condition and offset on (profile, seed, utterance), the clip on these
and its own name (rendezvous hashing). So one more utterance changes no other utterance's noise, and a clip that
is gone changes only the utterances that had it.
"""

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.audio.prepared import FloatArray, PcmArray, PreparedUtterance
from serflow.errors import NoiseError
from serflow.noise.mixing import ClipBank, PlanRow, amplified, noise_segment, power

CONDITIONS = ("natural", "human", "interior")
MIXINGS = ("snr", "authors_gain")
# `noise.clips: by_fold`: the folds of ESC-50 whose clips each part of the utterances is mixed with
FOLDS_OF_ROLE = {"train": (1, 2, 3), "val": (4,), "test": (5,)}
# The authors' mixer (abwilf/noise, noise_adder.py) amplifies a clip by -SNR - 22 dB whatever the speech's level.
AUTHORS_GAIN_DB = -22.0
PEAK = 0.999

_MAX_SNR_DB = 100.0
# A segment this far (dB) below its clip's mean power is a pause: amplified, it would be the clip's noise floor.
_PAUSE_DB = -60.0
_CHUNK = 1024
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

KeyArray = npt.NDArray[np.uint64]


class Draw(NamedTuple):
    """What an utterance draws before its audio is read; ``key`` seeds its offsets."""

    condition: str
    clip: str
    key: int


def _keys(names: Iterable[str]) -> KeyArray:
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def _mix64(values: KeyArray) -> KeyArray:
    """Scramble 64-bit numbers (the finaliser of SplitMix64: Steele, Lea and Flood, OOPSLA 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _uniform(keys: KeyArray, counter: int) -> npt.NDArray[np.float64]:
    """Return the ``counter``-th number in [0, 1) of each key's stream."""
    step = np.array([counter + 1], dtype=np.uint64) * _GOLDEN
    return (_mix64(keys + step) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _rendezvous(keys: KeyArray, clips: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return for each key the clip of the highest weight (Thaler and Ravishankar, 1998)."""
    clip_keys = _keys(clips)
    chunks = [
        _mix64(_mix64(keys[i : i + _CHUNK, None]) ^ clip_keys[None, :]).argmax(axis=1)
        for i in range(0, len(keys), _CHUNK)
    ]
    return np.concatenate(chunks) if chunks else np.empty(0, dtype=np.intp)


def draw_clips(
    utterances: Sequence[str], clips: Mapping[str, Sequence[str]], profile: str, seed: int
) -> dict[str, Draw]:
    """Draw a condition, uniformly of the three, and a clip of it, uniformly, for each utterance.

    Parameters
    ----------
    utterances
        Utterance ids.
    clips
        Names of the clips of each condition.
    profile, seed
        What else the draw depends on.

    Raises
    ------
    NoiseError
        If a condition has no clip.
    """
    without = [condition for condition in CONDITIONS if not clips.get(condition)]
    if without:
        raise NoiseError(no_clip(without))
    keys = _keys("\0".join((profile, str(seed), utterance)) for utterance in utterances)
    conditions = (_uniform(keys, 0) * len(CONDITIONS)).astype(np.intp)
    chosen = np.empty(len(keys), dtype=np.intp)
    for i, condition in enumerate(CONDITIONS):
        chosen[conditions == i] = _rendezvous(keys[conditions == i], clips[condition])
    return {
        utterance: Draw(CONDITIONS[i], clips[CONDITIONS[i]][k], key)
        for utterance, i, k, key in zip(utterances, conditions.tolist(), chosen.tolist(), keys.tolist(), strict=True)
    }


def draw_clips_by_fold(role_of: Mapping[str, str], bank: ClipBank, profile: str, seed: int) -> dict[str, Draw]:
    """Draw as `draw_clips` does, but so that training, validation and test hear different clips.

    Parameters
    ----------
    role_of
        ``train``, ``val`` or ``test`` of each utterance; `FOLDS_OF_ROLE` says whose clips it draws from.
    bank
        The clips.
    profile, seed
        What else the draw depends on.

    Raises
    ------
    NoiseError
        If a condition has no clip in the folds of a role.
    """
    draws: dict[str, Draw] = {}
    for role, folds in FOLDS_OF_ROLE.items():
        utterances = [utterance for utterance, given in role_of.items() if given == role]
        try:
            draws |= draw_clips(utterances, bank.of_folds(folds), profile, seed)
        except NoiseError as error:
            raise NoiseError(f"{among_clips_of(role)}{error}") from error
    return draws


def no_clip(groups: Sequence[str]) -> str:
    """Say that some groups have no clip, and where to look."""
    return f"no noise clip of the group {', '.join(groups)}; see noise.esc50.root in config.yaml"


def among_clips_of(role: str) -> str:
    """Say, before what is wrong with them, that only the clips of a role were looked at."""
    return f"noise.clips is by_fold, and among the clips of fold {', '.join(map(str, FOLDS_OF_ROLE[role]))} ({role}): "


def draw_offset(key: int, clip: PcmArray, n_samples: int) -> int:
    """Draw from where a clip is looped, uniformly over the offsets whose segment is not a pause.

    A segment is a pause when its power is 0 or over 60 dB below the whole clip's.

    Parameters
    ----------
    key
        The utterance's, from `draw_clips`.
    clip
        ``(clip_samples,)`` int16.
    n_samples
        Length of the utterance in samples at 16 kHz.

    Raises
    ------
    NoiseError
        If the clip is silent.
    """
    floor = power(noise_segment(clip, 0, len(clip))) * 10.0 ** (_PAUSE_DB / 10.0)
    if floor == 0.0:
        raise NoiseError("the clip is silent")
    keys = np.array([key], dtype=np.uint64)
    for attempt in itertools.count(1):
        offset = int(_uniform(keys, attempt)[0] * len(clip))
        if power(noise_segment(clip, offset, n_samples)) > floor:
            break
    return offset


def _gain_db(speech: FloatArray, segment: FloatArray, snr_db: float, mixing: str) -> float:
    if mixing == "authors_gain":
        return AUTHORS_GAIN_DB - snr_db
    return 10.0 * math.log10(power(speech) / power(segment)) - snr_db


def plan_utterance(
    utterance: PreparedUtterance, draw: Draw, clip: PcmArray, snr_db: float, mixing: str = "snr"
) -> PlanRow:
    """Set the level of the noise in one utterance.

    With mixing ``snr`` the gain is such that ``10 log10(P_speech / P_noise)`` is ``snr_db``, where both are mean
    powers over the whole utterance and the noise is the looped segment really used. With ``authors_gain`` it is
    ``-snr_db - 22`` dB relative to the clip's own level, as in the authors' mixer, whatever the speech.

    Raises
    ------
    NoiseError
        If speech or clip are silent.
    """
    speech = utterance.waveform
    if not speech.any():
        raise NoiseError(f"utterance {utterance.utterance!r} is silent, so that no SNR can be set")
    try:
        offset = draw_offset(draw.key, clip, len(speech))
    except NoiseError as error:
        raise NoiseError(f"clip {draw.clip!r}: {error}") from error
    segment = noise_segment(clip, offset, len(speech))
    gain_db = _gain_db(speech, segment, snr_db, mixing)
    noise = amplified(segment, gain_db)
    peak = float(np.abs(speech + noise).max())
    return PlanRow(
        utterance=utterance.utterance,
        condition=draw.condition,
        clip=draw.clip,
        offset=offset,
        snr_db=snr_db,
        gain_db=gain_db,
        achieved_snr_db=10.0 * math.log10(power(speech) / power(noise)),
        scale=PEAK / peak if peak > 1.0 else 1.0,
    )


def check_profile(snrs: Any, mixing: str) -> dict[str, float]:
    """Return the SNR (dB) of each condition as floats.

    Raises
    ------
    NoiseError
        If a condition is missing or unknown, an SNR is not a number from -100 to 100 dB, or the mixing is
        unknown.
    """
    if mixing not in MIXINGS:
        raise NoiseError(f"noise.mixing in config.yaml is {mixing!r}; known: {', '.join(MIXINGS)}")
    if not isinstance(snrs, dict) or set(snrs) != set(CONDITIONS):
        raise NoiseError(f"a profile under noise.profiles in config.yaml gives {', '.join(CONDITIONS)}, not {snrs!r}")
    if not all(isinstance(snr, int | float) and abs(snr) <= _MAX_SNR_DB for snr in snrs.values()):
        raise NoiseError(
            f"a profile under noise.profiles in config.yaml has an SNR that is no number from -{_MAX_SNR_DB:g} "
            f"to {_MAX_SNR_DB:g} dB: {snrs!r}"
        )
    return {condition: float(snrs[condition]) for condition in CONDITIONS}


def make_plan(
    utterances: Iterable[PreparedUtterance],
    draws: Mapping[str, Draw],
    bank: ClipBank,
    snrs: Mapping[str, float],
    mixing: str = "snr",
) -> Iterator[PlanRow]:
    """Yield the rows of a plan for the utterances that have a draw, in the order of the audio."""
    for utterance in utterances:
        draw = draws.get(utterance.utterance)
        if draw is not None:
            yield plan_utterance(utterance, draw, bank[draw.clip], snrs[draw.condition], mixing)
