"""Who is in every fit of a cell, from tables alone, for the audit."""

from serflow.audit.trained import Trained
from serflow.protocols.examples import Examples, read_roles
from serflow.protocols.folds import FoldRows
from serflow.settings.base import checked
from serflow.studies.speakernorm.labels import read_utterances
from serflow.studies.speakernorm.options import Options
from serflow.studies.speakernorm.protocol import folds


def members(trained: Trained) -> tuple[Examples, list[FoldRows]]:
    """Return the utterances of a cell, and the rows of its fits."""
    options = checked(Options, trained.options, "speakernorm")
    examples = read_utterances(trained.utterances, options.emotions)
    roles = read_roles(trained.splits[0], trained.corpus, examples.utterances)
    speakers = examples.facts["speaker"]
    kind = trained.cell["folds"]
    return examples, list(folds(kind, trained.runs, roles, examples.utterances, speakers, options))
