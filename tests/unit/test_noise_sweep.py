"""Noise of one kind at a level: what is achieved, and that nothing but the level changes from level to level."""

import math

import numpy as np
import pytest
from test_noise_plan import measured_snr_db, prepared

from serflow.errors import NoiseError
from serflow.noise.mixing import ClipBank
from serflow.noise.plan import CONDITIONS, FOLDS_OF_ROLE
from serflow.noise.sweep import draw_kind, mix_at

NAMES = [f"u{i}" for i in range(200)]
LEVELS = (30.0, 20.0, 5.0, 0.0, -5.0, -20.0)


def bank(conditions=CONDITIONS) -> ClipBank:
    rng = np.random.default_rng(0)
    names = {f"{condition}{i}": (condition, 1 + i % 5) for condition in conditions for i in range(20)}
    clips = {name: rng.integers(-9000, 9000, 24_000, dtype=np.int16) for name in names}
    groups = {name: condition for name, (condition, _) in names.items()}
    return ClipBank(clips, groups, folds={name: fold for name, (_, fold) in names.items()})


@pytest.mark.parametrize("kind", CONDITIONS)
@pytest.mark.parametrize("snr_db", LEVELS)
def test_the_mixture_has_the_level_that_was_asked_for(kind, snr_db):
    clips = bank()
    speech = prepared(np.random.default_rng(1).integers(-4000, 4000, 16_000, dtype=np.int16), "u0")
    mixed, row = mix_at(speech, draw_kind(["u0"], kind, clips, "shared", 0)["u0"], clips, snr_db)
    assert measured_snr_db(speech, mixed, row.scale) == pytest.approx(snr_db, abs=0.05)
    assert row.achieved_snr_db == pytest.approx(snr_db, abs=0.01)
    assert mixed.dtype == np.float32
    assert len(mixed) == 16_000
    assert np.abs(mixed).max() <= 1.0


def test_nothing_but_the_level_changes_from_level_to_level():
    clips = bank()
    speech = prepared(np.random.default_rng(1).integers(-4000, 4000, 16_000, dtype=np.int16), "u0")
    draw = draw_kind(["u0"], "human", clips, "shared", 0)["u0"]
    rows = [mix_at(speech, draw, clips, snr_db)[1] for snr_db in LEVELS]
    assert len({(row.clip, row.offset, row.condition) for row in rows}) == 1
    gains = [row.gain_db for row in rows]
    assert np.diff(gains) == pytest.approx(-np.diff(LEVELS))


def test_every_kind_is_drawn_for_itself_from_its_own_clips():
    clips = bank()
    drawn = {kind: draw_kind(NAMES, kind, clips, "shared", 0) for kind in CONDITIONS}
    for kind, draws in drawn.items():
        assert list(draws) == NAMES
        assert {draw.condition for draw in draws.values()} == {kind}
        assert {draw.clip for draw in draws.values()} == set(clips.by_condition[kind])
    places = [[draw.clip.removeprefix(kind) for draw in draws.values()] for kind, draws in drawn.items()]
    assert places[0] != places[1] != places[2] != places[0]


def test_a_draw_depends_on_seed_and_utterance_alone():
    clips = bank()
    drawn = draw_kind(NAMES, "natural", clips, "shared", 0)
    assert draw_kind(NAMES[50:][::-1], "natural", clips, "shared", 0) == {name: drawn[name] for name in NAMES[50:]}
    assert draw_kind(NAMES, "natural", clips, "shared", 1) != drawn


def test_by_fold_neither_training_nor_validation_heard_the_clips():
    clips = bank()
    drawn = draw_kind(NAMES, "interior", clips, "by_fold", 0)
    assert {clips.fold_of[draw.clip] for draw in drawn.values()} == set(FOLDS_OF_ROLE["test"])


def test_a_kind_without_clips_is_refused():
    with pytest.raises(NoiseError, match=r"^no noise clip of the group human; see noise\.esc50\.root"):
        draw_kind(NAMES, "human", bank(("natural", "interior")), "shared", 0)


def test_a_kind_without_clips_in_the_fold_of_the_test_is_refused_by_its_key():
    clips = bank()
    clips.fold_of |= dict.fromkeys(clips.by_condition["human"], 1)
    with pytest.raises(
        NoiseError, match=r"noise\.clips is by_fold.* fold 5 \(test\): no noise clip of the group human;"
    ):
        draw_kind(NAMES, "human", clips, "by_fold", 0)
    assert draw_kind(NAMES, "natural", clips, "by_fold", 0)


def test_silent_speech_is_refused():
    clips = bank()
    silent = prepared(np.zeros(16_000, np.int16), "u0")
    with pytest.raises(NoiseError, match="u0"):
        mix_at(silent, draw_kind(["u0"], "human", clips, "shared", 0)["u0"], clips, math.inf)
