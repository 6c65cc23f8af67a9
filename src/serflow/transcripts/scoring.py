"""Word and character error rates (through jiwer), of an utterance and of many."""

from typing import NamedTuple

from serflow.transcripts.words import normalise


class Errors(NamedTuple):
    """Edits (substitutions, deletions, insertions) between references and transcripts, and the references' lengths.

    Characters include the blanks between words, as jiwer counts them. Errors of several utterances are added up with
    `plus`, so that a long one weighs more than a short one.
    """

    word_edits: int = 0
    words: int = 0
    character_edits: int = 0
    characters: int = 0

    def plus(self, other: "Errors") -> "Errors":
        """Return the errors of both together."""
        return Errors(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def wer(self) -> float:
        """Word error rate, 0 or more: edits a word of the reference.

        An empty reference counts as one word, as in jiwer: the rate is the number of words that were made up.
        """
        return self.word_edits / max(1, self.words)

    @property
    def cer(self) -> float:
        """Character error rate, as `wer`."""
        return self.character_edits / max(1, self.characters)


def count_errors(reference: str, text: str) -> Errors:
    """Compare a transcript with its reference; both are normalised first.

    Source: minimum edit distance over words and over characters, as `jiwer` 4 computes it.
    """
    import jiwer

    wanted, found = normalise(reference), normalise(text)
    words = jiwer.process_words(wanted, found)
    characters = jiwer.process_characters(wanted, found)
    return Errors(
        words.substitutions + words.deletions + words.insertions,
        words.hits + words.substitutions + words.deletions,
        characters.substitutions + characters.deletions + characters.insertions,
        characters.hits + characters.substitutions + characters.deletions,
    )
