"""The compiled GRU against torch's, and what is compiled where no folder keeps the code."""

import numpy as np
import pytest
import torch
from torch import nn

from serflow.nn.compiled import compiled
from serflow.nn.gru import SmallGru


@pytest.mark.numeric
@pytest.mark.parametrize(("batch", "n_steps"), [(3, 7), (1, 1)])
def test_it_is_torchs_with_its_gradients(batch, n_steps):
    torch.manual_seed(0)
    ours, peer = SmallGru(4, 5).double(), nn.GRU(4, 5, batch_first=True).double()
    peer.load_state_dict(ours.state_dict())
    frames, weights = torch.randn(batch, n_steps, 4).double(), torch.randn(batch, n_steps, 5).double()
    found = []
    for layer in (ours, peer):
        inputs = frames.clone().requires_grad_()
        states, last = layer(inputs)
        ((states * weights).sum() + last.square().sum()).backward()
        found.append([states, last, inputs.grad, *(parameter.grad for parameter in layer.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_it_stays_in_full_precision():
    layer, frames = SmallGru(4, 5), torch.randn(2, 3, 4)
    expected, _ = layer(frames)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(frames)[0], expected)


def test_gradients_of_its_gradients_are_refused():
    layer, frames = SmallGru(4, 5), torch.randn(2, 3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(frames)[0].square().sum(), frames, create_graph=True)
    with pytest.raises(RuntimeError, match="twice"):
        gradient.sum().backward()


def test_it_refuses_a_first_state():
    with pytest.raises(ValueError, match="zeros"):
        SmallGru(4, 5)(torch.randn(2, 3, 4), torch.zeros(1, 2, 5))


def test_functions_are_compiled_where_no_folder_keeps_the_code(monkeypatch):
    def nowhere(*arguments, **options):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("numba.core.dispatcher.FunctionCache", nowhere)
    values = np.ones(3)

    def double(values):
        for place in range(len(values)):
            values[place] *= 2.0

    compiled(double)(values)
    assert values.tolist() == [2.0] * 3
