"""What a training leaves behind: predictions, history, metrics, weights and, where a study wants them, embeddings.

The files are the same for every study. A cell is named by fields of the study's own (method, corpus, ...), a fit by
its run and its fold.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from torch import Tensor

from serflow.files import write_sealed_json
from serflow.protocols.folds import FitName
from serflow.runs.provenance import Provenance
from serflow.stores.parquet import write_batches
from serflow.training.checkpoints import save_weights
from serflow.training.metrics import Tally

FloatArray = npt.NDArray[np.floating]
PREDICTIONS_KIND = "predictions"
HISTORY_KIND = "history"
EMBEDDINGS_KIND = "embeddings"
PREDICTIONS_SCHEMA = pa.schema(
    [
        ("run", pa.int32()),
        ("fold", pa.string()),
        ("role", pa.string()),
        ("utterance", pa.string()),
        ("target", pa.list_(pa.float64())),
        ("label", pa.string()),
        ("prediction", pa.string()),
        ("probabilities", pa.list_(pa.float64())),
    ]
)
"""What every study predicts; columns of its own come after these."""
HISTORY_SCHEMA = pa.schema(
    [
        ("run", pa.int32()),
        ("fold", pa.string()),
        ("stage", pa.string()),
        ("period", pa.int32()),
        ("updates", pa.int32()),
    ]
)
"""What every history has; the values that a study measures come after these, float64 each."""
EMBEDDINGS_SCHEMA = pa.schema(
    [
        ("run", pa.int32()),
        ("fold", pa.string()),
        ("role", pa.string()),
        ("utterance", pa.string()),
        ("vector", pa.list_(pa.float32())),
    ]
)


class Tested(NamedTuple):
    """What a fit says of some utterances.

    Parameters
    ----------
    role
        ``train``, ``val`` or ``test``; another name for what is predicted and not scored.
    utterances
        Names, ``(n,)``.
    targets, probabilities
        ``(n, classes)``.
    more
        Columns of the study's own by name, a value an utterance: the gate, a hypothesis.
    vectors
        Embeddings ``(n, dim)``, where a figure or a probe asks for them.
    """

    role: str
    utterances: Sequence[str]
    targets: FloatArray
    probabilities: FloatArray
    more: Mapping[str, Sequence[Any]] = {}
    vectors: FloatArray | None = None


class FitResult(NamedTuple):
    """All that a fit leaves behind.

    Parameters
    ----------
    fit
        Its name.
    tested
        What it says of validation or test utterances.
    tallies
        Hits and totals by role and by what was predicted: ``prediction`` is the study's own task; others are named by
        the study (``oracle``, ``speaker``; of WER ``words``).
    counts
        Utterances of each class that the fit knows, by role, for the roles that it has.
    history
        A row of values for each period.
    weights
        Of the best period.
    best_period
        From 0.
    n_parameters
        Numbers that were trained.
    absent
        Why there is no tally, by role and by what would have been predicted; its cells of tables then say ``n/a``.
    """

    fit: FitName
    tested: Sequence[Tested]
    tallies: Mapping[tuple[str, str], Tally]
    counts: Mapping[str, Mapping[str, int]]
    history: Sequence[Mapping[str, Any]]
    weights: Mapping[str, Tensor]
    best_period: int
    n_parameters: int
    absent: Mapping[tuple[str, str], str] = {}


class RunFiles(NamedTuple):
    """Where the files of a cell go; ``embeddings`` is None where nobody asks for them."""

    predictions: Path
    history: Path
    metrics: Path
    model: Path
    embeddings: Path | None = None


class RunFacts(NamedTuple):
    """What is true of all fits of a cell, and stands in each of its files.

    ``excluded`` counts the utterances that were left out, by reason, and stands in the metrics alone; ``rejected`` are
    those of them that were left out for their audio or their words, and stands with the predictions alone.
    """

    study: str
    cell: Mapping[str, str]
    classes: Sequence[str]
    options: Mapping[str, Any]
    runs: Sequence[int]
    excluded: Mapping[str, int]
    rejected: Sequence[str]
    provenance: Provenance
    code: str

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of the cell's files."""
        return {
            "study": self.study,
            "cell": dict(self.cell),
            "name": "/".join(self.cell.values()),
            "classes": list(self.classes),
            "options": dict(self.options),
            "runs": list(self.runs),
            "provenance": self.provenance.to_json(),
            "code": self.code,
        }


def write_run(files: RunFiles, facts: RunFacts, results: Sequence[FitResult]) -> None:
    """Write the files of a cell; the same results give the same bytes."""
    metadata = facts.metadata()
    _write_predictions(files.predictions, results, facts.classes, {**metadata, "rejected": list(facts.rejected)})
    _write_history(files.history, results, metadata)
    if files.embeddings is not None:
        _write_embeddings(files.embeddings, results, metadata)
    weights = {
        f"{result.fit.run}/{result.fit.fold}/{name}": value
        for result in results
        for name, value in result.weights.items()
    }
    save_weights(files.model, weights, {name: metadata[name] for name in ("study", "cell", "code", "provenance")})
    _write_metrics(files.metrics, facts, results)


def _write_predictions(
    path: Path, results: Sequence[FitResult], classes: Sequence[str], metadata: Mapping[str, Any]
) -> None:
    tested = [(result.fit, part) for result in results for part in result.tested]
    known = PREDICTIONS_SCHEMA.names
    taken = [name for _, part in tested for name in part.more if name in known]
    if taken:
        raise ValueError(f"a study's own column cannot be called {taken[0]}, as every study's are {', '.join(known)}")
    # a column's type is that of its values in all fits
    own = {name: pa.array([value for _, part in tested for value in part.more.get(name, ())]).type for name in
           dict.fromkeys(name for _, part in tested for name in part.more)}  # fmt: skip
    schema = pa.schema([*PREDICTIONS_SCHEMA, *(pa.field(name, kind) for name, kind in own.items())])
    tables = (_predictions(fit, part, classes, schema) for fit, part in tested)
    write_batches(path, schema, tables, kind=PREDICTIONS_KIND, metadata=metadata)


def _predictions(fit: FitName, part: Tested, classes: Sequence[str], schema: pa.Schema) -> pa.Table:
    n = len(part.utterances)
    columns = {
        "run": [fit.run] * n,
        "fold": [fit.fold] * n,
        "role": [part.role] * n,
        "utterance": list(part.utterances),
        "target": part.targets.tolist(),
        "label": [classes[index] for index in part.targets.argmax(1)],
        "prediction": [classes[index] for index in part.probabilities.argmax(1)],
        "probabilities": part.probabilities.tolist(),
        **{name: list(values) for name, values in part.more.items()},
    }
    return pa.table([pa.array(columns.get(field.name, [None] * n), field.type) for field in schema], schema=schema)


def _write_history(path: Path, results: Sequence[FitResult], metadata: Mapping[str, Any]) -> None:
    """Write a row a fit and period; the columns are the values that any of them has, so that none is lost."""
    rows = [{**result.fit._asdict(), **row} for result in results for row in result.history]
    values = dict.fromkeys(name for row in rows for name in row if name not in HISTORY_SCHEMA.names)
    schema = pa.schema([*HISTORY_SCHEMA, *(pa.field(name, pa.float64()) for name in values)])
    write_batches(path, schema, _by_fit(rows, schema), kind=HISTORY_KIND, metadata=metadata)


def _by_fit(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> Iterator[pa.Table]:
    fits: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        fits.setdefault((row["run"], row["fold"]), []).append(row)
    for of_fit in fits.values():
        yield pa.Table.from_pylist(list(of_fit), schema=schema)


def _write_embeddings(path: Path, results: Sequence[FitResult], metadata: Mapping[str, Any]) -> None:
    tables = (
        pa.table(
            [
                pa.array([result.fit.run] * len(part.utterances), pa.int32()),
                pa.array([result.fit.fold] * len(part.utterances)),
                pa.array([part.role] * len(part.utterances)),
                pa.array(list(part.utterances)),
                pa.array(part.vectors.astype(np.float32).tolist(), pa.list_(pa.float32())),
            ],
            schema=EMBEDDINGS_SCHEMA,
        )
        for result in results
        for part in result.tested
        if part.vectors is not None
    )
    write_batches(path, EMBEDDINGS_SCHEMA, tables, kind=EMBEDDINGS_KIND, metadata=metadata)


def _tally(tally: Tally, classes: Sequence[str]) -> dict[str, list[float]]:
    # what is not counted by the study's classes (words, speakers) is one sum
    names = classes if len(tally.hits) == len(classes) else [str(place) for place in range(len(tally.hits))]
    return {
        name: [float(hits), float(total)] for name, hits, total in zip(names, tally.hits, tally.totals, strict=True)
    }


def _write_metrics(path: Path, facts: RunFacts, results: Sequence[FitResult]) -> None:
    fits = []
    for result in results:
        tallies: dict[str, dict[str, Any]] = {}
        for (role, what), tally in result.tallies.items():
            tallies.setdefault(role, {})[what] = _tally(tally, facts.classes)
        absent: dict[str, dict[str, str]] = {}
        for (role, what), reason in result.absent.items():
            absent.setdefault(role, {})[what] = reason
        counts = {role: dict(of_role) for role, of_role in result.counts.items()}
        fits.append(
            {
                **result.fit._asdict(),
                "sizes": {role: sum(of_role.values()) for role, of_role in counts.items()},
                "counts": counts,
                "tallies": tallies,
                **({"absent": absent} if absent else {}),
                "best_period": result.best_period,
                "periods": len(result.history),
            }
        )
    metadata = facts.metadata()
    del metadata["options"], metadata["runs"]
    content = {**metadata, "parameters": results[0].n_parameters, "excluded": dict(facts.excluded), "fits": fits}
    write_sealed_json(path, content)
