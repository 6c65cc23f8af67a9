"""DANN, MADDoG and DSN as networks: who learns what, and what a held-out condition needs."""

import copy

import numpy as np
import pytest
import torch

from serflow.nn.adversarial import GradientReversal, reversal_ramp
from serflow.studies.dlc.catalog import load_method
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.models import Sizes, initialise
from serflow.studies.dlc.options import AdversaryOptions, DsnOptions, MaddogOptions, ModelOptions, Options
from serflow.training.checkpoints import Checkpoint
from serflow.training.fit import Critic, fit
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
    losses = []
    for _ in range(30):
        loss = network.acoustic.critic_loss(batch)
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is None for parameter in network.acoustic.single.parameters())
        optimizer.step()
        network.acoustic.after_critic_step()
        losses.append(loss.item())
        assert all(parameter.abs().max() <= 0.02 for parameter in critic.parameters())
    assert losses[-1] < losses[5]
    assert all(torch.equal(value, encoder[name]) for name, value in network.acoustic.single.state_dict().items())

    frozen = copy.deepcopy(critic.state_dict())
    main = Adam(network.parameters_of("all"), 1e-2)
    main.zero_grad()
    network.losses(batch, torch.ones(3)).total.backward()
    main.step()
    assert all(torch.equal(value, frozen[name]) for name, value in critic.state_dict().items())


class Toy:
    """MADDoG on one batch, through `fit`."""

    def __init__(self, folder, max_epochs=4):
        self.network, self.batch = build("maddog"), make_batch()
        acoustic = self.network.acoustic
        self.critic = Critic(
            Adam(acoustic.trained_apart().parameters(), 1e-3),
            acoustic.critic_loss,
            lambda epoch: [self.batch] * 3,
            acoustic.after_critic_step,
        )
        self.checkpoint = Checkpoint(folder / "fit.pt", "key")
        self.max_epochs = max_epochs

    def fit(self):
        return fit(
            self.network,
            Adam(self.network.parameters_of("all"), 1e-3),
            lambda batch: self.network.losses(batch, torch.ones(3)),
            lambda epoch: [self.batch],
            lambda: [self.batch],
            name="toy",
            seed=0,
            max_epochs=self.max_epochs,
            patience=self.max_epochs,
            checkpoint=self.checkpoint,
            critic=self.critic,
        )


def test_a_killed_fit_with_a_critic_goes_on_to_the_same_result(tmp_path):
    whole = Toy(tmp_path / "whole").fit()
    assert [row["critic_loss"] for row in whole.history] != [whole.history[0]["critic_loss"]] * 4
    Toy(tmp_path, max_epochs=2).fit()
    resumed = Toy(tmp_path).fit()
    assert resumed.history == whole.history
    assert all(torch.equal(value, resumed.weights[name]) for name, value in whole.weights.items())


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
