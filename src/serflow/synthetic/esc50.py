"""A stand-in for ESC-50: synthesised sounds of its natural, human and interior groups, with a few of the others.

Each class is a small recipe of filtered noise, clicks, chirps or voiced bursts. Sounds of a group share the
background of the place where they would be recorded: outdoor air, a vocal tract, mains hum.
"""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import soundfile
from numpy.typing import NDArray

from serflow.files import write_text
from serflow.progress import progress
from serflow.synthetic.options import check_options
from serflow.synthetic.speech import generator

Signal = NDArray[np.float64]
Recipe = Callable[[np.random.Generator], Signal]

SAMPLE_RATE = 44100
LENGTH = 5 * SAMPLE_RATE
FOLDS = 5
SILENT_TAIL_SHARE = 0.2
BACKGROUND_DB = -22.0
MICROPHONE_DB = -38.0
_TIME = np.arange(LENGTH) / SAMPLE_RATE
_ESC10 = {0, 1, 10, 11, 12, 20, 21, 38, 40, 41}


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the stand-in: clips of each class in each of the five folds, and the seed."""

    seed: int = 0
    clips_per_class_and_fold: int = 1

    @classmethod
    def parse(cls, values: Any) -> "Options":
        """Check options as they stand in the configuration; raises `ConfigError`."""
        return cls(
            **check_options(asdict(cls()), values, "the synthetic ESC-50", positive=("clips_per_class_and_fold",))
        )


def _band(rng: np.random.Generator, low_hz: float, high_hz: float, db_per_octave: float = 0.0) -> Signal:
    """Gaussian noise between two frequencies, of unit RMS."""
    spectrum = np.zeros(LENGTH // 2 + 1, dtype=np.complex128)
    low, high = (int(hz * LENGTH / SAMPLE_RATE) for hz in (low_hz, high_hz))
    band = rng.standard_normal(high - low) + 1j * rng.standard_normal(high - low)
    if db_per_octave:
        band *= np.arange(low, high) ** (db_per_octave / (20.0 * np.log10(2.0)))
    spectrum[low:high] = band
    return _unit(scipy.fft.irfft(spectrum, LENGTH))


def _unit(x: Signal) -> Signal:
    return np.asarray(x / (np.sqrt(np.mean(x**2)) + 1e-12))


def _swell(rng: np.random.Generator, rate_hz: float, depth: float) -> Signal:
    """Return a slow periodic envelope between ``1 - depth`` and 1."""
    phase = 2.0 * np.pi * (rate_hz * rng.uniform(0.8, 1.25) * _TIME + rng.uniform())
    return np.asarray(1.0 - depth * (0.5 + 0.5 * np.cos(phase)))


def _moments(rng: np.random.Generator, per_s: float, jitter: float = 1.0) -> Signal:
    """Return times (s) of events: regular at ``jitter`` 0, random at 1. There is always one in the first second."""
    regular = np.arange(rng.uniform(0.05, 0.6), 4.8, 1.0 / per_s)
    moved = regular + jitter * rng.uniform(-0.5, 0.5, regular.size) / per_s
    return np.sort(np.clip(moved, 0.02, 4.85))


def _place(moments: Signal, event: Callable[[int], Signal]) -> Signal:
    """Add ``event(i)`` at each moment."""
    x = np.zeros(LENGTH)
    for i, moment in enumerate(moments):
        start = int(moment * SAMPLE_RATE)
        sound = event(i)[: LENGTH - start]
        x[start : start + sound.size] += sound
    return x


def _damped(rng: np.random.Generator, hz: float, decay_s: float, bend: float = 0.0) -> Signal:
    """Return a struck resonance that dies away; ``bend`` is its rise in pitch (share of ``hz`` per decay time)."""
    t = np.arange(int(6 * decay_s * SAMPLE_RATE) + 1) / SAMPLE_RATE
    phase = 2.0 * np.pi * hz * (t + 0.5 * bend * t**2 / decay_s)
    return np.asarray(rng.uniform(0.5, 1.0) * np.exp(-t / decay_s) * np.sin(phase))


def _burst(noise: Signal, rng: np.random.Generator, attack_s: float, decay_s: float) -> Signal:
    """Cut a piece of ``noise`` with a linear attack and an exponential decay."""
    t = np.arange(int((attack_s + 5 * decay_s) * SAMPLE_RATE)) / SAMPLE_RATE
    start = int(rng.integers(0, LENGTH - t.size))
    envelope = np.minimum(t / attack_s, np.exp(-np.maximum(t - attack_s, 0.0) / decay_s))
    return np.asarray(rng.uniform(0.6, 1.0) * envelope * noise[start : start + t.size])


def _harmonics(f0: Signal, rolloff_db: float, top_hz: float = 5000.0) -> Signal:
    """Return a harmonic tone with the f0 course ``f0`` (Hz), each octave ``rolloff_db`` weaker."""
    fundamental = np.exp(2j * np.pi * np.cumsum(f0) / SAMPLE_RATE)
    partial, tone = np.ones(LENGTH, dtype=np.complex128), np.zeros(LENGTH)
    for k in range(1, min(12, int(top_hz / f0.max())) + 1):
        partial *= fundamental
        tone += 10.0 ** (rolloff_db * np.log2(k) / 20.0) * partial.imag
    return _unit(tone)


def _hum(f0_hz: float, rolloff_db: float, top_hz: float = 5000.0) -> Signal:
    """Return a harmonic tone of constant f0 (to 0.2 Hz), each octave ``rolloff_db`` weaker."""
    spectrum = np.zeros(LENGTH // 2 + 1, dtype=np.complex128)
    order = np.arange(1, int(top_hz / f0_hz) + 1)
    spectrum[order * round(f0_hz * LENGTH / SAMPLE_RATE)] = -1j * order ** (rolloff_db / (20.0 * np.log10(2.0)))
    return _unit(scipy.fft.irfft(spectrum, LENGTH))


def _voiced(rng: np.random.Generator, f0_hz: float, per_s: float, vibrato: float) -> Signal:
    """Return bursts of a voice."""
    f0 = f0_hz * rng.uniform(0.9, 1.1) * (1.0 + vibrato * np.sin(2.0 * np.pi * 5.5 * _TIME + rng.uniform(0.0, 6.0)))
    return _harmonics(f0, -6.0) * np.clip(_swell(rng, per_s, 1.0) * 1.6 - 0.5, 0.0, 1.0)


def _bursts(rng: np.random.Generator, per_s: float, band: tuple[float, float], attack: float, decay: float) -> Signal:
    noise = _band(rng, *band)
    return _place(_moments(rng, per_s, 0.5), lambda _: _burst(noise, rng, attack, decay))


def _clicks(rng: np.random.Generator, per_s: float, hz: float, decay_s: float, jitter: float) -> Signal:
    return _place(_moments(rng, per_s, jitter), lambda _: _damped(rng, hz * rng.uniform(0.85, 1.15), decay_s))


def _crickets(rng: np.random.Generator) -> Signal:
    pulses = np.clip(np.sin(2.0 * np.pi * rng.uniform(22.0, 30.0) * _TIME), 0.0, 1.0)
    return np.asarray(np.sin(2.0 * np.pi * rng.uniform(4000.0, 5200.0) * _TIME) * pulses * _swell(rng, 1.2, 0.9))


def _birds(rng: np.random.Generator) -> Signal:
    t = np.arange(int(0.12 * SAMPLE_RATE)) / SAMPLE_RATE
    low = rng.uniform(2500.0, 4500.0)

    def chirp(_: int) -> Signal:
        sweep = low * t + rng.uniform(-8000.0, 12000.0) * t**2 / 2.0
        return np.asarray(np.hanning(t.size) * np.sin(2.0 * np.pi * sweep))

    return _place(_moments(rng, 5.0), chirp)


def _creaks(rng: np.random.Generator) -> Signal:
    rate = 60.0 + 90.0 * _swell(rng, 0.4, 1.0)
    stick_slip = np.modf(np.cumsum(rate) / SAMPLE_RATE)[0] - 0.5
    return stick_slip * _swell(rng, 0.5, 1.0) + 0.2 * _harmonics(rate * 6.0, -3.0)


def _beeps(rng: np.random.Generator) -> Signal:
    on = (np.modf(_TIME * 8.0)[0] < 0.5) & (np.modf(_TIME)[0] < 0.5)
    return np.asarray(np.sin(2.0 * np.pi * rng.uniform(1900.0, 2400.0) * _TIME) * on)


def _glass(rng: np.random.Generator) -> Signal:
    partials = rng.uniform(2500.0, 9000.0, 12)
    burst = _bursts(rng, 0.4, (2000.0, 12000.0), 0.002, 0.05)
    return burst + _place(_moments(rng, 3.0), lambda i: _damped(rng, partials[i % 12], 0.12))


# Target: category and recipe, of the classes that make up the groups of the noise conditions.
_NATURAL: dict[int, tuple[str, Recipe]] = {
    10: ("rain", lambda g: _band(g, 800, 12000) + 0.5 * _clicks(g, 40.0, 3500.0, 0.004, 1.0)),
    11: ("sea_waves", lambda g: _band(g, 100, 9000, -3.0) * _swell(g, 0.22, 0.9)),
    12: ("crackling_fire", lambda g: 0.3 * _band(g, 60, 1500, -6.0) + 2.0 * _clicks(g, 14.0, 5000.0, 0.003, 1.0)),
    13: ("crickets", _crickets),
    14: ("chirping_birds", _birds),
    15: ("water_drops", lambda g: _place(_moments(g, 2.5), lambda _: _damped(g, g.uniform(900, 2200), 0.03, 0.15))),
    16: ("wind", lambda g: _band(g, 80, 1200, -4.0) * _swell(g, 0.35, 0.7)),
    17: ("pouring_water", lambda g: _band(g, 600, 7000) * _swell(g, 6.0, 0.3)),
    18: ("toilet_flush", lambda g: _band(g, 300, 8000, -2.0) * np.exp(-_TIME / 2.5)),
    19: ("thunderstorm", lambda g: _bursts(g, 0.6, (30, 500), 0.1, 0.35) + 0.15 * _band(g, 1000, 10000)),
}
_HUMAN: dict[int, tuple[str, Recipe]] = {
    20: ("crying_baby", lambda g: _voiced(g, 440.0, 0.9, 0.05)),
    21: ("sneezing", lambda g: _bursts(g, 0.5, (900, 5000), 0.03, 0.12)),
    22: ("clapping", lambda g: _bursts(g, 5.0, (900, 3000), 0.001, 0.015)),
    23: ("breathing", lambda g: _band(g, 350, 2500) * _swell(g, 0.6, 1.0)),
    24: ("coughing", lambda g: _bursts(g, 1.8, (300, 2800), 0.008, 0.07)),
    25: ("footsteps", lambda g: _bursts(g, 1.9, (150, 1200), 0.003, 0.04)),
    26: ("laughing", lambda g: _voiced(g, 260.0, 5.0, 0.03)),
    27: ("brushing_teeth", lambda g: _band(g, 1500, 5000) * _swell(g, 5.0, 0.9)),
    28: ("snoring", lambda g: _hum(g.uniform(45, 75), -3.0, 1500.0) * _swell(g, 0.5, 1.0)),
    29: ("drinking_sipping", lambda g: _bursts(g, 1.2, (700, 3500), 0.08, 0.06)),
}
_INTERIOR: dict[int, tuple[str, Recipe]] = {
    30: ("door_wood_knock", lambda g: _clicks(g, 3.5, 240.0, 0.03, 0.2)),
    31: ("mouse_click", lambda g: _clicks(g, 1.5, 3800.0, 0.002, 0.8)),
    32: ("keyboard_typing", lambda g: _clicks(g, 7.0, 2600.0, 0.004, 0.9)),
    33: ("door_wood_creaks", _creaks),
    34: ("can_opening", lambda g: _bursts(g, 0.5, (4000, 14000), 0.004, 0.2) + _clicks(g, 1.0, 1800.0, 0.008, 1.0)),
    35: ("washing_machine", lambda g: _hum(50.0, -4.0, 800.0) * _swell(g, 2.0, 0.4)),
    36: (
        "vacuum_cleaner",
        lambda g: _hum(g.uniform(180, 260), -2.0) + _band(g, 200, 6000, -2.0),
    ),
    37: ("clock_alarm", _beeps),
    38: ("clock_tick", lambda g: _clicks(g, 2.0, 3200.0, 0.006, 0.0)),
    39: ("glass_breaking", _glass),
}
_OTHERS: dict[int, tuple[str, Recipe]] = {
    0: ("dog", lambda g: _voiced(g, 480.0, 1.6, 0.0)),
    42: ("siren", lambda g: _harmonics(700.0 + 400.0 * _swell(g, 0.4, 1.0), -6.0)),
    44: ("engine", lambda g: _hum(g.uniform(60, 110), -3.0, 2000.0)),
}


def _background(group: int, rng: np.random.Generator) -> Signal:
    if group == 1:
        return _band(rng, 1500, 9000)
    if group == 2:
        return _band(rng, 300, 2500)
    return _unit(_hum(100.0, -1.0, 1200.0) + 0.3 * _band(rng, 60, 600))


def _clip(recipe: Recipe, group: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Make one clip: the sound, its background, a level, and for some a tail of exact zeros."""
    x = _unit(recipe(rng))
    x += 10.0 ** (BACKGROUND_DB / 20.0) * _background(group, rng)
    x += 10.0 ** (MICROPHONE_DB / 20.0) * _band(rng, 40, 18000, -2.0)
    x *= 10.0 ** (-rng.uniform(1.0, 9.0) / 20.0) / np.abs(x).max()
    if rng.random() < SILENT_TAIL_SHARE:
        x[int(rng.uniform(2.0, 4.9) * SAMPLE_RATE) :] = 0.0
    return np.asarray(np.round(x * 32767.0), dtype=np.int16)


def _clip_list(clips_per_class_and_fold: int) -> Iterator[tuple[int, int, int, str, Recipe]]:
    """Yield fold, number, target, category and recipe: the three groups in full, one clip a fold of the others."""
    for fold in range(1, FOLDS + 1):
        for target, (category, recipe) in {**_NATURAL, **_HUMAN, **_INTERIOR}.items():
            for number in range(clips_per_class_and_fold):
                yield fold, number, target, category, recipe
        for target, (category, recipe) in _OTHERS.items():
            yield fold, 0, target, category, recipe


def write(root: Path, options: Options) -> int:
    """Write the sounds and their table, and return the number of clips."""
    rows = []
    clips = list(_clip_list(options.clips_per_class_and_fold))
    (root / "audio").mkdir(parents=True)
    for fold, number, target, category, recipe in progress(clips, len(clips), "making ESC-50 (synthetic)", "clip"):
        source = 900000 + 10000 * fold + 100 * target + number // 26
        take = chr(ord("A") + number % 26)
        name = f"{fold}-{source}-{take}-{target}.wav"
        samples = _clip(recipe, target // 10, generator("stand-in", options.seed, "esc50", name))
        soundfile.write(root / "audio" / name, samples, SAMPLE_RATE, subtype="PCM_16")
        rows.append([name, fold, target, category, target in _ESC10, source, take])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
    writer.writerows(sorted(rows))
    write_text(root / "meta" / "esc50.csv", text.getvalue())
    return len(rows)
