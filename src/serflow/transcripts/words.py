"""Words as they are compared: small letters, no punctuation, one blank between two of them."""

import re
import unicodedata

_EVENT = re.compile(r"\[[^\]]*\]")
_APOSTROPHES = str.maketrans("\u2019\u02bc\uff07", "'''")
_WORD_CLASSES = "LMN"
"""Unicode's letters, marks (vowel signs and accents that stand by themselves) and numbers."""


def normalise(text: str) -> str:
    """Return a text as words alone, for scoring and as a transcript.

    Small letters of every alphabet and digits are kept, accents too. Apostrophes are kept inside words
    (``don't``) and go elsewhere. Hyphens and all other signs part words. What stands in square brackets
    (``[LAUGHTER]``) is no word and goes. Numbers are not spelt out.
    """
    plain = unicodedata.normalize("NFC", _EVENT.sub(" ", text)).translate(_APOSTROPHES).lower()
    kept = "".join(
        letter if letter == "'" or unicodedata.category(letter)[0] in _WORD_CLASSES else " " for letter in plain
    )
    return " ".join(word for word in (part.strip("'") for part in kept.split()) if word)
