"""What a cell trains on: voiced MFCC of labelled utterances, normalised and padded (section 3.1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from serflow.features.energy_vad import select_voiced
from serflow.protocols.examples import Examples, OfExamples, look_up, read_examples, read_roles, without_rejected
from serflow.protocols.folds import IntArray
from serflow.stores.frames import FrameSource, PackedFrames
from serflow.stores.parquet import read_metadata, read_table
from serflow.studies.invariance.labels import check_improvised, emotion_labels
from serflow.studies.invariance.losses import Batch
from serflow.studies.invariance.network import context
from serflow.studies.invariance.options import Options
from serflow.studies.invariance.protocol import RunRoles, Whole
from serflow.training.batching import pad_frames
from serflow.training.metrics import reference_classes
from serflow.training.statistics import FrameStatistics, frame_statistics

FloatArray = npt.NDArray[np.floating]
NO_SPEECH = "no speech by the energy VAD"
NOT_IMPROVISED = "not improvised"
# of few lengths, since a new one takes oneDNN a while to prepare for
PAD_TO = 16


class Files(NamedTuple):
    """The files that a cell reads; ``mfcc`` and ``vad`` are packed indices, ``splits`` has one for each run."""

    utterances: Path
    splits: tuple[Path, ...]
    mfcc: Path
    vad: Path


class VoicedFrames:
    """The voiced frames of utterances, one utterance in memory at a time.

    Parameters
    ----------
    mfcc, vad
        Packed frames, and packed decisions on the same frames.
    mfcc_rows, vad_rows
        Where each utterance is in them, ``(n,)``.
    least
        An utterance with fewer voiced frames is continued with its last one: the network sees no shorter one.
    """

    def __init__(
        self, mfcc: PackedFrames, vad: PackedFrames, mfcc_rows: IntArray, vad_rows: IntArray, least: int
    ) -> None:
        self._mfcc, self._vad = mfcc, vad
        self._mfcc_rows, self._vad_rows = mfcc_rows, vad_rows
        self.least = least
        self.voiced = np.array([int((vad[int(row)] > 0).sum()) for row in vad_rows], dtype=np.int64)
        self.lengths = np.maximum(self.voiced, least)

    @property
    def dim(self) -> int:
        """Values of a frame."""
        return self._mfcc.dim

    def __getitem__(self, row: int) -> FloatArray:
        """Return ``(n_frames, dim)``."""
        frames = select_voiced(self._mfcc[int(self._mfcc_rows[row])], self._vad[int(self._vad_rows[row])])
        lacking = self.least - len(frames)
        return np.pad(frames, ((0, lacking), (0, 0)), mode="edge") if lacking > 0 else frames

    def take(self, rows: IntArray) -> "VoicedFrames":
        """Return those of some utterances."""
        return VoicedFrames(self._mfcc, self._vad, self._mfcc_rows[rows], self._vad_rows[rows], self.least)


@dataclass(frozen=True)
class CellData(OfExamples):
    """What a cell reads; ``frames`` has a row for each example, ``roles`` the role of each by run and fold.

    ``whole`` is the corpus with what the study leaves out.
    """

    examples: Examples
    frames: VoicedFrames
    roles: RunRoles
    options: Options
    whole: Whole


def read_utterances(path: Path, options: Options) -> Examples:
    """Read the utterances of a corpus that have a label of the study.

    Raises
    ------
    StoreError
        If the table is absent or damaged.
    TrainingError
        If there are fewer than two classes, or a whole IEMOCAP has other utterances than the paper's.
    """
    metadata = read_metadata(path)
    examples = read_examples(path, partial(emotion_labels, emotions=options.emotions))
    if options.style == "improvised":
        improvised = np.array([style == "improvised" for style in examples.facts["style"]], dtype=bool)
        examples = examples.take(improvised, NOT_IMPROVISED)
        if metadata["layout"] == "iemocap" and not metadata["synthetic"] and not metadata["partial"]:
            classes = [examples.classes[index] for index in reference_classes(examples.targets)]
            check_improvised(examples.facts["speaker"], classes)
    return examples


def load_cell(files: Files, options: Options, runs: Sequence[int]) -> CellData:
    """Read what the fits of a cell need.

    An utterance in which the energy VAD finds no speech is left out and counted, as in Kaldi's recipes.

    Raises
    ------
    StoreError
        If a file is absent or damaged, or lacks an utterance.
    TrainingError
        If there are fewer than two classes.
    """
    mfcc, vad = PackedFrames.open(files.mfcc), PackedFrames.open(files.vad)
    examples = without_rejected(read_utterances(files.utterances, options), {"no MFCC": mfcc, "no VAD": vad})
    mfcc_rows = look_up(examples.utterances, mfcc.row_of, files.mfcc)
    vad_rows = look_up(examples.utterances, vad.row_of, files.vad)
    frames = VoicedFrames(mfcc, vad, mfcc_rows, vad_rows, least=context(options.model.tdnn))
    speech = frames.voiced > 0
    examples, frames = examples.reject(speech, NO_SPEECH), frames.take(np.flatnonzero(speech))
    listed = read_table(files.utterances, columns=["utterance", "speaker"])
    names, speakers = (listed.column(name).to_pylist() for name in ("utterance", "speaker"))
    everyone = {run: read_roles(path, examples.corpus, names) for run, path in zip(runs, files.splits, strict=True)}
    used = look_up(examples.utterances, {name: row for row, name in enumerate(names)}, files.utterances)
    roles = {run: {fold: role[used] for fold, role in of_run.items()} for run, of_run in everyone.items()}
    return CellData(examples, frames, roles, options, Whole(speakers, everyone, examples.excluded))


@dataclass(frozen=True)
class Normalised:
    """Frames scaled to mean 0 and deviation 1: by statistics of training, by the utterance's own, or left as they are.

    ``training`` are the statistics of the training frames.
    """

    source: FrameSource
    cmvn: str
    training: FrameStatistics

    @property
    def lengths(self) -> IntArray:
        """Frames of each utterance, ``(n,)``."""
        return self.source.lengths

    @property
    def dim(self) -> int:
        """Values of a frame."""
        return self.source.dim

    def __getitem__(self, row: int) -> FloatArray:
        """Return the frames of an utterance, ``(n_frames, dim)``."""
        frames = self.source[row]
        if self.cmvn == "none":
            return frames
        own = self.cmvn == "utterance"
        mean, std = frame_statistics(self.source, np.array([row])) if own else self.training
        normalised: FloatArray = (frames - mean) / std
        return normalised


def batch_maker(
    frames: FrameSource, targets: FloatArray, speakers: IntArray, device: torch.device
) -> Callable[[IntArray], Batch]:
    """Return what makes a batch of rows.

    Parameters
    ----------
    frames
        Normalised frames.
    targets
        ``(n, classes)``.
    speakers
        Index of each utterance's speaker among those of training, ``(n,)``; of others, -1.
    device
        Where batches go.
    """

    def make(rows: IntArray) -> Batch:
        return Batch(
            torch.from_numpy(pad_frames(frames, rows, multiple=PAD_TO)).to(device),
            torch.from_numpy(frames.lengths[rows].astype(np.int64)).to(device),
            torch.from_numpy(targets[rows]).to(device, torch.float32),
            torch.from_numpy(speakers[rows]).to(device),
            int(frames.lengths[rows].sum()),
        )

    return make
