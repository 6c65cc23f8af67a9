"""What a cell trains on: the five features of labelled utterances, language by language (section 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from serflow.audio.voice import N_MELS, PARTIAL_FRAMES
from serflow.backbones.weights import read_weights
from serflow.errors import WeightsError
from serflow.protocols.examples import Examples, OfExamples, look_up, without_rejected
from serflow.protocols.folds import IntArray
from serflow.stores.frames import PackedFrames
from serflow.studies.multigating.batch import Batch, Partials, Sequences
from serflow.studies.multigating.labels import all_classes, among, read_utterances
from serflow.studies.multigating.options import PARTIALS, Feature, LanguageOptions, Options
from serflow.studies.multigating.protocol import RunRoles, read_all_roles
from serflow.training.batching import pad_frames
from serflow.training.statistics import FrameStatistics, frame_statistics

FloatArray = npt.NDArray[np.floating]
SEQUENCES: tuple[Feature, ...] = ("allosaurus", "wav2vec", "mfcc")
"""Features with a row a frame, which encoders read."""
PAD_TO = 16
"""Frames are padded to a multiple: of few lengths, each of which oneDNN prepares for."""


class Files(NamedTuple):
    """The files that a cell reads: packed indices and utterance tables, one a language each.

    ``splits`` has one for each run of the first language, then of the next; ``weights`` is the record of GE2E's, for
    cells that train it further from ``ge2e_partials``; others read its embeddings, ``ge2e``.
    """

    utterances: tuple[Path, ...]
    splits: tuple[Path, ...]
    allosaurus: tuple[Path, ...] = ()
    wav2vec: tuple[Path, ...] = ()
    mfcc: tuple[Path, ...] = ()
    ge2e: tuple[Path, ...] = ()
    ge2e_partials: tuple[Path, ...] = ()
    byol: tuple[Path, ...] = ()
    weights: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Packed:
    """A packed store, and where each example is in it, ``(n,)``."""

    store: PackedFrames
    rows: IntArray

    @property
    def lengths(self) -> IntArray:
        """Rows of each example, ``(n,)``."""
        return self.store.lengths[self.rows]

    @property
    def dim(self) -> int:
        """Values of a row."""
        return self.store.dim

    def __getitem__(self, row: int) -> FloatArray:
        """Return the rows of an example, ``(n_rows, dim)``."""
        return self.store[int(self.rows[row])]


@dataclass(frozen=True)
class Standardised:
    """A packed store whose values are scaled to mean 0 and deviation 1 by statistics of training."""

    source: Packed
    statistics: FrameStatistics

    @property
    def rows(self) -> IntArray:
        """Where each example is in the store, ``(n,)``."""
        return self.source.rows

    @property
    def lengths(self) -> IntArray:
        """Rows of each example, ``(n,)``."""
        return self.source.lengths

    @property
    def dim(self) -> int:
        """Values of a row."""
        return self.source.dim

    def __getitem__(self, row: int) -> FloatArray:
        """Return the rows of an example, ``(n_rows, dim)``."""
        scaled: FloatArray = (self.source[row] - self.statistics.mean) / self.statistics.std
        return scaled


@dataclass(frozen=True)
class LanguageData(OfExamples):
    """What is read of a language: ``features`` have a row for each example, by the name of their store, in order.

    ``predicted`` are the examples with the classes that are predicted: the language's own, or of Base all languages'.
    """

    language: str
    examples: Examples
    predicted: Examples
    features: Mapping[str, Packed | Standardised]

    @property
    def corpus(self) -> str:
        """By its name in the configuration."""
        return self.examples.corpus

    @property
    def classes(self) -> tuple[str, ...]:
        """What is predicted."""
        return self.predicted.classes

    @property
    def targets(self) -> FloatArray:
        """What is to be predicted, ``(n, classes)``."""
        return self.predicted.targets

    @property
    def lengths(self) -> IntArray:
        """How long each utterance is, in rows of its first feature, ``(n,)``; batches are dealt by it."""
        return next(iter(self.features.values())).lengths


@dataclass(frozen=True)
class CellData:
    """What a cell reads: its languages in order, and the roles of their utterances by corpus, run and fold.

    ``folds_used`` is how many folds of a run are taken (None: all), ``weights`` where GE2E's lie (None where it is not
    trained further).
    """

    languages: tuple[LanguageData, ...]
    roles: Mapping[str, RunRoles]
    folds_used: int | None
    weights: Path | None

    @property
    def parts(self) -> dict[str, LanguageData]:
        """The languages by the names of their corpora."""
        return {part.corpus: part for part in self.languages}

    def own_classes(self) -> dict[str, tuple[str, ...]]:
        """Return the classes of each language."""
        return {part.language: part.examples.classes for part in self.languages}

    def dims(self) -> dict[str, int]:
        """Return the width of each feature that is read as it is stored."""
        features = self.languages[0].features
        return {name: packed.dim for name, packed in features.items() if name != PARTIALS}


def load_cell(files: Files, options: Options, runs: Sequence[int], joined: bool) -> CellData:
    """Read what the fits of a cell need.

    An utterance that one of the features could not be had of is left out, and counted. ``joined`` makes the classes of
    all languages those of each.

    Raises
    ------
    StoreError
        If a file is absent or damaged, or lacks an utterance.
    TrainingError
        If a language has fewer than two classes, or a whole corpus has other utterances than the paper's.
    WeightsError
        If GE2E's weights are missing or changed.
    """
    read = [PARTIALS if name == "ge2e" and files.ge2e_partials else name for name in options.features]
    languages = []
    for place, (language, of_language) in enumerate(options.languages.items()):
        stores = {name: getattr(files, name)[place] for name in read}
        languages.append(_load_language(language, of_language, files.utterances[place], stores))
    if joined:
        classes = all_classes(part.examples for part in languages)
        languages = [replace(part, predicted=among(part.examples, classes)) for part in languages]
    roles = read_all_roles(files.splits, runs, {part.corpus: part.examples for part in languages})
    weights = _weights(files) if PARTIALS in read else None
    return CellData(tuple(languages), roles, options.folds_used, weights)


def _load_language(
    language: str, options: LanguageOptions, utterances: Path, stores: Mapping[str, Path]
) -> LanguageData:
    opened = {name: PackedFrames.open(path) for name, path in stores.items()}
    rejecting = {f"no {name}": store for name, store in opened.items()}
    examples = without_rejected(read_utterances(utterances, language, options), rejecting)
    features = {
        name: Packed(store, look_up(examples.utterances, store.row_of, stores[name])) for name, store in opened.items()
    }
    return LanguageData(language, examples, examples, features)


def _weights(files: Files) -> Path:
    if len(files.weights) != 1:
        raise WeightsError(f"GE2E needs one record of its weights, and {len(files.weights)} are given; name one")
    return Path(read_weights(files.weights[0]).path)


def standardised(part: LanguageData, train: IntArray) -> LanguageData:
    """Return a language with its features scaled by its training utterances; mel partials are left as they are."""
    features: dict[str, Packed | Standardised] = {}
    for name, packed in part.features.items():
        if isinstance(packed, Packed) and name != PARTIALS:
            features[name] = Standardised(packed, frame_statistics(packed, train))
        else:
            features[name] = packed
    return replace(part, features=features)


def make_batch(data: LanguageData, rows: IntArray, device: torch.device) -> Batch:
    """Return utterances of a language, padded."""
    features = data.features
    partials = None
    if PARTIALS in features:
        partials = Partials(*(values.to(device) for values in as_partials([features[PARTIALS][row] for row in rows])))
    vectors = {name: _vectors(features[name], rows, device) for name in ("ge2e", "byol") if name in features}
    return Batch(
        language=data.language,
        sequences={name: _sequences(features[name], rows, device) for name in SEQUENCES if name in features},
        partials=partials,
        byol=vectors.get("byol"),
        targets=_tensor(data.examples.targets[rows], device),
        ge2e=vectors.get("ge2e"),
    )


def _vectors(packed: Packed | Standardised, rows: IntArray, device: torch.device) -> torch.Tensor:
    return _tensor(np.concatenate([packed[row] for row in rows]), device)


def _sequences(packed: Packed | Standardised, rows: IntArray, device: torch.device) -> Sequences:
    return Sequences(
        _tensor(pad_frames(packed, rows, PAD_TO), device), torch.from_numpy(packed.lengths[rows]).to(device)
    )


def as_partials(mels: Sequence[FloatArray]) -> Partials:
    """Return the partials of utterances; each of ``mels`` has a row of frame after frame a partial."""
    rows = np.concatenate(list(mels)).astype(np.float32)
    owners = np.repeat(np.arange(len(mels)), [len(each) for each in mels])
    return Partials(torch.from_numpy(rows).reshape(len(rows), PARTIAL_FRAMES, N_MELS), torch.from_numpy(owners))


def _tensor(values: FloatArray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)
