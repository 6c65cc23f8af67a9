"""A GRU of few units: on a CPU, all steps are one compiled call, and all steps backwards another."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from serflow.nn.compiled import compiled

Floats = npt.NDArray[np.floating[Any]]


@compiled
def _run(inputs: Floats, weights: Floats, biases: Floats, states: Floats, gates: Floats) -> None:
    """Run all steps.

    Parameters
    ----------
    inputs
        What the inputs add to the reset gate, the update gate and the candidate, ``(batch, steps, 3 * units)``.
    weights, biases
        What states add to them, ``(units, 3 * units)`` and ``(3 * units,)``.
    states
        Filled, ``(batch, 1 + steps, units)``; the first is zero.
    gates
        Filled with both gates, the candidate, and what the state adds to it before it is reset,
        ``(batch, steps, 4, units)``.
    """
    batch, n_steps = inputs.shape[:2]
    units = len(weights)
    for row in range(batch):
        for step in range(n_steps):
            added = biases.copy()
            for other in range(units):
                state = states[row, step, other]
                for column in range(3 * units):
                    added[column] += state * weights[other, column]
            for unit in range(units):
                reset = 1.0 / (1.0 + np.exp(-inputs[row, step, unit] - added[unit]))
                update = 1.0 / (1.0 + np.exp(-inputs[row, step, units + unit] - added[units + unit]))
                candidate = np.tanh(inputs[row, step, 2 * units + unit] + reset * added[2 * units + unit])
                states[row, step + 1, unit] = candidate + update * (states[row, step, unit] - candidate)
                gates[row, step, 0, unit] = reset
                gates[row, step, 1, unit] = update
                gates[row, step, 2, unit] = candidate
                gates[row, step, 3, unit] = added[2 * units + unit]


@compiled
def _run_backwards(
    on_states: Floats, weights: Floats, states: Floats, gates: Floats, on_inputs: Floats, on_added: Floats
) -> None:
    """Go through the steps from the last to the first.

    ``on_states`` ``(batch, steps, units)`` are the gradients of the states; filled are those of ``inputs`` and of what
    states add to the gates and the candidate, ``(batch, steps, 3 * units)`` each. The rest is as in `_run`.
    """
    batch, n_steps, units = on_states.shape
    for row in range(batch):
        later = np.zeros_like(on_states[0, 0])
        for step in range(n_steps - 1, -1, -1):
            for unit in range(units):
                reset, update = gates[row, step, 0, unit], gates[row, step, 1, unit]
                candidate = gates[row, step, 2, unit]
                gradient = on_states[row, step, unit] + later[unit]
                on_candidate = gradient * (1.0 - update) * (1.0 - candidate * candidate)
                on_update = gradient * (states[row, step, unit] - candidate) * update * (1.0 - update)
                on_reset = on_candidate * gates[row, step, 3, unit] * reset * (1.0 - reset)
                on_inputs[row, step, unit] = on_reset
                on_inputs[row, step, units + unit] = on_update
                on_inputs[row, step, 2 * units + unit] = on_candidate
                on_added[row, step, unit] = on_reset
                on_added[row, step, units + unit] = on_update
                on_added[row, step, 2 * units + unit] = on_candidate * reset
                later[unit] = gradient * update
            for unit in range(units):
                for column in range(3 * units):
                    later[unit] += on_added[row, step, column] * weights[unit, column]


class _Steps(torch.autograd.Function):
    """Inputs ``(batch, steps, 3 * units)`` to states ``(batch, steps, units)``; arguments as in `_run`."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
        batch, n_steps, _ = inputs.shape
        units = len(weights)
        given = [values.detach().contiguous() for values in (inputs, weights, biases)]
        states = inputs.new_zeros(batch, 1 + n_steps, units)
        gates = inputs.new_empty(batch, n_steps, 4, units)
        _run(*(values.numpy() for values in (*given, states, gates)))
        ctx.save_for_backward(given[1], states, gates)
        return states[:, 1:].contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        weights, states, gates = ctx.saved_tensors
        batch, n_steps, _, units = gates.shape
        on_inputs, on_added = gates.new_empty(2, batch, n_steps, 3 * units).unbind()
        given = (gradients[0].contiguous(), weights, states, gates, on_inputs, on_added)
        _run_backwards(*(values.detach().numpy() for values in given))
        rows = on_added.reshape(-1, 3 * units)
        return on_inputs, states[:, :-1].reshape(-1, units).T @ rows, rows.sum(0)


class SmallGru(nn.GRU):
    """:class:`torch.nn.GRU` of one layer and one direction, ``batch_first``, for a few dozen units.

    On a CPU torch makes twenty operations a step, each of which takes longer to start than to do. There it computes in
    the precision of its weights, whatever the caller computes in.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, in_dim: int, units: int) -> None:
        super().__init__(in_dim, units, batch_first=True)

    def forward(  # type: ignore[override]
        self, frames: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return all states ``(batch, frames, units)`` and the last ``(1, batch, units)``, which begin with zero.

        Raises
        ------
        ValueError
            If a first ``state`` is given.
        """
        if state is not None:
            raise ValueError("a SmallGru begins with a state of zeros")
        if frames.device.type != "cpu":
            found: tuple[Tensor, Tensor] = super().forward(frames)
            return found
        with torch.autocast("cpu", enabled=False):
            inputs = F.linear(frames.to(self.weight_ih_l0.dtype), self.weight_ih_l0, self.bias_ih_l0)
            states: Tensor = _Steps.apply(inputs, self.weight_hh_l0.T, self.bias_hh_l0)  # type: ignore[no-untyped-call]
        return states, states[:, -1].unsqueeze(0)
