"""What a reader of a table must know of the data in it: whether they are synthetic, partial, or cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serflow.errors import ConfigError, StoreError
from serflow.stores import parquet


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """A corpus of a table, as its utterance table describes it."""

    name: str
    title: str
    synthetic: bool
    partial: bool
    remarks: tuple[str, ...]
    synthetic_noise: bool = False

    @property
    def label(self) -> str:
        """Title with a mark where the data are not the publisher's whole corpus, or the noise is a stand-in."""
        if self.synthetic:
            return f"{self.title} (synthetic)"
        marks = ["partial"] * self.partial + ["synthetic noise"] * self.synthetic_noise
        return f"{self.title} ({', '.join(marks)})" if marks else self.title


@dataclass(frozen=True, slots=True)
class NoiseFacts:
    """The noise clips of a table, as their file describes them."""

    synthetic: bool
    remarks: tuple[str, ...]


def read_noise(clips: Path) -> NoiseFacts:
    """Read what the noise clips' metadata says of them.

    Raises
    ------
    StoreError
        If the file is absent or damaged.
    """
    metadata = parquet.check(clips, "clips")
    return NoiseFacts(bool(metadata["synthetic"]), tuple(f"noise: {warning}" for warning in metadata["warnings"]))


def _remarks(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    counts = metadata["counts"]
    remarks = [str(warning) for warning in metadata["warnings"]]
    if counts["rejected"]:
        seen = counts["accepted"] + counts["rejected"]
        remarks.append(f"{counts['rejected']:,} of {seen:,} listed utterances rejected")
    return tuple(remarks)


def read_corpora(
    corpora: Sequence[Mapping[str, Any]], utterances: Sequence[Path], noise: NoiseFacts | None = None
) -> dict[str, CorpusFacts]:
    """Join what the configuration says of the corpora with the metadata of their utterance tables.

    Parameters
    ----------
    corpora
        ``name``, ``title``, ``synthetic`` and ``departures`` (where settings are not the paper's; may be absent) of
        each corpus, in the order of the table.
    utterances
        ``utterances.parquet`` files, in any order.
    noise
        The clips that the corpora were overlaid with, if any.

    Raises
    ------
    StoreError
        If a corpus has no utterance table, or the table was made from other data than configured.
    ConfigError
        If two corpora would have the same heading.
    """
    found = {}
    for path in utterances:
        metadata = parquet.check(path, "utterances")
        found[metadata["corpus"]] = (path, metadata)
    facts: dict[str, CorpusFacts] = {}
    for corpus in corpora:
        name = corpus["name"]
        if name not in found:
            raise StoreError(f"no utterances.parquet of corpus {name!r} is given; build corpora/{name} and give it too")
        path, metadata = found[name]
        if bool(metadata["synthetic"]) != bool(corpus["synthetic"]):
            raise StoreError(
                f"{path}: synthetic is {metadata['synthetic']} where the configuration says {corpus['synthetic']}; "
                "delete it and run the same command again"
            )
        facts[name] = CorpusFacts(
            name=name,
            title=corpus["title"],
            synthetic=bool(metadata["synthetic"]),
            partial=bool(metadata["partial"]),
            remarks=(*corpus.get("departures", ()), *_remarks(metadata)),
            synthetic_noise=noise is not None and noise.synthetic,
        )
    labels = [fact.label for fact in facts.values()]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"config.yaml: corpora: two corpora have the title {label!r}; give one of them another")
    return facts
