"""Who is in every fit of a cell, from tables alone, for the audit."""

from collections.abc import Sequence

import numpy as np

from serflow.audit.trained import Trained
from serflow.noise.plan import CONDITIONS
from serflow.protocols.examples import Examples, read_draw, read_examples
from serflow.protocols.folds import FoldRows
from serflow.protocols.labels import Labels, Row, one_hot
from serflow.settings.base import checked
from serflow.studies.dlc.catalog import Cell, method_info
from serflow.studies.dlc.labels import emotion_labels
from serflow.studies.dlc.options import Options
from serflow.studies.dlc.protocol import folds


def members(trained: Trained) -> tuple[Examples, list[FoldRows]]:
    """Return the utterances of a cell, and the rows of its fits; those that a store rejected are among them."""
    cell, options = Cell(**trained.cell), checked(Options, trained.options, "dlc")
    predicts = method_info(cell.method).predicts

    def label(layout: str, rows: Sequence[Row]) -> Labels:
        if predicts == "emotion":
            return emotion_labels(layout, rows, options.iemocap_labels)
        named = [row["utterance"] for row in rows]
        drawn = dict(zip(named, trained.planned("condition", named), strict=True))
        return Labels(CONDITIONS, lambda row: one_hot(CONDITIONS, drawn[row["utterance"]]))

    examples = read_examples(trained.utterances, label)
    names = examples.utterances
    conditions = np.array([CONDITIONS.index(name) for name in trained.planned("condition", names)], dtype=np.int64)
    roles = {
        run: read_draw(path, trained.corpus, names) for run, path in zip(trained.runs, trained.splits, strict=True)
    }
    return examples, list(folds(cell.experiment, conditions, roles, predicts=predicts))
