"""What a result is made from: stand-ins, partial corpora, warnings and digests, gathered from the inputs themselves.

Each artefact says what it is in its own metadata. A run takes it over from what it reads, and tables from the runs, so
that nobody has to ask again for corpora, clips and weights to know whether something was synthetic.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from serflow.errors import StoreError
from serflow.files import read_sealed_json
from serflow.protocols.folds import FoldRows
from serflow.protocols.shared import recordings, shared
from serflow.stores.parquet import read_metadata, read_table

KINDS = ("corpus", "noise", "weights")
NOISE = "ESC-50"
_RECORD = ".json"


class Provenance(NamedTuple):
    """What something is made from.

    Parameters
    ----------
    stand_ins
        Names of the stand-ins by kind (`KINDS`).
    partial
        Corpora with fewer utterances than published, and `NOISE` with fewer clips.
    remarks
        What a reader should know besides.
    sources
        SHA-256 of the data of each input, by the name that the run knows it by.
    raised_db
        What was added to the SNRs (dB) that noise profiles ask for, where anything was: a stand-in's
        ``synthetic.snr_offset_db``.
    """

    stand_ins: Mapping[str, tuple[str, ...]] = {}
    partial: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    sources: Mapping[str, str] = {}
    raised_db: tuple[float, ...] = ()

    @property
    def partial_corpora(self) -> tuple[str, ...]:
        """Corpora with fewer utterances than published."""
        return tuple(name for name in self.partial if name != NOISE)

    @property
    def partial_noise(self) -> bool:
        """Whether noise is drawn from fewer clips than published."""
        return NOISE in self.partial

    def to_json(self) -> dict[str, Any]:
        """Return it as plain lists and mappings."""
        return {
            "stand_ins": {kind: list(names) for kind, names in self.stand_ins.items()},
            "partial": list(self.partial),
            "remarks": list(self.remarks),
            "sources": dict(self.sources),
            "raised_db": list(self.raised_db),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Provenance":
        """Return what `to_json` gave.

        Raises
        ------
        StoreError
            If a part is absent: another version wrote it.
        """
        if absent := [name for name in cls._fields if name not in content]:
            raise StoreError(
                f"a provenance without {', '.join(absent)}, as another version of serflow wrote it; make it again"
            )
        return cls(
            {kind: tuple(names) for kind, names in content["stand_ins"].items()},
            tuple(content["partial"]),
            tuple(content["remarks"]),
            dict(content["sources"]),
            tuple(content["raised_db"]),
        )


def joined(parts: Iterable[Provenance]) -> Provenance:
    """Return what several things are made from, each name and remark once; sources of one name must be told apart."""
    stand_ins: dict[str, dict[str, None]] = {}
    partial: dict[str, None] = {}
    remarks: dict[str, None] = {}
    sources: dict[str, str] = {}
    raised: dict[float, None] = {}
    for part in parts:
        for kind, names in part.stand_ins.items():
            stand_ins.setdefault(kind, {}).update(dict.fromkeys(names))
        partial.update(dict.fromkeys(part.partial))
        remarks.update(dict.fromkeys(part.remarks))
        sources.update(part.sources)
        raised.update(dict.fromkeys(part.raised_db))
    ordered = {kind: tuple(stand_ins[kind]) for kind in KINDS if stand_ins.get(kind)}
    return Provenance(ordered, tuple(partial), tuple(remarks), sources, tuple(raised))


def gather(inputs: Mapping[str, Path | Sequence[Path]]) -> Provenance:
    """Return what a run is made from.

    Parameters
    ----------
    inputs
        Parquet files by name: utterance tables, splits, noise plans, packed stores, pitch pulses, predictions of other
        runs; and records of weights (JSON).

    Raises
    ------
    StoreError
        If one is absent, or was not written by serflow.
    """
    parts = []
    pulses = []
    for name, paths in inputs.items():
        for place, path in enumerate([paths] if isinstance(paths, Path) else paths):
            source = name if isinstance(paths, Path) else f"{name}/{place}"
            if path.suffix == _RECORD:
                parts.append(_of_weights(path, source))
                continue
            metadata = read_metadata(path)
            sources = {source: metadata["data_sha256"]}
            if "array_sha256" in metadata:
                # the table of a packed store says whose frames are where in its array
                sources[f"{source}/array"] = metadata["array_sha256"]
            if metadata["kind"] == "pulses":
                pulses.append(metadata)
            parts.append(_of_file(metadata)._replace(sources=sources))
    return joined([*parts, _of_pulses(pulses)])


def same_audio(
    inputs: Mapping[str, Path | Sequence[Path]], utterances: Sequence[str], fits: Iterable[FoldRows]
) -> Provenance:
    """Say how many utterances are tested on whose very audio was trained on, where there are any.

    Parameters
    ----------
    inputs
        As `gather` takes them; the utterance tables among them tell whose audio is the same.
    utterances
        Names, which the rows of the fits count.
    fits
        Who is trained and tested on.

    Raises
    ------
    StoreError
        If a table is damaged.
    """
    duplicate_of: dict[str, str | None] = {}
    for paths in inputs.values():
        for path in [paths] if isinstance(paths, Path) else paths:
            if path.suffix != _RECORD and read_metadata(path)["kind"] == "utterances":
                table = read_table(path, columns=["utterance", "duplicate_of"])
                duplicate_of.update(zip(*(table.column(i).to_pylist() for i in range(2)), strict=True))
    audio = recordings(utterances, [duplicate_of.get(name) for name in utterances])
    most, n_test = max(
        (
            (shared([audio[row] for row in fit.train], [audio[row] for row in fit.test]).utterances, len(fit.test))
            for fit in fits
        ),
        default=(0, 0),
    )
    said = f"the same audio is in training and test: of up to {most:,} of {n_test:,} test utterances of a fit"
    return Provenance(remarks=(said,) if most else ())


def _of_file(metadata: Mapping[str, Any]) -> Provenance:
    kind = metadata["kind"]
    if kind == "utterances":
        return _of_corpus(metadata)
    if kind == "noise_plan":
        return _of_plan(metadata)
    if "provenance" in metadata:
        return Provenance.from_json(metadata["provenance"])
    networks = [*([metadata] if "weights" in metadata else []), metadata.get("transcripts") or {}]
    names = tuple(
        network["weights"]["backbone"] for network in networks if network.get("weights", {}).get("synthetic", False)
    )
    return Provenance({"weights": names} if names else {})


def _of_plan(metadata: Mapping[str, Any]) -> Provenance:
    offset = metadata["snr_offset_db"]
    remarks = [f"noise: {warning}" for warning in metadata["clip_warnings"]]
    if offset:
        remarks.append(f"noise: {offset:g} dB added to the SNRs of the profile (synthetic.snr_offset_db)")
    return Provenance(
        {"noise": (NOISE,)} if metadata["synthetic_clips"] else {},
        # a stand-in is as large as it is made
        (NOISE,) if metadata["clip_warnings"] and not metadata["synthetic_clips"] else (),
        remarks=tuple(remarks),
        raised_db=(offset,) if offset else (),
    )


def _of_weights(path: Path, source: str) -> Provenance:
    """Return what a record of weights says of them; the digests are those of their files."""
    record = read_sealed_json(path)
    if not record.keys() >= {"backbone", "synthetic", "files"}:
        raise StoreError(f"{path}: not a record of weights; give one of resources/weights")
    sources = {f"{source}/{name}": digest for name, digest in record["files"].items()}
    return Provenance({"weights": (record["backbone"],)} if record["synthetic"] else {}, sources=sources)


def _of_pulses(shards: Sequence[Mapping[str, Any]]) -> Provenance:
    """Say in how many utterances of each corpus Praat finds no pulse, where there are any."""
    without, of_all = Counter[str](), Counter[str]()
    for shard in shards:
        without[shard["corpus"]] += shard["n_without"]
        of_all[shard["corpus"]] += shard["n_utterances"]
    return Provenance(
        remarks=tuple(
            f"no pitch pulse in {count:,} of {of_all[corpus]:,} utterances of {corpus}"
            for corpus, count in without.items()
            if count
        )
    )


def _of_corpus(metadata: Mapping[str, Any]) -> Provenance:
    corpus = metadata["corpus"]
    return Provenance(
        {"corpus": (corpus,)} if metadata["synthetic"] else {},
        (corpus,) if metadata["partial"] else (),
        tuple(map(str, metadata["warnings"])),
    )
