"""What a cell trains on: utterances with their targets, noise conditions and features, split into folds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from serflow.errors import StoreError, TrainingError
from serflow.nn.pooling import frame_mask
from serflow.stores.frames import PackedFrames
from serflow.stores.parquet import read_metadata, read_table
from serflow.studies.dlc.labels import COLUMNS, Labels, emotion_labels
from serflow.training.batching import pad_frames
from serflow.training.statistics import FrameStatistics

CONDITIONS = ("natural", "human", "interior")
NOT_HELD_OUT = "none"
HELD_OUT = {"exp1": (NOT_HELD_OUT,), "exp2": CONDITIONS}
CLAMP = 3.0
# a multiple of every pooling; of few lengths, since a new one takes oneDNN a while to prepare for
PAD_TO = 16
ROLES = ("train", "val", "test")

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]


class Batch(NamedTuple):
    """Utterances padded to one length.

    ``noisy`` and ``clean`` are ``(batch, frames, bands)``, normalised, zero on padded frames; ``lengths`` and
    ``conditions`` (indices of the conditions of training) are ``(batch,)``; ``targets`` are
    ``(batch, classes)``. For multimodal methods, rows are whole dialogues in the order of their turns: ``tokens`` are
    embeddings ``(batch, tokens, dim)``, zero on padded tokens, ``n_tokens`` ``(batch,)``, and ``dialogues`` numbers
    the dialogues of the batch, ``(batch,)``.
    """

    noisy: Tensor
    clean: Tensor
    lengths: Tensor
    targets: Tensor
    conditions: Tensor
    tokens: Tensor | None = None
    n_tokens: Tensor | None = None
    dialogues: Tensor | None = None


@dataclass(frozen=True)
class CellFiles:
    """The files that a cell reads; ``clean``, ``noisy`` and, for multimodal methods, ``text`` are packed indices."""

    utterances: Path
    split: Path
    plan: Path
    clean: Path
    noisy: Path
    text: Path | None = None

    def digests(self) -> list[str]:
        """Return the SHA-256 of the data of each file, and of the frames that the indices point to."""
        tables = [read_metadata(path)["data_sha256"] for path in (self.utterances, self.split, self.plan)]
        indices = [path for path in (self.clean, self.noisy, self.text) if path is not None]
        return tables + [read_metadata(path)["array_sha256"] for path in indices]


@dataclass(frozen=True)
class TextData:
    """Token embeddings of a cell's utterances, and where these stand in their dialogues; a row for each utterance."""

    tokens: PackedFrames
    rows: IntArray
    dialogues: list[str]
    turns: IntArray
    metadata: dict[str, Any]


@dataclass(frozen=True)
class CellData:
    """Utterances of a cell in the order of the utterance table; arrays have a row for each.

    ``targets`` are distributions over ``classes``, ``conditions`` index ``CONDITIONS``, ``roles`` has an array
    for each seed.
    """

    utterances: list[str]
    classes: tuple[str, ...]
    targets: FloatArray
    conditions: IntArray
    roles: dict[int, npt.NDArray[np.str_]]
    clean: PackedFrames
    noisy: PackedFrames
    clean_rows: IntArray
    noisy_rows: IntArray
    excluded: int
    text: TextData | None = None

    @property
    def lengths(self) -> IntArray:
        """Frames of each utterance."""
        return self.noisy.lengths[self.noisy_rows]


class Fold(NamedTuple):
    """Rows of a fit, and the conditions that training sees (indices of ``CONDITIONS``)."""

    train: IntArray
    val: IntArray
    test: IntArray
    seen: tuple[int, ...]

    def expert_of(self, conditions: IntArray) -> IntArray:
        """Return the place of each condition among those of training, -1 for the one held out."""
        places = np.full(len(CONDITIONS), -1, dtype=np.int64)
        places[list(self.seen)] = np.arange(len(self.seen))
        return places[conditions]


def _look_up(names: Sequence[str], found: dict[str, int], path: Path) -> IntArray:
    missing = [name for name in names if name not in found]
    if missing:
        raise StoreError(
            f"{path}: {len(missing)} of {len(names)} utterances are missing, the first is {missing[0]}; "
            "delete it and run the same command again"
        )
    return np.array([found[name] for name in names], dtype=np.int64)


def _read_roles(path: Path, corpus: str, names: Sequence[str], seeds: Sequence[int]) -> dict[int, npt.NDArray[np.str_]]:
    table = read_table(path, kind="split", expect={"corpus": corpus})
    folds = table.column("fold").to_numpy()
    utterances, all_roles = (np.array(table.column(name).to_pylist()) for name in ("utterance", "role"))
    roles = {}
    for seed in seeds:
        fold = folds == seed
        if not fold.any():
            raise StoreError(f"{path}: no fold {seed}; add the seed to the config and run again")
        row_of = {name: row for row, name in enumerate(utterances[fold].tolist())}
        roles[seed] = all_roles[fold][_look_up(names, row_of, path)]
    return roles


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


def _read_text(path: Path, utterances: Path, corpus: str, profile: str, names: Sequence[str]) -> TextData:
    """Read token embeddings, and the dialogue and turn of each utterance."""
    table = read_table(utterances, kind="utterances", columns=["id", "dialogue", "turn"])
    placed = {row["id"]: row for row in table.to_pylist()}
    without = [name for name in names if placed[name]["dialogue"] is None or placed[name]["turn"] is None]
    if without:
        raise TrainingError(
            f"{utterances}: {len(without)} of {len(names)} utterances have no turn in a dialogue, the first is "
            f"{without[0]}; multimodal methods look across turns, take them out of dlc.methods for this corpus"
        )
    tokens = PackedFrames.open(path, expect={"corpus": corpus, "condition": profile})
    return TextData(
        tokens,
        _look_up(names, tokens.row_of, path),
        [placed[name]["dialogue"] for name in names],
        np.array([placed[name]["turn"] for name in names], dtype=np.int64),
        tokens.metadata,
    )


def load_cell(
    files: CellFiles, corpus: str, profile: str, seeds: Sequence[int], *, predicts: str, labels: str
) -> CellData:
    """Join utterance table, split, noise plan and features.

    Parameters
    ----------
    files
        What to read. Features stay memory-mapped.
    corpus, profile
        What the files must be of.
    seeds
        Folds to read.
    predicts
        ``emotion``: only utterances with a label of the study are kept. ``condition``: all are, and the
        classes are the noise conditions.
    labels
        See `emotion_labels`.

    Raises
    ------
    StoreError
        If a file is damaged, of another corpus or profile, or lacks an utterance.
    TrainingError
        If the corpus has fewer than two classes.
    """
    table = read_table(files.utterances, kind="utterances", expect={"corpus": corpus}, columns=COLUMNS)
    names: list[str] = table.column("id").to_pylist()
    plan = read_table(
        files.plan, kind="noise_plan", expect={"corpus": corpus, "profile": profile}, columns=["utterance", "condition"]
    )
    row_of = {name: row for row, name in enumerate(plan.column("utterance").to_pylist())}
    drawn = np.array([CONDITIONS.index(name) for name in plan.column("condition").to_pylist()], dtype=np.int64)
    conditions = drawn[_look_up(names, row_of, files.plan)]

    if predicts == "condition":
        one_hot = np.eye(len(CONDITIONS))[conditions].tolist()
        found = Labels(CONDITIONS, dict(zip(names, one_hot, strict=True)), 0)
    else:
        # `layout` says whose labels they are where a corpus has a name of its own
        layout = read_metadata(files.utterances).get("layout", corpus)
        found = emotion_labels(layout, table.to_pylist(), labels)
    kept = np.array([name in found.targets for name in names])
    utterances = [name for name in names if name in found.targets]

    clean = PackedFrames.open(files.clean, expect={"corpus": corpus, "condition": "clean"})
    noisy = PackedFrames.open(files.noisy, expect={"corpus": corpus, "condition": profile})
    data = CellData(
        utterances=utterances,
        classes=found.classes,
        targets=np.array([found.targets[name] for name in utterances]),
        conditions=conditions[kept],
        roles=_read_roles(files.split, corpus, utterances, seeds),
        clean=clean,
        noisy=noisy,
        clean_rows=_look_up(utterances, clean.row_of, files.clean),
        noisy_rows=_look_up(utterances, noisy.row_of, files.noisy),
        excluded=found.excluded,
        text=None if files.text is None else _read_text(files.text, files.utterances, corpus, profile, utterances),
    )
    _check_lengths(data, files.clean, files.noisy)
    return data


def select_fold(data: CellData, seed: int, held_out: str, *, predicts: str) -> Fold:
    """Return the rows that a fit trains, validates and is tested on (section VI).

    In experiment 2 the held-out condition is in neither training nor validation, and emotion methods are
    tested on it alone. The noise classifier predicts all test utterances.

    Raises
    ------
    TrainingError
        If a part is empty, or training lacks a class.
    """
    roles = data.roles[seed]
    held = data.conditions == CONDITIONS.index(held_out) if held_out in CONDITIONS else np.zeros(len(roles), dtype=bool)
    tested = held if held_out in CONDITIONS and predicts == "emotion" else np.ones(len(roles), dtype=bool)
    rows = {
        "train": np.flatnonzero((roles == "train") & ~held),
        "val": np.flatnonzero((roles == "val") & ~held),
        "test": np.flatnonzero((roles == "test") & tested),
    }
    where = f"seed {seed}, held-out condition {held_out}"
    for role in ROLES:
        if not len(rows[role]):
            raise TrainingError(f"{where}: no {role} utterances; use more utterances of the corpus or another seed")
    seen = tuple(index for index, name in enumerate(CONDITIONS) if name != held_out)
    missing = set(seen) - set(data.conditions[rows["train"]].tolist())
    if missing:
        raise TrainingError(f"{where}: no training utterance has {CONDITIONS[min(missing)]} noise; use more utterances")
    return Fold(rows["train"], rows["val"], rows["test"], seen)


def batch_maker(
    data: CellData, statistics: FrameStatistics, targets: FloatArray, experts: IntArray, device: torch.device
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
    """
    mean = torch.from_numpy(statistics.mean).to(device)
    std = torch.from_numpy(statistics.std).to(device)
    lengths = torch.from_numpy(data.lengths.astype(np.int64))
    text = data.text

    def lexical(rows: IntArray) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        if text is None:
            return None, None, None
        tokens = torch.from_numpy(pad_frames(text.tokens, text.rows[rows], multiple=PAD_TO))
        n_tokens = torch.from_numpy(text.tokens.lengths[text.rows[rows]].astype(np.int64))
        numbers: dict[str, int] = {}
        dialogues = [numbers.setdefault(text.dialogues[row], len(numbers)) for row in rows]
        return tokens.to(device), n_tokens.to(device), torch.tensor(dialogues, device=device)

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
