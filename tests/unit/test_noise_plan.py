import argparse
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from serflow.audio.prepared import PreparedUtterance, prepare, write_prepared
from serflow.errors import NoiseError
from serflow.noise.conditions import of_split, profile_of, split_of
from serflow.noise.esc50 import list_clips, read_clips
from serflow.noise.mixing import mix, read_plan
from serflow.noise.plan import (
    CONDITIONS,
    Draw,
    check_profile,
    draw_clips,
    draw_clips_by_fold,
    draw_offset,
    plan_utterance,
)
from serflow.settings.base import NAME
from serflow.stages import plan_noise, prepare_clips
from serflow.stores.parquet import read_metadata, write_batches, write_table

H1 = {"natural": -5, "interior": -20, "human": -20}
CLIPS = {condition: [f"{condition}{i}" for i in range(40)] for condition in CONDITIONS}
NAMES = [f"Ses01F_impro{i:04d}" for i in range(3000)]


def prepared(pcm16: np.ndarray, name: str = "u") -> PreparedUtterance:
    return PreparedUtterance(name, pcm16, 16000, 1, "PCM_16", 0)


def measured_snr_db(speech: PreparedUtterance, mixed: np.ndarray, scale: float) -> float:
    """Measure the SNR from the mixture alone: what is not speech is noise."""
    clean = speech.pcm16.astype(np.float64) / 32768
    noise = mixed.astype(np.float64) / scale - clean
    return 10 * math.log10(np.sum(clean**2) / np.sum(noise**2))


def clip_with_silent_tail(seed: int, n_sounding: int, n_silent: int, level: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    clip = np.zeros(n_sounding + n_silent + 1, np.int16)
    clip[:n_sounding] = rng.integers(-level, level + 1, n_sounding)
    clip[[0, -1]] = level
    return clip


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**63),
    n_samples=st.integers(1600, 30_000),
    n_sounding=st.integers(1, 20_000),
    n_silent=st.integers(0, 60_000),
    speech_level=st.integers(10, 32767),
    noise_level=st.integers(1, 32767),
    snr_db=st.floats(-30, 20),
)
def test_achieved_snr_is_the_asked_one(
    seed: int, n_samples: int, n_sounding: int, n_silent: int, speech_level: int, noise_level: int, snr_db: float
) -> None:
    clip = clip_with_silent_tail(seed % 1000, n_sounding, n_silent, noise_level)
    rng = np.random.default_rng(seed % 997)
    speech = prepared(rng.integers(-speech_level, speech_level + 1, n_samples, dtype=np.int16))
    row = plan_utterance(speech, Draw("natural", "c", seed), clip, snr_db)
    mixed = mix(speech.waveform, clip, row)
    assert measured_snr_db(speech, mixed, row.scale) == pytest.approx(snr_db, abs=0.05)
    assert row.achieved_snr_db == pytest.approx(snr_db, abs=1e-3)
    assert np.abs(mixed).max() <= 1
    assert 0 <= row.offset < len(clip)


def test_scale_is_one_unless_the_mixture_would_exceed_full_scale() -> None:
    rng = np.random.default_rng(0)
    speech = prepared(rng.integers(-3000, 3000, 8000, dtype=np.int16))
    clip = rng.integers(-3000, 3000, 8000, dtype=np.int16)
    quiet = plan_utterance(speech, Draw("natural", "c", 1), clip, 10.0)
    loud = plan_utterance(speech, Draw("natural", "c", 1), clip, -30.0)
    assert quiet.scale == 1.0
    assert loud.scale < 1.0
    assert np.abs(mix(speech.waveform, clip, loud)).max() == pytest.approx(0.999, abs=1e-6)


def test_authors_gain_does_not_depend_on_the_speech() -> None:
    rng = np.random.default_rng(0)
    clip = rng.integers(-3000, 3000, 8000, dtype=np.int16)
    for level in (300, 3000, 30000):
        speech = prepared(rng.integers(-level, level, 8000, dtype=np.int16))
        for snr_db, gain_db in ((-5.0, -17.0), (-20.0, -2.0), (-30.0, 8.0), (-1.0, -21.0)):
            row = plan_utterance(speech, Draw("natural", "c", 1), clip, snr_db, "authors_gain")
            assert row.gain_db == gain_db
            mixed = mix(speech.waveform, clip, row)
            assert row.achieved_snr_db == pytest.approx(measured_snr_db(speech, mixed, row.scale), abs=0.01)


def test_silence_is_never_drawn() -> None:
    clip = clip_with_silent_tail(0, 2000, 20_000, 20_000)
    offsets = [draw_offset(key, clip, 1600) for key in range(200)]
    assert all(np.resize(np.roll(clip, -offset), 1600).any() for offset in offsets)
    assert len(set(offsets)) > 150


def test_pauses_60_db_below_the_clip_are_not_drawn() -> None:
    clip = np.ones(20_000, np.int16)
    clip[:4000] = 20_000
    power = float(np.mean(clip.astype(np.float64) ** 2))
    for key in range(100):
        segment = np.resize(np.roll(clip, -draw_offset(key, clip, 1600)), 1600).astype(np.float64)
        assert np.mean(segment**2) > 1e-6 * power


def test_offsets_are_uniform() -> None:
    clip = np.ones(1000, np.int16)
    offsets = np.array([draw_offset(int(key), clip, 500) for key in np.random.default_rng(0).integers(0, 2**63, 3000)])
    counts = np.bincount(offsets // 100, minlength=10)
    assert counts.min() > 230
    assert counts.max() < 370


def test_conditions_and_clips_are_uniform() -> None:
    draws = draw_clips(NAMES, CLIPS, "h1", 0)
    conditions = Counter(draw.condition for draw in draws.values())
    assert all(900 < conditions[condition] < 1100 for condition in CONDITIONS)
    assert all(draw.clip in CLIPS[draw.condition] for draw in draws.values())
    clips = Counter(draw.clip for draw in draws.values())
    assert len(clips) == 120
    assert max(clips.values()) < 50


def test_profiles_seeds_and_utterances_draw_apart() -> None:
    base = draw_clips(NAMES, CLIPS, "h1", 0)
    for other in (draw_clips(NAMES, CLIPS, "h2", 0), draw_clips(NAMES, CLIPS, "h1", 1)):
        assert 0.25 < np.mean([base[name].condition == other[name].condition for name in NAMES]) < 0.42
        assert np.mean([base[name].clip == other[name].clip for name in NAMES]) < 0.03


def test_draws_are_the_same_on_every_machine() -> None:
    draw = draw_clips(["03a01Fa"], CLIPS, "h1", 0)["03a01Fa"]
    assert draw == Draw("human", "human31", 10076328217286144154)
    assert draw_offset(draw.key, np.ones(80_000, np.int16), 1600) == 78392


def test_adding_or_losing_an_utterance_changes_no_other_draw() -> None:
    base = draw_clips(NAMES, CLIPS, "h1", 0)
    assert draw_clips([*NAMES[:100], "new", *NAMES[100:]], CLIPS, "h1", 0).items() > base.items()
    assert draw_clips(NAMES[5:], CLIPS, "h1", 0).items() < base.items()
    assert draw_clips(NAMES[::-1], CLIPS, "h1", 0) == base


@pytest.mark.parametrize("gone", ["natural0", "human17", "interior39"])
def test_losing_a_clip_changes_only_the_draws_that_had_it(gone: str) -> None:
    base = draw_clips(NAMES, CLIPS, "h1", 0)
    fewer = {condition: [name for name in names if name != gone] for condition, names in CLIPS.items()}
    after = draw_clips(NAMES, fewer, "h1", 0)
    changed = {name for name in NAMES if after[name] != base[name]}
    assert changed == {name for name in NAMES if base[name].clip == gone}
    assert changed
    assert all(after[name].condition == base[name].condition for name in NAMES)


def test_condition_without_clips_is_refused() -> None:
    with pytest.raises(NoiseError, match=r"no noise clip of the group human; see noise\.esc50\.root"):
        draw_clips(["u"], {**CLIPS, "human": []}, "h1", 0)


def test_silent_speech_and_clips_are_refused() -> None:
    sound, silence = np.ones(2000, np.int16), np.zeros(2000, np.int16)
    with pytest.raises(NoiseError, match="utterance 'u' is silent"):
        plan_utterance(prepared(silence), Draw("natural", "c", 1), sound, 0.0)
    with pytest.raises(NoiseError, match="clip 'c': the clip is silent"):
        plan_utterance(prepared(sound), Draw("natural", "c", 1), silence, 0.0)


@pytest.mark.parametrize(
    ("snrs", "mixing", "message"),
    [
        ({"natural": -5, "human": -5}, "snr", "gives natural, human, interior"),
        ({**H1, "exterior": 1}, "snr", "gives natural, human, interior"),
        ([1, 2, 3], "snr", "gives natural, human, interior"),
        ({**H1, "human": "loud"}, "snr", "no number from -100 to 100 dB"),
        ({**H1, "human": math.nan}, "snr", "no number from -100 to 100 dB"),
        ({**H1, "human": 300}, "snr", "no number from -100 to 100 dB"),
        (H1, "loud", r"noise\.mixing in config\.yaml is 'loud'; known: snr, authors_gain"),
    ],
)
def test_wrong_profiles_are_refused(snrs: Any, mixing: str, message: str) -> None:
    with pytest.raises(NoiseError, match=message):
        check_profile(snrs, mixing)


def write_stage_inputs(
    folder: Path, names: list[str], shards: int = 2, folds: Sequence[int] = (1, 2, 3, 4, 5)
) -> argparse.Namespace:
    rng = np.random.default_rng(0)
    ids = pa.table({"utterance": pa.array(names, pa.string())})
    write_table(folder / "utterances.parquet", ids, kind="utterances", metadata={"corpus": "toy"})
    items = [prepared(rng.integers(-9000, 9000, 3000, dtype=np.int16), name) for name in names]
    audio = []
    for k in range(shards):
        audio.append(folder / f"{k:04d}.parquet")
        write_prepared(audio[-1], items[k::shards], {"corpus": "toy"})
    clips = [
        prepare_clips.Clip(f"{group}{i}", fold, 10, "x", group, rng.integers(-99, 99, 5000, dtype=np.int16), 0.0, 0.0)
        for group in CONDITIONS
        for i, fold in enumerate(folds)
    ]
    write_batches(
        folder / "clips.parquet",
        prepare_clips.CLIPS_SCHEMA,
        prepare_clips._tables(clips),
        kind="clips",
        metadata={"synthetic": True, "warnings": []},
    )
    return argparse.Namespace(
        utterances=folder / "utterances.parquet",
        audio=audio,
        clips=folder / "clips.parquet",
        profile="h1",
        snrs=H1,
        snr_offset_db=0.0,
        mixing="snr",
        seed=0,
        split=None,
        plan=folder / "h1.parquet",
    )


def write_split(path: Path, roles: dict[int, dict[str, str]], protocol: str = "dialogue-0") -> Path:
    rows = [
        {"utterance": name, "fold": fold, "role": role}
        for fold, of_fold in roles.items()
        for name, role in of_fold.items()
    ]
    write_table(path, pa.Table.from_pylist(rows), kind="split", metadata={"corpus": "toy", "protocol": protocol})
    return path


def test_by_fold_training_validation_and_test_hear_different_clips(tmp_path: Path) -> None:
    names = [f"u{i}" for i in range(60)]
    arguments = write_stage_inputs(tmp_path, names)
    roles = {name: ("train", "train", "val", "test")[i % 4] for i, name in enumerate(names)}
    plan_noise.main(arguments)
    shared = read_plan(arguments.plan)
    assert read_metadata(arguments.plan)["clips"] == "shared"
    arguments.split = write_split(tmp_path / "split.parquet", {0: roles, 5: roles})
    plan_noise.main(arguments)
    assert read_metadata(arguments.plan)["clips"] == "by_fold"
    heard: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for name, row in read_plan(arguments.plan).items():
        heard[roles[name]].add(row.clip[-1])
        # what kind of noise an utterance has does not depend on where its clips come from
        assert row.condition == shared[name].condition
    assert heard == {"train": {"0", "1", "2"}, "val": {"3"}, "test": {"4"}}


def test_by_fold_refuses_roles_that_differ_and_folds_without_clips(tmp_path: Path) -> None:
    arguments = write_stage_inputs(tmp_path, ["u0", "u1", "u2"])
    roles = {"u0": "train", "u1": "val", "u2": "test"}
    arguments.split = write_split(tmp_path / "split.parquet", {0: roles, 1: roles | {"u1": "test", "u2": "val"}})
    with pytest.raises(NoiseError, match=r"split.parquet: u1 has another role in fold 1; with noise.clips by_fold"):
        plan_noise.main(arguments)
    bank = plan_noise.ClipBank({"a": np.ones(9, np.int16)}, {"a": "natural"}, folds={"a": 1})
    with pytest.raises(NoiseError, match=r"by_fold, and among the clips of fold 1, 2, 3 \(train\): no noise clip"):
        draw_clips_by_fold(roles, bank, "h1", 0)


def test_clips_that_follow_a_split_change_the_clips_alone(tmp_path: Path) -> None:
    names = [f"u{i}" for i in range(60)]
    arguments = write_stage_inputs(tmp_path, names)
    plan_noise.main(arguments)
    profile = read_plan(arguments.plan)
    roles = {name: ("train", "train", "val", "test")[i % 4] for i, name in enumerate(names)}
    arguments.split = write_split(tmp_path / "split.parquet", {0: roles}, "partners-0")
    arguments.profile, arguments.plan = "h1@partners-0", tmp_path / "h1@partners-0.parquet"
    plan_noise.main(arguments)
    plan = read_plan(arguments.plan, expect={"corpus": "toy", "profile": "h1@partners-0", "clips": "by_fold"})
    heard: dict[str, set[str]] = {}
    for name, row in plan.items():
        heard.setdefault(roles[name], set()).add(row.clip)
        assert (row.condition, row.snr_db) == (profile[name].condition, profile[name].snr_db)
    assert sum(map(len, heard.values())) == len(set.union(*heard.values())) > 5


def test_clips_follow_the_split_that_their_name_has(tmp_path: Path) -> None:
    arguments = write_stage_inputs(tmp_path, ["u0", "u1", "u2"])
    arguments.profile = "h1@partners-0"
    with pytest.raises(NoiseError, match=r"--profile h1@partners-0: .* give the split partners-0 with --split"):
        plan_noise.main(arguments)
    roles = {"u0": "train", "u1": "val", "u2": "test"}
    arguments.split = write_split(tmp_path / "split.parquet", {0: roles}, "dialogue-0")
    with pytest.raises(NoiseError, match=r"--profile h1@partners-0: .* give the split partners-0 with --split"):
        plan_noise.main(arguments)


def test_a_part_of_esc50_without_clips_for_each_role_has_no_plan_that_follows_a_split(tmp_path: Path) -> None:
    arguments = write_stage_inputs(tmp_path, ["u0", "u1", "u2"], folds=[4])
    roles = {"u0": "train", "u1": "val", "u2": "test"}
    arguments.split = write_split(tmp_path / "split.parquet", {0: roles}, "partners-0")
    arguments.profile = "h1@partners-0"
    with pytest.raises(NoiseError, match=r"natural, human, interior there is none in fold 1, 2, 3 \(train\): what"):
        plan_noise.main(arguments)


@pytest.mark.parametrize(
    ("condition", "profile", "split"),
    [("h1", "h1", None), ("h1_gain@speaker-12", "h1_gain", "speaker-12"), ("clean", "clean", None)],
)
def test_conditions_are_named_by_profile_and_split(condition: str, profile: str, split: str | None) -> None:
    assert (profile_of(condition), split_of(condition)) == (profile, split)
    assert split is None or of_split(profile, split) == condition
    # a profile of the configuration cannot have such a name
    assert bool(re.match(NAME, condition)) == (split is None)


def test_stage_writes_a_row_an_utterance_in_order(tmp_path: Path) -> None:
    names = [f"u{i}" for i in range(20)]
    arguments = write_stage_inputs(tmp_path, names)
    plan_noise.main(arguments)
    plan = read_plan(arguments.plan)
    assert list(plan) == names
    assert all(row.snr_db == H1[row.condition] for row in plan.values())
    assert all(row.achieved_snr_db == pytest.approx(row.snr_db, abs=1e-4) for row in plan.values())
    metadata = read_metadata(arguments.plan)
    assert metadata["kind"] == "noise_plan"
    assert {key: metadata[key] for key in ("corpus", "profile", "profile_snrs", "mixing", "seed")} == {
        "corpus": "toy", "profile": "h1", "profile_snrs": H1, "mixing": "snr", "seed": 0,
    }  # fmt: skip
    first = arguments.plan.read_bytes()
    plan_noise.main(arguments)
    assert arguments.plan.read_bytes() == first


@pytest.mark.parametrize("mixing", ["snr", "authors_gain"])
def test_stand_ins_are_raised_and_nothing_else_of_their_noise_changes(tmp_path: Path, mixing: str) -> None:
    arguments = write_stage_inputs(tmp_path, [f"u{i}" for i in range(12)])
    arguments.mixing = mixing
    plan_noise.main(arguments)
    faithful = read_plan(arguments.plan)
    arguments.snr_offset_db = 25.0
    plan_noise.main(arguments)
    for name, row in read_plan(arguments.plan).items():
        was = faithful[name]
        assert (row.condition, row.clip, row.offset) == (was.condition, was.clip, was.offset)
        assert row.snr_db == H1[row.condition] + 25.0
        assert row.gain_db == pytest.approx(was.gain_db - 25.0, abs=1e-9)
        assert row.achieved_snr_db == pytest.approx(was.achieved_snr_db + 25.0, abs=1e-3)
    metadata = read_metadata(arguments.plan)
    assert (metadata["profile_snrs"], metadata["snr_offset_db"]) == (H1, 25.0)


def test_stage_names_utterances_without_audio(tmp_path: Path) -> None:
    arguments = write_stage_inputs(tmp_path, ["u0", "u1", "u2", "u3"])
    arguments.audio = arguments.audio[:1]
    with pytest.raises(NoiseError, match="2 utterances, first 'u1', are in none of the 1 audio shards"):
        plan_noise.main(arguments)


def test_snr_over_all_real_clips(real_data: Path) -> None:
    listed, _, _ = list_clips(real_data / "esc50")
    clips = list(read_clips([clip for clip in listed if clip.path], []))
    speech_files = sorted((real_data / "emodb").rglob("*.flac"))
    assert len(clips) == 240
    for i, clip in enumerate(clips):
        path = speech_files[i * 2]
        speech = prepare(path.stem, path, min_duration_s=0.1)
        snr_db = float(H1[clip.group])
        row = plan_utterance(speech, Draw(clip.group, clip.clip, i * 7919), clip.pcm16, snr_db)
        clean = soundfile.read(path)[0]
        noise = mix(speech.waveform, clip.pcm16, row).astype(np.float64) / row.scale - clean
        achieved = 10 * math.log10(np.sum(clean**2) / np.sum(noise**2))
        assert achieved == pytest.approx(snr_db, abs=0.05), clip.clip
