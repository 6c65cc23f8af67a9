"""Classes of an utterance that several studies use: IEMOCAP's four, or a corpus's own words."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from serflow.errors import TrainingError

Row = Mapping[str, Any]
Target = tuple[float, ...]
IEMOCAP_CLASSES = ("anger", "happiness", "neutral", "sadness")
IEMOCAP_COUNTS = {
    "Ses01F": (171, 132, 147, 78), "Ses01M": (213, 146, 82, 116), "Ses02F": (135, 166, 67, 113),
    "Ses02M": (227, 161, 70, 84), "Ses03F": (130, 128, 92, 172), "Ses03M": (190, 158, 148, 133),
    "Ses04F": (76, 185, 205, 62), "Ses04M": (182, 118, 122, 81), "Ses05F": (221, 159, 78, 132),
    "Ses05M": (163, 283, 92, 113),
}  # fmt: skip
"""Utterances of each speaker: neutral, happiness with excitement, anger, sadness; 5,531 together, by the labels."""
_COUNTED = ("neutral", "happiness", "anger", "sadness")
_NO_CLASS = (None, "other", "undecided")


class Labels(NamedTuple):
    """The classes, and what an utterance is to be predicted as: a distribution over them, None without a label."""

    classes: tuple[str, ...]
    target_of: Callable[[Row], Target | None]


def one_hot(classes: Sequence[str], name: str | None) -> Target | None:
    """Return the target of a class, None if it is none of ``classes``."""
    return tuple(float(name == other) for other in classes) if name in classes else None


def iemocap_four(excitement: bool) -> Labels:
    """Return anger, happiness, neutral and sadness; ``excitement`` counts as happiness, or has no class."""

    def target_of(row: Row) -> Target | None:
        emotion: str | None = row["emotion"]
        return one_hot(IEMOCAP_CLASSES, "happiness" if excitement and emotion == "excitement" else emotion)

    return Labels(IEMOCAP_CLASSES, target_of)


def own_words(rows: Sequence[Row]) -> Labels:
    """Return the emotion words that ``rows`` have, sorted; other and undecided are none."""
    classes = tuple(sorted({row["emotion"] for row in rows if row["emotion"] not in _NO_CLASS}))
    return Labels(classes, lambda row: one_hot(classes, row["emotion"]))


def require_two_classes(corpus: str, labels: Labels, targets: Sequence[Target], n_rows: int) -> None:
    """Refuse a corpus that a classifier cannot learn from.

    Raises
    ------
    TrainingError
        If the targets are of fewer than two classes.
    """
    present = {max(range(len(target)), key=target.__getitem__) for target in targets}
    if len(present) < 2:
        raise TrainingError(
            f"{corpus}: a classifier needs utterances of two classes at least; of {n_rows} utterances {len(targets)} "
            f"have a label, of the classes {', '.join(labels.classes[i] for i in sorted(present)) or 'none'}"
        )


def chosen_words(layout: str, rows: Sequence[Row], emotions: Sequence[str] | None, keys: str) -> Labels:
    """Return a corpus's own words, those of ``emotions`` alone where it is not None; of IEMOCAP the four classes.

    On IEMOCAP happiness and excitement are one class.

    Raises
    ------
    TrainingError
        If no utterance has one of ``emotions``; it names the ``keys`` that choose them.
    """
    if layout == "iemocap":
        return iemocap_four(excitement=True)
    own = own_words(rows)
    if emotions is None:
        return own
    absent = [name for name in emotions if name not in own.classes]
    if absent:
        raise TrainingError(f"{keys}: no utterance is {', '.join(absent)}; there are {', '.join(own.classes)}")
    classes = tuple(sorted(emotions))
    return Labels(classes, lambda row: one_hot(classes, row["emotion"]))


def check_iemocap(
    speakers: Sequence[str], classes: Sequence[str], counts: Mapping[str, Sequence[int]], part: str
) -> None:
    """Refuse a whole IEMOCAP that has other utterances than a paper's.

    Parameters
    ----------
    speakers, classes
        Of each utterance, ``(n,)``.
    counts
        Of each speaker's neutral, happiness, anger and sadness.
    part
        What the error calls these utterances.

    Raises
    ------
    TrainingError
        Naming the first speaker and class whose number is another.
    """
    found = Counter(zip(speakers, classes, strict=True))
    for speaker, of_speaker in counts.items():
        for name, count in zip(_COUNTED, of_speaker, strict=True):
            if found[speaker, name] != count:
                raise TrainingError(
                    f"{part}: {speaker} has {found[speaker, name]} utterances of {name}, and should have {count}; set "
                    "`corpora: {iemocap: {allow_partial: true}}` if your copy is not whole"
                )
