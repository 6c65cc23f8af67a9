"""What utterances are to be predicted as: IEMOCAP's four classes, or a corpus's own words (section 3.1)."""

from collections.abc import Sequence

from serflow.protocols.labels import Labels, Row, check_iemocap, chosen_words

# utterances of the improvised part of IEMOCAP: neutral, happiness with excitement, anger, sadness; 2,943 together, as
# the paper says. Counted from the corpus's own labels (specification, section 1).
IMPROVISED = {
    "Ses01F": (119, 72, 37, 43), "Ses01M": (104, 60, 25, 61), "Ses02F": (90, 113, 7, 63), "Ses02M": (127, 78, 15, 37),
    "Ses03F": (95, 80, 22, 108), "Ses03M": (103, 69, 68, 82), "Ses04F": (51, 129, 47, 41), "Ses04M": (123, 66, 37, 40),
    "Ses05F": (151, 124, 18, 73), "Ses05M": (136, 156, 13, 60),
}  # fmt: skip


def check_improvised(speakers: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse a whole IEMOCAP whose improvised part is not that of the paper.

    Parameters
    ----------
    speakers, classes
        Of each utterance, ``(n,)``.

    Raises
    ------
    TrainingError
        Naming the first speaker and class whose number is another.
    """
    check_iemocap(speakers, classes, IMPROVISED, "IEMOCAP, improvised")


def emotion_labels(layout: str, rows: Sequence[Row], emotions: Sequence[str] | None) -> Labels:
    """Return the labels of a corpus; ``emotions`` are the words to keep, all by default.

    On IEMOCAP happiness and excitement are one class, and there are four.

    Raises
    ------
    TrainingError
        If no utterance has one of ``emotions``.
    """
    return chosen_words(layout, rows, emotions, "invariance.emotions, or many_speakers.emotions")
