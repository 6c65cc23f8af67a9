import contextlib
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serflow.audio.decode import decode, open_recording
from serflow.errors import AudioError


def tone(seconds: float, rate: int = 16000, frequency: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def write(path: Path, samples: np.ndarray, rate: int = 16000, **options: str) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


def reason(path: Path, *args: float, **options: float) -> str:
    with pytest.raises(AudioError) as caught:
        decode(path, *args, **options)
    return str(caught.value)


def with_data_size(path: Path, size: int) -> Path:
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 24000, 44100, 48000, 96000])
def test_any_rate_becomes_16_khz_with_the_same_tone(tmp_path: Path, rate: int) -> None:
    decoded = decode(write(tmp_path / "a.wav", tone(1.0, rate), rate, subtype="PCM_24"))
    assert decoded.waveform.dtype == np.float32
    assert len(decoded.waveform) == pytest.approx(16000, abs=2)
    assert decoded.source_rate == rate
    middle = decoded.waveform[1000:15000]
    np.testing.assert_allclose(middle, tone(1.0)[1000:15000], atol=2e-3)


@pytest.mark.parametrize(
    ("subtype", "tolerance"), [("PCM_U8", 1e-2), ("PCM_16", 1e-4), ("PCM_24", 1e-6), ("FLOAT", 1e-7), ("DOUBLE", 1e-7)]
)
def test_all_sample_formats_are_read(tmp_path: Path, subtype: str, tolerance: float) -> None:
    decoded = decode(write(tmp_path / "a.wav", tone(0.5), subtype=subtype))
    assert decoded.source_subtype == subtype
    np.testing.assert_allclose(decoded.waveform, tone(0.5), atol=tolerance)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".au", ".ogg"])
def test_formats_are_told_by_content(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"a{suffix}", tone(0.5)).rename(tmp_path / "a.raw")
    assert len(decode(tmp_path / "a.raw").waveform) == 8000


def test_channels_are_averaged(tmp_path: Path) -> None:
    channels = np.stack([tone(0.5), np.zeros(8000), 0.5 * tone(0.5)], axis=1)
    decoded = decode(write(tmp_path / "a.wav", channels, subtype="FLOAT"))
    assert decoded.source_channels == 3
    np.testing.assert_allclose(decoded.waveform, channels.mean(axis=1), atol=1e-7)


def test_files_longer_than_a_block_are_whole(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (600_000, 2))
    decoded = decode(write(tmp_path / "a.flac", samples, subtype="PCM_16"))
    np.testing.assert_allclose(decoded.waveform, samples.mean(axis=1), atol=1e-4)


def test_cut_equals_the_slice(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 48000)
    for name in ("a.wav", "a.flac"):
        path = write(tmp_path / name, samples, subtype="PCM_16")
        np.testing.assert_array_equal(decode(path, 1.25, 2.5).waveform, decode(path).waveform[20000:40000])


def test_cut_does_not_read_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", tone(60.0))
    frames_read = []
    read = soundfile.SoundFile.read

    def counting(self: soundfile.SoundFile, frames: int = -1, **options: object) -> np.ndarray:
        frames_read.append(frames)
        return read(self, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    decode(path, 50.0, 51.0)
    assert frames_read == [16000]


def test_cut_slightly_past_the_end_is_forgiven(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(2.0))
    assert len(decode(path, -0.04, 2.04).waveform) == 32000


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (1.0, 2.2, "1 to 2.2 s lies outside the file, which is 2.000 s long"),
        (-0.2, 1.0, "-0.2 to 1 s lies outside the file"),
        (5.0, 6.0, "lies outside the file"),
        (1.5, 1.5, "end 1.5 s is not after start 1.5 s"),
        (1.5, 1.0, "is not after start"),
        (float("nan"), 1.0, "is not after start"),
    ],
)
def test_cut_outside_the_file_is_refused(tmp_path: Path, start: float, end: float, message: str) -> None:
    assert message in reason(write(tmp_path / "a.wav", tone(2.0)), start, end)


def test_missing_file(tmp_path: Path) -> None:
    assert reason(tmp_path / "none.wav") == "no such file"


def test_folder_instead_of_file(tmp_path: Path) -> None:
    assert reason(tmp_path) == "not a regular file but a folder"


def _make_pipe(path: Path) -> None:
    os.mkfifo(path)


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(path.parent):
        server.bind(path.name)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_make_pipe, "not a regular file but a named pipe"),
        (_make_socket, "not a regular file but a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file but a device"),
        (lambda path: path.symlink_to("."), "not a regular file but a folder"),
        (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels of symbolic links"),
        (lambda path: path.symlink_to("gone.wav"), "a link to gone.wav, which is not there"),
    ],
    ids=["pipe", "socket", "device", "folder", "circle", "dangling"],
)
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path, make: Callable[[Path], None], told: str) -> None:
    make(tmp_path / "a.wav")
    assert reason(tmp_path / "a.wav") == told


@pytest.mark.parametrize("name", ["a\0.wav", "a" * 300 + ".wav"])
def test_what_cannot_be_a_name(tmp_path: Path, name: str) -> None:
    assert reason(tmp_path / name).startswith(("no name of a file", "cannot be read: File name too long"))


@pytest.mark.parametrize("page", ["<!DOCTYPE html><html>404", "\n<html><body>", '\ufeff<?xml version="1.0"?>'])
def test_a_web_page_is_recognised(tmp_path: Path, page: str) -> None:
    (tmp_path / "a.wav").write_text(page * 20)
    assert reason(tmp_path / "a.wav") == "a web page, not the audio itself; download the file again"


def test_a_long_file_is_refused_from_its_header_and_a_cut_of_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.flac"
    with soundfile.SoundFile(path, "w", 16000, 1, "PCM_16") as target:
        for _ in range(4):
            target.write(np.zeros(16000 * 3600, np.int16))
            target.write(np.arange(16000, dtype=np.int16))
    assert len(decode(path, 3600, 3601).waveform) == 16000
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("it was read"))
    assert reason(path) == "too long: 14404.0 s, at most 10800 s are allowed (audio.max_duration_s)"


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    assert reason(tmp_path / "a.wav") == "empty file (0 bytes)"


@pytest.mark.parametrize("content", [b"This is text, not sound.\n" * 50, b"\xff\xfb\x90\x00" * 500, bytes(range(256))])
def test_not_audio(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert reason(tmp_path / "a.wav").startswith("not an audio file that can be read")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bad", [b"ftypM4A ", b"PK\3\4", b"#!AMR\n"])
def test_formats_that_nobody_here_reads_are_told_what_to_do(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(b"\0\0\0 " + bad + bytes(2000))
    assert reason(tmp_path / "a.wav").endswith("if it is audio, convert it to WAV or FLAC")


def test_an_encoding_that_is_not_read_is_no_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(0.5), format="NIST")
    path.write_bytes(
        path.read_bytes().replace(b"-s3 pcm", b"-s26 pcm,embedded-shorten-v2.00").replace(bytes(24), b"", 1)
    )
    assert reason(path).startswith("an encoding that libsndfile does not read")


@pytest.mark.parametrize(
    ("at", "layout", "value"), [(22, "<H", 0), (22, "<H", 65535), (24, "<I", 0), (24, "<I", 2**31)]
)
def test_absurd_numbers_of_channels_and_rates(tmp_path: Path, at: int, layout: str, value: int) -> None:
    content = bytearray(write(tmp_path / "a.wav", tone(0.5), subtype="PCM_16").read_bytes())
    struct.pack_into(layout, content, at, value)
    (tmp_path / "a.wav").write_bytes(content)
    assert reason(tmp_path / "a.wav").startswith("truncated or damaged: ")


def test_git_lfs_pointer_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    assert "git lfs pull" in reason(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.aiff"])
def test_zero_samples(tmp_path: Path, name: str) -> None:
    assert reason(write(tmp_path / name, np.zeros(0))) == "holds no samples"


@pytest.mark.parametrize("name", ["a.wav", "a.aiff"])
def test_truncated_pcm_file(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, tone(1.0), subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-10_000])
    message = reason(path)
    assert message.startswith("truncated: the header announces 320")
    assert message.endswith(("holds 22000", "holds 22008"))


def test_wav_cut_before_its_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(1.0))
    path.write_bytes(path.read_bytes()[:36])
    assert reason(path) == "truncated: the file ends before its samples begin"


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_streaming_sizes_are_no_truncation(tmp_path: Path, size: int) -> None:
    path = with_data_size(write(tmp_path / "a.wav", tone(1.0), subtype="PCM_16"), size)
    np.testing.assert_allclose(decode(path).waveform, tone(1.0), atol=1e-4)


def test_wav_with_other_chunks_before_the_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(0.5), subtype="PCM_16")
    content = path.read_bytes()
    at = content.index(b"data")
    path.write_bytes(content[:at] + b"LIST" + struct.pack("<I", 5) + b"datax\0" + content[at:])
    assert len(decode(path).waveform) == 8000


@pytest.mark.parametrize("cut", [(), (0.9, 1.0)])
def test_truncated_flac(tmp_path: Path, cut: tuple[float, ...], capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.flac", np.random.default_rng(0).uniform(-0.5, 0.5, 16000))
    path.write_bytes(path.read_bytes()[:15_000])
    assert reason(path, *cut).startswith("truncated or damaged: ")
    assert capfd.readouterr() == ("", "")


def test_flac_that_announces_too_much_takes_no_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", tone(1.0))
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F
    path.write_bytes(content)
    assert reason(path).startswith("truncated")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_not_finite(tmp_path: Path, bad: float, channels: int) -> None:
    samples = np.repeat(tone(0.5)[:, None], channels, axis=1)
    samples[100, 0] = bad
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    assert reason(path) == "holds samples that are NaN or infinite"


@pytest.mark.parametrize("scale", [20, 127, 32768, 3e38])
def test_float_samples_in_the_range_of_integers(tmp_path: Path, scale: float) -> None:
    path = write(tmp_path / "a.wav", 2 * tone(0.5, 48000) * scale, 48000, subtype="FLOAT")
    assert reason(path).startswith("float samples run to ")


@pytest.mark.parametrize(("gain", "rejected"), [(1.9, False), (2.1, False), (4.0, True), (20.0, True)])
def test_what_16_bits_would_clip_through_and_through(tmp_path: Path, gain: float, rejected: bool) -> None:
    rng = np.random.default_rng(0)
    path = write(tmp_path / "a.wav", 0.4 * gain * rng.uniform(-1, 1, 16000) * 0.8, subtype="FLOAT")
    if rejected:
        assert "of its samples lie beyond full scale" in reason(path)
    else:
        assert len(decode(path).waveform) == 16000


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "ULAW", "ALAW"])
def test_the_share_at_full_scale_is_counted_whatever_the_sample_format(tmp_path: Path, subtype: str) -> None:
    samples = np.clip(np.linspace(-2, 2, 16000), -1, 1)
    path = write(tmp_path / "a.wav", np.stack([samples, 0.5 * samples], axis=1), subtype=subtype)
    with open_recording(path) as recording:
        for _ in recording.blocks():
            pass
    assert recording.clipped_share == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_digital_silence(tmp_path: Path, level: float) -> None:
    path = write(tmp_path / "a.wav", np.full(48000, level), 48000)
    assert reason(path) == "digital silence: every sample has the same value"


def test_opposite_channels_are_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.stack([tone(0.5), -tone(0.5)], axis=1), subtype="FLOAT")
    assert reason(path).startswith("digital silence")


def test_duration_limits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(0.0999, 48000), 48000)
    assert reason(path) == "too short: 0.0999 s, at least 0.1 s are needed"
    assert len(decode(path, min_duration_s=0.05).waveform) == pytest.approx(1598, abs=1)
    assert reason(path, min_duration_s=0.05, max_duration_s=0.06).startswith("too long: 0.1 s, at most 0.06 s")
    assert reason(write(tmp_path / "b.wav", tone(2.0)), 1.0, 1.05).startswith("too short: 0.0500 s")


def test_absurd_sample_rate(tmp_path: Path) -> None:
    assert "sample rate 10 Hz lies outside" in reason(write(tmp_path / "a.wav", tone(1.0), 10))


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", tone(0.5))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    assert reason(path) == "cannot be read: Permission denied"


def test_stereo_ravdess_files_become_mono(real_data: Path) -> None:
    stereo = [
        "Actor_01/03-01-02-01-01-02-01.flac",
        "Actor_01/03-01-08-01-02-02-01.flac",
        "Actor_05/03-01-02-01-02-02-05.flac",
    ]
    for name in stereo:
        (path,) = (real_data / "ravdess").rglob(name)
        decoded = decode(path)
        assert (decoded.source_channels, decoded.source_rate) == (2, 48000)
        assert decoded.waveform.ndim == 1


@pytest.mark.parametrize(("corpus", "rate"), [("ravdess", 48000), ("nemo", 24000), ("emodb", 16000), ("esc50", 44100)])
def test_real_files_keep_their_duration(real_data: Path, corpus: str, rate: int) -> None:
    for path in sorted((real_data / corpus).rglob("*.flac"))[::100]:
        info = soundfile.info(path)
        decoded = decode(path)
        assert decoded.source_rate == info.samplerate == rate
        assert len(decoded.waveform) == pytest.approx(info.duration * 16000, abs=1)
