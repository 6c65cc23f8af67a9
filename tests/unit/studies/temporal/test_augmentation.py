"""What training changes of an utterance: ranges, and what a draw depends on."""

import numpy as np
import pytest
from scipy import stats

from serflow.studies.temporal.augmentation import Draw, crop_length, draw, hidden
from serflow.studies.temporal.options import Options

CROP = 48_000
NAMES = ("spectrogram", "toy", "warp", 0, "03F")


def n_frames_of(n_samples):
    return 1 + n_samples // 200


def options(warped=True, **changes):
    return Options.model_validate({"warped": warped, "augment": changes})


def draws(n=2000, n_samples=100_000, opts=None):
    return [draw(opts or options(), n_samples, n_frames_of, *NAMES, 0, f"u{i}") for i in range(n)]


def test_a_draw_is_made_of_its_names_and_nothing_else():
    first = draw(options(), 100_000, n_frames_of, *NAMES, 3, "u1")
    draws(5)
    assert draw(options(), 100_000, n_frames_of, *NAMES, 3, "u1") == first
    others = {draw(options(), 100_000, n_frames_of, *names) for names in (
        (*NAMES, 4, "u1"), (*NAMES, 3, "u2"), (*NAMES[:3], 1, "03F", 3, "u1"), (*NAMES[:4], "03M", 3, "u1"),
        ("modulation", *NAMES[1:], 3, "u1"),
    )}  # fmt: skip
    assert len({one.gain for one in others} - {first.gain}) == 5
    assert len({one.start for one in others} - {first.start}) == 5


def test_another_range_of_one_leaves_the_others_as_they_are():
    wide = draws(9)
    for change, kept in [
        ({"gain_db": (-3.0, 3.0)}, ("start", "warp", "time_masks", "band_masks")),
        ({"warp": 0.01}, ("start", "gain", "time_masks", "band_masks")),
        ({"spec_augment": {"time_width": 3}}, ("start", "gain", "warp", "band_masks")),
    ]:
        narrow = draws(9, opts=options(**change))
        assert narrow != wide
        assert [[getattr(one, name) for name in kept] for one in narrow] == [
            [getattr(one, name) for name in kept] for one in wide
        ]


def is_uniform(values, low, high):
    assert low <= min(values)
    assert max(values) <= high
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3


def test_gain_is_uniform_in_db_warp_in_alpha_and_start_over_the_utterance():
    found = draws()
    assert is_uniform([20 * np.log10(one.gain) for one in found], -40, 0)
    assert is_uniform([one.warp for one in found], -0.15, 0.15)
    assert is_uniform([one.start for one in found], 0, 100_000 - CROP)
    decibels = [20 * np.log10(one.gain) for one in draws(opts=options(gain_db=(-10.0, 20.0)))]
    assert is_uniform(decibels, -10, 20)
    assert {one.warp for one in draws(9, opts=options(warped=False))} == {0.0}


def test_all_starts_can_be_drawn_and_no_crop_goes_beyond_the_end():
    assert {one.start for one in draws(200, n_samples=CROP + 4)} == {0, 1, 2, 3, 4}
    assert {one.start for one in draws(9, n_samples=CROP)} == {0}
    assert {one.start for one in draws(9, n_samples=100)} == {0}
    assert crop_length(options(crop_s=1.5).augment) == 24_000


@pytest.mark.parametrize("n_samples", [100_000, 10_000, 2_000])
def test_masks_have_all_widths_up_to_the_largest_and_lie_in_the_frames_that_are_there(n_samples):
    n_frames = n_frames_of(min(n_samples, CROP))
    found = draws(4000, n_samples=n_samples)
    assert {len(one.time_masks) for one in found} == {2}
    assert {len(one.band_masks) for one in found} == {1}
    for masks, largest, size in (
        ([mask for one in found for mask in one.time_masks], 20, n_frames),
        ([mask for one in found for mask in one.band_masks], 4, 30),
    ):
        assert {width for _, width in masks} == set(range(min(largest, size) + 1))
        counts = np.bincount([width for _, width in masks])[: min(largest, size)]
        assert stats.chisquare(counts).pvalue > 1e-3
        assert {first + width for first, width in masks} <= set(range(size + 1))
        covered = {place for first, width in masks for place in range(first, first + width)}
        assert covered == set(range(size))
    # those of an utterance are drawn apart
    assert any(one.time_masks[0][1] < one.time_masks[1][1] for one in found)
    assert any(one.time_masks[0][1] > one.time_masks[1][1] for one in found)
    assert any(one.time_masks[0][1] < 5 and one.band_masks[0][1] == 4 for one in found)


def test_hidden_is_what_the_masks_say_and_nothing_beyond_the_end():
    some = Draw(0, 1.0, 0.0, ((1, 2), (4, 9)), ((0, 1),))
    none = Draw(0, 1.0, 0.0, ((0, 0),), ())
    found = hidden([some, none, some], [6, 3, 8], 8, 3)
    expected = np.zeros((8, 3), bool)
    expected[1:3] = expected[4:] = True
    expected[:, 0] = True
    np.testing.assert_array_equal(found[2], expected)
    np.testing.assert_array_equal(found[0, :6], expected[:6])
    assert not found[0, 6:].any()
    assert not found[1].any()


def test_a_gain_range_that_falls_is_refused():
    with pytest.raises(ValueError, match="gain_db goes from 0 down to -40; give the lower one first"):
        options(gain_db=(0.0, -40.0))
