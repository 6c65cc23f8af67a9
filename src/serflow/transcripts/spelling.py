"""Transcripts in the symbols of a CTC head: cleaned, spelt, and read off its frames."""

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

EMPTY = "NULL"
"""Stands for a transcript of which nothing is left (code of Cai et al., 2021)."""


class Spelling:
    """The letters of a tokenizer.

    Parameters
    ----------
    symbols
        What each symbol adds to a transcript: a letter, a blank between words, or nothing.
    blank
        Which is CTC's blank.
    """

    def __init__(self, symbols: Sequence[str], blank: int) -> None:
        self.symbols = list(symbols)
        self.blank = blank
        self._number = {symbol: place for place, symbol in enumerate(symbols) if symbol}
        letters = "".join(self._number)
        self._upper = letters == letters.upper()
        self._lower = letters == letters.lower()

    def clean(self, text: str) -> str:
        """Return a text without what the tokenizer does not know, single blanks between words.

        It is brought into the case of the tokenizer's letters, if they have one; signs are deleted, so that they part
        no words. Where nothing is left it is `EMPTY` (code of Cai et al., 2021).
        """
        cased = text.upper() if self._upper else text.lower() if self._lower else text
        kept = "".join(" " if letter.isspace() else letter for letter in cased if letter.isspace() or self._has(letter))
        return " ".join(kept.split()) or (EMPTY.lower() if self._lower else EMPTY)

    def spell(self, cleaned: str) -> list[int]:
        """Return the symbols of a text that `clean` gave."""
        return [self._number[letter] for letter in cleaned]

    def read(self, best: Iterable[int]) -> str:
        """Return the words of the best symbols of frames: no repetitions, no blanks (Graves et al., ICML 2006)."""
        return " ".join("".join(self.symbols[symbol] for symbol, _ in groupby(best)).split())

    def _has(self, letter: str) -> bool:
        return letter != " " and letter in self._number


def frames_needed(symbols: Sequence[int]) -> int:
    """Return the fewest frames in which CTC can say these symbols: one each, and a blank between two that are alike."""
    return len(symbols) + sum(one == other for one, other in pairwise(symbols))
