from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serflow.audio.prepared import (
    PreparedUtterance,
    iterate_prepared,
    prepare,
    quantise,
    source_notes,
    write_prepared,
)
from serflow.errors import AudioError, StoreError

METADATA = {"corpus": "emodb", "shard": "0000", "n_shards": 1}


def utterance(name: str, n_samples: int = 4000, seed: int = 0) -> PreparedUtterance:
    pcm16 = np.random.default_rng(seed).integers(-32768, 32768, n_samples, dtype=np.int16)
    return PreparedUtterance(name, pcm16, 44100, 2, "PCM_24", 3)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written = [utterance(f"u{i}", 1600 + i, i) for i in range(150)]
    assert write_prepared(tmp_path / "a.parquet", iter(written), METADATA) == 150
    read = list(iterate_prepared(tmp_path / "a.parquet", expect={"corpus": "emodb"}))
    assert [item.utterance for item in read] == [item.utterance for item in written]
    for ours, theirs in zip(read, written, strict=True):
        np.testing.assert_array_equal(ours.pcm16, theirs.pcm16)
        assert (ours.source_rate, ours.source_channels, ours.source_subtype, ours.clipped_samples) == (
            44100, 2, "PCM_24", 3,
        )  # fmt: skip


def test_columns_are_those_of_the_contract(tmp_path: Path) -> None:
    write_prepared(tmp_path / "a.parquet", [utterance("a", 1600)], METADATA)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.select(["sample_rate", "n_samples"]).to_pylist() == [{"sample_rate": 16000, "n_samples": 1600}]
    assert table.column("pcm16")[0].as_py() == utterance("a", 1600).pcm16.astype("<i2").tobytes()


def test_clipped_and_mp3_files_are_said_once_and_named() -> None:
    rows = [(f"a{i}", "PCM_16", 0.0005) for i in range(7)] + [(f"b{i}", "MPEG_LAYER_III", 0.4) for i in range(7)]
    clipped, mp3 = source_notes(rows)
    assert clipped.startswith("7 of 14 utterances are clipped, with more than 0.1 % of their samples at full scale")
    assert "(b0, b1, b2, b3, b4 and 2 more;" in clipped
    assert mp3.startswith("7 of 14 utterances were MP3")
    assert source_notes(rows[:7]) == []


def test_row_groups_stay_small(tmp_path: Path) -> None:
    def lots() -> Iterator[PreparedUtterance]:
        yield from (utterance(f"short{i}", 1600) for i in range(70))
        yield from (utterance(f"long{i}", 3_000_000) for i in range(4))

    write_prepared(tmp_path / "a.parquet", lots(), METADATA)
    metadata = pq.read_metadata(tmp_path / "a.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [64, 8, 2]


def test_waveform_is_pcm_over_32768() -> None:
    waveform = PreparedUtterance("a", np.array([-32768, 0, 1, 32767], np.int16), 16000, 1, "PCM_16", 0).waveform
    assert waveform.dtype == np.float32
    np.testing.assert_array_equal(waveform, np.array([-1, 0, 1 / 32768, 32767 / 32768], np.float32))


@given(hnp.arrays(np.int16, st.integers(1, 200)).filter(np.any))
def test_quantising_undoes_the_waveform(pcm16: np.ndarray) -> None:
    again, clipped = quantise(PreparedUtterance("a", pcm16, 16000, 1, "PCM_16", 0).waveform)
    np.testing.assert_array_equal(again, pcm16)
    assert clipped == 0


def test_quantising_rounds_and_counts_what_it_clips() -> None:
    steps = np.array([0.4, 0.6, -0.6, 32767.4, 32767.6, 40000, -32768.4, -32769, 1e30], np.float32)
    pcm16, clipped = quantise(steps / np.float32(32768))
    assert pcm16.tolist() == [0, 1, -1, 32767, 32767, 32767, -32768, -32768, 32767]
    assert clipped == 4


def test_sound_below_half_a_step_is_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.tile([1e-6, -1e-6], 4000), 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match="digital silence: every sample is below half a step"):
        prepare("a", tmp_path / "a.wav", min_duration_s=0.1)


def test_empty_shard_is_legal(tmp_path: Path) -> None:
    assert write_prepared(tmp_path / "a.parquet", [], METADATA) == 0
    assert list(iterate_prepared(tmp_path / "a.parquet")) == []
    assert pq.read_schema(tmp_path / "a.parquet").names[0] == "utterance"


def test_damage_and_other_corpora_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_prepared(path, [utterance("a")], METADATA)
    with pytest.raises(StoreError, match="corpus is 'emodb' where 'cafe' was asked for"):
        next(iterate_prepared(path, expect={"corpus": "cafe"}))
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="do not match their SHA-256"):
        next(iterate_prepared(path))
