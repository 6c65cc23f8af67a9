"""Every format that libsndfile knows is read, noticed where its end is missing, or named among those that cannot be."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serflow.audio._containers import EXCESS_BYTES, WITHOUT_LENGTH, Part
from serflow.audio.decode import decode
from serflow.errors import AudioError

TAG = b"ID3\x03\0\0\0\0\0\x14" + bytes(20) + bytes(300)
NO_CONTENT = {"RAW", "SD2"}  # nothing in the file says what it is
NO_ROOM_FOR_TAGS = {"HTK", "MAT4", *NO_CONTENT}


def samples(n_samples: int = 19_200) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 0.3 * np.sin(np.arange(n_samples) / 14) + 0.01 * rng.standard_normal(n_samples)


def written(folder: Path, name: str, subtype: str | None = None) -> bytes | None:
    """Return a file of a format, at the first rate that it has; None where libsndfile cannot write it."""
    for rate in (16_000, 8_000):
        try:
            soundfile.write(folder / "written", samples(), rate, format=name, subtype=subtype)
        except soundfile.SoundFileError:
            continue
        return (folder / "written").read_bytes()
    return None


def door(folder: Path, content: bytes) -> int | str:
    """Return the number of samples that the door makes of a file, or its reason."""
    (folder / "a.bin").write_bytes(content)
    try:
        return len(decode(folder / "a.bin").waveform)
    except AudioError as error:
        return str(error)


FORMATS = sorted(set(soundfile.available_formats()) - NO_CONTENT)
PAIRS = [(name, subtype) for name in FORMATS for subtype in soundfile.available_subtypes(name)]


@pytest.mark.parametrize(("name", "subtype"), PAIRS)
def test_whole_files_are_read_and_files_cut_anywhere_are_not(
    tmp_path: Path, name: str, subtype: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content = written(tmp_path, name, subtype)
    if content is None:
        pytest.skip("libsndfile cannot write it")
    whole = door(tmp_path, content)
    assert isinstance(whole, int)
    assert whole > 6000
    if name not in NO_ROOM_FOR_TAGS:
        assert door(tmp_path, TAG + content) == whole
    for share in () if name in WITHOUT_LENGTH else (0.2, 0.5, 0.77, 0.95):
        told = door(tmp_path, content[: int(share * len(content))])
        assert isinstance(told, str), share
        assert told.startswith(("truncated", "not an audio file" if name == "HTK" else "truncated"))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", FORMATS)
def test_what_follows_the_samples_is_no_sound(tmp_path: Path, name: str) -> None:
    content = written(tmp_path, name)
    assert content is not None
    if name in {"HTK", "PAF", "PVF", "IRCAM", "XI", "VOC"}:
        pytest.skip("the format ends where the file ends")
    whole, longer = door(tmp_path, content), door(tmp_path, content + bytes(4000))
    announced_too_many = 1 if name == "MAT5" else 0  # by libsndfile, which counts 8 bytes of the header
    assert longer == whole + announced_too_many or (name in {"OGG", "MP3"} and isinstance(longer, str))


@pytest.mark.parametrize("missing", [8, 44, EXCESS_BYTES, EXCESS_BYTES + 2])
@pytest.mark.parametrize("name", ["WAV", "WAVEX", "AIFF", "AU", "W64", "RF64", "CAF", "NIST"])
def test_a_few_bytes_announced_too_many_are_forgiven(tmp_path: Path, name: str, missing: int) -> None:
    content = written(tmp_path, name, "PCM_16")
    assert content is not None
    told = door(tmp_path, content[:-missing])
    assert told == 19_200 - missing // 2 if missing <= EXCESS_BYTES else str(told).startswith("truncated")


@pytest.mark.parametrize("subtype", ["MS_ADPCM", "IMA_ADPCM", "GSM610"])
def test_a_block_that_lacks_a_few_bytes_is_a_lost_block(tmp_path: Path, subtype: str) -> None:
    content = written(tmp_path, "WAV", subtype)
    assert content is not None
    assert str(door(tmp_path, content[:-20])).startswith("truncated: 20 bytes of the last block")


@pytest.mark.parametrize(
    ("name", "field", "layout", "sizes"),
    [
        ("WAV", b"data", "<I", (0, 0x7FFFF000, 0xFFFFFFFF)),
        ("WAVEX", b"data", "<I", (0, 0xFFFFFFFF)),
        ("AIFF", b"SSND", ">I", (0, 0x7FFFF000, 0xFFFFFFFF)),
        ("AU", b"snd\0\0\0\x18", ">I", (0, 0xFFFFFFFF)),
        ("CAF", b"data", ">q", (-1,)),
        ("RF64", b"ds64\x1c\0\0\0........", "<Q", (0, 2**64 - 1)),
        ("W64", b"data\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a", "<Q", (0, 24, 2**64 - 1)),
    ],
)
def test_sizes_that_a_streaming_writer_left_are_no_truncation(
    tmp_path: Path, name: str, field: bytes, layout: str, sizes: tuple[int, ...]
) -> None:
    content = written(tmp_path, name, "PCM_16")
    assert content is not None
    at = content.index(field.rstrip(b".")) + len(field)
    for size in sizes:
        patched = content[:at] + struct.pack(layout, size) + content[at + struct.calcsize(layout) :]
        assert door(tmp_path, patched) == 19_200, size


def test_a_flac_written_to_a_pipe_is_read(tmp_path: Path) -> None:
    content = written(tmp_path, "FLAC")
    assert content is not None
    streamed = bytearray(content)
    streamed[21] &= 0xF0
    streamed[22:26] = bytes(4)
    assert door(tmp_path, bytes(streamed)) == 19_200


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", [b"LIST", b"JUNK", b"cue "])
def test_an_empty_data_chunk_is_not_read_from_the_chunk_behind_it(tmp_path: Path, order: str, name: bytes) -> None:
    soundfile.write(tmp_path / "written", np.zeros(0), 16_000, format="WAV", endian="BIG" if order == ">" else "LITTLE")
    content = (tmp_path / "written").read_bytes()
    other = name + struct.pack(f"{order}I", 4000) + bytes(range(250)) * 16
    assert door(tmp_path, content + other) == "holds no samples"


@pytest.mark.parametrize("name", ["VORBIS", "OPUS"])
def test_an_ogg_that_ends_between_two_pages(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / "written", samples(160_000), 16_000, format="OGG", subtype=name)
    content = (tmp_path / "written").read_bytes()
    cut = content[: content.rindex(b"OggS")]
    assert door(tmp_path, cut) == "truncated: the last page of Ogg is not marked as the end of the stream"


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_an_mp3_without_xing_header_ends_with_a_frame(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "written", samples(100_000), rate, format="MP3")
    content = (tmp_path / "written").read_bytes()
    plain = content[content.index(content[:2], 10) :]
    assert isinstance(door(tmp_path, plain), int)
    assert isinstance(door(tmp_path, plain + b"TAG" + bytes(125)), int)
    assert str(door(tmp_path, plain[:-30])).startswith("truncated: 30 bytes of the last frame")


@pytest.mark.parametrize("name", FORMATS)
def test_any_number_in_a_header_may_be_the_largest_or_none(tmp_path: Path, name: str) -> None:
    content = written(tmp_path, name)
    assert content is not None
    for at in range(4, 160, 4):
        for piece in (b"\xff" * 8, b"\xff" * 4, b"\x7f" + b"\xff" * 7, b"\0" * 8):
            found = door(tmp_path, content[:at] + piece + content[at + len(piece) :])
            assert isinstance(found, int) or found


def test_a_part_is_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    with open(tmp_path / "a", "rb") as file:
        part = Part(file.fileno(), 2, 9, {1: b"xy", 6: b"z"})
        assert part.read() == b"2xy567z"
        assert part.seek(-3, os.SEEK_END) == 4
        assert (part.read(2), part.tell(), part.read(9), part.read(1)) == (b"67"[:1] + b"7", 6, b"z", b"")
