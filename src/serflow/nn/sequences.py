"""Utterances of dialogues as padded sequences and back, and recurrent layers over them that skip the padding."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Turns(NamedTuple):
    """Where rows stand, ``dialogue`` and ``turn`` ``(batch,)``, and the turns of each dialogue, ``lengths``."""

    dialogue: Tensor
    turn: Tensor
    lengths: Tensor


def find_turns(dialogues: Tensor) -> Turns:
    """Return where each row stands in its dialogue.

    Parameters
    ----------
    dialogues
        Number of the dialogue of each row, ``(batch,)`` from 0; the rows of a dialogue are in the order of its turns,
        wherever they are in the batch.
    """
    lengths = torch.bincount(dialogues)
    order = torch.argsort(dialogues, stable=True)
    starts = lengths.cumsum(0) - lengths
    turn = torch.empty_like(dialogues)
    turn[order] = torch.arange(len(dialogues), device=dialogues.device) - starts[dialogues[order]]
    return Turns(dialogues, turn, lengths)


def to_sequences(rows: Tensor, turns: Turns) -> Tensor:
    """Lay rows ``(batch, dim)`` out as ``(dialogues, turns, dim)``, zero after the last turn of each."""
    padded = rows.new_zeros(len(turns.lengths), int(turns.lengths.max()), rows.shape[1])
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

    def __init__(self, kind: str, in_dim: int, units: int) -> None:
        super().__init__()
        layer = {"gru": nn.GRU, "lstm": nn.LSTM}[kind]
        self.layer = layer(in_dim, units, batch_first=True, bidirectional=True)

    def forward(self, rows: Tensor, turns: Turns) -> Tensor:
        """Return ``(batch, 2 * units)`` of rows ``(batch, in_dim)``, in the order of the batch."""
        packed = pack_padded_sequence(
            to_sequences(rows, turns), turns.lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(self.layer(packed)[0], batch_first=True)
        return to_rows(states, turns)
