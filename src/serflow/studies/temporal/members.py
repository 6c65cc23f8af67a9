"""Who is in every fit of a cell, from tables alone, for the audit."""

from serflow.audit.trained import Trained
from serflow.protocols.examples import Examples, read_folds
from serflow.protocols.folds import FoldRows
from serflow.settings.base import checked
from serflow.studies.temporal.labels import read_utterances
from serflow.studies.temporal.options import Options
from serflow.studies.temporal.protocol import folds


def members(trained: Trained) -> tuple[Examples, list[FoldRows]]:
    """Return the utterances of a cell, and the rows of its fits; those without pitch pulses are among them."""
    options = checked(Options, trained.options, "temporal")
    examples = read_utterances(trained.utterances, options.emotions)
    roles = {
        run: read_folds(path, trained.corpus, examples.utterances)
        for run, path in zip(trained.runs, trained.splits, strict=True)
    }
    return examples, list(folds(examples.facts["speaker"], roles, options.folds_used))
