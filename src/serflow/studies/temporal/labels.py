"""What utterances are to be predicted as: IEMOCAP's four classes, or a corpus's own words (section 3.1)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from serflow.protocols.examples import Examples, read_examples
from serflow.protocols.labels import Labels, Row, check_iemocap, chosen_words
from serflow.stores.parquet import read_metadata
from serflow.training.metrics import reference_classes

# utterances of IEMOCAP with a majority label: neutral, happiness with excitement, anger, sadness; 5,531 together.
# Counted from the corpus's own labels (specification, section 1).
COUNTS = {
    "Ses01F": (171, 132, 147, 78), "Ses01M": (213, 146, 82, 116), "Ses02F": (135, 166, 67, 113),
    "Ses02M": (227, 161, 70, 84), "Ses03F": (130, 128, 92, 172), "Ses03M": (190, 158, 148, 133),
    "Ses04F": (76, 185, 205, 62), "Ses04M": (182, 118, 122, 81), "Ses05F": (221, 159, 78, 132),
    "Ses05M": (163, 283, 92, 113),
}  # fmt: skip


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
    check_iemocap(speakers, classes, COUNTS, "IEMOCAP")


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
