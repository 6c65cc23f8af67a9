import itertools

import numpy as np
import pytest
import torch

from serflow.stores.frames import FrameRow, PackedFrames, pack_frames, write_frames
from serflow.training.batching import (
    balanced_batches,
    bucketed_batches,
    dialogue_batches,
    homogeneous_batches,
    ordered_batches,
    pad_frames,
)
from serflow.training.seeds import numpy_generator, reproducible, seed_from

LENGTHS = np.random.default_rng(0).lognormal(5.5, 0.6, size=1000).astype(int) + 1


def batches_of(epoch, lengths=LENGTHS):
    return bucketed_batches(lengths, 32, numpy_generator("test", epoch))


def padding(batches):
    return 1 - sum(LENGTHS[b].sum() for b in batches) / sum(LENGTHS[b].max() * len(b) for b in batches)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 170, 1000])
def test_every_utterance_is_in_one_batch_and_no_batch_is_too_large(n):
    batches = batches_of(0, LENGTHS[:n])
    assert sorted(np.concatenate(batches)) == list(range(n))
    assert max(map(len, batches)) <= 32
    assert len(batches) == -(-n // 32)


def test_a_seed_gives_the_same_batches_and_each_epoch_others():
    assert [b.tolist() for b in batches_of(3)] == [b.tolist() for b in batches_of(3)]
    for n in (170, 1000):
        sets = [{frozenset(b.tolist()) for b in batches_of(epoch, LENGTHS[:n])} for epoch in range(3)]
        assert not sets[0] & sets[1]
        assert not sets[1] & sets[2]


def test_batches_are_not_ordered_by_length():
    longest = [LENGTHS[batch].max() for batch in batches_of(0)]
    assert longest != sorted(longest)


def test_buckets_leave_little_padding():
    shuffled = np.random.default_rng(0).permutation(len(LENGTHS))
    plain = [shuffled[start : start + 32] for start in range(0, len(LENGTHS), 32)]
    assert padding(batches_of(0)) < 0.2 < 0.5 < padding(plain)


def test_homogeneous_batches_hold_one_group_and_mix_their_order():
    groups = np.random.default_rng(1).integers(3, size=len(LENGTHS))
    batches = homogeneous_batches(LENGTHS, groups, 32, numpy_generator("test"))
    assert sorted(np.concatenate(batches)) == list(range(len(LENGTHS)))
    order = [set(groups[batch]) for batch in batches]
    assert all(len(group) == 1 for group in order)
    assert sum(a != b for a, b in itertools.pairwise(order)) > 5


def test_ordered_batches_go_from_short_to_long():
    batches = ordered_batches(LENGTHS, 32)
    assert sorted(np.concatenate(batches)) == list(range(len(LENGTHS)))
    assert (np.diff(LENGTHS[np.concatenate(batches)]) >= 0).all()


@pytest.mark.parametrize(("multiple", "n_frames"), [(1, 7), (4, 8), (7, 7)])
def test_frames_are_padded_with_zeros(tmp_path, multiple, n_frames):
    rows = [FrameRow(f"u{n}", np.full((n, 2), n, dtype=np.float32)) for n in (3, 7, 1, 5)]
    write_frames(tmp_path / "0000.parquet", rows, 2, {})
    pack_frames([tmp_path / "0000.parquet"], tmp_path / "packed.npy", tmp_path / "packed.parquet")
    padded = pad_frames(PackedFrames.open(tmp_path / "packed.parquet"), np.array([2, 1]), multiple)
    assert padded.shape == (2, n_frames, 2)
    assert padded.dtype == np.float32
    assert padded[0, :, 0].tolist() == [1] + [0] * (n_frames - 1)
    assert padded[1, :, 1].tolist() == [7] * 7 + [0] * (n_frames - 7)


def test_seeds_come_from_names_and_differ():
    assert seed_from("batches", 0, 1) == 6169547635688749954
    seeds = {seed_from(*names) for names in [("a", 1), ("a", "1"), ("a1",), ("a", 11), ("a", 1, 1)]}
    assert len(seeds) == 5
    assert max(seeds) < 2**63


def test_the_reproducible_block_is_left_as_it_was_found():
    before = torch.get_deterministic_debug_mode()
    with reproducible():
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 1
    assert torch.get_deterministic_debug_mode() == before


def test_balanced_batches_draw_evenly_from_every_group_and_use_every_row():
    groups = numpy_generator("groups").permutation(np.repeat([0, 1, 2], [len(LENGTHS) - 90, 50, 40]))
    batches = balanced_batches(LENGTHS, groups, 30, numpy_generator("test"))
    assert set(np.concatenate(batches).tolist()) == set(range(len(LENGTHS)))
    for batch in batches:
        counts = np.bincount(groups[batch], minlength=3)
        assert counts.min() >= 1
        assert counts.max() <= 10
    largest = np.concatenate([batch[groups[batch] == 0] for batch in batches])
    assert len(set(largest.tolist())) == len(largest)


def test_dialogues_stay_whole_and_in_the_order_of_their_turns():
    dialogues = ["b", "a", "b", "c", "a", "b"]
    turns = np.array([2, 1, 0, 0, 0, 1])
    assert [batch.tolist() for batch in dialogue_batches(dialogues, turns, 4)] == [[2, 5, 0, 4, 1], [3]]
    # so many dialogues, however long each is
    by_dialogue = dialogue_batches(dialogues, turns, 2, unit="dialogues")
    assert [batch.tolist() for batch in by_dialogue] == [[2, 5, 0, 4, 1], [3]]
    assert [len(batch) for batch in dialogue_batches(dialogues, turns, 2)] == [3, 2, 1]
    shuffled = [dialogue_batches(dialogues, turns, 1, numpy_generator("test", seed)) for seed in range(20)]
    assert {tuple(dialogues[batch[0]] for batch in batches) for batches in shuffled} > {("a", "b", "c")}
    assert all(sorted(map(len, batches)) == [1, 2, 3] for batches in shuffled)
    assert all(turns[batch].tolist() == sorted(turns[batch]) for batches in shuffled for batch in batches)
