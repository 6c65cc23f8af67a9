import argparse
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.errors import NoiseError, StoreError
from serflow.noise.mixing import ClipBank, PlanRow, mix, noise_segment, read_plan, write_plan
from serflow.stages import prepare_clips, render_noisy
from serflow.stores.parquet import write_batches

ROW = PlanRow("u", "natural", "c", 3, -5.0, -6.0, -5.0, 0.5)


@given(
    hnp.arrays(np.int16, st.integers(1, 40)),
    st.integers(0, 1000),
    st.integers(1, 200),
)
def test_segment_is_the_clip_looped(clip: np.ndarray, at: int, n_samples: int) -> None:
    offset = at % len(clip)
    looped = [clip[(offset + i) % len(clip)] / 32768 for i in range(n_samples)]
    segment = noise_segment(clip, offset, n_samples)
    assert segment.dtype == np.float32
    np.testing.assert_array_equal(segment, np.array(looped, np.float32))


def test_mixture_is_scaled_speech_plus_amplified_segment() -> None:
    rng = np.random.default_rng(0)
    speech = rng.uniform(-1, 1, 50).astype(np.float32)
    clip = rng.integers(-3000, 3000, 20, dtype=np.int16)
    mixed = mix(speech, clip, ROW)
    looped = np.tile(clip, 4)[3:53] / 32768
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed, 0.5 * (speech + 10 ** (-6 / 20) * looped), atol=1e-6)


def test_speech_and_clip_are_left_alone() -> None:
    speech = np.ones(10, np.float32)
    clip = np.arange(1, 5, dtype=np.int16)
    mix(speech, clip, ROW)
    assert (speech == 1).all()
    assert clip.tolist() == [1, 2, 3, 4]


def test_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [ROW, ROW._replace(utterance="v", scale=1.0)]
    write_plan(tmp_path / "h1.parquet", rows, {"profile": "h1", "seed": 0})
    assert read_plan(tmp_path / "h1.parquet", expect={"profile": "h1"}) == {"u": rows[0], "v": rows[1]}
    with pytest.raises(StoreError, match="profile is 'h1' where 'h2' was asked for"):
        read_plan(tmp_path / "h1.parquet", expect={"profile": "h2"})


def write_inputs(folder: Path, utterances: list[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    pcm = {name: rng.integers(-9000, 9000, 4000, dtype=np.int16) for name in utterances}
    items = (PreparedUtterance(name, samples, 16000, 1, "PCM_16", 0) for name, samples in pcm.items())
    write_prepared(folder / "audio.parquet", items, {"corpus": "toy"})
    clip = rng.integers(-3000, 3000, 1500, dtype=np.int16)
    parts = [prepare_clips.Clip("c", 1, 10, "rain", "natural", clip, 0.0, 0.0)]
    write_batches(
        folder / "clips.parquet",
        prepare_clips.CLIPS_SCHEMA,
        prepare_clips._tables(parts),
        kind="clips",
        metadata={"synthetic": True, "warnings": []},
    )
    return pcm, clip


def render(folder: Path, plan: list[PlanRow]) -> Path:
    write_plan(folder / "h1.parquet", plan, {"profile": "h1"})
    render_noisy.main(
        argparse.Namespace(
            audio=[folder / "audio.parquet"],
            plan=folder / "h1.parquet",
            clips=folder / "clips.parquet",
            folder=folder / "audio",
        )
    )
    return folder / "audio"


def test_rendered_files_hold_the_mixture_beside_the_plan(tmp_path: Path) -> None:
    pcm, clip = write_inputs(tmp_path, ["u", "v"])
    folder = render(tmp_path, [ROW, ROW._replace(utterance="v", scale=0.01)])
    assert sorted(path.name for path in folder.glob("[!.]*")) == ["plan.csv", "u.flac", "v.flac"]
    assert (folder / "plan.csv").read_text().splitlines()[1] == "u,natural,c,3,-5.0,-6.0,-5.0,0.5"
    for name, scale in (("u", 0.5), ("v", 0.01)):
        samples, rate = soundfile.read(folder / f"{name}.flac")
        expected = scale * (pcm[name] / 32768 + 10 ** (-6 / 20) * np.tile(clip, 4)[3:4003] / 32768)
        assert rate == 16000
        np.testing.assert_allclose(samples, expected, atol=2**-22)


def test_plan_of_other_audio_is_refused(tmp_path: Path) -> None:
    write_inputs(tmp_path, ["u", "v"])
    with pytest.raises(NoiseError, match=r"h1\.parquet: no row for utterance 'v'"):
        render(tmp_path, [ROW])


def test_bank_lists_clips_by_condition_in_order() -> None:
    bank = ClipBank(
        {"b": np.ones(3, np.int16), "a": np.ones(2, np.int16)}, {"b": "natural", "a": "natural"}, synthetic=True
    )
    assert bank.by_condition == {"natural": ["a", "b"]}
    np.testing.assert_array_equal(
        bank.mix(np.zeros(4, np.float32), ROW._replace(clip="b")), mix(np.zeros(4, np.float32), bank["b"], ROW)
    )
