"""The network of the speaker-invariance paper: exact masks, sizes of Table 1, statistics of batch normalisation."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from serflow.report.tables import read_published_words
from serflow.studies.invariance.data import batch_maker
from serflow.studies.invariance.network import (
    POOL_EPS,
    BiLstm,
    Classifier,
    Dense,
    FrameDense,
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


def scattered(layer):
    """Give weights, biases and batch normalisation values that leave no part of a layer without effect."""
    generator = torch.Generator().manual_seed(2)
    for parameter in layer.parameters():
        parameter.data.copy_(0.3 + torch.randn(parameter.shape, generator=generator))
    return layer.train()


def normalised(rows, norm):
    """Batch normalisation in training, of rows ``(n, dim)``."""
    deviations = rows - rows.mean(0)
    return deviations / (deviations.square().mean(0) + 1e-5).sqrt() * norm.weight + norm.bias


def rectified(rows):
    """ReLU, of rows that have values on both sides of it."""
    assert rows.min() < 0 < rows.max()
    return torch.where(rows > 0, rows, 0)


def test_a_tdnn_layer_is_convolution_relu_and_batch_normalisation():
    layer = scattered(Tdnn(3, 4, kernel=3, dilation=2, dropout=NONE))
    inputs = frames()
    places = [(row, first) for row, length in enumerate(LENGTHS.tolist()) for first in range(length - 4)]
    windows = torch.stack([inputs[row, first : first + 5 : 2] for row, first in places])
    convolved = torch.einsum("nkd,udk->nu", windows, layer.convolution.weight) + layer.convolution.bias
    found = layer(flatten(frames(15, fill=9.0), LENGTHS)).frames
    torch.testing.assert_close(found, normalised(rectified(convolved), layer.norm))


def test_states_of_the_bilstm_are_normalised_and_not_rectified():
    layer = scattered(BiLstm(3, 4, NONE))
    parts = [frames()[row : row + 1, :length] for row, length in enumerate(LENGTHS.tolist())]
    ways = [(layer.forwards(part)[0][0], layer.backwards(part.flip(1))[0][0].flip(0)) for part in parts]
    states = torch.cat([torch.cat(both, dim=1) for both in ways])
    assert states.min() < 0
    found = layer(flatten(frames(15, fill=9.0), LENGTHS)).frames
    torch.testing.assert_close(found, normalised(states, layer.norm))


def test_the_dense_layer_of_frames_is_linear_relu_and_batch_normalisation():
    layer = scattered(FrameDense(3, 4, NONE))
    flat = flatten(frames(15, fill=9.0), LENGTHS)
    linear = flat.frames @ layer.linear.weight.T + layer.linear.bias
    torch.testing.assert_close(layer(flat).frames, normalised(rectified(linear), layer.norm))


def test_a_classifier_is_two_layers_with_relu_and_batch_normalisation_and_one_without():
    head = scattered(Classifier(3, 6, 5, dropout=0.0))
    rows = inputs = flatten(frames(), LENGTHS).frames
    for layer in head.hidden:
        rows = normalised(rectified(rows @ layer.linear.weight.T + layer.linear.bias), layer.norm)
    logits = rows @ head.output.weight.T + head.output.bias
    assert len(head.hidden) == 2
    assert logits.min() < 0
    torch.testing.assert_close(head(inputs), logits)


@pytest.mark.parametrize("mask", ["utterance", "frame"])
@pytest.mark.parametrize("p", [0.4, 0.5])
def test_every_layer_drops_the_share_asked_for_by_the_mask_asked_for(mask, p):
    """TDNN, LSTM, FC and both layers of each classifier (section 3.2); what is kept is divided by 1 - p."""
    sizes = {"tdnn": ((30, 3, 2), (31, 2, 1)), "lstm": 16, "fc": 33, "head": 34}
    net = network(**sizes, dropout=p, dropout_mask=mask).train()
    layers = [module for module in net.modules() if isinstance(module, (Tdnn, BiLstm, FrameDense, Dense))]
    seen = []
    hooks = [layer.register_forward_hook(lambda *call: seen.append(call)) for layer in layers]
    embeddings = net.embed(frames(), LENGTHS)
    net.emotion(embeddings), net.name_speaker(embeddings)
    for hook in hooks:
        hook.remove()
    assert [type(layer) for layer, _, _ in seen] == [Tdnn, Tdnn, BiLstm, FrameDense, Dense, Dense, Dense, Dense]
    assert [layer for layer, _, _ in seen] == layers
    for module in net.modules():
        if isinstance(module, FrameDropout | nn.Dropout):
            module.p = 0.0
    for layer, inputs, found in seen:
        dropped, plain = (part if isinstance(layer, Dense) else part.frames for part in (found, layer(*inputs)))
        kept = dropped != 0
        assert 0.2 < 1 - kept.double().mean() < 0.7
        torch.testing.assert_close(dropped, torch.where(kept, plain / (1 - p), 0))
        if not isinstance(layer, Dense):
            alike = [bool((part == part[0]).all()) for part in kept.split(found.lengths.tolist())]
            assert alike == [mask == "utterance"] * 3


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


class Frames:
    """Utterances of 9, 12 and 7 frames, each of its own number."""

    lengths = np.array([9, 12, 7])
    dim = 3

    def __getitem__(self, row):
        return np.full((self.lengths[row], self.dim), row, dtype=np.float32)


def test_a_batch_says_how_many_frames_it_has_before_it_is_on_a_device():
    batch = batch_maker(Frames(), np.eye(3), np.arange(3), torch.device("cpu"))(np.array([2, 0]))
    assert batch.n_valid == 16 == batch.lengths.sum()
    told = flatten(batch.frames, batch.lengths, batch.n_valid)
    assert torch.equal(told.frames, flatten(batch.frames, batch.lengths).frames)
    assert told.frames[:, 0].tolist() == [2.0] * 7 + [0.0] * 9
