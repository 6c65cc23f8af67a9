"""Bidirectional layers over padded utterances."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from serflow.nn.recurrent import Bidirectional, reverse_frames, run_layers

LENGTHS = torch.tensor([5, 2, 7, 1])

pytestmark = pytest.mark.numeric


def padded(n_frames, fill=0.0):
    generator = torch.Generator().manual_seed(0)
    frames = torch.full((len(LENGTHS), n_frames, 3), fill, dtype=torch.float64)
    for row, length in enumerate(LENGTHS.tolist()):
        frames[row, :length] = torch.randn(length, 3, generator=generator, dtype=torch.float64)
    return frames


def valid(frames):
    return torch.cat([frames[row, :length] for row, length in enumerate(LENGTHS.tolist())])


def test_utterances_are_turned_around_and_padding_stays():
    frames = torch.arange(8.0).reshape(2, 4, 1)
    turned = reverse_frames(frames, torch.tensor([3, 4]))
    assert turned.flatten().tolist() == [2, 1, 0, 3, 7, 6, 5, 4]
    assert torch.equal(reverse_frames(turned, torch.tensor([3, 4])), frames)


@pytest.mark.parametrize(("kind", "torchs_own"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_a_layer_is_torchs_own_on_packed_utterances_with_gradients(kind, torchs_own):
    torch.manual_seed(0)
    layer = Bidirectional(kind, 3, 4).double()
    reference = torchs_own(3, 4, batch_first=True, bidirectional=True).double()
    ours = {
        **dict(layer.forwards.named_parameters()),
        **{f"{name}_reverse": parameter for name, parameter in layer.backwards.named_parameters()},
    }
    reference.load_state_dict({name: parameter.detach() for name, parameter in ours.items()})
    inputs, peer_inputs = padded(7).requires_grad_(), padded(7).requires_grad_()
    packed = pack_padded_sequence(peer_inputs, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(reference(packed)[0], batch_first=True)
    found = layer(inputs, LENGTHS)
    torch.testing.assert_close(valid(found), valid(expected))
    weights = torch.randn(valid(found).shape, dtype=torch.float64)
    (valid(found) * weights).sum().backward()
    (valid(expected) * weights).sum().backward()
    torch.testing.assert_close(valid(inputs.grad), valid(peer_inputs.grad))
    for name, parameter in reference.named_parameters():
        torch.testing.assert_close(ours[name].grad, parameter.grad)


def test_padding_changes_nothing():
    torch.manual_seed(0)
    layer = Bidirectional("gru", 3, 4).double()
    torch.testing.assert_close(valid(layer(padded(11, fill=1e3), LENGTHS)), valid(layer(padded(7), LENGTHS)))


def test_layers_are_torchs_own_on_packed_utterances_with_gradients():
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 4, 3, bidirectional=True, batch_first=True).double()
    inputs, peer_inputs = padded(7, fill=1e3).requires_grad_(), padded(7).requires_grad_()
    packed = pack_padded_sequence(peer_inputs, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True)
    found = run_layers(lstm, inputs, LENGTHS)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(found.shape, dtype=torch.float64)
    gradients, peers = (
        torch.autograd.grad((states * weights).sum(), [given, *lstm.parameters()])
        for states, given in ((found, inputs), (expected, peer_inputs))
    )
    for gradient, peer in zip(gradients, peers, strict=True):
        torch.testing.assert_close(gradient, peer)
