"""What was rejected of a corpus: counted by reason, and whether it is too much to go on."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from serflow.corpora._completeness import rejected_examples, some
from serflow.corpora.base import Rejected
from serflow.errors import CorpusError

_SHOWN = 5
_PLACE = re.compile(r"^[^\s:][^:]*:\d+: ")
_HEADLINE_END = re.compile(r": |; | \(")
# what differs from one file or row to the next: quoted words, names of files, numbers
_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|[^\s,;]+[/.\\][^\s,;]+|-?\d+")


def _headline(reason: str) -> str:
    """Return what a reason opens with, without the line of the label file: ``too short``, ``no speaker``."""
    return _HEADLINE_END.split(_PLACE.sub("", reason), maxsplit=1)[0]


def by_reason(rejected: Sequence[Rejected]) -> str:
    """Return rejections counted by reason, the most frequent first: ``9 too short, 3 cannot be read``.

    Reasons that differ only in a name or number are one, with ``…`` in its place.
    """
    groups: dict[str, list[str]] = {}
    for entry in rejected:
        headline = _headline(entry.reason)
        groups.setdefault(_PARTICULAR.sub("…", headline), []).append(headline)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    counted = [
        f"{len(headlines):,} {headlines[0] if len(set(headlines)) == 1 else general}" for general, headlines in ordered
    ]
    left = sum(len(headlines) for _, headlines in ordered[_SHOWN:])
    return ", ".join([*counted[:_SHOWN], *([f"{left:,} for other reasons"] if left else [])])


def lost_note(rejected: Sequence[Rejected], n_accepted: int) -> str | None:
    """Say how many utterances were lost and why; None where none was."""
    lost = [entry for entry in rejected if entry.lost]
    return f"{len(lost):,} of {n_accepted + len(lost):,} utterances rejected ({by_reason(lost)})" if lost else None


def left_out_note(rejected: Sequence[Rejected]) -> str | None:
    """Say what was left out that is no utterance lost; None where nothing was."""
    besides = [entry for entry in rejected if not entry.lost]
    return f"left out without loss: {by_reason(besides)}" if besides else None


def require_few_rejected(
    rejected: Sequence[Rejected], n_accepted: int, max_rejected: float, corpus: str, files: Sequence[Path]
) -> None:
    """Refuse a corpus of which too many utterances were lost.

    Parameters
    ----------
    rejected
        All that was left out.
    n_accepted
        Utterances that were not.
    max_rejected
        Share of all utterances that may be lost, 0 to 1.
    corpus
        Name of the corpus, for the message.
    files
        Where the rejections are listed, for the message.

    Raises
    ------
    CorpusError
        If more were lost; names reasons, examples, files and the key of config.yaml that allows more.
    """
    lost = [entry for entry in rejected if entry.lost]
    total = n_accepted + len(lost)
    if len(lost) <= max_rejected * total:
        return
    share = len(lost) / total
    key = f"corpora.{corpus}.max_rejected"
    examples = "".join(f"\n  {line}" for line in rejected_examples(lost))
    raise CorpusError(
        f"{corpus}: {len(lost):,} of {total:,} utterances rejected ({by_reason(lost)}), {100 * share:.1f} % of them "
        f"where {key} in config.yaml allows {100 * max_rejected:g} %; all are listed in "
        f"{some(map(str, files))}.{examples}"
        f"\nMend the files or labels, or set {key}: {math.ceil(100 * share) / 100:g} to go on without them"
    )
