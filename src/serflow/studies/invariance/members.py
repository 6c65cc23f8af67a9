"""Who is in every fit of a cell, from tables alone, for the audit."""

from serflow.audit.trained import Trained
from serflow.protocols.examples import Examples, read_roles
from serflow.protocols.folds import FoldRows
from serflow.settings.base import checked
from serflow.studies.invariance.catalog import COUNTED
from serflow.studies.invariance.data import read_utterances
from serflow.studies.invariance.options import Options
from serflow.studies.invariance.protocol import folds


def members(trained: Trained) -> tuple[Examples, list[FoldRows]]:
    """Return the utterances of a cell, and the rows of its fits; those without speech are among them."""
    options = checked(Options, trained.options, "invariance")
    examples = read_utterances(trained.utterances, options)
    roles = {
        run: read_roles(path, trained.corpus, examples.utterances)
        for run, path in zip(trained.runs, trained.splits, strict=True)
    }
    counted = trained.cell["variant"].startswith(COUNTED)
    speakers = examples.facts["speaker"]
    return examples, list(folds(speakers, roles, options.speakers, options.folds_used, may_lack=counted))
