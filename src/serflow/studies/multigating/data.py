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
from serflow.protocols.examples import Examples, look_up, read_roles, without_rejected
from serflow.protocols.folds import IntArray
from serflow.stores.frames import PackedFrames
from serflow.studies.multigating.batch import Batch, Partials, Sequences
from serflow.studies.multigating.labels import read_utterances
from serflow.studies.multigating.options import FEATURES, Feature, LanguageOptions, Options
from serflow.studies.multigating.protocol import RunRoles
from serflow.training.batching import pad_frames

FloatArray = npt.NDArray[np.floating]
SEQUENCES: tuple[Feature, ...] = ("allosaurus", "wav2vec", "mfcc")
"""Features with a row a frame, which encoders read."""
STORES: dict[Feature, str] = {**{name: name for name in FEATURES}, "ge2e": "ge2e_partials"}
"""What each feature is read from: GE2E is trained further, from its mel partials."""
PAD_TO = 16
"""Frames are padded to a multiple: of few lengths, each of which oneDNN prepares for."""


class Files(NamedTuple):
    """The files that a cell reads: packed indices and utterance tables, one a language each.

    ``splits`` has one for each run of the first language, then of the next; ``weights`` is the record of GE2E's, for
    cells that read it.
    """

    utterances: tuple[Path, ...]
    splits: tuple[Path, ...]
    allosaurus: tuple[Path, ...] = ()
    wav2vec: tuple[Path, ...] = ()
    mfcc: tuple[Path, ...] = ()
    ge2e_partials: tuple[Path, ...] = ()
    byol: tuple[Path, ...] = ()
    weights: tuple[Path, ...] = ()


class Packed(NamedTuple):
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
        return self.store[int(self.rows[row])]


@dataclass(frozen=True)
class LanguageData:
    """What is read of a language: ``features`` have a row for each example, ``roles`` the role of each by run and fold.

    ``features`` are those that the network reads, in the paper's order. ``classes`` are what is predicted: the
    language's own, or those of all languages (Base), and ``targets`` are over them, ``(n, classes)``.
    """

    language: str
    examples: Examples
    features: Mapping[Feature, Packed]
    roles: RunRoles
    classes: tuple[str, ...]
    targets: FloatArray

    @property
    def corpus(self) -> str:
        """By its name in the configuration."""
        return self.examples.corpus

    @property
    def excluded(self) -> dict[str, int]:
        """Utterances left out, by reason."""
        return self.examples.excluded

    @property
    def utterances(self) -> list[str]:
        """Names."""
        return self.examples.utterances

    @property
    def speakers(self) -> list[str]:
        """Who speaks each utterance."""
        return self.examples.facts["speaker"]

    @property
    def lengths(self) -> IntArray:
        """How long each utterance is, in rows of its first feature, ``(n,)``; batches are dealt by it."""
        return next(iter(self.features.values())).lengths

    def over(self, classes: tuple[str, ...]) -> "LanguageData":
        """Return the same with targets over more classes."""
        targets = np.zeros((len(self.targets), len(classes)))
        targets[:, [classes.index(name) for name in self.classes]] = self.targets
        return replace(self, classes=classes, targets=targets)


@dataclass(frozen=True)
class CellData:
    """What a cell reads: its languages in order, how many folds of a run it takes (None: all), and where GE2E's weights
    lie (None where it is not read).
    """

    languages: tuple[LanguageData, ...]
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
        return {name: packed.dim for name, packed in features.items() if name != "ge2e"}


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
    languages = []
    for place, (language, of_language) in enumerate(options.languages.items()):
        stores = {name: getattr(files, STORES[name])[place] for name in options.features}
        splits = files.splits[place * len(runs) : (place + 1) * len(runs)]
        languages.append(_load_language(language, of_language, files.utterances[place], stores, splits, runs))
    if joined:
        union = tuple(sorted({name for part in languages for name in part.classes}))
        languages = [part.over(union) for part in languages]
    return CellData(tuple(languages), options.folds_used, _weights(files) if "ge2e" in options.features else None)


def _load_language(
    language: str,
    options: LanguageOptions,
    utterances: Path,
    stores: Mapping[Feature, Path],
    splits: Sequence[Path],
    runs: Sequence[int],
) -> LanguageData:
    opened = {name: PackedFrames.open(path) for name, path in stores.items()}
    examples = without_rejected(
        read_utterances(utterances, language, options), {f"no {STORES[name]}": store for name, store in opened.items()}
    )
    features = {
        name: Packed(store, look_up(examples.utterances, store.row_of, stores[name])) for name, store in opened.items()
    }
    roles = {
        run: read_roles(path, examples.corpus, examples.utterances) for run, path in zip(runs, splits, strict=True)
    }
    return LanguageData(language, examples, features, roles, examples.classes, examples.targets)


def _weights(files: Files) -> Path:
    if len(files.weights) != 1:
        raise WeightsError(f"GE2E needs one record of its weights, and {len(files.weights)} are given; name one")
    return Path(read_weights(files.weights[0]).path)


def make_batch(data: LanguageData, rows: IntArray, device: torch.device) -> Batch:
    """Return utterances of a language, padded."""
    features = data.features
    partials = None
    if "ge2e" in features:
        partials = Partials(*(values.to(device) for values in as_partials([features["ge2e"][row] for row in rows])))
    byol = None
    if "byol" in features:
        byol = _tensor(np.concatenate([features["byol"][row] for row in rows]), device)
    return Batch(
        language=data.language,
        sequences={name: _sequences(features[name], rows, device) for name in SEQUENCES if name in features},
        partials=partials,
        byol=byol,
        targets=_tensor(data.examples.targets[rows], device),
    )


def _sequences(packed: Packed, rows: IntArray, device: torch.device) -> Sequences:
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
