"""Frames of MPEG audio (MP3), which say how long each is; ISO 11172-3 and ISO 13818-3, and Xing's header."""

import struct
from typing import BinaryIO

from serflow.errors import AudioError

_TO_320 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_TO_160 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KBITS = {
    (1, 1): tuple(range(32, 449, 32)),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): _TO_320,
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): _TO_160,
    (2, 3): _TO_160,
}
"""Bit rates by version (2.5 counts as 2) and layer."""
_RATES_HZ = (44100, 48000, 32000)
_HAS_FRAMES, _HAS_BYTES = 1, 2


def _frame_bytes(head: bytes) -> int | None:
    """Return the length of the frame that begins with these four bytes, or None where none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    kbits, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or kbits in (0, 15) or rate == 3:
        return None
    halved = version != 3
    rate_hz = _RATES_HZ[rate] >> (0, 1, 2)[(3, 2, 0).index(version)]
    bits = 1000 * _KBITS[1 + halved, layer][kbits - 1]
    if layer == 1:
        return (12 * bits // rate_hz + padding) * 4
    return (72 if halved and layer == 3 else 144) * bits // rate_hz + padding


def check_mpeg(file: BinaryIO) -> None:
    """Refuse MPEG audio whose end is missing: by its Xing header, else by the length of its last frame.

    Raises
    ------
    AudioError
        If bytes are missing, or the file only begins as MPEG audio does.
    """
    file.seek(0)
    first = file.read(4096)
    length = _frame_bytes(first[:4])
    at = max(first[: length or 0].find(b"Xing"), first[: length or 0].find(b"Info"))
    present = file.seek(0, 2)
    if at > 0:
        (flags,) = struct.unpack_from(">I", first, at + 4)
        if flags & _HAS_BYTES:
            (announced,) = struct.unpack_from(">I", first, at + (12 if flags & _HAS_FRAMES else 8))
            if present < announced:
                raise AudioError(f"truncated: the header announces {announced} bytes of MP3, the file holds {present}")
            return
    n_frames = end = 0
    head = first[:4]
    while (length := _frame_bytes(head)) is not None:
        n_frames += 1
        end += length
        file.seek(end)
        head = file.read(4)
    if n_frames < 2:
        raise AudioError("not an audio file that can be read (it begins like MP3, but no second frame follows)")
    if end > present:
        raise AudioError(f"truncated: {end - present} bytes of the last frame of MP3 are missing")
