from pathlib import Path

import numpy as np
import pytest

from serflow.rounding import EPS
from serflow.stores.frames import FrameRow, PackedFrames, pack_frames, write_frames
from serflow.training.statistics import frame_statistics


def packed(folder: Path, utterances) -> PackedFrames:
    rows = [FrameRow(f"u{i}", np.ascontiguousarray(frames, np.float32)) for i, frames in enumerate(utterances)]
    write_frames(folder / "0000.parquet", rows, rows[0].frames.shape[1], {})
    pack_frames([folder / "0000.parquet"], folder / "packed.npy", folder / "packed.parquet")
    return PackedFrames.open(folder / "packed.parquet")


def test_statistics_are_those_of_all_frames_of_the_rows(tmp_path):
    generator = np.random.default_rng(0)
    utterances = [generator.normal([5, -100, 1e-6], [2, 20, 1e-6], (i + 3, 3)).astype(np.float32) for i in range(6)]
    statistics = frame_statistics(packed(tmp_path, utterances), np.array([1, 2, 5]))
    frames = np.concatenate([utterances[i] for i in (1, 2, 5)])
    assert statistics.mean.dtype == statistics.std.dtype == np.float32
    np.testing.assert_allclose(statistics.mean, frames.mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(statistics.std, frames.std(0, dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, -13.8, 1e-12, 3e4])
@pytest.mark.parametrize("lengths", [(1,), (1, 300), (40,) * 50], ids=["a frame", "two utterances", "many"])
def test_a_band_that_is_constant_but_for_rounding_has_the_deviation_1(tmp_path, value, lengths):
    generator = np.random.default_rng(0)
    utterances = [
        np.stack([np.full(n, value), value * (1 + EPS * generator.uniform(-1, 1, n))], axis=1) for n in lengths
    ]
    statistics = frame_statistics(packed(tmp_path, utterances), np.arange(len(lengths)))
    np.testing.assert_array_equal(statistics.std, [1, 1])
    np.testing.assert_allclose(statistics.mean, np.float32(value), rtol=2e-7)


@pytest.mark.parametrize("share", [3e-6, 1e-5, 1e-3])
def test_the_deviation_of_a_band_that_hardly_varies_is_exact(tmp_path, share):
    """Of the difference of two sums of squares rounding would be left."""
    generator = np.random.default_rng(0)
    utterances = [1000 * (1 + share * generator.standard_normal((50, 1))).astype(np.float32) for _ in range(40)]
    statistics = frame_statistics(packed(tmp_path, utterances), np.arange(40))
    frames = np.concatenate(utterances).astype(np.float64)
    np.testing.assert_allclose(statistics.std, frames.std(0), rtol=1e-6)
