"""What a cell trains on and is tested on: waveforms, and their pitch pulses, in crops or whole (section 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from serflow.backbones.weights import read_weights
from serflow.errors import StoreError, WeightsError
from serflow.protocols.examples import Examples, OfExamples, look_up, read_folds, without_rejected
from serflow.protocols.folds import IntArray
from serflow.stores.pulses import CorpusPulses
from serflow.stores.waveforms import PackedWaveforms
from serflow.studies.temporal.augmentation import Draw, crop_length, draw, hidden
from serflow.studies.temporal.catalog import SystemInfo
from serflow.studies.temporal.front_end import LogMelFrontEnd, check_bands
from serflow.studies.temporal.labels import read_utterances
from serflow.studies.temporal.options import FramingOptions, Options
from serflow.studies.temporal.protocol import RunRoles
from serflow.training.statistics import utterance_statistics

FloatArray = npt.NDArray[np.floating]
NO_PULSES = "Praat cannot look for pitch pulses"
PAD_TO_FRAMES = 16
"""Whole utterances are padded to a multiple of so many frames: of few lengths, each of which oneDNN prepares for."""


class Files(NamedTuple):
    """The files that a cell reads.

    ``splits`` has one for each run; ``audio`` is a packed index; ``pulses`` are all shards of the corpus, for rows that
    read them; ``weights`` is the record of wav2vec's, for rows that have it in the graph.
    """

    utterances: Path
    splits: tuple[Path, ...]
    audio: Path
    pulses: tuple[Path, ...] = ()
    weights: tuple[Path, ...] = ()


class Batch(NamedTuple):
    """Stretches of utterances.

    Parameters
    ----------
    waveforms
        ``(batch, n_samples)`` float32, with their gain, zero beyond the end of each.
    pulses
        Their values at pitch pulses, zero elsewhere, ``(batch, n_samples)``; None for a row that reads none.
    n_samples
        Samples of each, ``(batch,)``.
    warps
        alpha of the warping of each, ``(batch,)``; 0 in a test.
    hidden
        Where SpecAugment hides, ``(batch, frames, bands)``; None in a test, and where no log-mel is read.
    targets
        ``(batch, classes)``.
    sizes
        ``n_samples`` as the host has them, which shapes depend on; None to have a network ask.
    """

    waveforms: Tensor
    pulses: Tensor | None
    n_samples: Tensor
    warps: Tensor
    hidden: Tensor | None
    targets: Tensor
    sizes: tuple[int, ...] | None = None


class Crops(NamedTuple):
    """Crops to test: places of their utterances among those tested, and first samples, ``(n,)``."""

    places: IntArray
    starts: IntArray


@dataclass(frozen=True)
class CellData(OfExamples):
    """What a cell reads.

    ``rows`` and ``pulse_rows`` are where each example is in ``waveforms`` and ``pulses``, ``(n,)``; a row that reads no
    pulses has None of both. ``roles`` has the role of each example by run and fold, of which ``folds_used`` are taken a
    run (None: all). ``weights`` is where wav2vec's lie, None for a row without it.
    """

    examples: Examples
    waveforms: PackedWaveforms
    rows: IntArray
    pulses: CorpusPulses | None
    pulse_rows: IntArray | None
    roles: RunRoles
    folds_used: int | None
    weights: Path | None

    @property
    def n_samples(self) -> IntArray:
        """Samples of each utterance, ``(n,)``."""
        return self.waveforms.lengths[self.rows]


def load_cell(files: Files, info: SystemInfo, options: Options, runs: Sequence[int]) -> CellData:
    """Read what the fits of a cell need.

    Raises
    ------
    ConfigError
        If the framing leaves bands without a bin.
    StoreError
        If a file is absent or damaged, lacks an utterance, or pulses are of other audio.
    TrainingError
        If there are fewer than two classes, or a whole IEMOCAP has other utterances than the paper's.
    WeightsError
        If wav2vec's weights are missing or changed.
    """
    if info.reads == "log_mel":
        check_bands(options.framing, options.augment.warp if options.warped else 0.0)
    waveforms = PackedWaveforms.open(files.audio)
    pulses = CorpusPulses.open(files.pulses) if info.reads_pulses() else None
    examples = read_utterances(files.utterances, options.emotions)
    pulse_rows = None
    if pulses is not None:
        examples = without_rejected(examples, {NO_PULSES: pulses})
        if sorted(pulses.metadata["sources"]["audio"]) != sorted(waveforms.metadata["sources"]["audio"]):
            raise StoreError(
                f"{files.pulses[0]}: found in other audio than {files.audio} holds; delete both and run again"
            )
        pulse_rows = look_up(examples.utterances, pulses.row_of, files.pulses[0].parent)
    roles = {
        run: read_folds(path, examples.corpus, examples.utterances)
        for run, path in zip(runs, files.splits, strict=True)
    }
    return CellData(
        examples,
        waveforms,
        look_up(examples.utterances, waveforms.row_of, files.audio),
        pulses,
        pulse_rows,
        roles,
        options.folds_used,
        _weights(files) if info.reads == "wav2vec" else None,
    )


def _weights(files: Files) -> Path:
    """Return where wav2vec's weights lie."""
    if len(files.weights) != 1:
        raise WeightsError(f"wav2vec needs one record of its weights, and {len(files.weights)} are given; name one")
    return Path(read_weights(files.weights[0]).path)


def training_batch(
    data: CellData,
    rows: IntArray,
    options: Options,
    info: SystemInfo,
    device: torch.device,
    names: Sequence[str | int],
    period: int,
) -> Batch:
    """Return a random crop of each utterance, changed as training changes it.

    Crops are padded to their full length, so that what becomes of one does not hang on the others of its batch.

    Parameters
    ----------
    data
        Of the cell.
    rows
        Examples, ``(batch,)``.
    options
        Ranges of what is drawn.
    info
        What the row reads.
    device
        Where the batch goes.
    names
        Of the job and the fit.
    period
        Epoch.
    """

    def n_frames_of(n_samples: int) -> int:
        return 1 + n_samples // options.framing.hop

    length = crop_length(options.augment)
    n_samples = data.n_samples[rows]
    draws = [
        draw(options, int(n), n_frames_of, *names, period, data.utterances[row])
        for row, n in zip(rows, n_samples, strict=True)
    ]
    masks = None
    if info.reads == "log_mel":
        lengths = [n_frames_of(min(int(n), length)) for n in n_samples]
        masks = hidden(draws, lengths, n_frames_of(length), options.framing.n_mels)
    starts = np.array([one.start for one in draws], dtype=np.int64)
    return _batch(data, rows, starts, length, length, device, draws, masks)


def whole_batches(data: CellData, rows: IntArray, options: Options, info: SystemInfo) -> list[IntArray]:
    """Cut whole utterances, shortest first, into batches of places in ``rows``.

    No batch has more utterances or, with its padding, more samples than one of training, but for a single utterance
    that is longer than those. Where wav2vec is read, only utterances of one length share a batch: it normalises over
    time, padding included.

    Parameters
    ----------
    data
        Of the cell.
    rows
        Examples, ``(n,)``.
    options
        Size of a training batch and of a crop.
    info
        What the row reads.
    """
    size = options.training.batch_size
    most = size * crop_length(options.augment)
    lengths = data.n_samples[rows]
    batches: list[list[int]] = []
    for place in np.argsort(lengths, kind="stable").tolist():
        length = int(lengths[place])
        fits = (
            batches
            and len(batches[-1]) < size
            and (len(batches[-1]) + 1) * _padded(length, options, info) <= most
            and (info.reads == "log_mel" or int(lengths[batches[-1][-1]]) == length)
        )
        if fits:
            batches[-1].append(place)
        else:
            batches.append([place])
    return [np.array(batch, dtype=np.int64) for batch in batches]


def whole_batch(data: CellData, rows: IntArray, options: Options, info: SystemInfo, device: torch.device) -> Batch:
    """Return whole utterances as they are."""
    longest = int(data.n_samples[rows].max())
    starts = np.zeros(len(rows), dtype=np.int64)
    return _batch(data, rows, starts, longest, _padded(longest, options, info), device)


def crop_batches(data: CellData, rows: IntArray, options: Options) -> list[Crops]:
    """Cut utterances into consecutive crops, and those into batches as large as training's.

    The last crop of an utterance ends with it; one that is no longer than a crop is one.
    """
    length, size = crop_length(options.augment), options.training.batch_size
    places: list[int] = []
    starts: list[int] = []
    for place, n_samples in enumerate(data.n_samples[rows].tolist()):
        last = max(0, n_samples - length)
        of_utterance = [*range(0, last, length), last]
        places += [place] * len(of_utterance)
        starts += of_utterance
    found = Crops(np.array(places, dtype=np.int64), np.array(starts, dtype=np.int64))
    return [Crops(*(values[first : first + size] for values in found)) for first in range(0, len(found.places), size)]


def crop_batch(data: CellData, rows: IntArray, crops: Crops, options: Options, device: torch.device) -> Batch:
    """Return crops of utterances as they are, padded as those of training."""
    length = crop_length(options.augment)
    return _batch(data, rows[crops.places], crops.starts, length, length, device)


def log_mel_statistics(data: CellData, framing: FramingOptions) -> FloatArray:
    """Return mean and deviation over the frames of each band of each utterance's log-mel, ``(n, 2 * n_mels)``."""
    front_end = LogMelFrontEnd(framing)
    waveforms = (torch.from_numpy(data.waveforms.waveform(row))[None] for row in data.rows.tolist())
    return utterance_statistics(
        front_end(waveform, torch.tensor([waveform.shape[1]]), torch.zeros(1))[0].numpy() for waveform in waveforms
    )


def _padded(n_samples: int, options: Options, info: SystemInfo) -> int:
    """Return to how many samples an utterance is padded; for wav2vec, not at all."""
    multiple = PAD_TO_FRAMES * options.framing.hop if info.reads == "log_mel" else 1
    return -(-n_samples // multiple) * multiple


def _batch(
    data: CellData,
    rows: IntArray,
    starts: IntArray,
    length: int,
    padded: int,
    device: torch.device,
    draws: Sequence[Draw] | None = None,
    masks: npt.NDArray[np.bool_] | None = None,
) -> Batch:
    """Return up to ``length`` samples of each utterance from ``starts`` on, padded to ``padded``."""
    waveforms = np.zeros((len(rows), padded), dtype=np.float32)
    pulses = None if data.pulses is None else np.zeros_like(waveforms)
    n_samples = np.minimum(length, data.n_samples[rows] - starts)
    for place, (row, start, n) in enumerate(zip(rows, starts.tolist(), n_samples.tolist(), strict=True)):
        stretch = waveforms[place, :n]
        stretch[:] = data.waveforms.waveform(int(data.rows[row]), start, n)
        if draws is not None:
            stretch *= np.float32(draws[place].gain)
        if pulses is not None and data.pulses is not None and data.pulse_rows is not None:
            pulses[place, :n] = data.pulses.train(int(data.pulse_rows[row]), stretch, start)
    warps = np.zeros(len(rows)) if draws is None else np.array([one.warp for one in draws])
    return Batch(
        torch.from_numpy(waveforms).to(device),
        None if pulses is None else torch.from_numpy(pulses).to(device),
        torch.from_numpy(n_samples).to(device),
        torch.from_numpy(warps).to(device, torch.float32),
        None if masks is None else torch.from_numpy(masks).to(device),
        torch.from_numpy(data.examples.targets[rows]).to(device, torch.float32),
        tuple(n_samples.tolist()),
    )
