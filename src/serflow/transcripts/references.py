"""What was said, as far as a corpus tells: the texts of its utterances, and whether they will do."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from serflow.audio.prepared import AUDIO_KIND
from serflow.corpora._tables import UTTERANCES_KIND
from serflow.errors import ConfigError, StoreError
from serflow.stores.parquet import iterate_batches
from serflow.transcripts.words import normalise

REFERENCE = "reference"
ENGLISH = "en"


class References(NamedTuple):
    """``texts`` of a shard's utterances, normalised, None where there is none; ``languages`` of all of the corpus."""

    texts: Mapping[str, str | None]
    languages: Mapping[str, int]


def read_references(utterances: Path, audio: Path, corpus: str) -> References:
    """Return the texts of the utterances of a shard of audio; the table is read a row group at a time.

    Parameters
    ----------
    utterances
        The corpus's utterances.parquet.
    audio
        Shard of prepared audio.
    corpus
        Name of the corpus.

    Raises
    ------
    StoreError
        If a file is damaged or of another corpus, or an utterance stands in the shard and not in the table.
    """
    shard = iterate_batches(audio, kind=AUDIO_KIND, columns=["utterance"])
    names = dict.fromkeys(name for batch in shard for name in batch.column("utterance").to_pylist())
    texts: dict[str, str | None] = {}
    languages: Counter[str] = Counter()
    columns = ["utterance", "language", "text"]
    for batch in iterate_batches(utterances, kind=UTTERANCES_KIND, expect={"corpus": corpus}, columns=columns):
        for row in batch.to_pylist():
            languages[row["language"]] += 1
            if row["utterance"] in names:
                texts[row["utterance"]] = None if row["text"] is None else normalise(row["text"])
    missing = [name for name in names if name not in texts]
    if missing:
        raise StoreError(
            f"{utterances}: no row for utterance {missing[0]!r} of {audio}; delete both and run the same command again"
        )
    return References(texts, languages)


def check_language(references: References, recogniser: str, utterances: Path, corpus: str) -> None:
    """Refuse a corpus that is not all in English, which is what the recognisers were trained on.

    Raises
    ------
    ConfigError
        Naming the languages.
    """
    others = {
        name: count
        for name, count in references.languages.items()
        if name.replace("_", "-").partition("-")[0].lower() != ENGLISH
    }
    if others:
        named = ", ".join(f"{count} in {name}" for name, count in sorted(others.items()))
        raise ConfigError(
            f"{utterances}: {recogniser} knows English ({ENGLISH}) alone, and of the utterances of {corpus} {named}; "
            f"set `dlc.asr: {REFERENCE}`, take {corpus} out of dlc.corpora, or, if only its table does not say so, set "
            f"corpora.{corpus}.language: {ENGLISH}"
        )


def check_complete(references: References, utterances: Path, corpus: str) -> None:
    """Refuse a shard whose utterances do not all have a text, where the text is to be the transcript.

    Raises
    ------
    ConfigError
        Naming the first that has none.
    """
    missing = [name for name, text in references.texts.items() if text is None]
    if missing:
        raise ConfigError(
            f"{utterances}: {len(missing)} of {len(references.texts)} utterances of {corpus} in this shard, first "
            f"{missing[0]!r}, have no text to take as a transcript; set `dlc.asr: deepspeech` or `wav2vec2`, or take "
            f"{corpus} out of dlc.corpora"
        )
