"""What two sets of utterances have in common: speakers, dialogues, sentences, recordings."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from serflow.transcripts.words import normalise

_UNSCRIPTED = ("improvised", "natural")


class Shared(NamedTuple):
    """Distinct values in training and test, those in both, and the test utterances that have one of these."""

    train: int
    test: int
    both: int
    utterances: int


def shared(train: Sequence[Any], test: Sequence[Any]) -> Shared:
    """Count what training and test have in common; missing values (None) are none of it."""
    known = {value for value in train if value is not None}
    heard = {value for value in test if value is not None}
    return Shared(len(known), len(heard), len(known & heard), sum(value in known for value in test))


def recordings(utterances: Sequence[str], duplicate_of: Sequence[str | None]) -> list[str]:
    """Return the first utterance with the same audio, of each utterance; itself where there is no other."""
    return [name if other is None else other for name, other in zip(utterances, duplicate_of, strict=True)]


def script(text: str | None, style: str | None, sentence: str | None) -> str | None:
    """Return what is said: the text as words alone, or the publisher's code of the sentence where it gives none."""
    if text is not None:
        return normalise(text) or None
    # what is improvised has the code of a scene (MSP-Improv), not of a sentence
    return None if style in _UNSCRIPTED else sentence


def scripts(facts: Mapping[str, Sequence[Any]]) -> list[str | None]:
    """Return `script` of every utterance, from ``text``, ``style`` and ``sentence``."""
    return [script(*row) for row in zip(facts["text"], facts["style"], facts["sentence"], strict=True)]
