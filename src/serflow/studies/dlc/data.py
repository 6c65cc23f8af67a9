"""What a cell trains on: utterances with their targets, noise conditions and features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from serflow.errors import StoreError, TrainingError
from serflow.nn.pooling import frame_mask
from serflow.noise.plan import CONDITIONS
from serflow.protocols.examples import Examples, OfExamples, look_up, read_draw, read_examples, without_rejected
from serflow.protocols.labels import Labels, Row, one_hot
from serflow.stores.frames import PackedFrames
from serflow.stores.parquet import read_table
from serflow.studies.dlc.catalog import Cell
from serflow.studies.dlc.labels import emotion_labels
from serflow.training.batching import pad_frames
from serflow.training.statistics import FrameStatistics

CLAMP = 3.0
# a multiple of every pooling; of few lengths, since a new one takes oneDNN a while to prepare for
PAD_TO = 16
PAD_TOKENS_TO = 8

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]


class Files(NamedTuple):
    """The files that a cell reads.

    ``clean``, ``noisy`` and, for multimodal methods, ``text`` are packed indices; ``splits`` has one for each run;
    ``gate`` are the noise classifier's predictions, for methods that route by them.
    """

    utterances: Path
    splits: tuple[Path, ...]
    plan: Path
    clean: Path
    noisy: Path
    text: Path | None = None
    gate: Path | None = None


class Counts(NamedTuple):
    """What shapes in a network depend on besides those of a batch: known before it is on a device, which is not asked.

    ``conditions`` are the rows of each condition of training, None for a network that does not tell them apart;
    ``dialogues`` are how many there are, and the turns of the longest, None where there is no text.
    """

    conditions: tuple[int, ...] | None = None
    dialogues: tuple[int, int] | None = None


class Batch(NamedTuple):
    """Utterances padded to one length.

    ``noisy`` and ``clean`` are ``(batch, frames, bands)``, normalised, zero on padded frames; ``lengths`` and
    ``conditions`` (indices of the conditions of training) are ``(batch,)``; ``targets`` are
    ``(batch, classes)``. For multimodal methods, rows are whole dialogues in the order of their turns: ``tokens`` are
    embeddings ``(batch, tokens, dim)``, zero on padded tokens, ``n_tokens`` ``(batch,)``, and ``dialogues`` numbers
    the dialogues of the batch, ``(batch,)``. Without ``counts`` a network counts for itself. ``settled`` is what a
    stage of training leaves as it is, found before it (see `serflow.studies.dlc.models.Network.settled`): features are
    then left out, of no frame.
    """

    noisy: Tensor
    clean: Tensor
    lengths: Tensor
    targets: Tensor
    conditions: Tensor
    tokens: Tensor | None = None
    n_tokens: Tensor | None = None
    dialogues: Tensor | None = None
    counts: Counts | None = None
    settled: Tensor | None = None

    @property
    def expert_rows(self) -> tuple[int, ...] | None:
        """Rows of each condition, None where they were not counted."""
        return None if self.counts is None else self.counts.conditions


@dataclass(frozen=True)
class TextData:
    """Token embeddings of a cell's utterances, and where these stand in their dialogues; a row for each utterance."""

    tokens: PackedFrames
    rows: IntArray
    dialogues: list[str]
    turns: IntArray


@dataclass(frozen=True)
class CellData(OfExamples):
    """What a cell reads; arrays have a row for each example.

    ``conditions`` index ``CONDITIONS``, ``roles`` has an array for each run.
    """

    examples: Examples
    conditions: IntArray
    roles: dict[int, npt.NDArray[np.str_]]
    clean: PackedFrames
    noisy: PackedFrames
    clean_rows: IntArray
    noisy_rows: IntArray
    text: TextData | None = None

    @property
    def lengths(self) -> IntArray:
        """Frames of each utterance."""
        return self.noisy.lengths[self.noisy_rows]


def _check_lengths(data: CellData, clean: Path, noisy: Path) -> None:
    dims = data.clean.array.shape[1], data.noisy.array.shape[1]
    if dims[0] != dims[1]:
        raise StoreError(f"{clean}: {dims[0]} bands where {noisy} has {dims[1]}; delete both and run again")
    unequal = np.flatnonzero(data.clean.lengths[data.clean_rows] != data.lengths)
    empty = np.flatnonzero(data.lengths == 0)
    for rows, what in ((unequal, f"not as many frames as in {noisy}"), (empty, "no frames")):
        if len(rows):
            raise StoreError(
                f"{clean}: {data.utterances[rows[0]]} has {what} ({len(rows)} such utterances); "
                "delete both and run again"
            )


def _read_text(tokens: PackedFrames, path: Path, utterances: Path, examples: Examples) -> TextData:
    """Join token embeddings with the dialogue and turn of each utterance."""
    placed = list(zip(examples.facts["dialogue"], examples.facts["turn"], strict=True))
    without = [name for name, place in zip(examples.utterances, placed, strict=True) if None in place]
    if without:
        raise TrainingError(
            f"{utterances}: {len(without)} of {len(placed)} utterances have no turn in a dialogue, the first is "
            f"{without[0]}; multimodal methods look across turns, take them out of dlc.methods for this corpus"
        )
    return TextData(
        tokens,
        look_up(examples.utterances, tokens.row_of, path),
        [dialogue for dialogue, _ in placed],
        np.array([turn for _, turn in placed], dtype=np.int64),
    )


def read_conditions(plan: Path, corpus: str, profile: str) -> dict[str, str]:
    """Return the noise condition that each utterance drew.

    Raises
    ------
    StoreError
        If the plan is damaged, or of another corpus or profile.
    """
    expect = {"corpus": corpus, "profile": profile}
    table = read_table(plan, kind="noise_plan", expect=expect, columns=["utterance", "condition"])
    return dict(zip(*(table.column(name).to_pylist() for name in ("utterance", "condition")), strict=True))


def load_cell(files: Files, cell: Cell, runs: Sequence[int], *, predicts: str, labels: str, heard: str) -> CellData:
    """Join utterance table, splits, noise plan and features.

    Parameters
    ----------
    files
        What to read. Features stay memory-mapped.
    cell
        What the files must be of.
    runs
        Each has a split.
    predicts
        ``emotion``: only utterances with a label of the study are kept. ``condition``: all are, and the
        classes are the noise conditions.
    labels
        ``merged`` or ``hap_only``; see `emotion_labels`.
    heard
        Condition of the audio in the place of the noisy: the cell's profile, or ``clean``.

    Raises
    ------
    StoreError
        If a file is damaged, of another corpus or profile, or lacks an utterance.
    TrainingError
        If the corpus has fewer than two classes.
    """
    drawn = read_conditions(files.plan, cell.corpus, cell.profile)

    def label(layout: str, rows: Sequence[Row]) -> Labels:
        look_up([row["utterance"] for row in rows], dict.fromkeys(drawn, 0), files.plan)
        if predicts == "condition":
            return Labels(CONDITIONS, lambda row: one_hot(CONDITIONS, drawn[row["utterance"]]))
        return emotion_labels(layout, rows, labels)

    expect = {"corpus": cell.corpus}
    examples = read_examples(files.utterances, label, expect)
    clean = PackedFrames.open(files.clean, expect={**expect, "condition": "clean"})
    noisy = PackedFrames.open(files.noisy, expect={**expect, "condition": heard})
    stores = {"no features of the clean audio": clean, "no features of the noisy audio": noisy}
    tokens = None
    if files.text is not None:
        tokens = PackedFrames.open(files.text, expect={**expect, "condition": cell.profile})
        stores["no transcript"] = tokens
    examples = without_rejected(examples, stores)
    names = examples.utterances
    data = CellData(
        examples=examples,
        conditions=np.array([CONDITIONS.index(drawn[name]) for name in names], dtype=np.int64),
        roles={run: read_draw(path, cell.corpus, names) for run, path in zip(runs, files.splits, strict=True)},
        clean=clean,
        noisy=noisy,
        clean_rows=look_up(names, clean.row_of, files.clean),
        noisy_rows=look_up(names, noisy.row_of, files.noisy),
        text=None
        if tokens is None or files.text is None
        else _read_text(tokens, files.text, files.utterances, examples),
    )
    _check_lengths(data, files.clean, files.noisy)
    return data


def batch_maker(
    data: CellData,
    statistics: FrameStatistics,
    targets: FloatArray,
    experts: IntArray,
    device: torch.device,
    routes: bool = True,
) -> Callable[[IntArray], Batch]:
    """Return a function from rows of ``data`` to a batch on ``device``.

    Clean and noisy features are normalised by the same statistics and clamped to 3 deviations; frames are padded to a
    multiple of 16.

    Parameters
    ----------
    data
        Where the features are.
    statistics
        Of the noisy training frames.
    targets
        Class distributions, a row for each utterance of ``data``.
    experts
        What batches give as ``conditions``, ``(n,)``.
    device
        Where batches go.
    routes
        The network has an encoder for each condition: batches say how many rows each gets.
    """
    mean = torch.from_numpy(statistics.mean).to(device)
    std = torch.from_numpy(statistics.std).to(device)
    lengths = torch.from_numpy(data.lengths.astype(np.int64))
    text = data.text

    def counted(rows: IntArray, dialogues: Sequence[int] | None = None) -> Counts:
        known, turns = experts[rows], np.bincount(dialogues or [])
        return Counts(
            tuple(np.bincount(known[known >= 0]).tolist()) if routes else None,
            (len(turns), int(turns.max())) if len(turns) else None,
        )

    def lexical(rows: IntArray) -> tuple[Tensor | None, Tensor | None, Tensor | None, Counts]:
        if text is None:
            return None, None, None, counted(rows)
        tokens = torch.from_numpy(pad_frames(text.tokens, text.rows[rows], multiple=PAD_TOKENS_TO))
        n_tokens = torch.from_numpy(text.tokens.lengths[text.rows[rows]].astype(np.int64))
        numbers: dict[str, int] = {}
        dialogues = [numbers.setdefault(text.dialogues[row], len(numbers)) for row in rows]
        return tokens.to(device), n_tokens.to(device), torch.tensor(dialogues, device=device), counted(rows, dialogues)

    def normalised(packed: PackedFrames, rows: IntArray, mask: Tensor) -> Tensor:
        frames = torch.from_numpy(pad_frames(packed, rows, multiple=PAD_TO)).to(device)
        return frames.sub_(mean).div_(std).clamp_(-CLAMP, CLAMP).mul_(mask)

    def make(rows: IntArray) -> Batch:
        length = lengths[rows].to(device)
        mask = frame_mask(length, -(-int(data.lengths[rows].max()) // PAD_TO) * PAD_TO)
        return Batch(
            normalised(data.noisy, data.noisy_rows[rows], mask),
            normalised(data.clean, data.clean_rows[rows], mask),
            length,
            torch.from_numpy(targets[rows]).to(device, torch.float32),
            torch.from_numpy(experts[rows]).to(device),
            *lexical(rows),
        )

    return make
