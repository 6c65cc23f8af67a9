"""The network of the speaker-invariance paper: exact masks, sizes of Table 1, statistics of batch normalisation."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from serflow.report.tables import read_published_words
from serflow.studies.invariance.network import (
    POOL_EPS,
    BiLstm,
    FrameDropout,
    SpeakerNetwork,
    Tdnn,
    context,
    flatten,
    kept_statistics,
    statistics_pooling,
)
from serflow.studies.invariance.networks import describe
from serflow.studies.invariance.options import ModelOptions
from serflow.studies.invariance.settings import ManySpeakers

SMALL = ModelOptions(tdnn=((6, 3, 2), (5, 2, 1)), lstm=4, fc=7, head=6, dropout=0.5)
LENGTHS = torch.tensor([12, 7, 9])
NONE = FrameDropout(0.0, "utterance")

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]


def frames(n_frames=12, fill=0.0, dim=3):
    generator = torch.Generator().manual_seed(1)
    padded = torch.full((len(LENGTHS), n_frames, dim), fill)
    for row, length in enumerate(LENGTHS.tolist()):
        padded[row, :length] = torch.randn(length, dim, generator=generator)
    return padded


def network(**changes):
    torch.manual_seed(0)
    return SpeakerNetwork(SMALL.model_copy(update=changes), 3, 4, 5)


@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_no_output_and_no_gradient(training):
    """However far a batch is padded, and with what; dropout and batch normalisation included."""
    found = []
    for padded in (frames(12), frames(20, fill=1e3)):
        net = network().train(training)
        inputs = padded.requires_grad_()
        torch.manual_seed(3)
        embeddings = net.embed(inputs, LENGTHS)
        (net.emotion(embeddings).square().sum() + net.name_speaker(embeddings).square().sum()).backward()
        gradients = [parameter.grad for parameter in net.parameters()]
        valid = torch.cat([inputs.grad[row, :length] for row, length in enumerate(LENGTHS)])
        beyond = [inputs.grad[row, length:] for row, length in enumerate(LENGTHS)]
        assert all((part == 0).all() for part in beyond)
        assert valid.abs().min(dim=1).values.max() > 0
        found.append([embeddings.detach(), valid, *gradients, *(norm.clone() for norm in net.buffers())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_an_utterance_alone_is_the_same_as_in_a_batch():
    net = network().eval()
    together = net.embed(frames(), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = net.embed(frames()[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(alone[0], together[row])


def test_the_shortest_utterance_leaves_one_frame():
    """TDNN 128-5-2 and 64-3-4 see 17 frames; there is no padding."""
    assert context(ModelOptions().tdnn) == 17
    assert context(SMALL.tdnn) == 6
    net = network().eval()
    flat = net.tdnn(flatten(frames()[:1, :6], torch.tensor([6])))
    assert flat.frames.shape == (1, 5)


def test_a_tdnn_layer_is_a_dilated_convolution():
    layer = Tdnn(1, 1, kernel=3, dilation=2, dropout=NONE).eval()
    nn.init.ones_(layer.convolution.weight)
    nn.init.zeros_(layer.convolution.bias)
    inputs = torch.tensor([[[1.0], [10.0], [100.0], [1000.0], [1e4], [1e5]]])
    found = layer(flatten(inputs, torch.tensor([6])))
    assert found.lengths.tolist() == [2]
    torch.testing.assert_close(found.frames.flatten() * (1 + 1e-5) ** 0.5, torch.tensor([10101.0, 101010.0]))


def test_relu_stands_before_batch_normalisation():
    """So that what is normalised has mean 0 and deviation 1 in training, negative values included."""
    layer = Tdnn(3, 4, kernel=1, dilation=1, dropout=NONE).train()
    found = layer(flatten(frames(), LENGTHS)).frames
    torch.testing.assert_close(found.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    assert found.min() < 0


def test_the_bilstm_is_torchs_own():
    layer = BiLstm(3, 4, dropout=NONE).eval()
    reference = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    for name, parameter in layer.forwards.named_parameters():
        reference.get_parameter(name).data.copy_(parameter)
    for name, parameter in layer.backwards.named_parameters():
        reference.get_parameter(f"{name}_reverse").data.copy_(parameter)
    packed = pack_padded_sequence(frames(), LENGTHS, batch_first=True, enforce_sorted=False)
    states, _ = pad_packed_sequence(reference(packed)[0], batch_first=True)
    found = layer(flatten(frames(15, fill=9.0), LENGTHS)).frames
    expected = torch.cat([states[row, :length] for row, length in enumerate(LENGTHS)])
    torch.testing.assert_close(found * (1 + 1e-5) ** 0.5, expected)


def test_dropout_takes_the_same_values_of_all_frames_of_an_utterance_or_of_each_its_own():
    ones = flatten(torch.ones(3, 12, 50), LENGTHS)
    for mask, alike in (("utterance", True), ("frame", False)):
        dropout = FrameDropout(0.3, mask)
        torch.manual_seed(0)
        parts = dropout.train()(ones).frames.split(LENGTHS.tolist())
        assert all(set(part.unique().tolist()) == {0.0, 1 / 0.7} for part in parts)
        assert all(bool((part == part[0]).all()) is alike for part in parts)
        assert not torch.equal(parts[0][0], parts[1][0])
        assert torch.equal(dropout.eval()(ones).frames, ones.frames)


@pytest.mark.parametrize(("mask", "least", "most"), [("utterance", 0.95, 1.05), ("frame", 1.5, 9.0)])
def test_a_pooled_deviation_is_the_same_in_training_and_evaluation_where_frames_share_a_mask(mask, least, most):
    """With masks of their own it is that of the dropout: evaluation then gives the classifiers what they never saw."""
    dropout = FrameDropout(0.5, mask)
    flat = flatten(5 + torch.randn(400, 20, 6), torch.full((400,), 20))
    evaluated, trained = (statistics_pooling(dropout.train(mode)(flat))[:, 6:].mean() for mode in (False, True))
    assert least < trained / evaluated < most


def test_pooling_is_mean_and_biased_deviation():
    flat = flatten(frames(14, fill=7.0), LENGTHS)
    found = statistics_pooling(flat).numpy()
    for row, length in enumerate(LENGTHS.tolist()):
        own = frames()[row, :length].numpy().astype(np.float64)
        expected = np.concatenate([own.mean(0), np.sqrt(own.var(0) + POOL_EPS)])
        np.testing.assert_allclose(found[row], expected, rtol=1e-5)


def test_kept_statistics_are_kept_and_batches_normalised_by_their_own():
    net = network(dropout=0.0).train()
    before = {name: value.clone() for name, value in net.named_buffers()}
    with kept_statistics(net):
        kept = net.embed(frames(), LENGTHS)
    assert all(torch.equal(value, before[name]) for name, value in net.named_buffers())
    torch.testing.assert_close(net.embed(frames(), LENGTHS), kept)
    assert not torch.equal(net.tdnn[0].norm.running_mean, before["tdnn.0.norm.running_mean"])


@pytest.mark.parametrize(
    ("sizes", "n_speakers", "column"),
    [(ModelOptions(), 8, "IEMOCAP"), (ManySpeakers().model, 200, "SpeechOcean Mandarin")],
)
def test_the_networks_are_those_of_table_1(sizes, n_speakers, column):
    printed = read_published_words("invariance", "table1")
    found = describe(SpeakerNetwork(sizes, 39, 4, n_speakers))
    assert found == {layer: words for (layer, name), words in printed.items() if name == column}


def test_a_network_without_speaker_classifier_says_so():
    net = SpeakerNetwork(SMALL, 3, 4, None)
    assert describe(net)["Speaker classification"] == "n/a"
    with pytest.raises(ValueError, match="no speaker classifier"):
        net.name_speaker(torch.zeros(2, 14))
