"""What is written, read or trained on a group at a time is not held beyond it: memory does not grow with the corpus."""

import gc
import tracemalloc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from serflow.audio.prepared import PreparedUtterance, write_prepared
from serflow.audit.fingerprint import Landmarks
from serflow.audit.near import near_duplicates
from serflow.audit.prints import read_prints, write_prints
from serflow.stores.frames import FrameRow, write_frames
from serflow.stores.groups import grouped
from serflow.stores.pulses import PulseRow, write_pulses
from serflow.stores.vectors import write_vectors
from serflow.training.checkpoints import Checkpoint
from serflow.training.evaluation import placed
from serflow.training.fit import Losses, Schedule, fit
from serflow.training.fused import Member, fit_fused
from serflow.training.gathered import BLOCK, Gathered
from serflow.training.optimizers import Adam
from serflow.training.seeds import Stream

METADATA = {"corpus": "made_up", "synthetic": True, "shard": "0000", "n_shards": 1}
# utterances of a row group
GROUPS = {"audio": 64, "frames": 8, "vectors": 1024, "pulses": 512, "fingerprints": 512}


class _Lent:
    """Arrays that are handed out one by one, and how many of them are held at most."""

    def __init__(self) -> None:
        self.held: list[weakref.ref[Any]] = []
        self.most = 0

    def lend(self, array: Any) -> Any:
        self.held = [held for held in self.held if held() is not None]
        self.held.append(weakref.ref(array))
        self.most = max(self.most, len(self.held))
        return array

    def left(self) -> int:
        gc.collect()
        return sum(held() is not None for held in self.held)


def _audio(path, n, lent):
    def rows() -> Iterator[PreparedUtterance]:
        for number in range(n):
            yield PreparedUtterance(f"u{number}", lent.lend(np.full(100, 1, np.int16)), 16_000, 1, "PCM_16", 0)

    write_prepared(path, rows(), METADATA)


def _frames(path, n, lent):
    write_frames(path, (FrameRow(f"u{k}", lent.lend(np.ones((3, 2), np.float32))) for k in range(n)), 2, METADATA)


def _vectors(path, n, lent):
    write_vectors(path, (FrameRow(f"u{k}", lent.lend(np.ones((1, 2), np.float32))) for k in range(n)), 2, METADATA)


def _pulses(path, n, lent):
    write_pulses(path, (PulseRow(f"u{k}", 9, lent.lend(np.array([1, 5]))) for k in range(n)), lambda: METADATA)


def _fingerprints(path, n, lent):
    def landmarks() -> Landmarks:
        return Landmarks(lent.lend(np.ones(2, np.int32)), np.ones(2, np.int32))

    write_prints(path, ((f"u{k}", landmarks()) for k in range(n)), METADATA)


WRITERS = {
    "audio": _audio,
    "frames": _frames,
    "vectors": _vectors,
    "pulses": _pulses,
    "fingerprints": _fingerprints,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_store_lets_go_of_what_it_has_written(kind, tmp_path):
    lent = _Lent()
    WRITERS[kind](tmp_path / "store.parquet", 3 * GROUPS[kind] + 1, lent)
    # a group that is being written, and the first of the next
    assert GROUPS[kind] <= lent.most <= GROUPS[kind] + 1
    assert lent.left() == 0


def test_groups_end_where_they_are_full_or_large():
    assert list(grouped(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(grouped([3, 4, 1, 9, 1], 3, lambda item: item, 7)) == [[3, 4], [1, 9], [1]]
    assert list(grouped([], 3)) == []


def _bytes_of_a_search(n: int, n_codes: int) -> int:
    """Return the most memory of a search among ``n`` utterances of 100 landmarks each, drawn from ``n_codes``."""
    generator = np.random.default_rng(0)
    frames = np.arange(100, dtype=np.int32)
    prints = [Landmarks(generator.integers(0, n_codes, 100).astype(np.int32), frames) for _ in range(n)]
    tracemalloc.start()
    try:
        assert near_duplicates(prints) == []
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("n_codes", [1 << 12, 1 << 18], ids=["much in common", "little in common"])
def test_a_search_for_near_duplicates_holds_two_numbers_an_utterance(n_codes, monkeypatch):
    monkeypatch.setattr("serflow.audit.near.MOST_INDEXED", 20_000)
    monkeypatch.setattr("serflow.audit.near.MOST_LOOKED_UP", 5_000)
    monkeypatch.setattr("serflow.audit.near.MOST_ENTRIES", 10_000)
    monkeypatch.setattr("serflow.audit.near.N_CODES", n_codes)
    few, many = _bytes_of_a_search(500, n_codes), _bytes_of_a_search(2_000, n_codes)
    assert (many - few) / 1_500 < 100


def test_fingerprints_are_read_a_row_group_at_a_time(tmp_path):
    n = 8 * GROUPS["fingerprints"]
    landmarks = Landmarks(np.arange(100, dtype=np.int32), np.arange(100, dtype=np.int32))
    write_prints(tmp_path / "prints.parquet", ((f"u{k}", landmarks) for k in range(n)), METADATA)
    stored = read_prints(tmp_path / "prints.parquet").landmarks
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in stored]
    assert len(held) == n
    # codes and frames of a group, those of the next, and what is read on the way
    assert 800 * GROUPS["fingerprints"] <= max(held) < 4 * 800 * GROUPS["fingerprints"]


class _Lender:
    """A learner of one weight, whose batches are lent."""

    def __init__(self, lent):
        self.lent = lent
        self.network = nn.Linear(1, 1)

    def start(self, period):
        return {}

    def batches(self, period):
        return (self.lent.lend(torch.full((4, 1), float(number))) for number in range(20))

    def losses(self, batch):
        loss = self.network(batch).square().mean()
        return Losses(loss, {"square": loss}, len(batch))

    def validate(self):
        return {}


class _Alone:
    """A learner as `fit_fused` takes it, one after the other."""

    def __init__(self, learners):
        self.learners = learners
        self.streams = [Stream(torch.device("cpu")) for _ in learners]

    def losses(self, batches):
        return {member: self.learners[member].losses(batch) for member, batch in batches.items()}

    def share_gradients(self):
        pass

    def validate(self, members):
        return {member: {} for member in members}


def _adam(parameters):
    return Adam(parameters, 0.01)


def _fit(learner, checkpoint):
    fit(
        learner, {"main": _adam(learner.network.parameters())}, Schedule(1, None), name="", seed=0,
        checkpoint=checkpoint,
    )  # fmt: skip


def _fit_fused(learner, checkpoint):
    fit_fused(_Alone([learner]), _adam, Schedule(1, None), members=[Member("", 0)], checkpoint=checkpoint)


@pytest.mark.parametrize("train", [_fit, _fit_fused])
def test_a_batch_is_let_go_of_before_the_next_is_made(train, tmp_path):
    lent = _Lent()
    train(_Lender(lent), Checkpoint(tmp_path / "fit.pt", "key"))
    assert lent.most == 1
    assert lent.left() == 0


def test_what_a_network_says_is_let_go_of_batch_by_batch():
    lent = _Lent()
    batches = [np.arange(start, start + 4) for start in range(0, 80, 4)]
    found = placed(batches, (lent.lend(np.full((4, 2), start, np.float32)) for start in range(20)))
    np.testing.assert_array_equal(found, np.repeat(np.arange(20), 4)[:, None].repeat(2, 1))
    assert lent.most <= 2
    with pytest.raises(ValueError, match="no batch"):
        placed([], [])


@pytest.mark.parametrize("n", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_small_tensors_are_gathered_in_blocks(n):
    rows = torch.arange(2.0 * n).reshape(n, 2)
    lent, gathered = _Lent(), Gathered()
    for start in range(0, n, 300):
        gathered.add(lent.lend(rows[start : start + 300].clone()))
    assert len(gathered) == n
    assert lent.left() == 0
    assert torch.equal(gathered.read(), rows)
