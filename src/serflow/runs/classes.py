"""What a fit of a study with classes needs and leaves: every class in training; tallies, those of guesses, counts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from serflow.errors import TrainingError
from serflow.protocols.folds import FoldRows
from serflow.runs.artefacts import Tested
from serflow.training.metrics import Tally, chance_tally, reference_classes, tally

FloatArray = npt.NDArray[np.floating]


def tallies_of(targets: FloatArray, rows: FoldRows, tested: Sequence[Tested]) -> dict[tuple[str, str], Tally]:
    """Return the tallies of what was predicted, and of guesses, by role; ``targets`` are all, ``(n, classes)``."""
    largest = targets[rows.train].sum(0).argmax()
    found = {}
    for part in tested:
        found[part.role, "prediction"] = tally(part.targets, part.probabilities.argmax(1))
        found[part.role, "majority"] = tally(part.targets, np.full(len(part.targets), largest))
        found[part.role, "chance"] = chance_tally(part.targets, targets.shape[1])
    return found


def require_every_class(targets: FloatArray, classes: Sequence[str], where: str, advice: str) -> None:
    """Refuse a training without some class.

    Parameters
    ----------
    targets
        Of the training utterances, ``(n, classes)``.
    classes
        Their names.
    where, advice
        What the error begins with, and what it says to do.

    Raises
    ------
    TrainingError
        Naming the first class that no utterance has.
    """
    for index in np.flatnonzero(targets.sum(0) == 0).tolist():
        raise TrainingError(f"{where} is {classes[index]}; {advice}")


def counts_of(targets: FloatArray, classes: Sequence[str], rows: FoldRows) -> dict[str, dict[str, int]]:
    """Return how many utterances of each class a role has; ``targets`` are all, ``(n, classes)``."""
    labels = reference_classes(targets)
    return {
        role: dict(zip(classes, np.bincount(labels[part], minlength=len(classes)).tolist(), strict=True))
        for role, part in rows.roles().items()
    }
