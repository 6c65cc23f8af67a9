"""Utterances of dialogues as padded sequences and back, and recurrent layers over them that skip the padding."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from serflow.nn.gru import SmallGru
from serflow.nn.recurrent import run_both_ways


class Turns(NamedTuple):
    """Where rows stand, ``dialogue`` and ``turn`` ``(batch,)``; turns of each dialogue, and of the ``longest``."""

    dialogue: Tensor
    turn: Tensor
    lengths: Tensor
    longest: int


def find_turns(dialogues: Tensor, size: tuple[int, int] | None = None) -> Turns:
    """Return where each row stands in its dialogue.

    Parameters
    ----------
    dialogues
        Number of the dialogue of each row, ``(batch,)`` from 0; the rows of a dialogue are in the order of its turns,
        wherever they are in the batch.
    size
        How many dialogues there are, and the turns of the longest, where the host knows it; None to count, which waits
        for a GPU.
    """
    if size is None:
        counts = torch.bincount(dialogues)
        size = len(counts), int(counts.max())
    n_dialogues, longest = size
    lengths = (dialogues == torch.arange(n_dialogues, device=dialogues.device)[:, None]).sum(1)
    order = torch.argsort(dialogues, stable=True)
    starts = lengths.cumsum(0) - lengths
    turn = torch.empty_like(dialogues)
    turn[order] = torch.arange(len(dialogues), device=dialogues.device) - starts[dialogues[order]]
    return Turns(dialogues, turn, lengths, longest)


def to_sequences(rows: Tensor, turns: Turns) -> Tensor:
    """Lay rows ``(batch, dim)`` out as ``(dialogues, turns, dim)``, zero after the last turn of each."""
    padded = rows.new_zeros(len(turns.lengths), turns.longest, rows.shape[1])
    return padded.index_put((turns.dialogue, turns.turn), rows)


def to_rows(sequences: Tensor, turns: Turns) -> Tensor:
    """Undo `to_sequences`: ``(dialogues, turns, dim)`` to ``(batch, dim)``, in the order of the batch."""
    return sequences[turns.dialogue, turns.turn]


class Context(nn.Module):
    """A bidirectional recurrent layer over the turns of dialogues; padded turns are not seen.

    Parameters
    ----------
    kind
        ``gru`` or ``lstm``.
    in_dim, units
        Values of an utterance, and units a direction.
    """

    def __init__(self, kind: Literal["gru", "lstm"], in_dim: int, units: int) -> None:
        super().__init__()
        self.forwards, self.backwards = (
            SmallGru(in_dim, units) if kind == "gru" else nn.LSTM(in_dim, units, batch_first=True) for _ in range(2)
        )

    def forward(self, rows: Tensor, turns: Turns) -> Tensor:
        """Return ``(batch, 2 * units)`` of rows ``(batch, in_dim)``, in the order of the batch."""
        return to_rows(run_both_ways(self.forwards, self.backwards, to_sequences(rows, turns), turns.lengths), turns)
