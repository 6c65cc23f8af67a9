"""Log-mel of a corpus against librosa: files on disk to features on disk, one thread each, in one run.

Both load each file at 16 kHz, compute the same frames (checked) and write them to the same kind of Parquet file.

``python benchmarks/log_mel.py [--data DIR --corpus emodb]``: DIR holds corpora, DIR/emodb the audio files; FLAC
copies are turned back into the WAV files that their publisher ships, unless ``--flac`` is given. Without ``--data``
200 speech-like WAV files of 2 s are made in a temporary folder. Unit: seconds of audio per second
of processor time. The ratio to the floor tells how much of it goes into decoding and the Fourier transform alone.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import librosa
import numpy as np
import scipy.fft
import soundfile

from _common import best_by_turns, print_comparison, write_speech_like
from serflow.audio.decode import decode
from serflow.features.base import FloatArray
from serflow.features.mfb import DEFAULTS, SAMPLE_RATE, build
from serflow.stores.frames import FrameRow, write_frames

UNIT = "audio-s/s"
N_FFT, HOP = 2048, 160


def our_load(path: Path) -> FloatArray:
    return decode(path).waveform


def librosa_load(path: Path) -> FloatArray:
    waveform: FloatArray = librosa.load(path, sr=SAMPLE_RATE)[0]
    return waveform


def librosa_log_mel(waveform: FloatArray) -> FloatArray:
    emphasised = librosa.effects.preemphasis(waveform, coef=0.97)
    mel = librosa.feature.melspectrogram(
        y=emphasised, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=40, fmin=0, fmax=8000
    )
    frames: FloatArray = np.log(mel + 1e-6).T
    return frames


def end_to_end(
    paths: list[Path], load: Callable[[Path], FloatArray], log_mel: Callable[[FloatArray], FloatArray], out: Path
) -> None:
    write_frames(out, (FrameRow(path.stem, log_mel(load(path))) for path in paths), 40, {"feature": "mfb"})


def floor(paths: list[Path]) -> None:
    """Decode, and transform as many frames as there are; no window, power, bands or file."""
    block = np.zeros((128, N_FFT), np.float32)
    for path in paths:
        n_frames = 1 + len(soundfile.read(path, dtype="float32")[0]) // HOP
        for start in range(0, n_frames, len(block)):
            scipy.fft.rfft(block[: n_frames - start])


def compare(paths: list[Path], folder: Path, name: str) -> None:
    waveforms = [decode(path).waveform for path in paths]
    duration_s = sum(map(len, waveforms)) / SAMPLE_RATE
    feature = build(DEFAULTS)
    difference = max(float(np.abs(feature(x) - librosa_log_mel(x)).max()) for x in waveforms[:20])
    assert difference < 1e-4, f"ours and librosa's differ by {difference}"
    taken = best_by_turns(
        {
            "ours": lambda: end_to_end(paths, our_load, feature, folder / "ours.parquet"),
            "librosa": lambda: end_to_end(paths, librosa_load, librosa_log_mel, folder / "librosa.parquet"),
            "floor": lambda: floor(paths),
            "our transform": lambda: [feature(waveform) for waveform in waveforms],
            "librosa's transform": lambda: [librosa_log_mel(waveform) for waveform in waveforms],
        },
        clock=time.process_time,
    )
    speed = {key: duration_s / seconds for key, seconds in taken.items()}
    print_comparison(f"log-mel end to end, {name}, peer librosa", speed["ours"], speed["librosa"], UNIT)
    print_comparison(
        f"log-mel transform, {name}, peer librosa", speed["our transform"], speed["librosa's transform"], UNIT
    )
    print_comparison(f"log-mel end to end, {name}, peer decoding and FFT alone", speed["ours"], speed["floor"], UNIT)


def restore_wav(paths: list[Path], folder: Path) -> list[Path]:
    """Write FLAC files as 16-bit WAV; other files stay where they are."""
    restored = []
    for path in paths:
        if path.suffix == ".flac":
            samples, rate = soundfile.read(path, dtype="int16")
            path = folder / f"{path.stem}.wav"
            soundfile.write(path, samples, rate, subtype="PCM_16")
        restored.append(path)
    return restored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of corpora")
    parser.add_argument("--corpus", default="emodb", help="folder in it")
    parser.add_argument("--flac", action="store_true", help="read FLAC copies as they are")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if arguments.data is None:
            paths, name = write_speech_like(folder, 200, 2.0), "200 WAV files of 2 s"
        else:
            audio = arguments.data / arguments.corpus
            paths = sorted(path for path in audio.rglob("*") if path.suffix in (".wav", ".flac"))
            name = f"{arguments.corpus}, {len(paths)} files"
            if not paths:
                parser.error(f"{audio}: no .wav or .flac file")
            if not arguments.flac:
                paths = restore_wav(paths, folder)
        compare(paths, folder, name)


if __name__ == "__main__":
    main()
