import itertools
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from serflow.errors import TrainingError
from serflow.training.checkpoints import Checkpoint
from serflow.training.fit import Losses, Schedule, fit
from serflow.training.metrics import unweighted_accuracy
from serflow.training.optimizers import Adadelta, Adam, RMSprop
from serflow.training.seeds import numpy_generator, seed_torch


class Batch(NamedTuple):
    inputs: torch.Tensor
    targets: torch.Tensor


GENERATOR = np.random.default_rng(0)
REFERENCE = GENERATOR.integers(2, size=120)
INPUTS = torch.from_numpy(GENERATOR.normal(size=(120, 4)) + 1.5 * REFERENCE[:, None]).float()
TARGETS = torch.eye(2)[REFERENCE]
OPTIMIZERS = {
    "own adam": lambda parameters, rate: Adam(parameters, rate),
    "own adadelta": lambda parameters, rate: Adadelta(parameters, rate),
    "own rmsprop": lambda parameters, rate: RMSprop(parameters, rate),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, rate, momentum=0.9, nesterov=True),
    "adamw": lambda parameters, rate: torch.optim.AdamW(parameters, rate, weight_decay=1e-2),
}


def batch_of(rows):
    return Batch(INPUTS[rows], TARGETS[rows])


class Toy:
    """A separable problem of two classes, with dropout so that random numbers matter."""

    def __init__(self, folder, *, optimizer="own adam", learning_rate=0.02, key="key", **schedule):
        seed_torch("toy")
        self.network = self.build()
        self.optimizers = {"main": OPTIMIZERS[optimizer](self.network.parameters(), learning_rate)}
        self.checkpoint = Checkpoint(folder / "fit.pt", key)
        self.schedule = Schedule(**{"periods": 6, "select": "val_ua", **schedule})

    def build(self):
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))

    def start(self, period):
        return {}

    def batches(self, period):
        for rows in numpy_generator("toy", period).permutation(80).reshape(-1, 16):
            yield batch_of(rows)

    def losses(self, batch):
        task = nn.functional.cross_entropy(self.network(batch.inputs), batch.targets)
        return Losses(task, {"task_loss": task}, len(batch.inputs))

    def validate(self):
        predictions = self.network(INPUTS[80:]).argmax(1)
        # NumPy's own number, as a metric may give it
        return {"val_ua": np.float64(unweighted_accuracy(TARGETS[80:].numpy(), predictions.numpy()))}

    def fit(self):
        return fit(self, self.optimizers, self.schedule, name="toy", seed=0, checkpoint=self.checkpoint)


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def assert_same_fit(one, two):
    assert one.history == two.history
    assert one.best_period == two.best_period
    assert same(one.best, two.best)
    assert same(one.last, two.last)


def test_a_separable_problem_is_learnt(tmp_path):
    fitted = Toy(tmp_path, periods=20).fit()
    history = fitted.history
    assert [row["period"] for row in history] == list(range(20))
    assert [row["updates"] for row in history] == list(range(5, 101, 5))
    assert history[fitted.best_period]["val_ua"] == max(row["val_ua"] for row in history) > 0.85
    assert history[-1]["loss"] < history[0]["loss"]


def test_the_weights_are_those_of_the_best_and_of_the_last_period(tmp_path):
    toy = Toy(tmp_path, periods=12, learning_rate=0.3)
    fitted = toy.fit()
    assert fitted.best_period < 11
    again = Toy(tmp_path / "again", periods=fitted.best_period + 1, learning_rate=0.3).fit()
    assert same(fitted.best, again.last)
    assert same(fitted.best, toy.network.state_dict())
    assert not same(fitted.last, fitted.best)
    assert not toy.network.training
    # the last weights are those that another value would have chosen
    latest = Toy(tmp_path / "latest", periods=12, learning_rate=0.3, select="period").fit()
    assert same(fitted.last, latest.best)


def test_without_selection_the_last_period_is_the_one(tmp_path):
    chosen = Toy(tmp_path / "chosen", learning_rate=0.3).fit()
    toy = Toy(tmp_path, learning_rate=0.3, select=None)
    fitted = toy.fit()
    assert fitted.history == chosen.history
    assert fitted.best_period == 5 != chosen.best_period
    assert same(fitted.best, fitted.last)
    assert same(fitted.last, chosen.last)
    assert toy.checkpoint.load()["best"] == {}
    again = Toy(tmp_path, learning_rate=0.3, select=None)
    assert_same_fit(again.fit(), fitted)
    assert not again.network.training


@pytest.mark.parametrize("patience", [1, 3])
def test_training_stops_when_the_selected_value_no_longer_rises(tmp_path, patience):
    fitted = Toy(tmp_path, learning_rate=1e-12, periods=50, patience=patience).fit()
    assert fitted.best_period == 0
    assert len(fitted.history) == 1 + patience
    rising = Toy(tmp_path / "rising", learning_rate=1e-12, periods=9, patience=patience, select="updates").fit()
    assert len(rising.history) == 9


@pytest.mark.parametrize("killed_in", range(4))
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_killed_fit_goes_on_to_the_same_result(tmp_path, killed_in, optimizer):
    whole = Toy(tmp_path / "whole", optimizer=optimizer, periods=4).fit()

    class Killed(Toy):
        def batches(self, period):
            for place, batch in enumerate(super().batches(period)):
                if period == killed_in and place == 2:
                    raise KeyboardInterrupt
                yield batch

    with pytest.raises(KeyboardInterrupt):
        Killed(tmp_path, optimizer=optimizer, periods=4).fit()
    again = Toy(tmp_path, optimizer=optimizer, periods=4)
    torch.manual_seed(99)
    assert_same_fit(again.fit(), whole)


def test_short_periods_do_not_write_their_state_each(tmp_path, monkeypatch):
    """The first of six is written and then every other; a kill costs the last, and changes nothing."""
    seconds = itertools.count()
    monkeypatch.setattr("serflow.training.fit.time.monotonic", lambda: float(next(seconds)))
    whole = Toy(tmp_path / "whole").fit()
    written = []

    class Seen(Checkpoint):
        def save(self, state):
            written.append(len(state["history"]))
            super().save(state)

    rare = Toy(tmp_path)
    rare.checkpoint = Seen(rare.checkpoint.path, rare.checkpoint.key, every_s=2.0)
    assert_same_fit(rare.fit(), whole)
    assert written == [1, 3, 5]
    again = Toy(tmp_path)
    assert len(again.checkpoint.load()["history"]) == 5
    assert_same_fit(again.fit(), whole)


def test_a_finished_fit_is_not_trained_again(tmp_path):
    whole = Toy(tmp_path).fit()
    again = Toy(tmp_path)
    again.batches = again.validate = None
    assert_same_fit(again.fit(), whole)


def test_a_state_with_another_key_is_not_used(tmp_path, caplog):
    caplog.set_level("INFO")
    Toy(tmp_path, learning_rate=0.3).fit()
    fitted = Toy(tmp_path, key="other").fit()
    assert "fit.pt: of other code, options or inputs; the fit starts over" in caplog.text
    assert_same_fit(fitted, Toy(tmp_path / "fresh").fit())


def test_a_learner_is_called_in_order_and_in_the_right_mode(tmp_path):
    called = []

    class Watched(Toy):
        def note(self, what):
            called.append((what, self.network.training, torch.is_grad_enabled()))

        def start(self, period):
            self.note("start")
            return super().start(period)

        def batches(self, period):
            return itertools.islice(super().batches(period), 2)

        def losses(self, batch):
            self.note("losses")
            return super().losses(batch)

        def validate(self):
            self.note("validate")
            return super().validate()

    Watched(tmp_path, periods=2).fit()
    period = [("start", True, True), ("losses", True, True), ("losses", True, True), ("validate", False, False)]
    assert called == 2 * period


class Exact(Toy):
    """In float64 and without dropout, on batches of the sizes that are asked for; every update is watched."""

    def __init__(self, folder, sizes, **options):
        self.sizes = sizes
        super().__init__(folder, **{"optimizer": "sgd", "learning_rate": 0.1, "periods": 2, "select": None, **options})

    def build(self):
        return nn.Linear(4, 2).double()

    def batches(self, period):
        rows = numpy_generator("exact", period).permutation(sum(self.sizes))
        for part in np.split(rows, np.cumsum(self.sizes)[:-1]):
            yield Batch(*(values.double() for values in batch_of(part)))

    def validate(self):
        return {}


@pytest.mark.parametrize(
    ("sizes", "together"),
    [([16] * 4, [64]), ([16, 8, 20, 4], [48]), ([16, 16, 5, 16, 3], [37, 19]), ([8, 8, 8, 2], [24, 2])],
)
def test_accumulated_batches_are_one_large_batch(tmp_path, sizes, together):
    per_update = 3 if len(together) > 1 else 4
    parts = Exact(tmp_path / "parts", sizes, accumulate=per_update).fit()
    whole = Exact(tmp_path / "whole", together).fit()
    for name, value in whole.last.items():
        torch.testing.assert_close(parts.last[name], value, rtol=1e-12, atol=1e-14)
    assert [row["updates"] for row in parts.history] == [len(together), 2 * len(together)]
    # the history holds means over items, whatever the batches
    assert [row["loss"] for row in parts.history] == pytest.approx([row["loss"] for row in whole.history], rel=0.05)


def test_a_batch_by_itself_is_not_changed_by_accumulation(tmp_path):
    one = Exact(tmp_path / "one", [7]).fit()
    assert_same_fit(one, Exact(tmp_path / "three", [7], accumulate=3).fit())


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_gradient_of_an_update_is_clipped_as_a_whole(tmp_path, accumulate):
    moves = {}
    for clip_norm in (None, 1e-3, 1e3):
        toy = Exact(tmp_path / str(clip_norm), [16, 7, 9], periods=1, accumulate=accumulate, clip_norm=clip_norm)
        toy.optimizers = {"main": torch.optim.SGD(toy.network.parameters(), 1.0)}
        before = nn.utils.parameters_to_vector(toy.network.parameters()).detach().clone()
        toy.fit()
        moves[clip_norm] = nn.utils.parameters_to_vector(toy.network.parameters()).detach() - before
    assert torch.equal(moves[None], moves[1e3])
    assert moves[None].norm() > 0.01
    assert moves[1e-3].norm() <= 1.001e-3 * (3 // accumulate)
    if accumulate == 3:
        torch.testing.assert_close(moves[1e-3], 1e-3 * moves[None] / moves[None].norm(), rtol=1e-2, atol=1e-9)


def warm_up(update, history):
    """Rise over eight updates, then fall to nothing at the twentieth."""
    return min((update + 1) / 8, (20 - update) / 12)


def on_plateau(update, history):
    """Halve after every period that is no better than the one before."""
    scores = [row["val_ua"] for row in history]
    return 0.5 ** sum(later <= earlier for earlier, later in itertools.pairwise(scores))


@pytest.mark.parametrize("optimizer", ["own adam", "sgd", "adamw"])
def test_rates_follow_the_schedule_and_keep_their_proportion(tmp_path, optimizer):
    rates = []

    class Watched(Toy):
        def losses(self, batch):
            rates.append([group["lr"] for group in self.optimizers["main"].param_groups])
            return super().losses(batch)

    toy = Watched(tmp_path, optimizer=optimizer, periods=3, accumulate=2, rate=warm_up)
    base = [0.02]
    if optimizer != "own adam":
        head, body = list(toy.network[3].parameters()), list(toy.network[0].parameters())
        groups = [{"params": head}, {"params": body, "lr": 2e-4}]
        toy.optimizers, base = {"main": OPTIMIZERS[optimizer](groups, 0.02)}, [0.02, 2e-4]
    toy.fit()
    # five batches make three updates; a batch sees the rate of the update before
    seen = [rates[place] for period in range(3) for place in (5 * period + 2, 5 * period + 4)]
    expected = [[rate * (update + 1) / 8 for rate in base] for update in (0, 1, 3, 4, 6, 7)]
    np.testing.assert_allclose(seen, expected)


def test_a_rate_of_one_is_no_schedule_at_all(tmp_path):
    plain = Toy(tmp_path / "plain").fit()
    assert_same_fit(plain, Toy(tmp_path / "one", rate=lambda update, history: 1.0).fit())
    other = Toy(tmp_path / "other", rate=warm_up, periods=4).fit()
    assert not same(plain.last, other.last)


def test_a_rate_may_depend_on_how_validation_went(tmp_path):
    options = {"optimizer": "sgd", "learning_rate": 0.3, "periods": 8}
    whole = Toy(tmp_path / "whole", rate=on_plateau, **options)
    fitted = whole.fit()
    halved = sum(later["val_ua"] <= earlier["val_ua"] for earlier, later in itertools.pairwise(fitted.history[:-1]))
    assert halved > 1
    assert whole.optimizers["main"].param_groups[0]["lr"] == pytest.approx(0.3 * 0.5**halved)
    Toy(tmp_path, rate=on_plateau, **{**options, "periods": 5}).fit()
    assert_same_fit(Toy(tmp_path, rate=on_plateau, **options).fit(), fitted)


class CrossGradient(Toy):
    """Two heads, each trained on inputs that are moved along the gradient of the other: losses take gradients.

    Normalisation over the batch, dropout and a critic, whose own optimiser has a momentum, make all that may be lost
    when a fit goes on matter.
    """

    def __init__(self, folder, *, critic="sgd", **options):
        super().__init__(
            folder,
            **{
                "learning_rate": 0.02,
                "select": "val_accuracy",
                "accumulate": 3,
                "clip_norm": 1.0,
                "rate": warm_up,
                **options,
            },
        )
        body, emotion, speaker, judge = self.network
        parameters = [parameter for part in (body, emotion, speaker) for parameter in part.parameters()]
        self.optimizers = {
            "main": OPTIMIZERS[options.get("optimizer", "own adam")](parameters, 0.02),
            "critic": OPTIMIZERS[critic](judge.parameters(), 0.05),
        }

    def build(self):
        body = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2))
        return nn.ModuleList([body, nn.Linear(16, 2), nn.Linear(16, 3), nn.Linear(16, 1)])

    def start(self, period):
        body, _, _, judge = self.network
        found = []
        for batch in itertools.islice(self.batches(period + 1000), 2):
            with torch.no_grad():
                code = body(batch.inputs)
            loss = nn.functional.mse_loss(judge(code)[:, 0], batch.inputs.sum(1))
            self.optimizers["critic"].zero_grad()
            loss.backward()
            self.optimizers["critic"].step()
            found.append(loss.item())
        return {"critic_loss": sum(found) / 2}

    def losses(self, batch):
        body, emotion, speaker, judge = self.network
        speakers = (10 * batch.inputs[:, 0]).long() % 3
        inputs = batch.inputs.clone().requires_grad_()
        code = body(inputs)
        task = nn.functional.cross_entropy(emotion(code), batch.targets)
        other = nn.functional.cross_entropy(speaker(code), speakers)
        moved = [
            batch.inputs + 0.5 * torch.autograd.grad(len(inputs) * loss, inputs, retain_graph=True)[0].clamp(-0.1, 0.1)
            for loss in (other, task)
        ]
        perturbed = nn.functional.cross_entropy(emotion(body(moved[0])), batch.targets)
        perturbed = perturbed + nn.functional.cross_entropy(speaker(body(moved[1])), speakers)
        total = 0.5 * (task + other) + 0.5 * perturbed - 0.01 * judge(code).mean()
        terms = {"task_loss": task, "speaker_loss": other, "perturbed_loss": perturbed}
        return Losses(total, terms, len(inputs))

    def validate(self):
        body, emotion, _, _ = self.network
        correct = emotion(body(INPUTS[80:])).argmax(1) == TARGETS[80:].argmax(1)
        return {"val_accuracy": correct.double().mean()}


@pytest.mark.parametrize(("optimizer", "critic"), [("sgd", "own adam"), ("own adam", "sgd"), ("adamw", "adamw")])
def test_a_fit_with_all_that_there_is_goes_on_after_any_period_to_the_same_bits(tmp_path, optimizer, critic):
    options = {"optimizer": optimizer, "critic": critic}
    whole = CrossGradient(tmp_path / "whole", **options).fit()
    expected = ["period", "updates", "critic_loss", "loss", "task_loss", "speaker_loss", "perturbed_loss"]
    assert list(whole.history[0]) == [*expected, "val_accuracy"]
    # five batches, three an update: the second update of every period is half-filled
    assert [row["updates"] for row in whole.history] == [2, 4, 6, 8, 10, 12]
    for after in range(1, 6):
        folder = tmp_path / str(after)
        CrossGradient(folder, periods=after, **options).fit()
        torch.manual_seed(99)
        assert_same_fit(CrossGradient(folder, **options).fit(), whole)


def test_the_state_of_a_second_optimiser_matters(tmp_path):
    whole = CrossGradient(tmp_path / "whole").fit()
    CrossGradient(tmp_path, periods=3).fit()
    again = CrossGradient(tmp_path)
    again.optimizers["critic"].load_state_dict = lambda state: None
    assert again.fit().history != whole.history


class OnFrozen(Toy):
    """The first layer is held by no optimiser, and the normalisation after it counts all the same."""

    def __init__(self, folder, **options):
        super().__init__(folder, learning_rate=0.3, **options)
        frozen, *moved = self.network
        frozen.requires_grad_(False)
        self.optimizers = {"main": OPTIMIZERS["own adam"]([p for part in moved for p in part.parameters()], 0.3)}

    def build(self):
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))


@pytest.mark.parametrize("select", ["val_ua", None])
def test_what_no_optimiser_holds_is_not_written_and_is_there_at_the_end(tmp_path, select):
    toy = OnFrozen(tmp_path / "whole", periods=9, select=select)
    begun = {name: value.clone() for name, value in toy.network.state_dict().items()}
    whole = toy.fit()
    state = Checkpoint(tmp_path / "whole" / "fit.pt", "key").load()
    moved = [name for name in begun if name not in ("0.weight", "0.bias")]
    assert "1.running_mean" in moved
    assert list(state["network"]) == moved
    assert list(state["best"]) == ([] if select is None else moved)
    for weights in (whole.best, whole.last, toy.network.state_dict()):
        assert list(weights) == list(begun)
        assert torch.equal(weights["0.weight"], begun["0.weight"])
        assert not torch.equal(weights["4.weight"], begun["4.weight"])
    assert same(whole.best, toy.network.state_dict())
    for after in (1, 5):
        OnFrozen(tmp_path / str(after), periods=after, select=select).fit()
        torch.manual_seed(99)
        assert_same_fit(OnFrozen(tmp_path / str(after), periods=9, select=select).fit(), whole)


class ByUpdates(Toy):
    """Periods of seven updates of two batches, over epochs of five batches."""

    def batches(self, period):
        epochs = itertools.chain.from_iterable(super(ByUpdates, self).batches(epoch) for epoch in itertools.count())
        return itertools.islice(epochs, 14 * period, 14 * (period + 1))


def test_a_period_may_be_so_many_updates(tmp_path):
    options = {"accumulate": 2, "rate": lambda update, history: 1 - update / 28}
    whole = ByUpdates(tmp_path / "whole", periods=4, **options).fit()
    assert [row["updates"] for row in whole.history] == [7, 14, 21, 28]
    ByUpdates(tmp_path, periods=3, **options).fit()
    assert_same_fit(ByUpdates(tmp_path, periods=4, **options).fit(), whole)


def test_a_loss_that_is_not_finite_names_fit_period_and_batch(tmp_path):
    class Broken(Toy):
        def batches(self, period):
            for place, batch in enumerate(super().batches(period)):
                yield Batch(batch.inputs * torch.inf, batch.targets) if (period, place) == (1, 3) else batch

    message = r"toy, period 1, training, batch 3: the loss is not finite \(loss nan, task_loss nan\); lower training.l"
    with pytest.raises(TrainingError, match=message):
        Broken(tmp_path).fit()
    # what was written is from before
    assert len(Toy(tmp_path).checkpoint.load()["history"]) == 1


@pytest.mark.parametrize("method", ["start", "validate"])
def test_a_value_that_is_not_finite_names_fit_and_period(tmp_path, method):
    toy = Toy(tmp_path)
    setattr(toy, method, lambda *_: {"val_ua": 0.5, "other": float("nan")})
    with pytest.raises(
        TrainingError, match=r"toy, period 0: other is not finite \(nan\); lower training.learning_rate"
    ):
        toy.fit()


def test_a_period_without_batches_is_an_error(tmp_path):
    toy = Toy(tmp_path)
    toy.batches = lambda period: []
    with pytest.raises(TrainingError, match="toy, period 0, training: there is no batch; use more utterances"):
        toy.fit()


def test_a_learner_that_contradicts_itself_is_refused(tmp_path):
    with pytest.raises(ValueError, match="toy, period 0: no val_wer to select by, only period, updates, loss, task_l"):
        Toy(tmp_path, select="val_wer").fit()
    for name in ("loss", "updates"):
        toy = Toy(tmp_path)
        toy.start = lambda period, name=name: {name: 1.0}
        with pytest.raises(ValueError, match=f"toy, period 0: two values are called {name}"):
            toy.fit()


@pytest.mark.parametrize("schedule", [{"patience": 3}, {"periods": 0}, {"accumulate": 0}])
def test_a_schedule_that_cannot_be_kept_is_refused(schedule):
    with pytest.raises(ValueError, match=r"needed|needs"):
        Schedule(**{"periods": 5, "select": None, **schedule})
