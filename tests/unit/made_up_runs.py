"""Made-up artefacts of runs of any study, and of what they are made from, by the real writers."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from serflow.corpora._tables import UTTERANCES_SCHEMA
from serflow.corpora._tables import write_utterances as write_utterance_table
from serflow.noise.mixing import PlanRow, write_plan
from serflow.noise.plan import CONDITIONS
from serflow.protocols.folds import FitName
from serflow.protocols.splits import parse_protocol
from serflow.runs.artefacts import FitResult, RunFacts, RunFiles, Tested, write_run
from serflow.runs.provenance import Provenance
from serflow.stages.split_utterances import SPLIT_KIND, SPLIT_SCHEMA
from serflow.stores.frames import FrameRow, pack_frames, write_frames
from serflow.stores.parquet import write_batches
from serflow.training.metrics import Tally, tally

UTTERANCE = "utterance"
"""Column of utterance tables that names an utterance."""
CLASSES = ("low", "mid", "high")
SYNTHETIC = Provenance({"corpus": ("toy",)})
PARTIAL = Provenance(partial=("toy",))
PARTIAL_NOISE = Provenance(partial=("ESC-50",))
SYNTHETIC_NOISE = Provenance({"noise": ("ESC-50",)})
STAND_IN_WEIGHTS = Provenance({"weights": ("bert",)})


# What runs leave behind


def share(value: float, n: int = 200, classes: Sequence[str] = CLASSES) -> Tally:
    """Return a tally whose UA and WA are ``value``, of ``n`` utterances dealt to the classes as evenly as can be."""
    totals = np.bincount(np.arange(n) % len(classes), minlength=len(classes)).astype(float)
    return Tally(totals * value, totals)


def words(edits: float, total: float) -> Tally:
    """Return the tally of a WER."""
    return Tally(np.array([float(edits)]), np.array([float(total)]))


def fit(
    run: int = 0,
    fold: str = "none",
    tallies: Mapping[str, Tally] | None = None,
    *,
    of_roles: Mapping[tuple[str, str], Tally] | None = None,
    counts: Mapping[str, Sequence[int]] | None = None,
    n_test: int = 200,
    tested: Sequence[Tested] = (),
    history: Sequence[Mapping[str, Any]] = ({"period": 0, "updates": 5, "val_ua": 0.5},),
    classes: Sequence[str] = CLASSES,
) -> FitResult:
    """Return what a fit leaves; ``tallies`` are of the test, by what was predicted."""
    even = {"train": 700, "val": 100, "test": n_test}
    spread = {
        role: np.bincount(np.arange(n) % len(classes), minlength=len(classes)).tolist() for role, n in even.items()
    }
    return FitResult(
        fit=FitName(run, fold),
        tested=tested,
        tallies={**{("test", what): found for what, found in (tallies or {}).items()}, **(of_roles or {})},
        counts={role: dict(zip(classes, found, strict=True)) for role, found in (counts or spread).items()},
        history=history,
        weights={"layer.weight": torch.full((2,), float(run))},
        best_period=0,
        n_parameters=2,
    )


def predicted(
    rows: Iterable[tuple[str, Sequence[float], int]],
    run: int = 0,
    fold: str = "none",
    *,
    role: str = "test",
    more: Mapping[str, Sequence[Any]] | None = None,
    n_classes: int = len(CLASSES),
    **others: Any,
) -> FitResult:
    """Return what a fit leaves that predicted ``rows``: utterance, target and the number of the class predicted."""
    names, targets, predictions = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    told, said = np.array(targets, dtype=float).reshape(-1, n_classes), np.array(predictions, dtype=int)
    found = Tested(role, names, told, np.eye(n_classes)[said], more or {})
    return fit(run, fold, {"prediction": tally(told, said)}, tested=[found], **others)


def write_cell(
    folder: Path,
    cell: Mapping[str, str],
    results: Sequence[FitResult],
    *,
    study: str = "dlc",
    classes: Sequence[str] = CLASSES,
    excluded: Mapping[str, int] | None = None,
    rejected: Sequence[str] = (),
    provenance: Provenance | None = None,
    embeddings: bool = False,
    options: Mapping[str, Any] | None = None,
) -> RunFiles:
    """Write the files of a cell; they lie in a folder as results do."""
    place = folder.joinpath("runs", study, *cell.values())
    files = RunFiles(
        place / "predictions.parquet",
        place / "history.parquet",
        place / "metrics.json",
        place / "model.safetensors",
        place / "embeddings.parquet" if embeddings else None,
    )
    facts = RunFacts(
        study=study,
        cell=cell,
        classes=classes,
        options=options or {"training": {"optimizer": "adam"}},
        runs=sorted({result.fit.run for result in results}),
        excluded=excluded or {},
        rejected=rejected,
        provenance=provenance or Provenance(),
        code="0" * 16,
    )
    write_run(files, facts, results)
    return files


def write_scores(
    folder: Path,
    cell: Mapping[str, str],
    scores: Mapping[int, float | Mapping[str, float]],
    *,
    measures: Mapping[str, float] | None = None,
    n_test: int = 200,
    **others: Any,
) -> Path:
    """Write a cell with a share (UA and WA alike) for each run, or for each fold of each run; return ``metrics.json``.

    ``measures`` are shares of what else was predicted, the same in every fit.
    """
    results = [
        fit(
            run,
            fold,
            {what: share(one, n_test) for what, one in {"prediction": value, **(measures or {})}.items()},
            n_test=n_test,
        )
        for run, of_run in scores.items()
        for fold, value in (of_run.items() if isinstance(of_run, Mapping) else [("none", of_run)])
    ]
    return write_cell(folder, cell, results, **others).metrics


# What runs are made from


def write_utterances(
    folder: Path,
    corpus: str = "toy",
    rows: Sequence[Mapping[str, Any]] = (),
    *,
    layout: str = "table",
    synthetic: bool = False,
    partial: bool = False,
    rejected: int = 0,
    accepted: int | None = None,
    warnings: Sequence[str] = (),
    same_audio: str = "keep",
) -> Path:
    """Write the table of a corpus; a row names its utterance (``UTTERANCE``), and what else there is to say."""
    path = folder / "corpora" / corpus / "utterances.parquet"
    given = {"path": "a.wav", "speaker": "s0", "language": "en", "duration_s": 1.0, "shard": "0000"}
    table = pa.Table.from_pylist([{**given, **row} for row in rows], schema=UTTERANCES_SCHEMA)
    n = len(rows) if accepted is None else accepted
    metadata = {
        "corpus": corpus,
        "layout": layout,
        "title": corpus,
        "synthetic": synthetic,
        "partial": partial,
        "counts": {
            "labelled": n + rejected,
            "listed": n + rejected,
            "accepted": n,
            "rejected": rejected,
            "left_out": 0,
        },
        "warnings": [*warnings, *([f"{rejected} of {n + rejected:,} utterances rejected"] if rejected else [])],
        "same_audio": same_audio,
    }
    write_utterance_table(path, table, metadata)
    return path


def write_split(
    folder: Path, roles: Mapping[str, Mapping[str, str]], corpus: str = "toy", protocol: str = "dialogue-0"
) -> Path:
    """Write a split; ``roles`` has the role of utterances by fold."""
    path = folder / "splits" / corpus / f"{protocol}.parquet"
    tables = [
        pa.table([list(of_fold), [fold] * len(of_fold), list(of_fold.values())], schema=SPLIT_SCHEMA)
        for fold, of_fold in roles.items()
    ]
    parts = parse_protocol(protocol)
    metadata = {"corpus": corpus, "protocol": protocol, "unit": parts.unit, "draw": parts.draw}
    write_batches(path, SPLIT_SCHEMA, tables, kind=SPLIT_KIND, metadata=metadata)
    return path


def write_noise_plan(
    folder: Path,
    rows: Iterable[tuple[str, str, str, float]] = (),
    corpus: str = "toy",
    profile: str = "h1",
    *,
    synthetic: bool = False,
    warnings: Sequence[str] = (),
    offset_db: float = 0.0,
    mixing: str = "snr",
    snrs: Mapping[str, float] | None = None,
) -> Path:
    """Write a noise plan; ``rows`` are utterance, condition, clip and SNR (dB), reached but for 0.25 dB."""
    path = folder / "noise" / corpus / f"{profile}.parquet"
    planned = [
        PlanRow(utterance, condition, clip, 0, snr, 0.0, snr + 0.25, 1.0) for utterance, condition, clip, snr in rows
    ]
    metadata = {
        "corpus": corpus,
        "profile": profile,
        "profile_snrs": dict.fromkeys(CONDITIONS, 0.0) if snrs is None else dict(snrs),
        "snr_offset_db": offset_db,
        "mixing": mixing,
        "synthetic_clips": synthetic,
        "clip_warnings": list(warnings),
    }
    write_plan(path, planned, metadata)
    return path


def write_packed(
    folder: Path,
    name: str = "mfb",
    frames: Mapping[str, Any] | None = None,
    *,
    corpus: str = "toy",
    condition: str = "clean",
    **metadata: Any,
) -> Path:
    """Write a packed store of ``frames`` by utterance, ``(n_frames, dim)``; return its index."""
    stored = {"u0": np.ones((2, 3))} if frames is None else frames
    shard = folder / "features" / name / f"{condition}.parquet"
    rows = [FrameRow(utterance, np.asarray(values, dtype=np.float32)) for utterance, values in stored.items()]
    described = {"corpus": corpus, "condition": condition, "rejected": {}, **metadata}
    write_frames(shard, rows, rows[0].frames.shape[1], described)
    index = folder / "packed" / name / f"{condition}.parquet"
    pack_frames([shard], index.with_suffix(".npy"), index)
    return index
