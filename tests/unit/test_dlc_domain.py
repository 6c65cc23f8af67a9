"""DANN, MADDoG and DSN as networks: who learns what, and what a held-out condition needs."""

import copy
import itertools
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from serflow.errors import TrainingError
from serflow.nn.adversarial import GradientReversal, reversal_ramp
from serflow.protocols.folds import FitName, FoldRows
from serflow.studies.dlc.catalog import load_method
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.learner import Dealer, StageLearner
from serflow.studies.dlc.models import Sizes, initialise
from serflow.studies.dlc.options import AdversaryOptions, DsnOptions, MaddogOptions, ModelOptions, Options
from serflow.training.metrics import unweighted_accuracy
from serflow.training.optimizers import Adam

SIZES = Sizes(n_bands=6, n_classes=3, condition_counts=(6, 3))
MODEL = ModelOptions(maps=8, kernel=5, hidden=8)


def build(method, sizes=SIZES, **options):
    torch.manual_seed(1)
    network = load_method(method).build(sizes, Options(model=MODEL, **options))
    initialise(network)
    return network


def make_batch(conditions=(0, 1, 0, 1, 0, 0)):
    torch.manual_seed(0)
    lengths = torch.tensor([9, 12, 5, 12, 8, 3])
    mask = (torch.arange(12) < lengths[:, None])[..., None]
    noisy, clean = torch.randn(2, 6, 12, 6) * mask
    return Batch(noisy, clean, lengths, torch.eye(3)[[0, 1, 2, 0, 1, 2]], torch.tensor(conditions))


def gradients(network, prefix):
    return {
        name: parameter.grad.clone()
        for name, parameter in network.named_parameters()
        if name.startswith(prefix) and parameter.grad is not None
    }


def test_the_adversary_learns_the_condition_and_the_encoder_the_opposite():
    batch = make_batch()
    found = {}
    for epoch in (0, 3, 100):
        network = build("dann", adversary=AdversaryOptions(weight=1.0, ramp_epochs=10))
        network.start_epoch(epoch, "all")
        _, terms = network.acoustic.learn(batch)
        terms["similarity_loss"].value.backward()
        found[epoch] = gradients(network, "acoustic.single.encoder"), gradients(network, "acoustic.adversary")
    # at the start of the ramp nothing reaches the encoder; later its gradient grows with the ramp, and no sooner
    assert not any(values.any() for values in found[0][0].values())
    late, early = found[100][0], found[3][0]
    scale = (2 / (1 + np.exp(-3)) - 1) / (2 / (1 + np.exp(-10)) - 1)
    for name, values in late.items():
        torch.testing.assert_close(early[name], values * scale)
    torch.testing.assert_close(found[0][1], found[100][1])

    # a step along the encoder's gradient makes conditions harder to tell
    network.start_epoch(100, "all")
    before = terms["similarity_loss"].value.item()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in late:
                parameter -= 1e-2 * late[name]
    assert network.acoustic.learn(batch)[1]["similarity_loss"].value.item() > before


@pytest.mark.parametrize("method", ["dann", "dsn_slc", "dsn_dlc", "hffn_dsn_dlc"])
def test_every_reversal_of_a_network_follows_the_ramp(method):
    network = build(method, SIZES._replace(text_dim=5), adversary=AdversaryOptions(ramp_epochs=20))
    reversals = [module for module in network.modules() if isinstance(module, GradientReversal)]
    for epoch in (0, 5, 30):
        network.start_epoch(epoch, "all")
        assert {module.strength for module in reversals} == {reversal_ramp(epoch / 20)}


def test_the_critic_is_in_nobody_elses_optimiser_and_stays_within_its_bounds():
    network, batch = build("maddog", maddog=MaddogOptions(clip=0.02)), make_batch()
    critic = network.acoustic.trained_apart()
    assert [type(layer).__name__ for layer in critic] == ["Linear"] * 3
    apart = {id(parameter) for parameter in critic.parameters()}
    assert not apart & {id(parameter) for parameter in network.parameters_of("all")}
    assert len(apart) + len(network.parameters_of("all")) == len(list(network.parameters()))

    encoder = copy.deepcopy(network.acoustic.single.state_dict())
    optimizer = Adam(critic.parameters(), 1e-2)
    endless = itertools.repeat(batch)
    losses = []
    for _ in range(30):
        losses.append(network.acoustic.learn_apart(endless, optimizer, nullcontext)["critic_loss"])
        assert all(parameter.grad is None for parameter in network.acoustic.single.parameters())
        assert all(parameter.abs().max() <= 0.02 for parameter in critic.parameters())
    assert losses[-1] < losses[5]
    assert all(torch.equal(value, encoder[name]) for name, value in network.acoustic.single.state_dict().items())

    frozen = copy.deepcopy(critic.state_dict())
    main = Adam(network.parameters_of("all"), 1e-2)
    main.zero_grad()
    network.losses(batch, torch.ones(3)).total.backward()
    main.step()
    assert all(torch.equal(value, frozen[name]) for name, value in critic.state_dict().items())


def test_the_critic_learns_as_many_batches_as_it_is_to():
    network, batch = build("maddog", maddog=MaddogOptions(critic_batches=7)), make_batch()
    critic, taken = network.acoustic.trained_apart(), []
    before = copy.deepcopy(critic.state_dict())

    def endless():
        for turn in itertools.count():
            taken.append(turn)
            yield batch

    found = network.acoustic.learn_apart(endless(), Adam(critic.parameters(), 1e-3), nullcontext)
    assert taken == list(range(7))
    assert found.keys() == {"critic_loss"}
    assert not any(torch.equal(value, before[name]) for name, value in critic.state_dict().items())


class Stage:
    """A learner of MADDoG on six utterances in batches of four and two."""

    def __init__(self, batch):
        self.batch, self.network = batch, build("maddog")
        data = SimpleNamespace(lengths=batch.lengths.numpy())
        rows = np.arange(6)
        self.learner = StageLearner(
            self.network,
            "all",
            Dealer("mixed", data, batch.conditions.numpy(), 4),
            FoldRows(FitName(0, "none"), rows, rows, rows),
            lambda rows: Batch(*(None if values is None else values[rows] for values in batch)),
            torch.ones(3),
            nullcontext,
            ("exp2", "maddog", 7),
            Adam(self.network.acoustic.trained_apart().parameters(), 1e-3),
        )


def test_a_stage_reports_what_it_saw():
    stage = Stage(make_batch())
    learner, network, batch = stage.learner, stage.network, stage.batch
    network.train()
    assert learner.start(2).keys() == {"critic_loss"}
    batches = list(learner.batches(2))
    assert [len(part.targets) for part in batches] == [len(part.targets) for part in learner.batches(2)]
    for part in batches:
        losses = learner.losses(part)
        assert losses.n == len(part.targets)
        learner.take_in(part, losses)
    with torch.no_grad():
        network.eval()
        found = learner.validate()
        whole = network.losses(batch, torch.ones(3))
        predictions = whole.logits.argmax(1).numpy()
    ua = unweighted_accuracy(batch.targets.numpy(), predictions)
    # without dropout and before any update, training and validation see the same network
    assert found == {"train_ua": ua, "val_loss": found["val_loss"], "val_ua": ua}
    parts = [network.losses(learner.make_batch(places), torch.ones(3)) for places in learner.dealer.test(np.arange(6))]
    assert found["val_loss"] == pytest.approx((4 * parts[0].total.item() + 2 * parts[1].total.item()) / 6)


def test_a_validation_loss_that_is_not_finite_names_fit_and_batch():
    batch = make_batch()
    batch.noisy[1] = torch.inf
    with pytest.raises(TrainingError, match="exp2 maddog 7, validation, batch 1: the loss is not finite"):
        Stage(batch).learner.validate()


def test_the_emotion_of_an_unseen_noise_is_read_from_the_shared_code_alone():
    network, batch = build("dsn_dlc").eval(), make_batch()
    logits = network.classify(batch._replace(conditions=torch.full((6,), -1)))
    torch.testing.assert_close(logits, network.classify(batch))
    torch.testing.assert_close(
        logits, network.classifier(network.acoustic.shared(batch.noisy, batch.lengths), batch.lengths)
    )
    combined = build("dsn_dlc", dsn=DsnOptions(task_code="combined")).eval()
    other = combined.classify(batch._replace(conditions=1 - batch.conditions))
    assert not torch.allclose(other, combined.classify(batch))


def test_a_private_encoder_learns_from_its_own_condition():
    network = build("dsn_dlc").train()
    network.losses(make_batch(conditions=(0,) * 6), torch.ones(3)).total.backward()
    one, two = network.acoustic.private.experts
    assert all(parameter.grad is not None for parameter in one.parameters())
    assert all(parameter.grad is None for parameter in two.parameters())


def test_the_task_does_not_reach_private_encoders_and_reconstruction_reaches_both():
    network, batch = build("dsn_dlc").train(), make_batch()
    code, terms = network.acoustic.learn(batch)
    code.sum().backward(retain_graph=True)
    assert not gradients(network, "acoustic.private")
    terms["reconstruction_loss"].value.backward()
    for part in ("private", "shared", "decoder"):
        assert any(values.any() for values in gradients(network, f"acoustic.{part}").values())


@pytest.mark.parametrize(
    ("method", "kind"), [("dsn_slc", "balanced"), ("dsn_dlc", "mixed"), ("moe_slc", "homogeneous")]
)
def test_static_and_dynamic_customisation_differ_in_their_batches(method, kind):
    assert load_method(method).METHOD.batches == kind
