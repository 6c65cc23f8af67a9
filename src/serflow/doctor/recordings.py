"""The audio of a listing: as a run measured it, as its headers tell, or decoded, by the functions that stages use."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa

from serflow.audio.decode import open_recording
from serflow.audio.prepared import AUDIO_KIND, prepare
from serflow.config import Config
from serflow.corpora._acceptance import SAMPLE_RATE_HZ
from serflow.corpora._tables import listing_table, read_listing, read_rejected
from serflow.corpora.base import Rejected, Utterance, files_read, load_corpus
from serflow.errors import AudioError, StoreError
from serflow.progress import progress
from serflow.state import read_record, stamps
from serflow.stores.parquet import read_groups, read_metadata

HEADERS = "headers"
DECODED = "decoded"
_CUT = ("utterance", "path", "start", "end")
_COLUMNS = (
    "utterance", "n_samples", "source_rate", "source_channels", "source_subtype", "clipped_share", "pcm16_sha256",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sound:
    """The audio of one utterance.

    ``rate`` (Hz), ``channels`` and ``subtype`` (libsndfile's word) are those of its file. Headers alone tell no
    ``clipped_share`` and no ``sha256`` of the prepared samples, and not always ``n_samples``, their number at 16 kHz.
    """

    utterance: str
    n_samples: int | None
    rate: int
    channels: int
    subtype: str
    clipped_share: float | None = None
    sha256: str | None = None


@dataclass(slots=True)
class Sounds:
    """The audio of a listing, and what of it cannot be used; ``how`` it was looked at."""

    how: str
    accepted: list[Sound] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def decoded(self) -> bool:
        """Say whether samples were read, and not headers alone."""
        return self.how != HEADERS


def look_at(config: Config, corpus: str, utterances: Sequence[Utterance], *, decode: bool) -> Sounds:
    """Look at the audio of listed utterances.

    What a run measured is taken where nothing has changed since.

    Parameters
    ----------
    config
        Says where the corpus lies, and how long an utterance may be.
    corpus
        Its name.
    utterances
        What its reader lists.
    decode
        Whether the samples are read where no run has; else the headers are.
    """
    measured = _measured(config, corpus, utterances)
    if measured is not None:
        return measured
    how, look = (DECODED, _decoded) if decode else (HEADERS, _header)
    return _each(config, corpus, utterances, how, look)


def _each(
    config: Config,
    corpus: str,
    utterances: Sequence[Utterance],
    how: str,
    look: Callable[[Config, Path, Utterance], Sound],
) -> Sounds:
    root = config.root(corpus)
    sounds = Sounds(how)
    for utterance in progress(utterances, len(utterances), f"{corpus}: {how}"):
        try:
            sounds.accepted.append(look(config, root / utterance.path, utterance))
        except AudioError as error:
            sounds.rejected.append(Rejected(utterance.id, utterance.path, str(error)))
    return sounds


def _header(config: Config, path: Path, utterance: Utterance) -> Sound:
    limits = config.audio.model_dump(include={"min_duration_s", "max_duration_s"})
    with open_recording(path, utterance.start, utterance.end, **limits) as recording:
        seconds = recording.duration_s
        n_samples = None if seconds is None else round(SAMPLE_RATE_HZ * seconds)
        return Sound(utterance.id, n_samples, recording.rate, recording.channels, recording.subtype)


def _decoded(config: Config, path: Path, utterance: Utterance) -> Sound:
    limits = config.audio.model_dump(include={"min_duration_s", "max_duration_s"})
    made = prepare(utterance.id, path, utterance.start, utterance.end, **limits)
    sha256 = hashlib.sha256(made.pcm16.astype("<i2", copy=False).data).hexdigest()
    return Sound(
        utterance.id,
        len(made.pcm16),
        made.source_rate,
        made.source_channels,
        made.source_subtype,
        made.clipped_share,
        sha256,
    )


def _measured(config: Config, corpus: str, utterances: Sequence[Utterance]) -> Sounds | None:
    """Return what a run measured, or None where there was none or something has changed since."""
    with suppress(StoreError, KeyError):
        made = _unchanged(config, corpus, utterances)
        if made is not None:
            sounds = _read_shards(config, corpus, f"as the run of {made} measured it")
            known = {sound.utterance for sound in sounds.accepted} | {entry.utterance for entry in sounds.rejected}
            if known == {utterance.id for utterance in utterances}:
                return sounds
    return None


def _unchanged(config: Config, corpus: str, utterances: Sequence[Utterance]) -> date | None:
    """Return when a run accepted the utterances of a corpus; None where files, labels or limits are others now."""
    folder = Path("results/corpora") / corpus
    table = folder / "utterances.parquet"
    # of a stand-in nothing records what was read
    if config.is_synthetic(corpus) or not table.is_file():
        return None
    stock = read_record(folder / "files.json")
    info = load_corpus(config.layout(corpus)).info
    found = stamps(config.root(corpus), files_read(info, config.reader_options(corpus)))
    if stock is None or {name: known.stamp for name, known in stock.files.items()} != found:
        return None
    if read_metadata(table)["content"] != stock.content:
        return None
    listed: pa.Table = read_listing(folder / "listing.parquet", _CUT)
    if not listed.equals(listing_table(utterances).select(_CUT)):
        return None
    return date.fromtimestamp(table.stat().st_mtime)


def _read_shards(config: Config, corpus: str, how: str) -> Sounds:
    """Read what shards of prepared audio say of their utterances, and not the audio.

    Raises
    ------
    StoreError
        If one is absent, damaged, or was made with other limits.
    """
    limits = config.audio.model_dump(include={"min_duration_s", "max_duration_s"})
    n_shards = config.n_shards(corpus)
    sounds = Sounds(how)
    for shard in range(n_shards):
        path = Path("results/audio") / corpus / f"{shard:04d}.parquet"
        said = read_metadata(path)
        if (said["kind"], said["n_shards"], said["options"]) != (AUDIO_KIND, n_shards, limits):
            raise StoreError(f"{path}: was made with other settings; delete it and run again")
        for group in read_groups(path, columns=_COLUMNS):
            columns = (group.column(name).to_pylist() for name in _COLUMNS)
            sounds.accepted += [Sound(*row) for row in zip(*columns, strict=True)]
        sounds.rejected += read_rejected(path.with_name(f"{path.stem}_rejected.csv"))
    return sounds
