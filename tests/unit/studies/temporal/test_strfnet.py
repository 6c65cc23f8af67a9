"""The network on engineered features: shapes, exact masks, attention, context spans."""

import pytest
import torch
from torch import nn

from serflow.nn.pooling import valid_places
from serflow.studies.temporal.catalog import SYSTEMS, Stream
from serflow.studies.temporal.options import StrfNetOptions
from serflow.studies.temporal.strf import GaborStrf
from serflow.studies.temporal.strfnet import ResidualBlock, SelfAttention, StrfNet

SMALL = StrfNetOptions(kernels=2, support_ms=60, support_bands=3, channels=4, embedding=5, attention=3, hidden=6)
STREAMS = (Stream("conv", "spectrogram"), Stream("strf", "pulses"), Stream("conv", "pulses"))
LENGTHS = torch.tensor([13, 4, 10, 1])
N_BANDS = 6

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]


def inputs(n_frames=13, fill=0.0):
    generator = torch.Generator().manual_seed(1)
    found = {}
    for name in ("spectrogram", "pulses"):
        found[name] = torch.full((len(LENGTHS), n_frames, N_BANDS), fill)
        for row, length in enumerate(LENGTHS.tolist()):
            found[name][row, :length] = torch.randn(length, N_BANDS, generator=generator) - 3
    return found


def network(streams=STREAMS, options=SMALL):
    torch.manual_seed(0)
    return StrfNet(streams, options, N_BANDS, hop_ms=10.0, kernel=3, n_classes=4)


@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_no_output_and_no_gradient(training):
    """However far a batch is padded, and with what; batch statistics included."""
    found = []
    for n_frames, fill in ((13, 0.0), (21, 1e3)):
        net = network().train(training)
        read = {name: values.requires_grad_() for name, values in inputs(n_frames, fill).items()}
        logits = net(read, LENGTHS)
        (logits * torch.arange(16.0).reshape(4, 4)).sum().backward()
        gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
        assert all(gradient is not None for gradient in gradients.values())
        for values in read.values():
            assert not any(values.grad[row, length:].any() for row, length in enumerate(LENGTHS))
        valid = [
            torch.cat([values.grad[row, :length] for row, length in enumerate(LENGTHS)]) for values in read.values()
        ]
        assert all(part.abs().amax(dim=1).min() > 0 for part in valid)
        found.append([logits.detach(), *valid, *gradients.values(), *(state.clone() for state in net.buffers())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_an_utterance_alone_is_the_same_as_in_a_batch():
    net = network().train()
    net(inputs(), LENGTHS)
    net.eval()
    together = net(inputs(21, fill=9.0), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = net({name: values[row : row + 1, :length] for name, values in inputs().items()}, LENGTHS[row : row + 1])
        torch.testing.assert_close(alone[0], together[row])


def test_streams_read_what_they_say_in_their_order():
    """Changed pulses change the logits of a network that reads them, and of no other."""
    for streams, reads in ((SYSTEMS["spectrogram"].streams, False), (SYSTEMS["pitch_pulse"].streams, True)):
        net = network(streams).eval()
        changed = {**inputs(), "pulses": inputs()["pulses"] + torch.randn(N_BANDS)}
        assert torch.equal(net(changed, LENGTHS), net(inputs(), LENGTHS)) is not reads
    kinds = [type(layer) for layer in network(SYSTEMS["all_three"].streams).streams]
    assert kinds == [nn.Conv2d, nn.Conv2d, GaborStrf]


def test_the_papers_sizes():
    """Section 3 of the released network: 2K maps a stream, T/4 frames of 32 maps by 8 bands, embedding 256."""
    torch.manual_seed(0)
    net = StrfNet(SYSTEMS["spectrogram_modulation"].streams, StrfNetOptions(), 30, 12.5, 3, 4)
    shapes = {}

    def keep(name):
        def hook(module, arguments, result):
            shapes[name] = tuple(result.shape)

        return hook

    seen = [
        "streams.0",
        "streams.1",
        *(f"blocks.{place}" for place in range(6)),
        "embedding",
        "gru",
        "attention",
        "mlp",
    ]
    for name in seen:
        net.get_submodule(name).register_forward_hook(keep(name))
    net({"spectrogram": torch.randn(2, 240, 30)}, torch.tensor([240, 240]))
    assert shapes["streams.0"] == shapes["streams.1"] == (2, 64, 240, 30)
    assert [shapes[f"blocks.{place}"] for place in range(6)] == [
        (2, 32, 240, 30), (2, 32, 240, 30), (2, 32, 120, 15), (2, 32, 120, 15), (2, 32, 60, 8), (2, 32, 60, 8),
    ]  # fmt: skip
    assert shapes["embedding"] == (2, 60, 256)
    assert shapes["gru"] == (2, 60, 512)
    assert shapes["attention"] == (2, 512)
    assert shapes["mlp"] == (2, 4)
    assert [block.skip is not None for block in net.blocks] == [True, False, True, False, True, False]
    assert net.blocks[0].first.in_channels == net.blocks[0].skip.in_channels == 128


def filled(block):
    """A block whose batch normalisations have seen something."""
    generator = torch.Generator().manual_seed(2)
    for name, value in block.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + (0.5 if "running_var" in name else -0.5))
    return block.eval()


@pytest.mark.parametrize(("in_maps", "stride"), [(3, 1), (4, 1), (4, 2), (3, 2)])
def test_a_residual_block_is_its_formula(in_maps, stride):
    block = filled(ResidualBlock(in_maps, 4, stride))
    maps = torch.randn(2, in_maps, 7, 5, generator=torch.Generator().manual_seed(0))

    def normalised(layer, norm, values):
        convolved = nn.functional.conv2d(values, layer.weight, stride=layer.stride, padding=1)
        norm = norm.norm
        return nn.functional.batch_norm(convolved, norm.running_mean, norm.running_var, norm.weight, norm.bias)

    hidden = normalised(block.first, block.first_norm, maps)
    hidden = normalised(block.second, block.second_norm, torch.where(hidden > 0, hidden, 0.01 * hidden))
    skip = maps if (in_maps, stride) == (4, 1) else normalised(block.skip, block.skip_norm, maps)
    n_frames = -(-7 // stride)
    found = block(maps, valid_places(torch.tensor([n_frames, n_frames]), n_frames))
    assert found.shape == (2, 4, n_frames, -(-5 // stride))
    torch.testing.assert_close(found, (hidden + skip).clamp(min=0))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_residual_block_leaves_padding_at_zero_and_does_not_see_it(stride):
    block = ResidualBlock(3, 4, stride)
    maps = torch.randn(1, 3, 5, 6)
    padded = nn.functional.pad(maps, (0, 0, 0, 4))
    lengths = torch.tensor([-(-5 // stride)])
    alone = block(maps, valid_places(lengths, int(lengths)))
    found = block(padded, valid_places(lengths, -(-9 // stride)))
    torch.testing.assert_close(found[:, :, : int(lengths)], alone)
    assert not found[:, :, int(lengths) :].any()


def test_attention_is_a_softmax_over_the_frames_of_an_utterance():
    torch.manual_seed(0)
    layer = SelfAttention(3, 5)
    frames = torch.randn(2, 6, 3)
    lengths = torch.tensor([4, 6])
    frames[0, 4:] = 1e3
    weights = layer.weights(frames, lengths)
    assert not weights[0, 4:].any()
    for row, length in enumerate(lengths.tolist()):
        own = frames[row, :length]
        scores = torch.tanh(own @ layer.hidden.weight.T + layer.hidden.bias) @ layer.score.weight[0]
        expected = scores.exp() / scores.exp().sum()
        torch.testing.assert_close(weights[row, :length, 0], expected)
        torch.testing.assert_close(layer(frames, lengths)[row], expected @ own)


def test_context_spans_are_those_of_table_1():
    options = StrfNetOptions()

    def spans(system, window_ms, kernel):
        return StrfNet(SYSTEMS[system].streams, options, 30, 12.5, kernel, 4).contexts(window_ms, 12.5)

    assert spans("spectrogram", 50.0, 3) == [75.0]
    assert spans("spectrogram", 25.0, 5) == [75.0]
    assert spans("modulation", 50.0, 3) == [200.0]
    assert spans("pulse_modulation", 50.0, 3) == [75.0, 200.0]
    assert spans("all_three", 50.0, 3) == [75.0, 75.0, 200.0]


def test_receptive_fields_and_all_else_get_gradients_and_learn():
    """A step of Adam moves every weight by about the learning rate."""
    net = network().train()
    before = {name: value.clone() for name, value in net.named_parameters()}
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    nn.functional.cross_entropy(net(inputs(), LENGTHS), torch.arange(4)).backward()
    optimizer.step()
    assert len(net.receptive_fields()) == 2
    for parameter in net.receptive_fields():
        assert (parameter.grad != 0).all()
    assert all(not torch.equal(value, before[name]) for name, value in net.named_parameters())
