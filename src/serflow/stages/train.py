"""Stage: train and test one cell of a study. ``python -m serflow.stages.train --help``.

All runs and folds of the cell are trained, one after the other. States of unfinished fits lie in ``fits`` beside the
outputs: a killed run goes on.
"""

import argparse
import importlib
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

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


def main(arguments: argparse.Namespace) -> None:
    """Train a cell and write ``--predictions``, ``--history``, ``--metrics``, ``--model`` and ``--embeddings``."""
    study = importlib.import_module(f"serflow.studies.{arguments.study}.train")
    cell = study.Cell(**dict(arguments.cell))
    files = files_of(study.Files, arguments.inputs)
    options = checked(study.Options, arguments.options, arguments.study)
    data = study.load(files, cell, options, arguments.runs)
    given = {name: value for name, value in files._asdict().items() if value is not None}
    provenance = gather(given)
    depends_on = [arguments.code, arguments.options, dict(provenance.sources)]
    states = arguments.predictions.parent / "fits"
    # a trainer that outlived the run that started it may be at work here
    with exclusive(states):
        results = []
        with reproducible():
            fits = list(study.folds(cell, data))
            for rows in progress(fits, len(fits), " ".join(cell), unit="fit"):
                key = key_of(arguments.study, *cell, *rows.fit, *depends_on)
                checkpoint = Checkpoint(states / f"{rows.fit.run}_{rows.fit.fold}.pt", key)
                result = study.train_fit(cell, data, options, rows, checkpoint)
                require_all_tested(data.utterances, rows, result)
                results.append(result)
        facts = RunFacts(
            study=arguments.study,
            cell=cell._asdict(),
            classes=data.classes,
            options=arguments.options,
            runs=arguments.runs,
            excluded=data.excluded,
            provenance=joined(
                [
                    provenance,
                    same_audio(given, data.utterances, fits),
                    Provenance(remarks=tuple(getattr(data, "remarks", ()))),
                ]
            ),
            code=arguments.code,
        )
        names = ("predictions", "history", "metrics", "model", "embeddings")
        write_run(RunFiles(**{name: getattr(arguments, name) for name in names}), facts, results)
        shutil.rmtree(states, ignore_errors=True)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="package of serflow.studies")
    parser.add_argument("--cell", type=named_value, nargs="+", required=True, help="name=value of each field of it")
    parser.add_argument(
        "--inputs", type=named_path, nargs="+", required=True, help="name=path, as the study names them"
    )
    parser.add_argument("--runs", type=int, nargs="+", required=True, help="numbers of the runs")
    parser.add_argument("--options", type=json_option, required=True, help="what a fit is trained with, JSON")
    parser.add_argument("--code", required=True, help="fingerprint of the code, kept in the outputs")
    parser.add_argument("--predictions", type=Path, required=True, help="output: Parquet, a row per tested utterance")
    parser.add_argument("--history", type=Path, required=True, help="output: Parquet, a row per period")
    parser.add_argument("--metrics", type=Path, required=True, help="output: JSON of hits, totals and counts")
    parser.add_argument("--model", type=Path, required=True, help="output: safetensors, best weights of each fit")
    parser.add_argument("--embeddings", type=Path, help="output: Parquet, a vector per tested utterance")
    return parser


if __name__ == "__main__":
    run_stage(make_parser(), main)
