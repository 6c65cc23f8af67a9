"""GE2E in the graph: untrained the same as the frozen feature, whoever owns which partials."""

import numpy as np
import pytest
import torch

from serflow.backbones import ge2e
from serflow.backbones._ge2e_network import GE2E
from serflow.backbones.base import load_backbone
from serflow.features.base import load_feature
from serflow.studies.multigating.batch import Partials
from serflow.studies.multigating.speaker_encoder import SpeakerEncoder, load_speaker_encoder

pytestmark = pytest.mark.numeric

# sums of float32 in another order, of values below 1
ROUNDING = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return ge2e.write_stand_in(tmp_path_factory.mktemp("ge2e"), seed=0)


@pytest.fixture(scope="module")
def speech():
    """Three utterances of different numbers of partials: their waveforms."""
    generator = np.random.default_rng(0)
    return [(0.1 * generator.standard_normal(n_samples)).astype(np.float32) for n_samples in (70_000, 20_000, 45_000)]


def partials_of(weights, speech):
    frozen = load_backbone("ge2e", weights)
    rows = load_feature("ge2e", {"output": "partials"}, frozen)
    mels = [torch.from_numpy(rows(waveform)).reshape(-1, 160, 40) for waveform in speech]
    owners = torch.repeat_interleave(torch.arange(3), torch.tensor([len(each) for each in mels]))
    return Partials(torch.cat(mels), owners)


def load(weights, trained=True):
    return load_speaker_encoder(weights, torch.device("cpu"), trained)


@pytest.mark.parametrize("trained", [True, False])
def test_untrained_it_is_the_frozen_feature(weights, speech, trained):
    feature = load_feature("ge2e", {}, load_backbone("ge2e", weights))
    expected = torch.from_numpy(np.concatenate([feature(waveform) for waveform in speech]))
    partials = partials_of(weights, speech)
    assert len(set(torch.bincount(partials.owners).tolist())) > 1
    found = load(weights, trained)(partials, 3)
    assert found.shape == (3, 256)
    torch.testing.assert_close(found.detach(), expected, **ROUNDING)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))


def test_partials_may_come_in_any_order(weights, speech):
    partials = partials_of(weights, speech)
    order = torch.randperm(len(partials.owners), generator=torch.Generator().manual_seed(0))
    encoder = load(weights)
    shuffled = Partials(partials.mels[order], partials.owners[order])
    torch.testing.assert_close(encoder(shuffled, 3), encoder(partials, 3), **ROUNDING)


def test_the_mean_of_an_utterances_partials_is_brought_to_length_1():
    torch.manual_seed(0)
    network = GE2E(n_mels=4, hidden=5, n_layers=1, dim=6)
    mels, owners = torch.rand(5, 7, 4), torch.tensor([0, 1, 1, 1, 0])
    each = network(mels)
    found = SpeakerEncoder(network)(Partials(mels, owners), 2)
    for row in range(2):
        mean = each[owners == row].mean(0)
        torch.testing.assert_close(found[row], mean / mean.square().sum().sqrt(), **ROUNDING)


def test_all_of_it_is_trained_or_nothing(weights, speech):
    partials = partials_of(weights, speech)
    trained = load(weights)
    (trained(partials, 3) * torch.arange(256)).sum().backward()
    for name, parameter in trained.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    frozen = load(weights, trained=False)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert not frozen(partials, 3).requires_grad


def test_an_utterance_that_activates_nothing_is_0_and_others_still_learn():
    network = GE2E(n_mels=4, hidden=5, n_layers=1, dim=6)
    with torch.no_grad():
        network.linear.weight.fill_(1.0)
        network.linear.bias.zero_()
        network.lstm.weight_ih_l0.fill_(1.0)
        network.lstm.bias_ih_l0.zero_()
        network.lstm.bias_hh_l0.zero_()
        network.lstm.weight_hh_l0.zero_()
    mels = torch.ones(2, 3, 4)
    mels[1] *= -1
    found = SpeakerEncoder(network)(Partials(mels, torch.tensor([0, 1])), 2)
    assert not found[1].any()
    torch.testing.assert_close(found[0].norm(), torch.tensor(1.0))
    found[:, 0].sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
