"""Search for the same recording among many utterances: time, memory, what is found, and false alarms.

``python benchmarks/near_duplicates.py [--data DIR] [--utterances 40000]``: DIR holds EmoDB, nEMO and RAVDESS as FLAC or
WAV, in folders of these names. Made-up utterances say what a real one (or, without DIR, a made-up one) says, with every
peak moved by some frames and bins, as when a sentence is said again; one in a hundred is a copy that has half of its
landmarks, later. Of real speech all utterances are compared with all, and with copies that were changed. A JSON line a
measurement.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import numpy as np
import numpy.typing as npt
import soxr

from serflow.audio.decode import SAMPLE_RATE
from serflow.audio.prepared import prepare
from serflow.audit import fingerprint
from serflow.audit.fingerprint import Landmarks, landmarks
from serflow.audit.near import near_duplicates

CORPORA = ("emodb", "nemo", "ravdess")
COPIES = 100
"""One in so many made-up utterances is a copy."""

Wave = npt.NDArray[np.float32]


def say(**measured: object) -> None:
    print(json.dumps(measured), flush=True)


def made_up_wave(draws: np.random.Generator) -> Wave:
    """Return 3 s of a pulse train's harmonics, whose pitch and level move."""
    n = 3 * SAMPLE_RATE
    points = np.arange(0, n + 3_200, 3_200)
    pitch = np.interp(np.arange(n), points, draws.uniform(110, 220, len(points)))
    level = np.interp(np.arange(n), points, draws.uniform(0.02, 1, len(points)))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    gains = draws.uniform(0.05, 1, 16)
    wave = sum(gain * np.sin((place + 1) * phase) for place, gain in enumerate(gains))
    return np.asarray(0.02 * level * wave, dtype=np.float32)


def moved(wave: Wave, draws: np.random.Generator, n: int) -> list[Landmarks]:
    """Return the landmarks of ``n`` utterances that have the peaks of one, each moved by itself."""
    most = max(fingerprint.LEAST_PEAKS, fingerprint.PEAKS_PER_S * len(wave) // SAMPLE_RATE)
    frames, bins = fingerprint._peaks(fingerprint._spectrum(wave), most)
    found = []
    for _ in range(n):
        late = frames + draws.integers(-6, 7, len(frames)).astype(np.int32)
        high = np.clip(bins + draws.integers(-3, 4, len(bins)), 0, fingerprint.N_BINS - 1).astype(np.int32)
        order = np.lexsort((high, late))
        found.append(fingerprint._pairs(np.maximum(late, 0)[order], high[order]))
    return found


def made_up(pool: list[Wave], n: int) -> None:
    draws = np.random.default_rng(0)
    each = -(-n // len(pool))
    prints = [one for wave in pool for one in moved(wave, draws, each)][: n - n // COPIES]
    originals = draws.choice(len(prints), n // COPIES, replace=False)
    for place in originals:
        codes, frames = prints[place]
        kept = draws.random(len(codes)) < 0.5
        prints.append(Landmarks(codes[kept], frames[kept] + 31))
    started, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = near_duplicates(prints)
    taken = time.process_time() - began
    planted = {(int(place), n - n // COPIES + at) for at, place in enumerate(originals)}
    right = planted & {(pair.first, pair.second) for pair in found}
    say(
        name="made-up", utterances=len(prints),
        landmarks=sum(len(one.codes) for one in prints), seconds=round(taken, 1),
        memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), before_mb=round(started / 1024),
        copies=len(planted), found=len(right), false_alarms=len(found) - len(right),
        pairs=len(prints) * (len(prints) - 1) // 2,
    )  # fmt: skip


def with_noise(wave: Wave, snr_db: float) -> Wave:
    noise = np.random.default_rng(len(wave)).standard_normal(len(wave))
    return np.asarray(wave + noise * np.sqrt((wave**2).mean()) * 10 ** (-snr_db / 20), dtype=np.float32)


def resampled(wave: Wave, rate: int) -> Wave:
    return np.asarray(soxr.resample(soxr.resample(wave, SAMPLE_RATE, rate), rate, SAMPLE_RATE), dtype=np.float32)


CHANGES: dict[str, Callable[[Wave], Wave]] = {
    "-20 dB, 16 bits": lambda wave: (np.round(wave * 3276.8) / 32768).astype(np.float32),
    "22.05 kHz": lambda wave: resampled(wave, 22_050),
    "8 kHz": lambda wave: resampled(wave, 8_000),
    "0.3 s later": lambda wave: np.concatenate([np.zeros(4_900, np.float32), wave]),
    "0.1 s cut at both ends": lambda wave: wave[1_700:-1_600],
    "10 dB SNR": lambda wave: with_noise(wave, 10),
    "5 dB SNR": lambda wave: with_noise(wave, 5),
}


def real(name: str, waves: list[Wave]) -> None:
    began = time.process_time()
    prints = [landmarks(wave) for wave in waves]
    taken = time.process_time() - began
    seconds = sum(map(len, waves)) / SAMPLE_RATE
    pairs = near_duplicates(prints)
    say(
        name=name, utterances=len(waves), audio_s=round(seconds), times_real_time=round(seconds / taken),
        pairs=len(waves) * (len(waves) - 1) // 2,
        found=[(pair.first, pair.second, round(pair.share, 2)) for pair in pairs],
    )  # fmt: skip
    n = len(waves)
    known = {(pair.first, pair.second) for pair in pairs}
    for change, apply in CHANGES.items():
        copies = [landmarks(apply(wave)) for wave in waves]
        found = {
            (pair.first, pair.second - n)
            for pair in near_duplicates([*prints, *copies])
            if pair.second >= n > pair.first
        }
        right = sum((place, place) in found for place in range(n))
        other = {(one, other) for one, other in found if one != other and tuple(sorted((one, other))) not in known}
        say(name=name, change=change, copies=n, found=right, false_alarms=len(other), pairs=n * (n - 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of emodb, nemo and ravdess")
    parser.add_argument("--utterances", type=int, default=40_000, help="made-up ones")
    arguments = parser.parse_args()
    speech: dict[str, list[Wave]] = {}
    for name in CORPORA if arguments.data else ():
        files = sorted(path for path in (arguments.data / name).rglob("*") if path.suffix in (".flac", ".wav"))
        speech[name] = [prepare(path.stem, path, min_duration_s=0.1).waveform for path in files]
    draws = np.random.default_rng(0)
    made_up(
        [wave for of_one in speech.values() for wave in of_one] or [made_up_wave(draws) for _ in range(400)],
        arguments.utterances,
    )
    for name, waves in speech.items():
        if waves:
            real(name, waves)


if __name__ == "__main__":
    main()
