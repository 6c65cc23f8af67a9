from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from serflow.errors import StoreError, TrainingError
from serflow.training.checkpoints import Checkpoint, key_of, save_weights
from serflow.training.fit import Losses, fit
from serflow.training.optimizers import Adadelta, Adam, RMSprop
from serflow.training.seeds import numpy_generator, seed_torch


class Batch(NamedTuple):
    inputs: torch.Tensor
    targets: torch.Tensor


GENERATOR = np.random.default_rng(0)
REFERENCE = GENERATOR.integers(2, size=120)
INPUTS = torch.from_numpy(GENERATOR.normal(size=(120, 4)) + 1.5 * REFERENCE[:, None]).float()
TARGETS = torch.eye(2)[REFERENCE]


class Toy:
    """A separable problem of two classes, with dropout so that random numbers matter."""

    def __init__(self, folder, *, optimizer=Adam, learning_rate=0.02, max_epochs=6, patience=6, key="key"):
        seed_torch("toy")
        self.network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
        self.optimizer = optimizer(self.network.parameters(), learning_rate)
        self.checkpoint = Checkpoint(folder / "fit.pt", key)
        self.max_epochs, self.patience = max_epochs, patience

    def losses(self, batch):
        logits = self.network(batch.inputs)
        task = nn.functional.cross_entropy(logits, batch.targets)
        return Losses(task, {"task_loss": task}, logits)

    def train_batches(self, epoch):
        for rows in numpy_generator("toy", epoch).permutation(80).reshape(-1, 16):
            yield Batch(INPUTS[rows], TARGETS[rows])

    def fit(self):
        return fit(
            self.network,
            self.optimizer,
            self.losses,
            self.train_batches,
            lambda: [Batch(INPUTS[80:100], TARGETS[80:100]), Batch(INPUTS[100:], TARGETS[100:])],
            name="toy",
            seed=0,
            max_epochs=self.max_epochs,
            patience=self.patience,
            checkpoint=self.checkpoint,
        )


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_a_separable_problem_is_learnt(tmp_path):
    fitted = Toy(tmp_path, max_epochs=20, patience=20).fit()
    history = fitted.history
    assert [row["epoch"] for row in history] == list(range(20))
    assert history[fitted.best_epoch]["val_ua"] == max(row["val_ua"] for row in history) > 0.85
    assert history[-1]["loss"] < history[0]["loss"]


def test_the_weights_are_those_of_the_best_epoch(tmp_path):
    toy = Toy(tmp_path, max_epochs=12, patience=12, learning_rate=0.3)
    fitted = toy.fit()
    assert fitted.best_epoch < 11
    again = Toy(tmp_path / "again", max_epochs=fitted.best_epoch + 1, learning_rate=0.3).fit()
    assert same(fitted.weights, again.weights)
    assert same(fitted.weights, toy.network.state_dict())
    assert not toy.network.training


def test_training_stops_when_validation_ua_no_longer_rises(tmp_path):
    toy = Toy(tmp_path, learning_rate=1e-12, max_epochs=50, patience=3)
    fitted = toy.fit()
    assert fitted.best_epoch == 0
    assert len(fitted.history) == 4


@pytest.mark.parametrize("killed_in", range(4))
@pytest.mark.parametrize("optimizer", [Adam, Adadelta])
def test_a_killed_fit_goes_on_to_the_same_result(tmp_path, killed_in, optimizer):
    whole = Toy(tmp_path / "whole", optimizer=optimizer, max_epochs=4).fit()

    class Killed(Toy):
        def train_batches(self, epoch):
            for place, batch in enumerate(super().train_batches(epoch)):
                if epoch == killed_in and place == 2:
                    raise KeyboardInterrupt
                yield batch

    with pytest.raises(KeyboardInterrupt):
        Killed(tmp_path, optimizer=optimizer, max_epochs=4).fit()
    again = Toy(tmp_path, optimizer=optimizer, max_epochs=4)
    torch.manual_seed(99)
    resumed = again.fit()
    assert resumed.history == whole.history
    assert resumed.best_epoch == whole.best_epoch
    assert same(resumed.weights, whole.weights)


def test_a_finished_fit_is_not_trained_again(tmp_path):
    whole = Toy(tmp_path).fit()
    again = Toy(tmp_path)
    again.train_batches = None
    assert same(again.fit().weights, whole.weights)


@pytest.mark.parametrize("place", [0, 40, 70, 300, -1])
def test_a_damaged_state_is_refused(tmp_path, place):
    Toy(tmp_path, max_epochs=1).fit()
    content = bytearray((tmp_path / "fit.pt").read_bytes())
    content[place] ^= 1
    (tmp_path / "fit.pt").write_bytes(content)
    with pytest.raises(StoreError, match=r"fit.pt: the state of a fit does not match.* delete it and run the same"):
        Toy(tmp_path, max_epochs=1).fit()


@pytest.mark.parametrize("content", [b"", b"serflow fit ", b"not a state at all\n\0\0"])
def test_a_file_that_is_no_state_is_refused(tmp_path, content):
    (tmp_path / "fit.pt").write_bytes(content)
    with pytest.raises(StoreError, match=r"fit.pt.* delete it"):
        Toy(tmp_path).fit()


def test_a_state_with_another_key_is_not_used(tmp_path, caplog):
    caplog.set_level("INFO")
    Toy(tmp_path, learning_rate=0.3).fit()
    fitted = Toy(tmp_path, key="other").fit()
    assert "fit.pt: of other code, options or inputs; the fit starts over" in caplog.text
    assert same(fitted.weights, Toy(tmp_path / "fresh").fit().weights)


def test_a_loss_that_is_not_finite_names_epoch_and_batch(tmp_path):
    class Broken(Toy):
        def train_batches(self, epoch):
            for place, batch in enumerate(super().train_batches(epoch)):
                yield Batch(batch.inputs * torch.inf, batch.targets) if (epoch, place) == (1, 3) else batch

    with pytest.raises(TrainingError, match=r"toy, epoch 1, training, batch 3: the loss is not finite \(loss nan"):
        Broken(tmp_path).fit()


@pytest.mark.parametrize(
    ("ours", "peer"),
    [
        (Adam, lambda parameters: torch.optim.Adam(parameters, 1e-3, betas=(0.5, 0.999))),
        (Adadelta, lambda parameters: torch.optim.Adadelta(parameters, 1e-3, rho=0.95, eps=1e-7)),
        (RMSprop, lambda parameters: torch.optim.RMSprop(parameters, 1e-3, alpha=0.9, eps=1e-7)),
    ],
)
def test_optimizers_equal_those_of_torch(ours, peer):
    torch.manual_seed(0)
    mine = [torch.randn(3, 4, requires_grad=True), torch.randn(5, requires_grad=True)]
    theirs = [parameter.detach().clone().requires_grad_() for parameter in mine]
    one, two = ours(mine), peer(theirs)
    for step in range(20):
        for index, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            # the second parameter is absent from every third batch
            a.grad = None if index and step % 3 == 0 else torch.randn_like(a)
            b.grad = None if a.grad is None else a.grad.clone()
        one.step()
        two.step()
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_the_key_depends_on_every_part():
    keys = {key_of(*parts) for parts in [("a", {"b": 1}), ("a", {"b": 2}), ("b", {"b": 1}), ("a", {"b": 1}, "c")]}
    assert len(keys) == 4
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})


def test_weights_have_the_same_bytes_each_time(tmp_path):
    weights = {"b": torch.ones(2, 3).t(), "a": torch.zeros(4)}
    for name in ("one", "two"):
        save_weights(tmp_path / name, weights, {"study": "dlc", "method": "single", "corpus": "toy"})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with safe_open(tmp_path / "one", "pt") as stored:
        assert torch.equal(stored.get_tensor("b"), weights["b"])
        assert stored.metadata() == {"serflow": '{"corpus": "toy", "method": "single", "study": "dlc"}'}
