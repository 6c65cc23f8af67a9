"""The attentive skip-connected LSTM of HFFN (Mai, Hu and Xing, ACL 2019, section 3.3), as their code has it.

A step is a handful of operations on a few values, so that their number is what takes time. On a CPU all steps are one
compiled call (`serflow.studies.dlc.abs_scan`). Elsewhere state and cell are kept side by side, both attentions are one
matrix product, and gradients are computed by hand, step by step backwards, without recording each operation. A test
compares both, and their gradients with numerical ones (`benchmarks/training_step.py`).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from serflow.studies.dlc import abs_scan
from serflow.studies.dlc.abs_scan import MEMORY

UNITS = 3
CELL_ATTENTION = 5
OUTPUT_ATTENTION = 5
"""Width of the attention over outputs; neither the paper nor the description of the code gives it."""


def hard_sigmoid(values: Tensor) -> Tensor:
    """Return ``0.2 x + 0.5`` within 0 and 1: Keras's, whose slope is not torch's."""
    return (0.2 * values + 0.5).clamp(0.0, 1.0)


class _Scan(torch.autograd.Function):
    """All steps of one direction on a CPU; arguments as in `_Steps`."""

    @staticmethod
    def forward(ctx: Any, seen: Tensor, on_states: Tensor, on_cells: Tensor, on_gates: Tensor) -> Tensor:
        batch, n_steps, _ = seen.shape
        units, width = on_states.shape
        kept = seen.new_zeros(batch, MEMORY + n_steps, 2, units)
        saved = [
            seen.new_empty(batch, n_steps, *shape)
            for shape in ((2, MEMORY, width), (2, MEMORY), (2, units), (4 * units,))
        ]
        given = [values.contiguous() for values in (seen, on_states, on_cells, on_gates)]
        abs_scan.run(*(values.detach().numpy() for values in (*given, kept, *saved)))
        ctx.save_for_backward(*given[1:], kept, *saved)
        return kept[:, MEMORY:, 0].contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        saved = ctx.saved_tensors
        on_states, _, on_gates, kept, *_ = saved
        units, width = on_states.shape
        on_kept = torch.zeros_like(kept)
        on_kept[:, MEMORY:, 0] = gradients[0]
        for_seen = kept.new_empty(len(kept), kept.shape[1] - MEMORY, 2 * width + 4 * units)
        for_attentions, for_gates = kept.new_zeros(2, units, width), torch.zeros_like(on_gates)
        found = (for_seen, for_attentions, for_gates)
        abs_scan.run_backwards(*(values.detach().numpy() for values in (on_kept, *saved, *found)))
        return for_seen, *for_attentions.unbind(), for_gates


class _Steps(torch.autograd.Function):
    """All steps of one direction, one after the other.

    ``seen`` ``(batch, steps, 2 * width + 4 * units)`` holds what the inputs add to the attentions over states and over
    cells and to the gates, these as 0.2 of the sum plus 0.5; ``on_states`` and ``on_cells`` ``(units, width)`` and
    ``on_gates`` ``(units, 4 * units)`` are what kept states, kept cells and the attended state are multiplied by. The
    states are ``(batch, steps, units)``.
    """

    @staticmethod
    def forward(ctx: Any, seen: Tensor, on_states: Tensor, on_cells: Tensor, on_gates: Tensor) -> Tensor:
        on_kept, on_state = torch.block_diag(on_states, on_cells), on_gates  # type: ignore[no-untyped-call]
        batch, n_steps, _ = seen.shape
        units, width = on_state.shape[0], on_kept.shape[1] // 2
        kept = seen.new_zeros(batch, MEMORY + n_steps, 2 * units)
        on_each = on_kept.expand(batch, -1, -1)
        attention_shares, gate_shares = torch.split(seen, [2 * width, 4 * units], 2)
        saved: list[list[Tensor]] = [[] for _ in range(4)]
        for step, (share, gate_share) in enumerate(
            zip(attention_shares.unsqueeze(2).unbind(1), gate_shares.unbind(1), strict=True)
        ):
            last, (next_state, next_cell) = kept[:, step : step + MEMORY], torch.split(kept[:, step + MEMORY], units, 1)
            hidden = torch.tanh(torch.baddbmm(share, last, on_each))
            norms = torch.linalg.vector_norm(hidden.view(batch, MEMORY, 2, width), dim=3, keepdim=True)
            attention = torch.softmax(norms, dim=1)
            attended = (attention * last.view(batch, MEMORY, 2, units)).sum(1)
            state, cell = attended.relu().unbind(1)
            gates = torch.addmm(gate_share, state, on_state)
            i, f, o, candidate = torch.split(gates.clamp(0.0, 1.0), units, 1)
            torch.addcmul(f * cell, i, candidate, out=next_cell)
            torch.mul(o, torch.tanh(next_cell), out=next_state)
            for values, value in zip(saved, (hidden, attention, attended, gates), strict=True):
                values.append(value)
        ctx.save_for_backward(kept, on_kept, on_state, *(torch.stack(values) for values in saved))
        return kept[:, MEMORY:, :units].contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        kept, on_kept, on_state, hidden, attention, attended, gates = ctx.saved_tensors
        n_steps, batch, _, doubled = hidden.shape
        units, width = on_state.shape[0], doubled // 2
        # of all steps at once: what does not depend on the gradients
        last = kept.unfold(1, MEMORY, 1)[:, :n_steps].permute(1, 0, 3, 2).reshape(n_steps, batch, MEMORY, 2, units)
        before = attended.relu()
        open_gates = gates.clamp(0.0, 1.0)
        passing = ((gates >= 0.0) & (gates <= 1.0)).to(gates.dtype)
        squashed = torch.tanh(kept[:, MEMORY:, units:]).transpose(0, 1)
        norms = torch.linalg.vector_norm(hidden.view(n_steps, batch, MEMORY, 2, width), dim=4, keepdim=True)
        # zero where the norm is: its gradient there is none
        direction = hidden.view(n_steps, batch, MEMORY, 2, width) / norms.clamp(min=torch.finfo(norms.dtype).tiny)
        direction = direction * (1.0 - hidden.square()).view_as(direction)
        positive = (attended > 0.0).to(attended.dtype).unsqueeze(2)
        i, f, o, candidate = torch.split(open_gates, units, 2)
        through_cell = o * (1.0 - squashed.square())
        # of the gates, and of the cell before, which the product with `gates_back` takes along as it is
        through = torch.cat([torch.cat([candidate, before[:, :, 1], squashed, i], 2) * passing, f], 2)
        as_it_is = torch.eye(units, dtype=on_state.dtype, device=on_state.device)
        gates_back = torch.block_diag(on_state.T, as_it_is)  # type: ignore[no-untyped-call]
        kept_back = on_kept.T.expand(batch, -1, -1)

        on_all = torch.zeros_like(kept)
        on_all[:, MEMORY:, :units] = gradients[0]
        on_parts, on_attention = torch.empty_like(through), torch.empty_like(hidden)
        for step in reversed(range(n_steps)):
            on_h, on_cell = torch.split(on_all[:, step + MEMORY], units, 1)
            on_cell = torch.addcmul(on_cell, on_h, through_cell[step])
            torch.mul(torch.cat([on_cell, on_cell, on_h, on_cell, on_cell], 1), through[step], out=on_parts[step])
            on_before = (on_parts[step] @ gates_back).view(batch, 1, 2, units) * positive[step]
            weighed = attention[step] * (last[step] * on_before).sum(3, keepdim=True)
            on_norms = torch.addcmul(weighed, attention[step], weighed.sum(1, keepdim=True), value=-1.0)
            torch.mul(on_norms, direction[step], out=on_attention[step].view(batch, MEMORY, 2, width))
            share = (attention[step] * on_before).view(batch, MEMORY, 2 * units)
            on_all[:, step : step + MEMORY] += torch.baddbmm(share, on_attention[step], kept_back)
        on_gates = on_parts[:, :, : 4 * units]
        on_seen = torch.cat([on_attention.sum(2), on_gates], dim=2).transpose(0, 1)
        for_kept = last.reshape(-1, 2 * units).T @ on_attention.reshape(-1, doubled)
        return (
            on_seen,
            for_kept[:units, :width],
            for_kept[units:, width:],
            before[:, :, 0].reshape(-1, units).T @ on_gates.reshape(-1, 4 * units),
        )


class AbsLstm(nn.Module):
    """Bidirectional LSTM whose steps attend to their last three states.

    With ``a = softmax_j ||tanh([h_j; x] A_h)||`` over the last three, the state before a step is
    ``ReLU(sum_j a_j h_j)``; cells likewise, with ``A_c``. Gates and candidate are ``hard_sigmoid(x W + h U)``, without
    bias. An output is ``elu(s h)`` with the score ``s = hard_sigmoid([h; x] A_1 + b_1) A_2``. Both directions share all
    weights. States before the first step are zero.

    Parameters
    ----------
    in_dim
        Values of an input.
    units
        Units a direction.
    """

    def __init__(self, in_dim: int, units: int = UNITS) -> None:
        super().__init__()
        self.units = units
        self.state_attention = nn.Parameter(torch.empty(units + in_dim, units))
        self.cell_attention = nn.Parameter(torch.empty(units + in_dim, CELL_ATTENTION))
        self.input_weights = nn.Parameter(torch.empty(in_dim, 4 * units))
        self.state_weights = nn.Parameter(torch.empty(units, 4 * units))
        self.output_attention = nn.Parameter(torch.empty(units + in_dim, OUTPUT_ATTENTION))
        self.output_bias = nn.Parameter(torch.zeros(OUTPUT_ATTENTION))
        self.output_score = nn.Parameter(torch.empty(OUTPUT_ATTENTION, 1))
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)

    def _attentions(self, part: slice) -> tuple[Tensor, Tensor]:
        """Return rows of both attentions, of one width: the narrower is filled up with zeros."""
        width = max(self.units, CELL_ATTENTION)
        one, other = (
            F.pad(weights[part], (0, width - weights.shape[1]))
            for weights in (self.state_attention, self.cell_attention)
        )
        return one, other

    def run(self, inputs: Tensor) -> Tensor:
        """Return the states of one direction, ``(batch, steps, units)``, of inputs ``(batch, steps, in_dim)``."""
        width = max(self.units, CELL_ATTENTION)
        state_share, cell_share = self._attentions(slice(self.units, None))
        on_input = torch.cat([state_share, cell_share, 0.2 * self.input_weights], dim=1)
        offset = F.pad(torch.full((4 * self.units,), 0.5, device=inputs.device), (2 * width, 0))
        on_states, on_cells = self._attentions(slice(self.units))
        steps = _Scan if inputs.device.type == "cpu" else _Steps
        # in full precision, whatever the caller computes in: the steps add up
        with torch.autocast(inputs.device.type, enabled=False):
            seen = inputs.to(on_input.dtype) @ on_input + offset.to(on_input.dtype)
            states: Tensor = steps.apply(seen, on_states, on_cells, 0.2 * self.state_weights)  # type: ignore[no-untyped-call]
        return states

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``(batch, steps, 2 * units)`` of inputs ``(batch, steps, in_dim)``."""
        both = torch.cat([inputs, inputs.flip(1)])
        states = self.run(both)
        hidden = hard_sigmoid(
            torch.cat([states, both.to(states.dtype)], dim=2) @ self.output_attention + self.output_bias
        )
        found = F.elu((hidden @ self.output_score) * states)
        forwards, backwards = found.chunk(2)
        return torch.cat([forwards, backwards.flip(1)], dim=2)
