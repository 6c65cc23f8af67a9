"""The loop of several fits does with each what the loop of one does, whatever its members compute at once."""

import pytest
import torch
from torch import nn

from serflow.training.checkpoints import Checkpoint
from serflow.training.fit import Losses, Schedule, fit
from serflow.training.fused import Member, fit_fused
from serflow.training.optimizers import Adam
from serflow.training.seeds import Stream, seed_torch

CPU = torch.device("cpu")
SCHEDULE = Schedule(8, select="val_score", patience=2, clip_norm=0.05)
BATCHES = (2, 3, 1)
"""Of an epoch of each member."""


def optimize(parameters):
    return Adam(parameters, 0.05, weight_decay=0.1)


class Toy:
    """A linear layer with dropout, on made-up rows of its own."""

    def __init__(self, member):
        self.member = member
        seed_torch("toy", member)
        self.network = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 1))

    def rows(self, name, period=0):
        generator = torch.Generator().manual_seed(hash((self.member, name, period)) % 2**31)
        return torch.randn(5 + self.member, 4, generator=generator)

    def start(self, period):
        return {"strength": float(period)}

    def batches(self, period):
        # what a batch takes from torch is its member's own, too
        return (self.rows(number, period) + 0.1 * torch.randn(1) for number in range(BATCHES[self.member]))

    def losses(self, batch):
        error = (self.network(batch).squeeze(1) - batch.sum(1)).square().mean()
        return Losses(error, {"error": error}, len(batch))

    def validate(self):
        return {"val_score": -float(self.losses(self.rows(-1)).total)}


class Apart:
    """Members that are computed one after the other."""

    def __init__(self, learners):
        self.learners = learners
        self.streams = [Stream(CPU) for _ in learners]

    def losses(self, batches):
        found = {}
        for member, batch in batches.items():
            with self.streams[member]():
                found[member] = self.learners[member].losses(batch)
        return found

    def share_gradients(self):
        """There are none but the networks' own."""

    def validate(self, members):
        return {member: self.learners[member].validate() for member in members}


def fused(folder, schedule=SCHEDULE):
    learners = [Toy(member) for member in range(len(BATCHES))]
    return fit_fused(
        Apart(learners), optimize, schedule, members=[Member(f"toy {seed}", seed) for seed in range(len(BATCHES))],
        checkpoint=Checkpoint(folder / "fused.pt", "key"),
    )  # fmt: skip


def lone(folder, member):
    learner = Toy(member)
    return fit(
        learner, {"main": optimize(learner.network.parameters())}, SCHEDULE, name=f"toy {member}", seed=member,
        checkpoint=Checkpoint(folder / f"{member}.pt", "key"),
    )  # fmt: skip


def test_each_ends_as_by_itself_to_the_bit(tmp_path):
    found = fused(tmp_path)
    expected = [lone(tmp_path, member) for member in range(len(BATCHES))]
    assert len({len(each.history) for each in expected}) > 1
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.history == theirs.history
        assert ours.best_period == theirs.best_period
        for name, values in theirs.last.items():
            assert torch.equal(ours.last[name], values)
            assert torch.equal(ours.best[name], theirs.best[name])


@pytest.mark.parametrize("other", [{"accumulate": 2}, {"rate": lambda update, history: 1.0}])
def test_what_the_loop_does_not_do_is_refused(tmp_path, other):
    with pytest.raises(ValueError, match="fused fits have one rate, and a batch makes an update"):
        fused(tmp_path, Schedule(2, select=None, **other))
