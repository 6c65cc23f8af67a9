"""Encoders of frames: each layer by its formula, exact masks, the three readings of the convolution."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from serflow.nn.pooling import frame_mask
from serflow.studies.multigating.batch import Sequences
from serflow.studies.multigating.encoders import (
    LastStateAttention,
    PlaneConvolution,
    SequenceEncoder,
    TimeConvolution,
    last_states,
    sequence_encoder,
)
from serflow.studies.multigating.options import EncoderOptions

LENGTHS = torch.tensor([9, 4, 1, 7])
DIM = 6

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]


def read(n_frames=9, fill=0.0):
    generator = torch.Generator().manual_seed(1)
    frames = torch.full((len(LENGTHS), n_frames, DIM), fill)
    for row, length in enumerate(LENGTHS.tolist()):
        frames[row, :length] = torch.randn(length, DIM, generator=generator) - 1
    return Sequences(frames, LENGTHS)


def encoder(kernels=(3, 5), plane=False, layers=2, dropout=0.0):
    torch.manual_seed(0)
    return SequenceEncoder(DIM, kernels, plane, maps=3, lstm=4, layers=layers, dropout=dropout)


def plain(net, utterance):
    """The same of one utterance, ``(frames, DIM)``, by torch's own layers: packed LSTM, attention written out."""
    maps = []
    for convolution in net.convolutions:
        if hasattr(convolution, "weight"):
            kernel = convolution.convolution.weight.shape[2]
            before, after = (kernel - 1) // 2, kernel // 2
            picture = F.pad(utterance[None, None], (before, after, before, after))
            planes = F.conv2d(picture, convolution.convolution.weight, convolution.convolution.bias).clamp(min=0)[0]
            weighed = [plane @ weights for plane, weights in zip(planes, convolution.weight, strict=True)]
            maps.append(torch.stack(weighed, dim=1))
        else:
            weight = convolution.convolution.convolution.weight.squeeze(2)
            bias = convolution.convolution.convolution.bias
            maps.append(F.conv1d(utterance.T[None], weight, bias, padding="same").clamp(min=0)[0].T)
    hidden = torch.cat(maps, dim=1)
    peer = nn.LSTM(hidden.shape[1], 4, len(net.lstm), batch_first=True, bidirectional=True)
    for number, layer in enumerate(net.lstm):
        for suffix, part in (("", layer.forwards), ("_reverse", layer.backwards)):
            for name, value in part.named_parameters():
                getattr(peer, name.replace("l0", f"l{number}") + suffix).data.copy_(value)
    states, (last, _) = peer(hidden[None])
    z = torch.cat([last[-2], last[-1]], dim=1)
    attention = net.attention
    query, keys, values = z @ attention.query.weight.T, states[0] @ attention.key.weight.T, states[0]
    scores = (query @ keys.T)[0] / 8**0.5
    return (scores.exp() / scores.exp().sum()) @ (values @ attention.value.weight.T)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("kernels", "plane", "layers"), [((3, 5), False, 1), ((3,), False, 2), ((3, 5), True, 1), ((2,), True, 2)]
)
def test_an_encoder_is_that_of_each_utterance_alone_by_the_book(kernels, plane, layers, training):
    net = encoder(kernels, plane, layers).train(training)
    frames = read()
    found = net(frames)
    assert found.shape == (4, net.dim) == (4, 8)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(found[row], plain(net, frames.frames[row, :length]))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("plane", [False, True])
def test_padding_changes_no_output_and_no_gradient(plane, training):
    """However far a batch is padded, and with what."""
    found = []
    for n_frames, fill in ((9, 0.0), (15, 1e3)):
        net = encoder(plane=plane).train(training)
        frames = read(n_frames, fill).frames.requires_grad_()
        vectors = net(Sequences(frames, LENGTHS))
        (vectors * torch.arange(32.0).reshape(4, 8)).sum().backward()
        assert not any(frames.grad[row, length:].any() for row, length in enumerate(LENGTHS))
        valid = torch.cat([frames.grad[row, :length] for row, length in enumerate(LENGTHS)])
        assert valid.abs().amax(dim=1).min() > 0
        gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
        assert all(gradient is not None and gradient.any() for gradient in gradients.values())
        found.append([vectors.detach(), valid, *gradients.values()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("layer", [PlaneConvolution, TimeConvolution])
def test_a_convolution_leaves_padding_at_zero_and_does_not_see_it(layer):
    torch.manual_seed(0)
    net = layer(DIM, 3, 5)
    frames = read(14).frames
    found = net(frames, frame_mask(LENGTHS, 14))
    for row, length in enumerate(LENGTHS.tolist()):
        alone = net(frames[[row], :length], torch.ones(1, length, 1, dtype=torch.bool))
        torch.testing.assert_close(found[[row], :length], alone)
        assert alone.any()
        assert not found[row, length:].any()


def test_weights_of_columns_start_as_those_of_a_linear_layer():
    torch.manual_seed(0)
    weight = PlaneConvolution(400, 20, 3).weight
    assert weight.abs().max().item() == pytest.approx(1 / 20, rel=1e-2)
    assert weight.std().item() == pytest.approx(1 / 20 / 3**0.5, rel=0.05)


def test_the_last_state_is_that_of_packed_sequences():
    torch.manual_seed(0)
    net = encoder(layers=1)
    layer = net.lstm[0]
    peer = nn.LSTM(6, 4, batch_first=True, bidirectional=True)
    for suffix, part in (("", layer.forwards), ("_reverse", layer.backwards)):
        for name, value in part.named_parameters():
            getattr(peer, name + suffix).data.copy_(value)
    frames = read(12, fill=5.0).frames
    packed = pack_padded_sequence(frames, LENGTHS, batch_first=True, enforce_sorted=False)
    states, (last, _) = peer(packed)
    found = layer(frames, LENGTHS)
    torch.testing.assert_close(last_states(found, LENGTHS), torch.cat([last[0], last[1]], dim=1))
    unpacked, _ = pad_packed_sequence(states, batch_first=True)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(found[row, :length], unpacked[row, :length])


def test_attention_is_equations_1_and_2():
    torch.manual_seed(0)
    layer = LastStateAttention(5)
    last, states, lengths = torch.randn(2, 5), torch.randn(2, 6, 5), torch.tensor([4, 6])
    states[0, 4:] = 1e3
    weights = layer.weights(last, states, lengths)
    assert weights.shape == (2, 6)
    assert not weights[0, 4:].any()
    for row, length in enumerate(lengths.tolist()):
        own = states[row, :length]
        query = layer.query.weight @ last[row]
        keys, values = own @ layer.key.weight.T, own @ layer.value.weight.T
        expected = torch.softmax(keys @ query / 5**0.5, dim=0)
        torch.testing.assert_close(weights[row, :length], expected)
        torch.testing.assert_close(layer(last, states, lengths)[row], expected @ values)
    assert [name for name, _ in layer.named_parameters()] == ["query.weight", "key.weight", "value.weight"]


def test_dropout_is_of_what_the_convolutions_give():
    net = encoder(dropout=0.4)
    seen = []
    net.lstm[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    net.eval()(read())
    net.train()(read())
    kept = seen[1] != 0
    torch.testing.assert_close(seen[1][kept], seen[0][kept] / 0.6)
    lost = ((seen[0] != 0) & ~kept).sum() / (seen[0] != 0).sum()
    assert 0.1 < lost < 0.7


def sizes(feature, in_dim, **options):
    net = sequence_encoder(feature, in_dim, EncoderOptions(**options))
    kernels = [part.convolution.convolution.kernel_size[1] for part in net.convolutions]
    maps = [part.convolution.convolution.out_channels for part in net.convolutions]
    return kernels, maps, [layer.forwards.input_size for layer in net.lstm], net.lstm[0].forwards.hidden_size, net.dim


def test_sizes_are_those_of_section_5_1():
    assert sizes("allosaurus", 640) == ([3, 5], [64, 64], [128], 128, 256)
    assert sizes("wav2vec", 512) == ([3, 5], [64, 64], [128], 128, 256)
    assert sizes("mfcc", 40) == ([3], [32], [32, 128], 64, 128)
    net = sequence_encoder("mfcc", 40, EncoderOptions())
    assert net.dropout.p == 0.1
    assert net.attention.value.weight.shape == (128, 128)


def test_other_readings_of_the_kernels():
    assert sizes("allosaurus", 640, cnn="respective") == ([3], [64], [64], 128, 256)
    assert sizes("wav2vec", 512, cnn="respective") == ([5], [64], [64], 128, 256)
    assert sizes("mfcc", 40, cnn="respective")[0] == [3]
    for feature, kernels in (("allosaurus", [3, 5]), ("wav2vec", [3, 5]), ("mfcc", [3])):
        net = sequence_encoder(feature, 30, EncoderOptions(cnn="conv2d"))
        assert [part.convolution.kernel_size for part in net.convolutions] == [(size, size) for size in kernels]
        assert {tuple(part.weight.shape) for part in net.convolutions} == {(32 if feature == "mfcc" else 64, 30)}
