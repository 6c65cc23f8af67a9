"""Whether a listing is the whole corpus as published."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from serflow.corpora.base import CorpusInfo, Listing, Rejected, missing_from_published
from serflow.errors import CorpusError

_EXAMPLES = 5


def some(names: Iterable[str]) -> str:
    """Return the first few names in order, and how many others there are."""
    ordered = sorted(names)
    left = len(ordered) - _EXAMPLES
    return ", ".join(ordered[:_EXAMPLES]) + (f" and {left} more" if left > 0 else "")


def rejected_examples(rejected: Sequence[Rejected]) -> list[str]:
    """Return a line for each of the first few rejections, and one that counts the others."""
    lines = [f"{entry.utterance or '-'} ({entry.path}): {entry.reason}" for entry in rejected[:_EXAMPLES]]
    left = len(rejected) - len(lines)
    return [*lines, *([f"... and {left} more"] if left else [])]


def _indented(lines: Sequence[str]) -> str:
    return "".join(f"\n  {line}" for line in lines)


def require_utterances(listing: Listing, corpus: str, root: Path) -> None:
    """Refuse an empty listing.

    Raises
    ------
    CorpusError
        If there is no utterance.
    """
    if not listing.utterances:
        raise CorpusError(
            f"{corpus}: no usable utterance in {root}; correct corpora.{corpus}.root in config.yaml. Left out:"
            f"{_indented(rejected_examples(listing.rejected)) or ' nothing'}"
        )


def require_nothing_rejected(listing: Listing, corpus: str) -> None:
    """Refuse a stand-in corpus of which something was left out: its writer and reader disagree.

    Raises
    ------
    CorpusError
        If anything was rejected.
    """
    if listing.rejected:
        raise CorpusError(
            f"{corpus}: {len(listing.rejected)} of the stand-in's files or labels were rejected; "
            f"delete the stand-in and run again:{_indented(rejected_examples(listing.rejected))}"
        )


def differences_from_published(
    listing: Listing, info: CorpusInfo, corpus: str, title: str, root: Path, allow_partial: bool
) -> list[str]:
    """Compare a listing with the published counts and return the differences, a line each.

    Raises
    ------
    CorpusError
        If there are differences and ``allow_partial`` is false; the message lists them by session, speaker
        and class, and the key of config.yaml that accepts them.
    """
    differences = missing_from_published(listing, info)
    if differences and not allow_partial:
        rejected = (
            f"\n{len(listing.rejected)} files or labels were left out:{_indented(rejected_examples(listing.rejected))}"
        )
        raise CorpusError(
            f"{corpus}: what lies in {root} differs from the published counts of {title}:"
            f"{_indented(differences)}"
            f"{rejected if listing.rejected else ''}"
            f"\nComplete the corpus ({info.address}; licence: {info.licence}), "
            f"or set corpora.{corpus}.allow_partial: true in config.yaml to go on"
        )
    return differences
