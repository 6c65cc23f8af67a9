"""What utterances are to be predicted as: IEMOCAP's four classes, or a corpus's own words (section 3.1)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from serflow.protocols.examples import Examples, read_examples
from serflow.protocols.labels import IEMOCAP_COUNTS, Labels, Row, check_iemocap, chosen_words
from serflow.stores.parquet import read_metadata
from serflow.training.metrics import reference_classes


def check_counts(speakers: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse a whole IEMOCAP that has other utterances than the paper's.

    Parameters
    ----------
    speakers, classes
        Of each utterance, ``(n,)``.

    Raises
    ------
    TrainingError
        Naming the first speaker and class whose number is another.
    """
    check_iemocap(speakers, classes, IEMOCAP_COUNTS, "IEMOCAP")


def emotion_labels(layout: str, rows: Sequence[Row], emotions: Sequence[str] | None) -> Labels:
    """Return the labels of a corpus; ``emotions`` are the words to keep, all by default.

    On IEMOCAP happiness and excitement are one class, and there are four.

    Raises
    ------
    TrainingError
        If no utterance has one of ``emotions``.
    """
    return chosen_words(layout, rows, emotions, "temporal.emotions")


def read_utterances(path: Path, emotions: Sequence[str] | None) -> Examples:
    """Read the utterances of a corpus that have a label of the study.

    Raises
    ------
    StoreError
        If the table is absent or damaged.
    TrainingError
        If there are fewer than two classes, or a whole IEMOCAP has other utterances than the paper's.
    """
    metadata = read_metadata(path)
    examples = read_examples(path, partial(emotion_labels, emotions=emotions))
    if metadata["layout"] == "iemocap" and not metadata["synthetic"] and not metadata["partial"]:
        classes = [examples.classes[index] for index in reference_classes(examples.targets)]
        check_counts(examples.facts["speaker"], classes)
    return examples
