"""Stage: train and test one cell of a study. ``python -m serflow.stages.train --help``.

All runs and folds of the cell are trained, one after the other, or at once where the study says so. States of
unfinished fits lie in ``fits`` beside the outputs: a killed run goes on.
"""

import argparse
import importlib
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from serflow.errors import TrainingError
from serflow.files import exclusive
from serflow.progress import progress
from serflow.protocols.folds import FoldRows
from serflow.runs.artefacts import FitResult, RunFacts, RunFiles, write_run
from serflow.runs.provenance import Provenance, gather, joined, same_audio
from serflow.settings.base import checked
from serflow.stage import files_of, json_option, named_path, named_value, run_stage, stage_parser
from serflow.training.checkpoints import Checkpoint, key_of
from serflow.training.seeds import reproducible

OUTPUTS = RunFiles._fields
STATE_EVERY_S = 2.0
"""Seconds (s) of training that a kill may cost, besides those of a period."""


def require_all_tested(utterances: Sequence[str], rows: FoldRows, result: FitResult) -> None:
    """Refuse a fit that says nothing of some utterance of its test set.

    Parameters
    ----------
    utterances
        Names, which the rows count.
    rows
        Who is in the fit.
    result
        What it left behind; what it predicts may be of other roles as well.

    Raises
    ------
    TrainingError
        If one is missing, or there twice.
    """
    found = Counter(name for part in result.tested for name in part.utterances)
    wrong = [name for name in (utterances[row] for row in rows.test) if found[name] != 1]
    if wrong:
        raise TrainingError(
            f"run {rows.fit.run}, fold {rows.fit.fold}: {len(wrong)} of {len(rows.test)} test utterances are not "
            f"predicted once, the first is {wrong[0]} ({found[wrong[0]]} times); mend train_fit of the study"
        )


class Job(NamedTuple):
    """A cell of a study, and what its fits read.

    ``given`` are its inputs by name, ``provenance`` is what they are made from.
    """

    study: ModuleType
    cell: Any
    options: Any
    data: Any
    given: Mapping[str, Path | Sequence[Path]]
    provenance: Provenance


def read_job(arguments: argparse.Namespace) -> Job:
    """Read what a command line names."""
    study = importlib.import_module(f"serflow.studies.{arguments.study}.train")
    cell = study.Cell(**dict(arguments.cell))
    files = files_of(study.Files, arguments.inputs)
    options = checked(study.Options, arguments.options, arguments.study)
    data = study.load(files, cell, options, arguments.runs)
    given = {name: value for name, value in files._asdict().items() if value is not None}
    return Job(study, cell, options, data, given, gather(given))


def train_fits(job: Job, arguments: argparse.Namespace, states: Path) -> Iterator[tuple[Any, Any]]:
    """Train the fits of a cell, one after the other or as its study does; yield who is in each, and what it left."""
    depends_on = [arguments.code, arguments.options, dict(job.provenance.sources)]
    with reproducible():
        fits = list(job.study.folds(job.cell, job.data))
        checkpoints = []
        for rows in fits:
            key = key_of(arguments.study, *job.cell, *rows.fit, *depends_on)
            checkpoints.append(Checkpoint(states / f"{rows.fit.run}_{rows.fit.fold}.pt", key, STATE_EVERY_S))
        trained = _results(job, list(zip(fits, checkpoints, strict=True)))
        yield from zip(progress(fits, len(fits), " ".join(job.cell), unit="fit"), trained, strict=True)


def _results(job: Job, given: Sequence[tuple[Any, Checkpoint]]) -> Iterator[Any]:
    """Yield what each fit leaves; a study that can train several at once has ``train_fits`` besides ``train_fit``."""
    if hasattr(job.study, "train_fits"):
        yield from job.study.train_fits(job.cell, job.data, job.options, given)
        return
    for rows, checkpoint in given:
        yield job.study.train_fit(job.cell, job.data, job.options, rows, checkpoint)


def write(
    job: Job,
    arguments: argparse.Namespace,
    files: RunFiles,
    cell: Any,
    data: Any,
    trained: Sequence[tuple[FoldRows, FitResult]],
) -> None:
    """Write the runs of a cell; ``classes``, ``excluded``, ``rejected`` and ``utterances`` are those of ``data``."""
    facts = RunFacts(
        study=arguments.study,
        cell=cell._asdict(),
        classes=data.classes,
        options=arguments.options,
        runs=arguments.runs,
        excluded=data.excluded,
        rejected=data.rejected,
        provenance=joined(
            [
                job.provenance,
                same_audio(job.given, data.utterances, [rows for rows, _ in trained]),
                # what a study says of its data, if anything
                Provenance(remarks=tuple(getattr(data, "remarks", ()))),
            ]
        ),
        code=arguments.code,
    )
    write_run(files, facts, [result for _, result in trained])


def main(arguments: argparse.Namespace) -> None:
    """Train a cell and write ``--predictions``, ``--history``, ``--metrics``, ``--model`` and ``--embeddings``."""
    job = read_job(arguments)
    states = arguments.predictions.parent / "fits"
    # a trainer that outlived the run that started it may be at work here
    with exclusive(states):
        trained = []
        for rows, result in train_fits(job, arguments, states):
            require_all_tested(job.data.utterances, rows, result)
            trained.append((rows, result))
        write(job, arguments, RunFiles(*(getattr(arguments, name) for name in OUTPUTS)), job.cell, job.data, trained)
        shutil.rmtree(states, ignore_errors=True)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = job_parser(__doc__)
    add_outputs(parser)
    return parser


def job_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of what names a cell and what it reads."""
    parser = stage_parser(description)
    parser.add_argument("--study", required=True, help="package of serflow.studies")
    parser.add_argument("--cell", type=named_value, nargs="+", required=True, help="name=value of each field of it")
    parser.add_argument(
        "--inputs", type=named_path, nargs="+", required=True, help="name=path, as the study names them"
    )
    add_what_they_share(parser)
    return parser


def add_what_they_share(parser: argparse.ArgumentParser) -> None:
    """Add what is the same for all cells of a job."""
    parser.add_argument("--runs", type=int, nargs="+", required=True, help="numbers of the runs")
    parser.add_argument("--options", type=json_option, required=True, help="what a fit is trained with, JSON")
    parser.add_argument("--code", required=True, help="fingerprint of the code, kept in the outputs")


def add_outputs(parser: argparse.ArgumentParser, **several: Any) -> None:
    """Add an option for each of `OUTPUTS`; ``several`` says how it takes one for each corpus."""
    said = {
        "predictions": "Parquet, a row per tested utterance",
        "history": "Parquet, a row per period",
        "metrics": "JSON of hits, totals and counts",
        "model": "safetensors, best weights of each fit",
        "embeddings": "Parquet, a vector per tested utterance",
    }
    for name, text in said.items():
        parser.add_argument(f"--{name}", type=Path, required=name != "embeddings", help=f"output: {text}", **several)


if __name__ == "__main__":
    run_stage(make_parser(), main)
