"""What the trained networks of a cell say of their test utterances in every kind of noise at every level.

Nothing is trained. An utterance is mixed, its features are computed as those of training are, and all fits that test
it are asked, shard by shard of the audio: no noisy audio or features are stored, and memory is that of a shard.
"""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from serflow.audio.prepared import PreparedUtterance
from serflow.devices import usable_device
from serflow.errors import AudioError, ConfigError, StoreError
from serflow.features.base import Feature
from serflow.noise.mixing import ClipBank, PlanRow
from serflow.noise.plan import CONDITIONS, Draw
from serflow.noise.sweep import draw_kind, mix_at
from serflow.protocols.folds import FitName, FoldRows
from serflow.settings.base import CLEAN
from serflow.stores.frames import FrameRow, PackedFrames
from serflow.stores.in_memory import packed
from serflow.studies.dlc.catalog import Cell, method_info
from serflow.studies.dlc.data import CellData, FloatArray, IntArray, load_cell
from serflow.studies.dlc.data import Files as CellFiles
from serflow.studies.dlc.options import Options
from serflow.studies.dlc.protocol import NOT_HELD_OUT, folds
from serflow.studies.dlc.restored import Restored, restore
from serflow.studies.dlc.sweep_schema import SWEEP_KIND, SWEEP_SCHEMA

__all__ = ["SWEEP_KIND", "SWEEP_SCHEMA", "Cell", "Extractor", "Files", "Grid", "Options", "load", "predictions"]


class Files(NamedTuple):
    """What a sweep reads: the inputs of the training, what it left behind, the audio and the noise.

    ``model`` is the cell's ``model.safetensors``, ``gate_model`` that of the noise classifier for methods with experts.
    """

    utterances: Path
    splits: tuple[Path, ...]
    plan: Path
    clean: Path
    noisy: Path
    audio: tuple[Path, ...]
    clips: Path
    model: Path
    gate_model: Path | None = None


class Grid(NamedTuple):
    """The levels (dB), whose clips are drawn (``noise.clips``) and the seed of the draw (``noise.seed``)."""

    snr_db: tuple[float, ...]
    clips: str
    seed: int


class Extractor(NamedTuple):
    """The feature, and what a store of it would round its values to."""

    feature: Feature
    mantissa_bits: int | None


class Swept(NamedTuple):
    """Fits of a cell, and by name those of the noise classifier that routes them, where one does; with their data."""

    data: CellData
    fits: list[Restored]
    gate_data: CellData | None
    gates: dict[FitName, Restored]


class Heard(NamedTuple):
    """Frames of some utterances at one level, and by name how each was mixed: nothing for clean audio."""

    frames: PackedFrames
    mixed: Mapping[str, PlanRow]

    def instead(self, data: CellData) -> CellData:
        """Return data that hear these frames in the place of the noisy ones; other utterances' rows mean nothing."""
        rows = np.array([self.frames.row_of.get(name, 0) for name in data.utterances], dtype=np.int64)
        return dataclasses.replace(data, noisy=self.frames, noisy_rows=rows)


def load(files: Files, cell: Cell, options: Options, runs: Sequence[int], gate_options: Options | None = None) -> Swept:
    """Read the trained fits of a cell.

    Raises
    ------
    ConfigError
        If the noise classifier is given to a method that does not route, or the other way round.
    StoreError
        If a file is damaged, or is not of this cell.
    """
    info = method_info(cell.method)
    if any((given is not None) != info.routes for given in (files.gate_model, gate_options)):
        raise ConfigError(f"{cell.method}: give the noise classifier's model and options to methods that route alone")
    inputs = CellFiles(files.utterances, files.splits, files.plan, files.clean, files.noisy)

    def fits(of: Cell, its: Options, model: Path, heard: str) -> tuple[CellData, list[Restored]]:
        device = usable_device(its.training.device, its.training.precision, "dlc.training")
        predicts = method_info(of.method).predicts
        data = load_cell(inputs, of, runs, predicts=predicts, labels=its.iemocap_labels, heard=heard)
        rows = folds(of.experiment, data.conditions, data.roles, predicts=predicts)
        return data, [restore(of, data, its, fold, model, device) for fold in rows]

    data, restored = fits(cell, options, files.model, CLEAN if info.hears_clean else cell.profile)
    if files.gate_model is None or gate_options is None:
        return Swept(data, restored, None, {})
    gate = cell._replace(method="noise_classifier")
    gate_data, gates = fits(gate, gate_options, files.gate_model, cell.profile)
    return Swept(data, restored, gate_data, {fit.rows.fit: fit for fit in gates})


def kinds_of(rows: FoldRows) -> tuple[str, ...]:
    """Return the kinds of noise that a fit is swept over: all, or the one that its training did not hear."""
    return CONDITIONS if rows.fit.fold == NOT_HELD_OUT else (rows.fit.fold,)


def predictions(
    swept: Swept, audio: Iterable[Sequence[PreparedUtterance]], bank: ClipBank, extractor: Extractor, grid: Grid
) -> Iterator[pa.Table]:
    """Yield what all fits say of their test utterances, a table a shard, kind and level; clean audio comes first.

    Parameters
    ----------
    swept
        The fits.
    audio
        Shards of the corpus; utterances that no fit tests are passed over.
    bank
        The clips.
    extractor
        Of the features that the networks were trained on.
    grid
        What to sweep over.

    Raises
    ------
    AudioError
        If a mixture has no features.
    NoiseError
        If speech or clip are silent, or there is no clip of a kind.
    StoreError
        If the audio lacks an utterance.
    """
    tested = {kind: _tested(swept, kind) for kind in CONDITIONS}
    draws = {
        kind: draw_kind(sorted(names), kind, bank, grid.clips, grid.seed) for kind, names in tested.items() if names
    }
    missing = set().union(*tested.values())
    for shard in audio:
        missing -= {item.utterance for item in shard}
        for kind, of_kind in draws.items():
            items = [item for item in shard if item.utterance in of_kind]
            for snr_db in (None, *grid.snr_db) if items else ():
                heard = _heard(swept.data, items, of_kind, bank, extractor, snr_db)
                yield _said(swept, {item.utterance for item in items}, kind, snr_db, heard)
    if missing:
        raise StoreError(
            f"the audio lacks {len(missing)} test utterances, the first is {min(missing)}; delete the corpus's folder "
            "of results/audio and run the same command again"
        )


def _tested(swept: Swept, kind: str) -> set[str]:
    """Return the utterances that some fit is asked of in a kind of noise."""
    return {swept.data.utterances[row] for fit in swept.fits if kind in kinds_of(fit.rows) for row in fit.rows.test}


def _heard(
    data: CellData,
    items: Sequence[PreparedUtterance],
    draws: Mapping[str, Draw],
    bank: ClipBank,
    extractor: Extractor,
    snr_db: float | None,
) -> Heard:
    if snr_db is None:
        return Heard(data.clean, {})
    mixed, rows = {}, []
    for item in items:
        noisy, mixed[item.utterance] = mix_at(item, draws[item.utterance], bank, snr_db)
        try:
            rows.append(FrameRow(item.utterance, extractor.feature(noisy)))
        except AudioError as error:
            raise AudioError(f"{item.utterance} in noise at {snr_db:g} dB: {error}") from error
    return Heard(packed(rows, extractor.mantissa_bits), mixed)


def _said(swept: Swept, present: Collection[str], kind: str, snr_db: float | None, heard: Heard) -> pa.Table:
    """Return what is said of the utterances that are present."""
    lines: list[dict[str, Any]] = []
    data, gate_data = heard.instead(swept.data), swept.gate_data and heard.instead(swept.gate_data)
    for fit in swept.fits:
        rows = np.array([row for row in fit.rows.test if data.utterances[row] in present], dtype=np.int64)
        if kind not in kinds_of(fit.rows) or not len(rows):
            continue
        names = [data.utterances[row] for row in rows]
        true = np.full(len(rows), CONDITIONS.index(kind), dtype=np.int64)
        more: dict[str, Sequence[Any]] = {}
        routing: IntArray = true
        if gate_data is not None:
            routing = _gated(swept.gates[fit.rows.fit], gate_data, names)
            more["gate"] = [CONDITIONS[index] for index in routing]
        probabilities = fit.predict(data, rows, routing)
        if gate_data is not None and fit.rows.fit.fold == NOT_HELD_OUT:
            # the condition that is held out has no encoder of its own
            more["oracle_prediction"] = _classes(data, fit.predict(data, rows, true))
        columns: dict[str, Sequence[Any]] = {
            "utterance": names,
            "target": data.targets[rows].tolist(),
            "label": _classes(data, data.targets[rows]),
            "prediction": _classes(data, probabilities),
            "probabilities": probabilities.tolist(),
            "achieved_snr_db": [heard.mixed[name].achieved_snr_db if heard.mixed else None for name in names],
            "clip": [heard.mixed[name].clip if heard.mixed else None for name in names],
            **more,
        }
        same = {**fit.rows.fit._asdict(), "condition": kind, "snr_db": snr_db}
        lines += [{**same, **dict(zip(columns, values, strict=True))} for values in zip(*columns.values(), strict=True)]
    return pa.Table.from_pylist(lines, schema=SWEEP_SCHEMA)


def _gated(gate: Restored, data: CellData, names: Sequence[str]) -> IntArray:
    """Return the condition that the noise classifier hears in each utterance, an index of `CONDITIONS`."""
    row_of = {name: row for row, name in enumerate(data.utterances)}
    rows = np.array([row_of[name] for name in names], dtype=np.int64)
    # what it is routed by itself is looked at by no encoder
    found: IntArray = gate.predict(data, rows, data.conditions[rows]).argmax(1)
    return found


def _classes(data: CellData, values: FloatArray) -> list[str]:
    return [data.classes[index] for index in values.argmax(1)]
