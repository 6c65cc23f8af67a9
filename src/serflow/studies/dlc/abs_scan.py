"""The steps of `serflow.studies.dlc.abs_lstm` on a CPU, compiled: all of them, or all backwards, are one call.

A step is a few hundred multiplications, of which torch makes some thirty operations that take longer to start than to
do.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from serflow.nn.compiled import compiled

MEMORY = 3
"""States that a step looks back on."""

Floats = npt.NDArray[np.floating[Any]]


@compiled
def run(
    seen: Floats,
    on_states: Floats,
    on_cells: Floats,
    on_gates: Floats,
    kept: Floats,
    hidden: Floats,
    attention: Floats,
    attended: Floats,
    gates: Floats,
) -> None:
    """Run all steps of one direction.

    Parameters
    ----------
    seen
        What the inputs add to the attentions over states and over cells, and to the gates:
        ``(batch, steps, 2 * width + 4 * units)``.
    on_states, on_cells
        What kept states and cells are multiplied by in their attentions, ``(units, width)``.
    on_gates
        What the attended state is multiplied by in the gates, ``(units, 4 * units)``.
    kept
        Filled with states and cells, ``(batch, 3 + steps, 2, units)``; the first three are zero.
    hidden, attention, attended, gates
        Filled with what `run_backwards` needs, ``(batch, steps, 2, 3, width)``, ``(batch, steps, 2, 3)``,
        ``(batch, steps, 2, units)``, and the gates before they are cut to 0 and 1, ``(batch, steps, 4 * units)``.
    """
    batch, n_steps = seen.shape[:2]
    units, width = on_states.shape
    for row in range(batch):
        for step in range(n_steps):
            for part in range(2):
                weights = on_states if part == 0 else on_cells
                scores = attention[row, step, part]
                for place in range(MEMORY):
                    square = 0.0
                    for column in range(width):
                        total = seen[row, step, part * width + column]
                        for unit in range(units):
                            total += kept[row, step + place, part, unit] * weights[unit, column]
                        value = np.tanh(total)
                        hidden[row, step, part, place, column] = value
                        square += value * value
                    scores[place] = np.sqrt(square)
                highest = scores.max()
                whole = 0.0
                for place in range(MEMORY):
                    scores[place] = np.exp(scores[place] - highest)
                    whole += scores[place]
                for place in range(MEMORY):
                    scores[place] /= whole
                for unit in range(units):
                    total = 0.0
                    for place in range(MEMORY):
                        total += scores[place] * kept[row, step + place, part, unit]
                    attended[row, step, part, unit] = total
            for gate in range(4 * units):
                total = seen[row, step, 2 * width + gate]
                for unit in range(units):
                    total += max(attended[row, step, 0, unit], 0.0) * on_gates[unit, gate]
                gates[row, step, gate] = total
            for unit in range(units):
                admit = min(max(gates[row, step, unit], 0.0), 1.0)
                keep = min(max(gates[row, step, units + unit], 0.0), 1.0)
                show = min(max(gates[row, step, 2 * units + unit], 0.0), 1.0)
                candidate = min(max(gates[row, step, 3 * units + unit], 0.0), 1.0)
                cell = keep * max(attended[row, step, 1, unit], 0.0) + admit * candidate
                kept[row, step + MEMORY, 0, unit] = show * np.tanh(cell)
                kept[row, step + MEMORY, 1, unit] = cell


@compiled
def run_backwards(
    on_kept: Floats,
    on_states: Floats,
    on_cells: Floats,
    on_gates: Floats,
    kept: Floats,
    hidden: Floats,
    attention: Floats,
    attended: Floats,
    gates: Floats,
    for_seen: Floats,
    for_attentions: Floats,
    for_gates: Floats,
) -> None:
    """Go through the steps from the last to the first.

    Parameters
    ----------
    on_kept
        Gradients of states and cells, shaped as ``kept``; those of earlier steps are added to it.
    on_states, on_cells, on_gates, kept, hidden, attention, attended, gates
        As in `run`, which filled the last five.
    for_seen
        Filled with the gradients of ``seen``, and shaped as it.
    for_attentions, for_gates
        Zeros, to which those of ``on_states`` and ``on_cells``, ``(2, units, width)``, and of ``on_gates`` are added.
    """
    batch, n_steps = for_seen.shape[:2]
    units, width = on_states.shape
    on_before = np.zeros((2, units))
    shares = np.zeros(MEMORY)
    for row in range(batch):
        for step in range(n_steps - 1, -1, -1):
            on_input = for_seen[row, step]
            for unit in range(units):
                show, candidate = gates[row, step, 2 * units + unit], gates[row, step, 3 * units + unit]
                admit, keep = gates[row, step, unit], gates[row, step, units + unit]
                squashed = np.tanh(kept[row, step + MEMORY, 1, unit])
                on_state = on_kept[row, step + MEMORY, 0, unit]
                on_cell = on_kept[row, step + MEMORY, 1, unit]
                on_cell += on_state * min(max(show, 0.0), 1.0) * (1.0 - squashed * squashed)
                before = max(attended[row, step, 1, unit], 0.0)
                first = 2 * width + unit
                on_input[first] = on_cell * min(max(candidate, 0.0), 1.0) if 0.0 <= admit <= 1.0 else 0.0
                on_input[first + units] = on_cell * before if 0.0 <= keep <= 1.0 else 0.0
                on_input[first + 2 * units] = on_state * squashed if 0.0 <= show <= 1.0 else 0.0
                on_input[first + 3 * units] = on_cell * min(max(admit, 0.0), 1.0) if 0.0 <= candidate <= 1.0 else 0.0
                on_before[1, unit] = on_cell * min(max(keep, 0.0), 1.0) if attended[row, step, 1, unit] > 0.0 else 0.0
            for unit in range(units):
                state = attended[row, step, 0, unit]
                on_before[0, unit] = 0.0
                if state > 0.0:
                    for gate in range(4 * units):
                        on_before[0, unit] += on_input[2 * width + gate] * on_gates[unit, gate]
                        for_gates[unit, gate] += state * on_input[2 * width + gate]
            for part in range(2):
                weights = on_states if part == 0 else on_cells
                for column in range(width):
                    on_input[part * width + column] = 0.0
                whole = 0.0
                for place in range(MEMORY):
                    total = 0.0
                    for unit in range(units):
                        total += kept[row, step + place, part, unit] * on_before[part, unit]
                    shares[place] = attention[row, step, part, place] * total
                    whole += shares[place]
                for place in range(MEMORY):
                    share = attention[row, step, part, place]
                    square = 0.0
                    for column in range(width):
                        square += hidden[row, step, part, place, column] ** 2
                    # a norm of 0 has no gradient
                    on_norm = (shares[place] - share * whole) / np.sqrt(square) if square > 0.0 else 0.0
                    for unit in range(units):
                        on_kept[row, step + place, part, unit] += share * on_before[part, unit]
                    for column in range(width):
                        value = hidden[row, step, part, place, column]
                        gradient = on_norm * value * (1.0 - value * value)
                        on_input[part * width + column] += gradient
                        for unit in range(units):
                            on_kept[row, step + place, part, unit] += gradient * weights[unit, column]
                            for_attentions[part, unit, column] += gradient * kept[row, step + place, part, unit]
