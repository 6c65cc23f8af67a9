"""What the header of an audio file announces, against what the file holds.

libsndfile cuts what a header announces down to what is there, so that a truncated file would pass as a whole one;
this module notices. Formats are told by content. Of those that libsndfile reads, PAF, PVF, IRCAM and XI do not say how
long they are (`WITHOUT_LENGTH`): nobody can tell whether their end is missing. FLAC says it in samples,
and reading notices; HTK is not recognised with another length than it says.

Sources: the formats' specifications (RIFF, EBU Tech 3306 RF64, AIFF, Apple CAF, RFC 3533 Ogg, RFC 9639 FLAC,
ISO 11172-3 MPEG audio, ID3v2.4) and libsndfile's documentation.
"""

import io
import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from serflow.audio._mpeg import check_mpeg
from serflow.errors import AudioError

WITHOUT_LENGTH = ("PAF", "PVF", "IRCAM", "XI")
EXCESS_BYTES = 48
"""What a header may announce more than there is: writers count the header itself, of 44 bytes, with the samples."""

# sox writes 0x7ffff000 and ffmpeg 0xffffffff when they cannot go back to fill in the size
_STREAMING_SIZE = 0x7FFFF000
_OGG_PAGE_BYTES = 65307
_FLAC_FRAME_BYTES = 10


@dataclass(frozen=True, slots=True)
class Samples:
    """Where the samples of a file lie.

    ``size`` is what the header announces, in bytes, or None where it was written before its writer knew.
    ``field`` is where in the header the size stands and how it is packed, where libsndfile needs it filled in;
    ``plus`` what is counted with the samples. ``last``: what follows is no part of the format.
    """

    position: int
    size: int | None
    field: tuple[int, str] | None = None
    plus: int = 0
    last: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What soundfile may open, and how many bytes of samples (`EXCESS_BYTES` at most) it lacks."""

    source: "int | Part"
    lacks: int


class Part(io.RawIOBase):
    """Bytes ``first`` to ``end`` of a file, as a file of its own, with some bytes replaced.

    Parameters
    ----------
    descriptor
        Of the open file; it stays open.
    first, end
        Limits in bytes.
    replaced
        Bytes by their position in the part.
    """

    def __init__(self, descriptor: int, first: int, end: int, replaced: Mapping[int, bytes] | None = None) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._first, self._size = first, end - first
        self._replaced = replaced or {}
        self._at = 0

    def seekable(self) -> bool:
        """Say that `seek` works."""
        return True

    def readable(self) -> bool:
        """Say that `read` works."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, as files do."""
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer`` as far as bytes are left, and return how many were read."""
        wanted = max(0, min(len(buffer), self._size - self._at))
        block = bytearray(os.pread(self._descriptor, wanted, self._first + self._at))
        for position, content in self._replaced.items():
            for offset, value in enumerate(content, start=position - self._at):
                if 0 <= offset < len(block):
                    block[offset] = value
        buffer[: len(block)] = block
        self._at += len(block)
        return len(block)


def _unpack(file: BinaryIO, position: int, layout: str) -> tuple[int, ...]:
    """Return numbers that stand in the header at ``position``.

    Raises
    ------
    AudioError
        If the file ends before.
    """
    n_bytes = struct.calcsize(layout)
    if position + n_bytes > _size(file):
        raise AudioError("truncated: the file ends within its header")
    file.seek(position)
    return struct.unpack(layout, file.read(n_bytes))


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _chunks(
    file: BinaryIO, first: int, layout: str, align: int, inclusive: bool = False
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, position of the content and announced size of each chunk; of W64, sizes are ``inclusive``."""
    head = struct.Struct(layout)
    at, end = first, _size(file)
    while at + head.size <= end:
        file.seek(at)
        name, size = head.unpack(file.read(head.size))
        at += head.size
        content_size = size - head.size if inclusive else size
        yield name[:4], at, content_size
        at += max(0, content_size + -content_size % align)


def _ends_before_samples() -> AudioError:
    return AudioError("truncated: the file ends before its samples begin")


def _are_chunks(file: BinaryIO, first: int, layout: str) -> bool:
    """Say whether what begins at ``first`` is a row of chunks up to the end of the file, not samples."""
    end = _size(file)
    at = first
    for name, position, size in _chunks(file, first, layout, 2):
        if not re.fullmatch(rb"[ -~]{4}", name) or position + size > end:
            return False
        at = position + size + size % 2
    return at >= end


def _riff(file: BinaryIO, order: str = "<") -> Samples:
    layout = f"{order}4sI"
    for name, position, size in _chunks(file, 12, layout, 2):
        if name == b"data":
            empty = size == 0 and _are_chunks(file, position, layout)
            said = size < _STREAMING_SIZE and (size > 0 or empty)
            return Samples(position, size if said else None, (position - 4, f"{order}I"))
    raise _ends_before_samples()


def _rf64(file: BinaryIO) -> Samples:
    # the chunk ds64 comes first; its second number is the size of the samples
    (said,) = _unpack(file, 28, "<Q")
    for name, position, size in _chunks(file, 12, "<4sI", 2):
        if name == b"data":
            field, announced = ((28, "<Q"), said) if size == 0xFFFFFFFF else ((position - 4, "<I"), size)
            return Samples(position, announced if 0 < announced < 1 << 62 else None, field)
    raise _ends_before_samples()


def _w64(file: BinaryIO) -> Samples:
    for name, position, size in _chunks(file, 40, "<16sQ", 8, inclusive=True):
        if name == b"data":
            return Samples(position, size if 0 < size < 1 << 62 else None, last=True)
    raise _ends_before_samples()


def _form(file: BinaryIO) -> Samples:
    for name, position, size in _chunks(file, 12, ">4sI", 2):
        if name == b"SSND":  # two numbers stand before the samples
            return Samples(position + 8, size - 8 if 8 <= size < _STREAMING_SIZE else None)
        if name == b"BODY":
            return Samples(position, size, last=True)
    raise _ends_before_samples()


def _caf(file: BinaryIO) -> Samples:
    for name, position, size in _chunks(file, 8, ">4sq", 1):
        if name == b"data":  # a count of edits stands before the samples
            return Samples(position + 4, size - 4 if size >= 4 else None, (position - 8, ">q"), plus=4)
    raise _ends_before_samples()


def _au(file: BinaryIO, order: str = ">") -> Samples:
    position, size = _unpack(file, 4, f"{order}II")
    return Samples(position, size if 0 < size < _STREAMING_SIZE else None, (8, f"{order}I"), last=True)


def _nist(file: BinaryIO) -> Samples | None:
    file.seek(0)
    head = file.read(1024)
    numbers = {name: int(value) for name, value in re.findall(rb"(?m)^(\w+) -i (\d{1,15})\s*$", head)}
    start = re.match(rb"NIST_1A\s+(\d{1,9})\s", head)
    if start is None or b"shorten" in head or b"wavpack" in head:
        return None
    # libsndfile writes that a sample has two bytes where these have one
    n_bytes = 1 if re.search(rb"sample_coding -s\d+ (ulaw|mu-law|alaw)", head) else numbers.get(b"sample_n_bytes", 2)
    size = numbers.get(b"sample_count", 0) * numbers.get(b"channel_count", 1) * n_bytes
    return Samples(int(start[1]), size or None, last=True)


def _avr(file: BinaryIO) -> Samples:
    stereo, bits, _, _, _, _, frames = _unpack(file, 12, ">HHHHHII")
    return Samples(128, frames * (2 if stereo else 1) * (bits // 8), last=True)


def _voc(file: BinaryIO) -> Samples:
    (position,) = _unpack(file, 20, "<H")
    end = position
    file.seek(end)
    while file.read(1) not in (b"", b"\0"):
        low, high = _unpack(file, end + 1, "<HB")
        end += 4 + low + (high << 16)
        file.seek(end)
    return Samples(position, end - position)


def _wve(file: BinaryIO) -> Samples:
    return Samples(32, _unpack(file, 18, ">I")[0], last=True)


def _mpc(file: BinaryIO) -> Samples:
    channels, _, _, frames = _unpack(file, 21, "<B3I")[0] + 1, *_unpack(file, 22, "<3I")
    return Samples(42, frames * channels * 2, last=True)


def _mat4(file: BinaryIO, order: str) -> Samples | None:
    # two matrices: the sample rate, then the samples; type 10 P is float64, float32, int32, int16, uint16, uint8 by P
    at = 0
    for _ in range(2):
        kind, rows, columns, _, name = _unpack(file, at, f"{order}5I")
        width = (8, 4, 4, 2, 2, 1)[min(kind // 10 % 10, 5)]
        position, size = at + 20 + name, rows * columns * width
        at = position + size
    return Samples(position, size)


def _mat5(file: BinaryIO) -> Samples:
    order = ">" if _unpack(file, 126, ">H")[0] == 0x4D49 else "<"
    at, end = 128, _size(file)
    position = size = 0
    while at + 8 <= end:
        kind, n_bytes = _unpack(file, at, f"{order}II")
        if kind == 0:
            break
        position, size = at + 8, n_bytes
        at = position + size
    return Samples(position, size, last=True)


def _sds(file: BinaryIO) -> Samples:
    # numbers have 7 bits a byte, the lowest first; packets of 127 bytes hold 120 of samples
    bits, _, _, _, low, middle, high = _unpack(file, 6, ">7B")
    n_samples = low | middle << 7 | high << 14
    a_packet = 120 // max(2, -(-bits // 7))
    return Samples(21, -(-n_samples // a_packet) * 127, last=True)


def _flac(file: BinaryIO) -> None:
    """Refuse a file that announces more samples than its bytes can hold: memory is not to be kept for them."""
    _, largest = _unpack(file, 8, ">HH")
    announced = _unpack(file, 18, ">Q")[0] & (1 << 36) - 1
    present = _size(file)
    if announced > present // _FLAC_FRAME_BYTES * max(largest, 1):
        raise AudioError(f"truncated: the header announces {announced} samples, more than {present} bytes can hold")


def _ogg(file: BinaryIO) -> None:
    """Refuse a file whose last page is cut, or is not marked as the last one of its stream."""
    end = _size(file)
    first = max(0, end - 2 * _OGG_PAGE_BYTES)
    file.seek(first)
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27 or len(tail) < at + 27 + tail[at + 26]:
        raise AudioError("truncated: the file ends within a page of Ogg")
    n_segments = tail[at + 26]
    announced = 27 + n_segments + sum(tail[at + 27 : at + 27 + n_segments])
    if len(tail) - at < announced:
        raise AudioError(f"truncated: the last page announces {announced} bytes, the file holds {len(tail) - at}")
    if not tail[at + 5] & 4:
        raise AudioError("truncated: the last page of Ogg is not marked as the end of the stream")


_FORMATS: tuple[tuple[bytes, Callable[[BinaryIO], Samples | None]], ...] = (
    (b"RIFF", _riff),
    (b"RIFX", lambda file: _riff(file, ">")),
    (b"RF64", _rf64),
    (b"riff\x2e\x91\xcf\x11", _w64),
    (b"FORM", _form),
    (b"caff", _caf),
    (b".snd", _au),
    (b"dns.", lambda file: _au(file, "<")),
    (b"NIST_1A", _nist),
    (b"2BIT", _avr),
    (b"Creative Voice File\x1a", _voc),
    (b"ALawSoundFile**", _wve),
    (b"\x01\x04", _mpc),
    (b"\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0", lambda file: _mat4(file, "<")),
    (b"\0\0\x03\xe8\0\0\0\x01\0\0\0\x01\0\0\0\0", lambda file: _mat4(file, ">")),
    (b"MATLAB 5.0 ", _mat5),
    (b"\xf0\x7e", _sds),
    (b"fLaC", _flac),
    (b"OggS", _ogg),
    (b"\xff", check_mpeg),
)


def _skip_id3(file: BinaryIO) -> int:
    """Return where the audio begins behind tags of ID3v2 and the zeros that may follow them."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or any(byte > 127 for byte in head[6:]):
            break
        at += 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + (10 if head[5] & 0x10 else 0)
    if at:
        file.seek(at)
        while (block := file.read(4096)) and not block.strip(b"\0"):
            at += len(block)
        at += len(block) - len(block.lstrip(b"\0"))
    return at


def _find_samples(file: BinaryIO) -> Samples | None:
    file.seek(0)
    head = file.read(64)
    for magic, find in _FORMATS:
        if head.startswith(magic):
            return find(file)
    return None


def whole_file(descriptor: int) -> Content:
    """Return what soundfile may open, after checking that the file holds what its header announces.

    This is the descriptor and not the file's name, which soundfile would take into account (``.raw``), or a `Part`
    where a tag stands in front, where the size of the samples has to be filled in, and where something follows them
    that libsndfile would take for more of them.

    Raises
    ------
    AudioError
        If the end of the file is missing.
    """
    end = os.fstat(descriptor).st_size
    begin = _skip_id3(io.BufferedReader(Part(descriptor, 0, end)))
    if begin >= end:
        raise AudioError("truncated: the file ends within the ID3 tag in front of its audio")
    samples = _find_samples(io.BufferedReader(Part(descriptor, begin, end)))
    replaced: dict[int, bytes] = {}
    whole = end
    lacks = 0
    if samples is not None:
        present = max(0, end - begin - samples.position)
        announced = present if samples.size is None else samples.size
        lacks = max(0, announced - present)
        if lacks > EXCESS_BYTES or (announced > 0 and not present):
            raise AudioError(f"truncated: the header announces {announced} bytes of samples, the file holds {present}")
        if samples.field is not None and (samples.size is None or lacks):
            position, layout = samples.field
            largest = (1 << 8 * struct.calcsize(layout) - 1) - 1
            replaced[position] = struct.pack(layout, min(present + samples.plus, largest))
        if samples.last and announced < present:
            whole = begin + samples.position + announced
    if begin == 0 and whole == end and not replaced:
        os.lseek(descriptor, 0, os.SEEK_SET)
        return Content(descriptor, lacks)
    return Content(Part(descriptor, begin, whole, replaced), lacks)
