"""The one door for untrusted audio files: what comes out is 16 kHz, mono, finite and long enough.

WAV, AIFF, FLAC, Ogg, AU and NIST SPHERE files of any sample rate, sample format and number of channels are
read. Channels are averaged, other rates resampled with soxr (HQ). Anything else is an `AudioError` whose
message is the reason given in ``rejected.csv``.
"""

import io
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from serflow.errors import AudioError

SAMPLE_RATE = 16000
MIN_DURATION_S = 0.1
CUT_TOLERANCE_S = 0.05

_BLOCK_FRAMES = 1 << 18
_RATES_HZ = (4000, 768000)
_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"fLaC", b"OggS", b"NIST", b".snd")
# byte order and sample chunk of the formats whose header says how many bytes of samples follow
_CHUNKED = {b"RIFF": ("<I", b"data"), b"RIFX": (">I", b"data"), b"FORM": (">I", b"SSND")}
# sox writes 0x7ffff000 and ffmpeg 0xffffffff when they cannot go back to fill in the size
_STREAMING_SIZE = 0x7FFFF000

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded utterance.

    ``waveform`` is ``(n_samples,)`` float32 at 16 kHz, full scale 1; the other fields describe the file it came
    from (``source_rate`` in Hz, ``source_subtype`` in libsndfile's words, e.g. ``PCM_16``).
    """

    waveform: FloatArray
    source_rate: int
    source_channels: int
    source_subtype: str


def _check_header(handle: io.FileIO) -> None:
    head = handle.read(64)
    if not head:
        raise AudioError("empty file (0 bytes)")
    if head.startswith(b"version https://git-lfs"):
        raise AudioError("a Git LFS pointer, not the audio itself; run `git lfs pull` in the corpus folder")
    if not head.startswith(_MAGIC):
        raise AudioError("not an audio file that can be read (no WAV, AIFF, FLAC, Ogg, AU or NIST SPHERE header)")


def _sample_chunk(handle: io.FileIO) -> tuple[int, int] | None:
    """Return position and announced size in bytes of the sample chunk; ``None`` where the format has none."""
    handle.seek(0)
    magic = handle.read(4)
    if magic not in _CHUNKED:
        return None
    order, wanted = _CHUNKED[magic]
    handle.seek(12)
    while len(header := handle.read(8)) == 8:
        size: int = struct.unpack(order, header[4:])[0]
        if header[:4] == wanted:
            return handle.tell(), size
        handle.seek(size + size % 2, os.SEEK_CUR)
    raise AudioError("truncated: the file ends before its samples begin")


def _whole_file(handle: io.FileIO) -> int | BinaryIO:
    """Return what soundfile may open, after checking that the file holds the bytes its header announces.

    This is the file descriptor and not the name, which soundfile would take into account (``.raw``).

    A sample chunk of size 0 with bytes behind it was written by a streaming program that never filled the size
    in; libsndfile would read no samples from it, so the size is filled in here.
    """
    chunk = _sample_chunk(handle)
    if chunk is not None:
        position, announced = chunk
        present = handle.seek(0, os.SEEK_END) - position
        if present < announced < _STREAMING_SIZE:
            raise AudioError(f"truncated: the header announces {announced} bytes of samples, the file holds {present}")
        if announced == 0 and present > 0:
            handle.seek(0)
            content = bytearray(handle.read())
            content[position - 4 : position] = b"\xff\xff\xff\xff"
            return io.BytesIO(content)
    handle.seek(0)
    return handle.fileno()


def _cut(source: soundfile.SoundFile, start: float | None, end: float | None) -> tuple[int, int]:
    """Return first frame and number of frames of the part between ``start`` and ``end`` (s)."""
    duration = source.frames / source.samplerate
    first_s = 0.0 if start is None else start
    last_s = duration if end is None else end
    if not first_s < last_s:
        raise AudioError(f"end {last_s:g} s is not after start {first_s:g} s")
    if first_s < -CUT_TOLERANCE_S or last_s > duration + CUT_TOLERANCE_S:
        raise AudioError(f"{first_s:g} to {last_s:g} s lies outside the file, which is {duration:.3f} s long")
    first = max(0, round(first_s * source.samplerate))
    last = min(source.frames, round(last_s * source.samplerate))
    return first, last - first


def _read_mono(source: soundfile.SoundFile, first: int, n_frames: int) -> FloatArray:
    """Read ``n_frames`` from ``first`` on and average the channels, block by block.

    16-bit samples are scaled here: libsndfile takes longer to give the same floats.
    """
    if first:
        source.seek(first)
    is_pcm16 = source.subtype == "PCM_16"
    blocks: list[FloatArray] = []
    left = n_frames
    while left:
        block = source.read(min(left, _BLOCK_FRAMES), dtype="int16" if is_pcm16 else "float32", always_2d=True)
        if not len(block):
            raise AudioError(f"truncated: {n_frames - left} of {n_frames} frames could be read")
        left -= len(block)
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float64)
        scale = np.float32(1 / 32768 if is_pcm16 else 1)
        blocks.append(np.multiply(mono, scale, dtype=np.float32, casting="same_kind"))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _check_duration(n_frames: int, rate: int, min_duration_s: float, max_duration_s: float | None) -> None:
    duration = n_frames / rate
    if n_frames == 0:
        raise AudioError("holds no samples")
    if duration < min_duration_s:
        raise AudioError(f"too short: {duration:.4f} s, at least {min_duration_s:g} s are needed")
    if max_duration_s is not None and duration > max_duration_s:
        raise AudioError(f"too long: {duration:.1f} s, at most {max_duration_s:g} s are allowed")


def _decode_opened(
    opened: int | BinaryIO,
    start: float | None,
    end: float | None,
    min_duration_s: float,
    max_duration_s: float | None,
) -> Decoded:
    with soundfile.SoundFile(opened, closefd=False) as source:
        rate, channels, subtype = source.samplerate, source.channels, source.subtype
        if not _RATES_HZ[0] <= rate <= _RATES_HZ[1]:
            raise AudioError(f"sample rate {rate} Hz lies outside {_RATES_HZ[0]} to {_RATES_HZ[1]} Hz")
        if source.frames == 0:
            raise AudioError("holds no samples")
        first, n_frames = _cut(source, start, end)
        _check_duration(n_frames, rate, min_duration_s, max_duration_s)
        mono = _read_mono(source, first, n_frames)
    if not np.isfinite(mono).all():
        raise AudioError("holds samples that are NaN or infinite")
    if mono.min() == mono.max():
        raise AudioError("digital silence: every sample has the same value")
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
        if not np.isfinite(mono).all():
            raise AudioError("holds samples too large to resample")
    return Decoded(mono, rate, channels, subtype)


def decode(
    path: str | os.PathLike[str],
    start: float | None = None,
    end: float | None = None,
    *,
    min_duration_s: float = MIN_DURATION_S,
    max_duration_s: float | None = None,
) -> Decoded:
    """Decode an audio file, or the part of it between ``start`` and ``end``, to 16 kHz mono.

    Parameters
    ----------
    path
        A file in any format that the module's docstring names; its name does not matter.
    start, end
        Limits in s of an utterance within a longer file; only that part is read. Up to 0.05 s outside the file
        are forgiven, for labels are rounded.
    min_duration_s, max_duration_s
        Shortest and longest utterance accepted, in s.

    Raises
    ------
    AudioError
        If the file is absent, is not audio, is truncated or damaged, holds no samples, NaN, infinity or
        digital silence, is too short or too long, or does not reach from ``start`` to ``end``.
    """
    source = Path(path)
    try:
        if not source.is_file():
            raise AudioError("no such file" if not source.exists() else "not a regular file")
        with open(source, "rb", buffering=0) as handle:
            _check_header(handle)
            return _decode_opened(_whole_file(handle), start, end, min_duration_s, max_duration_s)
    except OSError as error:
        raise AudioError(f"cannot be read: {error.strerror or error}") from error
    except soundfile.SoundFileError as error:
        raise AudioError(f"truncated or damaged: {str(error).strip()}") from error
