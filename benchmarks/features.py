"""Every feature against its peer, the store against other files, and memory against the amount of audio.

``python benchmarks/features.py [--data DIR] [--only mel,kaldi,pitch,ge2e,allosaurus,wav2vec,store,memory]``: DIR
holds EmoDB (DIR/emodb); without it, speech-like noise with a voice in it, in utterances of 1.5 to 4 s. One thread, all
contenders in one run on the same audio, by turns; what computes is measured in processor time. One JSON line a
comparison; ``ratio`` is ours over the peer's, so above 1 ours is faster (or, for sizes and memory, larger).
"""

import argparse
import importlib
import tempfile
from pathlib import Path

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import numpy as np

from _common import write_speech_like
from serflow.audio.decode import decode
from serflow.features.base import FloatArray

TOPICS = ("mel", "kaldi", "pitch", "ge2e", "allosaurus", "wav2vec", "store", "memory")
ON_FILES = ("store", "memory")


def real_audio(data: Path, n_files: int) -> list[FloatArray]:
    """Return utterances of EmoDB, evenly picked."""
    paths = sorted(path for path in (data / "emodb").rglob("*") if path.suffix in (".wav", ".flac"))
    if not paths:
        raise SystemExit(f"{data / 'emodb'}: no .wav or .flac file")
    return [decode(path).waveform for path in paths[:: max(1, len(paths) // n_files)]]


def speech_like(n_files: int) -> list[FloatArray]:
    """Return speech-like noise with a voice in it, in utterances of 1.5 to 4 s.

    The voice has ten harmonics of a pitch that glides about one of 100 to 240 Hz, and comes and goes with the bursts.
    """
    with tempfile.TemporaryDirectory() as folder:
        waveforms = [decode(path).waveform for path in write_speech_like(Path(folder), n_files, 4.0)]
    generator = np.random.default_rng(0)
    time = np.arange(64_000) / 16_000
    utterances = []
    for waveform in waveforms:
        pitch_hz = generator.uniform(100, 240) * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * time))
        phase = 2 * np.pi * np.cumsum(pitch_hz) / 16_000
        voice = sum(np.cos(harmonic * phase) / harmonic for harmonic in range(1, 11))
        mixed = 0.1 * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * time)) * voice + 0.2 * waveform
        utterances.append(mixed[: generator.integers(24_000, 64_000)].astype(np.float32))
    return utterances


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds emodb/")
    parser.add_argument("--only", default=",".join(TOPICS), help="topics, separated by commas")
    parser.add_argument("--utterances", type=int, default=60, help="how many (default: %(default)s)")
    arguments = parser.parse_args()
    topics = arguments.only.split(",")
    if unknown := set(topics) - set(TOPICS):
        parser.error(f"no topic {', '.join(sorted(unknown))}; known: {', '.join(TOPICS)}")
    audio = (
        speech_like(arguments.utterances)
        if arguments.data is None
        else real_audio(arguments.data, arguments.utterances)
    )
    for topic in topics:
        if topic in ON_FILES:
            with tempfile.TemporaryDirectory() as folder:
                importlib.import_module(f"_{topic}").compare(Path(folder))
        else:
            importlib.import_module(f"_features_{topic}").compare(audio)


if __name__ == "__main__":
    main()
