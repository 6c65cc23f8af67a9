"""The one door for untrusted audio files: what comes out is 16 kHz, mono, finite and long enough.

What libsndfile reads is read (WAV, AIFF, FLAC, Ogg, MP3, AU, NIST SPHERE, CAF, W64, RF64, ...), at any sample rate,
sample format and number of channels. Channels are averaged, other rates resampled with soxr (HQ). Anything else is an
`AudioError` whose message is the reason given in ``rejected.csv``. A recording passes block by block, so that memory
does not grow with the file.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from serflow.audio._containers import whole_file
from serflow.errors import AudioError

SAMPLE_RATE = 16000
MIN_DURATION_S = 0.1
MAX_DURATION_S = 3 * 3600.0
CUT_TOLERANCE_S = 0.05
MAX_FLOAT = 16.0
"""Largest sample of a float file, where full scale is 1: 24 dB beyond it."""
MAX_BEYOND_SHARE = 0.2
"""Share of samples beyond full scale that is rejected: rounded to 16 bits, the file would be a square wave."""

_BLOCK_VALUES = 1 << 18
_RATES_HZ = (4000, 768000)
_UNKNOWN_FRAMES = 1 << 62  # libsndfile's SF_COUNT_MAX, of a FLAC written to a pipe
_UNRECOGNISED = 1  # libsndfile's SF_ERR_UNRECOGNISED_FORMAT
_HIGHEST = {"PCM_U8": 127 / 128, "PCM_S8": 127 / 128, "ULAW": 32124 / 32768, "ALAW": 32256 / 32768}
"""Highest sample of formats that end before 16 bits do (ITU-T G.711 for the last two)."""
_SAMPLE_BY_SAMPLE = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

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


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file read from one end to the other: soundfile would seek after each block, which some formats cannot."""

    def seekable(self) -> bool:
        return False


class Recording:
    """An opened file, or the part of one that is wanted; `open_recording` makes it.

    ``rate`` (Hz), ``channels`` and ``subtype`` describe the file. ``clipped_share`` is the share of samples at full
    scale or beyond, once `blocks` is through.
    """

    def __init__(
        self,
        source: soundfile.SoundFile,
        start: float | None,
        end: float | None,
        min_duration_s: float,
        max_duration_s: float,
    ) -> None:
        self.rate, self.channels, self.subtype = source.samplerate, source.channels, source.subtype
        self.clipped_share = 0.0
        self._source = source
        self._min_duration_s, self._max_duration_s = min_duration_s, max_duration_s
        if not _RATES_HZ[0] <= self.rate <= _RATES_HZ[1]:
            raise AudioError(f"sample rate {self.rate} Hz lies outside {_RATES_HZ[0]} to {_RATES_HZ[1]} Hz")
        self._first, self._n_frames = self._cut(start, end)

    @property
    def duration_s(self) -> float | None:
        """Length of what is wanted, in s, as the header has it; None where the header does not say."""
        return None if self._n_frames is None else self._n_frames / self.rate

    def _cut(self, start: float | None, end: float | None) -> tuple[int, int | None]:
        """Return first frame and number of frames (None: up to an end that nobody knows) of the part wanted."""
        n_frames = self._source.frames
        known = n_frames < _UNKNOWN_FRAMES
        if n_frames == 0:
            raise AudioError("holds no samples")
        if not known and end is None:
            if start is not None:
                raise AudioError("a cut without an end, of a file whose header does not say how long it is")
            return 0, None
        duration = n_frames / self.rate
        first_s = 0.0 if start is None else start
        last_s = duration if end is None else end
        if not first_s < last_s:
            raise AudioError(f"end {last_s:g} s is not after start {first_s:g} s")
        if first_s < -CUT_TOLERANCE_S or last_s > duration + CUT_TOLERANCE_S:
            raise AudioError(f"{first_s:g} to {last_s:g} s lies outside the file, which is {duration:.3f} s long")
        first = max(0, round(first_s * self.rate))
        wanted = min(n_frames, round(last_s * self.rate)) - first
        self._check_duration(wanted)
        return first, wanted

    def _check_duration(self, n_frames: int) -> None:
        duration = n_frames / self.rate
        if n_frames == 0:
            raise AudioError("holds no samples")
        if duration < self._min_duration_s:
            raise AudioError(f"too short: {duration:.4f} s, at least {self._min_duration_s:g} s are needed")
        if duration > self._max_duration_s:
            raise AudioError(
                f"too long: {duration:.1f} s, at most {self._max_duration_s:g} s are allowed (audio.max_duration_s)"
            )

    def _read(self, n_frames: int, is_pcm16: bool) -> npt.NDArray[Any]:
        block: npt.NDArray[Any] = self._source.read(n_frames, dtype="int16" if is_pcm16 else "float32", always_2d=True)
        return block

    def _go_to_first(self, block_frames: int, is_pcm16: bool) -> None:
        if not self._first:
            return
        if soundfile.SoundFile.seekable(self._source):
            self._source.seek(self._first)
            return
        left = self._first
        while left and (n_read := len(self._read(min(left, block_frames), is_pcm16))):
            left -= n_read

    def _mono_blocks(self) -> Iterator[FloatArray]:
        """Yield the wanted frames with their channels averaged, at the rate of the file.

        16-bit samples are scaled here: libsndfile takes longer to give the same floats.
        """
        is_pcm16 = self.subtype == "PCM_16"
        scale = np.float32(1 / 32768 if is_pcm16 else 1)
        highest = _HIGHEST.get(self.subtype, 32767 / 32768) * (32768 if is_pcm16 else 1)
        block_frames = max(1, _BLOCK_VALUES // self.channels)
        n_read = n_clipped = n_beyond = 0
        self._go_to_first(block_frames, is_pcm16)
        while self._n_frames is None or n_read < self._n_frames:
            left = block_frames if self._n_frames is None else min(block_frames, self._n_frames - n_read)
            block = self._read(left, is_pcm16)
            if not len(block):
                break
            n_read += len(block)
            # few blocks have any, and two passes tell
            if block.max() >= highest or block.min() <= -highest:
                n_clipped += int(np.count_nonzero((block >= highest) | (block <= -highest)))
                n_beyond += 0 if is_pcm16 else int(np.count_nonzero((block > 1) | (block < -1)))
            if self._n_frames is None and n_read > self._max_duration_s * self.rate:
                self._check_duration(n_read)
            mono = block[:, 0] if self.channels == 1 else block.mean(axis=1, dtype=np.float64)
            yield np.multiply(mono, scale, dtype=np.float32, casting="same_kind")
        if self._n_frames is None:
            self._check_duration(n_read)
        elif n_read < self._n_frames:
            raise AudioError(f"truncated: {n_read} of {self._n_frames} frames could be read")
        self.clipped_share = n_clipped / (n_read * self.channels)
        beyond_share = n_beyond / (n_read * self.channels)
        if beyond_share > MAX_BEYOND_SHARE:
            raise AudioError(
                f"{100 * beyond_share:.0f} % of its samples lie beyond full scale, so that 16 bits would clip it "
                "through and through; lower its level"
            )

    def blocks(self) -> Iterator[FloatArray]:
        """Yield float32 blocks of the recording at 16 kHz, mono, full scale 1.

        Raises
        ------
        AudioError
            If the file ends early, or its samples are not finite, far beyond full scale, or all the same.
        """
        resampler = None
        if self.rate != SAMPLE_RATE:
            resampler = soxr.ResampleStream(self.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        lowest, highest = np.inf, -np.inf
        for mono in self._mono_blocks():
            low, high = float(mono.min()), float(mono.max())
            if not (np.isfinite(low) and np.isfinite(high)):
                raise AudioError("holds samples that are NaN or infinite")
            if max(high, -low) > MAX_FLOAT:
                raise AudioError(
                    f"float samples run to {max(high, -low):.6g} where full scale is 1: probably scaled like 16-bit "
                    "integers by their writer; divide them by 32768"
                )
            lowest, highest = min(lowest, low), max(highest, high)
            yield mono if resampler is None else resampler.resample_chunk(mono)
        if lowest == highest:
            raise AudioError("digital silence: every sample has the same value")
        if resampler is not None:
            yield resampler.resample_chunk(np.empty(0, np.float32), last=True)


def _cannot_be_read(error: OSError) -> AudioError:
    return AudioError(f"cannot be read: {error.strerror or error}")


def _open(path: Path) -> int:
    """Open a regular file and return its descriptor; nothing else is waited for.

    Raises
    ------
    AudioError
        If it is not there, is something else, or cannot be read.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        if path.is_symlink():
            raise AudioError(f"a link to {path.readlink()}, which is not there") from error
        raise AudioError("no such file") from error
    except OSError as error:
        raise _cannot_be_read(error) from error
    except ValueError as error:
        raise AudioError(f"no name of a file: {error}") from error
    for is_kind, name in _KINDS:
        if is_kind(mode):
            raise AudioError(f"not a regular file but {name}")
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _cannot_be_read(error) from error


def _check_content(descriptor: int) -> None:
    head = os.pread(descriptor, 512, 0)
    if not head:
        raise AudioError("empty file (0 bytes)")
    if head.startswith(b"version https://git-lfs"):
        raise AudioError("a Git LFS pointer, not the audio itself; run `git lfs pull` in the corpus folder")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise AudioError("a web page, not the audio itself; download the file again")


def _unreadable(error: soundfile.SoundFileError, descriptor: int) -> AudioError:
    if getattr(error, "code", None) == _UNRECOGNISED:
        head = os.pread(descriptor, 8, 0)
        return AudioError(
            f"not an audio file that can be read (no format of libsndfile begins with {head!r}); if it is audio, "
            "convert it to WAV or FLAC"
        )
    told = str(getattr(error, "error_string", error)).strip()
    if "nimplemented" in told or "nsupported" in told:
        return AudioError(f"an encoding that libsndfile does not read ({told}); convert it to WAV or FLAC")
    return AudioError(f"truncated or damaged: {told}")


@contextmanager
def open_recording(
    path: str | os.PathLike[str],
    start: float | None = None,
    end: float | None = None,
    *,
    min_duration_s: float = MIN_DURATION_S,
    max_duration_s: float = MAX_DURATION_S,
) -> Iterator[Recording]:
    """Open an audio file, or the part of it between ``start`` and ``end``; parameters and errors are `decode`'s."""
    descriptor = _open(Path(path))
    try:
        _check_content(descriptor)
        content = whole_file(descriptor)
        with _Sequential(content.source, closefd=False) as source:
            if content.lacks and not source.subtype.startswith(_SAMPLE_BY_SAMPLE):
                raise AudioError(f"truncated: {content.lacks} bytes of the last block of {source.subtype} are missing")
            yield Recording(source, start, end, min_duration_s, max_duration_s)
    except OSError as error:
        raise _cannot_be_read(error) from error
    except soundfile.SoundFileError as error:
        raise _unreadable(error, descriptor) from error
    finally:
        os.close(descriptor)


def decode(
    path: str | os.PathLike[str],
    start: float | None = None,
    end: float | None = None,
    *,
    min_duration_s: float = MIN_DURATION_S,
    max_duration_s: float = MAX_DURATION_S,
) -> Decoded:
    """Decode an audio file, or the part of it between ``start`` and ``end``, to 16 kHz mono.

    Parameters
    ----------
    path
        A file in any format that libsndfile reads; its name does not matter.
    start, end
        Limits in s of an utterance within a longer file; only that part is read. Up to 0.05 s outside the file
        are forgiven, for labels are rounded.
    min_duration_s, max_duration_s
        Shortest and longest utterance accepted, in s; a longer one is refused before it is read.

    Raises
    ------
    AudioError
        If the file is absent, is no regular file, is not audio, is truncated or damaged, holds no samples, NaN,
        infinity, samples far beyond full scale or digital silence, is too short or too long, or does not reach from
        ``start`` to ``end``.
    """
    with open_recording(path, start, end, min_duration_s=min_duration_s, max_duration_s=max_duration_s) as recording:
        blocks = list(recording.blocks())
    waveform = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    return Decoded(waveform, recording.rate, recording.channels, recording.subtype)
