"""What utterances of a language are predicted as: IEMOCAP's four classes, or a corpus's own words (section 3)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from serflow.errors import TrainingError
from serflow.protocols.examples import SAME_AUDIO, Examples, read_examples
from serflow.protocols.labels import IEMOCAP_COUNTS, check_iemocap, chosen_words
from serflow.stores.parquet import read_metadata
from serflow.studies.multigating.options import LanguageOptions
from serflow.training.metrics import reference_classes

OTHER_INTENSITY = "another intensity"
CAFE_COUNT = 72
"""Utterances of each emotion of CaFE in one intensity, and of neutral: 12 actors and 6 sentences; 504 together."""


def read_utterances(path: Path, name: str, language: LanguageOptions) -> Examples:
    """Read the utterances of a language that have a label of the study, in the intensity that it takes.

    On IEMOCAP happiness and excitement are one class, and there are four.

    Parameters
    ----------
    path
        Utterance table of its corpus.
    name, language
        As the configuration names and describes it.

    Raises
    ------
    StoreError
        If the table is absent or damaged.
    TrainingError
        If no utterance has an emotion or the intensity that is asked for, there are fewer than two classes, or a whole
        IEMOCAP or CaFE has other utterances than the paper's.
    """
    key = f"multigating.languages.{name}"
    metadata = read_metadata(path)
    label = partial(chosen_words, emotions=language.emotions, keys=f"{key}.emotions")
    examples = read_examples(path, label)
    if language.intensity is not None:
        examples = of_intensity(examples, language.intensity, f"{key}.intensity")
    whole = not (metadata["synthetic"] or metadata["partial"] or SAME_AUDIO in examples.excluded)
    classes = [examples.classes[index] for index in reference_classes(examples.targets)]
    if whole and metadata["layout"] == "iemocap":
        check_iemocap(examples.facts["speaker"], classes, IEMOCAP_COUNTS, "IEMOCAP")
    if whole and metadata["layout"] == "cafe" and language.intensity is not None:
        check_cafe(classes)
    return examples


def of_intensity(examples: Examples, intensity: str, key: str) -> Examples:
    """Return the examples of an intensity, and those of none; a class that has no such examples is none.

    Raises
    ------
    TrainingError
        If no example has this intensity, or fewer than two classes are left.
    """
    found = examples.facts["intensity"]
    if intensity not in found:
        known = sorted({other for other in found if other is not None})
        raise TrainingError(
            f"{key}: no utterance of {examples.corpus} is {intensity!r}; it has {', '.join(known) or 'no intensities'}"
        )
    kept = examples.take(np.array([other in (None, intensity) for other in found], dtype=bool), OTHER_INTENSITY)
    there = kept.targets.sum(0) > 0
    classes = tuple(name for name, is_there in zip(kept.classes, there, strict=True) if is_there)
    if len(classes) < 2:
        raise TrainingError(f"{key}: all utterances of this intensity are {classes[0]}; take another one, or null")
    return kept._replace(classes=classes, targets=kept.targets[:, there])


def check_cafe(classes: Sequence[str]) -> None:
    """Refuse a whole CaFE in one intensity that has other utterances than the paper's.

    Raises
    ------
    TrainingError
        Naming the first class whose number is another.
    """
    for name, count in sorted(Counter(classes).items()):
        if count != CAFE_COUNT:
            raise TrainingError(
                f"CaFE in one intensity has {count} utterances of {name}, and should have {CAFE_COUNT}; set `corpora: "
                "{cafe: {allow_partial: true}}` if your copy is not whole"
            )


def all_classes(languages: Iterable[Examples]) -> tuple[str, ...]:
    """Return the classes of all languages, each once, sorted: those of Base (section 5.2.2)."""
    return tuple(sorted({name for examples in languages for name in examples.classes}))


def among(examples: Examples, classes: Sequence[str]) -> Examples:
    """Return the examples with targets among more classes, ``(n, len(classes))``."""
    targets = np.zeros((len(examples.utterances), len(classes)))
    targets[:, [classes.index(name) for name in examples.classes]] = examples.targets
    return examples._replace(classes=tuple(classes), targets=targets)
