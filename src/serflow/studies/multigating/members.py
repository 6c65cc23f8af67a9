"""Who is in every fit of a cell, from tables alone, for the audit: of joint trainings in the cell's own language."""

from serflow.audit.trained import Trained
from serflow.protocols.examples import Examples
from serflow.protocols.folds import FoldRows
from serflow.settings.base import checked
from serflow.studies.multigating.labels import read_utterances
from serflow.studies.multigating.options import Options
from serflow.studies.multigating.protocol import folds, read_all_roles


def members(trained: Trained) -> tuple[Examples, list[FoldRows]]:
    """Return the utterances of a cell, and the rows of its fits; those without one of the features are among them."""
    options = checked(Options, trained.options, "multigating")
    ((name, language),) = (
        (name, language) for name, language in options.languages.items() if language.corpus == trained.corpus
    )
    examples = read_utterances(trained.utterances, name, language)
    roles = read_all_roles(trained.splits, trained.runs, {trained.corpus: examples})
    return examples, [fit.of_corpus[trained.corpus] for fit in folds(roles, options.folds_used)]
