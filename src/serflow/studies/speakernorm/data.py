"""What a cell reads: waveforms, transcripts as symbols, speakers, folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from serflow.backbones.wav2vec2 import read_letters
from serflow.backbones.weights import read_weights
from serflow.errors import TrainingError
from serflow.protocols.examples import Examples, OfExamples, look_up, read_roles
from serflow.protocols.folds import IntArray
from serflow.stores.waveforms import PackedWaveforms
from serflow.studies.speakernorm.labels import read_utterances
from serflow.studies.speakernorm.losses import Batch
from serflow.studies.speakernorm.options import Options
from serflow.transcripts.spelling import Spelling, frames_needed

FEW_SENTENCES = 100
"""Of a corpus that says no more different sentences than these, its error rates say so."""


class Files(NamedTuple):
    """The files that a cell reads: ``audio`` is a packed index, ``weights`` the record of wav2vec 2.0's."""

    utterances: Path
    split: Path
    audio: Path
    weights: Path


@dataclass(frozen=True)
class CellData(OfExamples):
    """What a cell reads.

    ``rows`` is where each example is in ``waveforms``, ``(n,)``; ``texts`` are transcripts, cleaned, and ``spelt``
    their symbols. ``roles`` has the role of each example by fold; ``weights`` is the folder of wav2vec 2.0.
    """

    examples: Examples
    waveforms: PackedWaveforms
    rows: IntArray
    texts: list[str]
    spelt: list[list[int]]
    spelling: Spelling
    roles: dict[str, npt.NDArray[np.str_]]
    runs: tuple[int, ...]
    options: Options
    weights: Path

    @property
    def n_samples(self) -> IntArray:
        """Samples of each utterance, ``(n,)``."""
        return self.waveforms.lengths[self.rows]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of error rates should know."""
        n_sentences = len(set(self.texts))
        if n_sentences > FEW_SENTENCES:
            return ()
        return (
            f"{self.examples.corpus} says {n_sentences} different sentences: its WER is that of telling these apart, "
            "not of recognising speech",
        )


def load_cell(files: Files, options: Options, runs: Sequence[int]) -> CellData:
    """Read what the fits of a cell need.

    Raises
    ------
    StoreError
        If a file is absent or damaged, or lacks an utterance.
    TrainingError
        If there are fewer than two classes or no transcripts, or a whole IEMOCAP has other utterances than the paper's.
    WeightsError
        If wav2vec 2.0's weights are missing or changed, or there is no tokenizer beside them.
    """
    waveforms = PackedWaveforms.open(files.audio)
    examples = read_utterances(files.utterances, options.emotions)
    weights = Path(read_weights(files.weights).path)
    spelling = Spelling(*read_letters(weights))
    texts = [spelling.clean(text) for text in examples.facts["text"]]
    return CellData(
        examples,
        waveforms,
        look_up(examples.utterances, waveforms.row_of, files.audio),
        texts,
        [spelling.spell(text) for text in texts],
        spelling,
        read_roles(files.split, examples.corpus, examples.utterances),
        tuple(runs),
        options,
        weights,
    )


def require_room(data: CellData, rows: IntArray, n_frames: IntArray) -> None:
    """Refuse a training utterance whose transcript needs more frames than there are: its CTC loss would be infinite.

    Parameters
    ----------
    data
        Of the cell.
    rows
        Utterances of training, ``(n,)``.
    n_frames
        Frames of each, ``(n,)``.

    Raises
    ------
    TrainingError
        Naming the first.
    """
    short = [
        (int(row), frames) for row, frames in zip(rows, n_frames.tolist(), strict=True)
        if frames_needed(data.spelt[row]) > frames
    ]  # fmt: skip
    if short and not data.options.ctc.zero_infinity:
        row, frames = short[0]
        raise TrainingError(
            f"{data.utterances[row]} and {len(short) - 1} more: the transcript needs {frames_needed(data.spelt[row])} "
            f"frames of wav2vec 2.0, and there are {frames}; set speakernorm.ctc.zero_infinity to true, which leaves "
            "the CTC loss of such utterances out"
        )


def make_batch(data: CellData, rows: IntArray, numbers: IntArray, device: torch.device) -> Batch:
    """Return utterances padded to the longest; ``numbers`` are those of the speakers of training, ``(n,)``."""
    n_samples = data.n_samples[rows]
    waveforms = np.zeros((len(rows), int(n_samples.max())), dtype=np.float32)
    for place, row in enumerate(rows):
        samples = data.waveforms.waveform(int(data.rows[row]))
        waveforms[place, : len(samples)] = samples
    spelt = [data.spelt[row] for row in rows]
    return Batch(
        torch.from_numpy(waveforms).to(device),
        torch.from_numpy(np.array(n_samples, dtype=np.int64)).to(device),
        torch.from_numpy(data.examples.targets[rows]).to(device, torch.float32),
        torch.tensor([symbol for symbols in spelt for symbol in symbols], dtype=torch.int64),
        torch.tensor([len(symbols) for symbols in spelt], dtype=torch.int64),
        torch.from_numpy(numbers[rows]).to(device),
    )
