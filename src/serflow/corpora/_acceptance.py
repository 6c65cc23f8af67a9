"""From a listing and its prepared audio to the utterance table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from serflow.corpora.base import Rejected, some
from serflow.errors import CorpusError, StoreError
from serflow.reasons import by_reason
from serflow.stores.parquet import read_table

SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """An utterance's prepared audio: its length, its shard, a digest of its samples, and what its file was like.

    ``source_subtype`` and ``clipped_share`` are those of `serflow.audio.prepared.PreparedUtterance`.
    """

    n_samples: int
    shard: str
    sha256: str
    source_subtype: str
    clipped_share: float


def read_prepared(shards: Sequence[Path], corpus: str) -> list[tuple[str, Prepared]]:
    """Return the utterances of the audio shards; no audio is read.

    Raises
    ------
    StoreError
        If a shard is absent, damaged, or another corpus's.
    """
    columns = ["utterance", "n_samples", "pcm16_sha256", "source_subtype", "clipped_share"]
    prepared = []
    for path in shards:
        table = read_table(path, kind="audio", expect={"corpus": corpus}, columns=columns)
        for name, n_samples, *about in zip(*(table.column(column).to_pylist() for column in columns), strict=True):
            prepared.append((name, Prepared(n_samples, path.stem, *about)))
    return prepared


def accept(
    listing: pa.Table, prepared: Sequence[tuple[str, Prepared]], rejected: Sequence[Rejected], corpus: str
) -> pa.Table:
    """Return the listing's accepted rows with ``duration_s``, ``shard`` and ``duplicate_of`` added.

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
        told = by_reason(entry.reason for entry in rejected)
        raise CorpusError(
            f"{corpus}: none of the {len(listed)} listed utterances has usable audio ({told}); "
            f"look at results/audio/{corpus}/*_rejected.csv, and mend the files or corpora.{corpus}.root in config.yaml"
        )
    audio = dict(prepared)
    accepted = listing.filter(pa.array([name in audio for name in listed]))
    names = [name for name in listed if name in audio]
    kept = [audio[name] for name in names]
    first: dict[str, str] = {}
    for name, entry in zip(names, kept, strict=True):
        first.setdefault(entry.sha256, name)
    same = [first[entry.sha256] for entry in kept]
    columns = {
        "duration_s": pa.array([entry.n_samples / SAMPLE_RATE_HZ for entry in kept], pa.float64()),
        "shard": pa.array([entry.shard for entry in kept], pa.string()),
        "duplicate_of": pa.array(
            [None if name == other else other for name, other in zip(names, same, strict=True)], pa.string()
        ),
    }
    for column, values in columns.items():
        accepted = accepted.append_column(column, values)
    return accepted
