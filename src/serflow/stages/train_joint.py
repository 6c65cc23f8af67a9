"""Stage: train and test a cell on several corpora at once. ``python -m serflow.stages.train_joint --help``.

As `serflow.stages.train`, but for what a fit leaves: runs of each corpus, each in files of its own, so that whatever
reads runs finds them as if each corpus had been trained alone. The study's module has what `train` asks for, and

- its `Cell` has a field ``corpus``, which the runs of each corpus carry in place of the job's;
- its data have ``parts``: by corpus, what has the ``classes``, ``excluded``, ``rejected`` and ``utterances`` of its
  runs;
- ``folds`` yields `JointRows`, which count the utterances of the parts;
- ``train_fit`` returns a `FitResult` for each corpus: the weights in it are those that speak of that corpus.

A job may be of one corpus: a study whose systems are trained on all corpora or on one has one ``train_fit`` for both.
"""

import argparse
import shutil
from pathlib import Path

from serflow.errors import ConfigError
from serflow.files import exclusive
from serflow.runs.artefacts import RunFiles
from serflow.stage import run_stage
from serflow.stages.train import OUTPUTS, add_outputs, job_parser, read_job, require_all_tested, train_fits, write


def files_of_corpora(arguments: argparse.Namespace) -> dict[str, RunFiles]:
    """Return where the files of each corpus go.

    Raises
    ------
    ConfigError
        If an output has not a path for each of ``--corpora``.
    """
    given = {name: getattr(arguments, name) for name in OUTPUTS}
    for name, paths in given.items():
        if paths is not None and len(paths) != len(arguments.corpora):
            raise ConfigError(
                f"--{name}: {len(paths)} path(s) for {len(arguments.corpora)} corpora; give one for each of --corpora"
            )
    return {
        corpus: RunFiles(**{name: paths[place] for name, paths in given.items() if paths is not None})
        for place, corpus in enumerate(arguments.corpora)
    }


def main(arguments: argparse.Namespace) -> None:
    """Train a cell, and write for each of ``--corpora`` what `serflow.stages.train` writes."""
    files = files_of_corpora(arguments)
    job = read_job(arguments)
    if list(job.data.parts) != arguments.corpora:
        raise ConfigError(f"--corpora: {' '.join(arguments.corpora)}, and the cell is of {' '.join(job.data.parts)}")
    states: Path = arguments.predictions[0].parent / "fits"
    # a trainer that outlived the run that started it may be at work here
    with exclusive(states):
        trained = []
        for rows, results in train_fits(job, arguments, states):
            for corpus, part in job.data.parts.items():
                require_all_tested(part.utterances, rows.of_corpus[corpus], results[corpus])
            trained.append((rows, results))
        for corpus, part in job.data.parts.items():
            of_corpus = [(rows.of_corpus[corpus], results[corpus]) for rows, results in trained]
            write(job, arguments, files[corpus], job.cell._replace(corpus=corpus), part, of_corpus)
        shutil.rmtree(states, ignore_errors=True)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = job_parser(__doc__)
    parser.add_argument("--corpora", nargs="+", required=True, help="in the order of the outputs")
    add_outputs(parser, nargs="+")
    return parser


if __name__ == "__main__":
    run_stage(make_parser(), main)
