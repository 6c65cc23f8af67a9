"""From a listing and its prepared audio to the utterance table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from serflow.corpora._completeness import some
from serflow.corpora._rejections import by_reason
from serflow.corpora.base import Rejected
from serflow.errors import CorpusError, StoreError
from serflow.stores.parquet import read_table

SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """An utterance's prepared audio: its length in samples and the shard that holds it."""

    n_samples: int
    shard: str


def read_prepared(shards: Sequence[Path], corpus: str) -> list[tuple[str, Prepared]]:
    """Return the utterances of the audio shards; no audio is read.

    Raises
    ------
    StoreError
        If a shard is absent, damaged, or another corpus's.
    """
    prepared = []
    for path in shards:
        table = read_table(path, kind="audio", expect={"corpus": corpus}, columns=["utterance", "n_samples"])
        for name, n_samples in zip(*(table.column(i).to_pylist() for i in range(2)), strict=True):
            prepared.append((name, Prepared(n_samples, path.stem)))
    return prepared


def accept(
    listing: pa.Table, prepared: Sequence[tuple[str, Prepared]], rejected: Sequence[Rejected], corpus: str
) -> pa.Table:
    """Return the listing's accepted rows with ``duration_s`` and ``shard`` added.

    Parameters
    ----------
    listing
        Table of listed utterances.
    prepared
        Utterances whose audio was accepted.
    rejected
        Utterances whose audio was rejected.
    corpus
        Name of the corpus, for messages.

    Raises
    ------
    StoreError
        If a listed utterance is not accepted or rejected exactly once, or an unlisted one is.
    CorpusError
        If none was accepted.
    """
    listed = listing.column("utterance").to_pylist()
    seen = Counter(name for name, _ in prepared) + Counter(entry.utterance for entry in rejected)
    faults = {
        "neither accepted nor rejected": [name for name in listed if not seen[name]],
        "accepted or rejected more than once": [name for name, count in seen.items() if count > 1],
        "not in the listing": sorted(seen.keys() - set(listed)),
    }
    for fault, names in faults.items():
        if names:
            raise StoreError(
                f"{corpus}: {len(names)} utterances of the prepared audio are {fault}: {some(names)}; "
                f"delete results/audio/{corpus} and run again"
            )
    if not prepared:
        raise CorpusError(
            f"{corpus}: none of the {len(listed)} listed utterances has usable audio ({by_reason(rejected)}); "
            f"look at results/audio/{corpus}/*_rejected.csv, and mend the files or corpora.{corpus}.root in config.yaml"
        )
    audio = dict(prepared)
    accepted = listing.filter(pa.array([name in audio for name in listed]))
    kept = [audio[name] for name in listed if name in audio]
    return accepted.append_column(
        "duration_s", pa.array([entry.n_samples / SAMPLE_RATE_HZ for entry in kept], pa.float64())
    ).append_column("shard", pa.array([entry.shard for entry in kept], pa.string()))
