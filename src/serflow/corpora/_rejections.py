"""What was rejected of a corpus: counted by reason, and whether it is too much to go on."""

from collections.abc import Sequence
from pathlib import Path

from serflow.corpora._completeness import rejected_examples
from serflow.corpora.base import Rejected, some
from serflow.errors import CorpusError
from serflow.reasons import by_reason


def lost_note(rejected: Sequence[Rejected], n_accepted: int) -> str | None:
    """Say how many utterances were lost and why; None where none was."""
    reasons = [entry.reason for entry in rejected if entry.lost]
    n_labelled = n_accepted + len(reasons)
    return f"{len(reasons):,} of {n_labelled:,} utterances rejected ({by_reason(reasons)})" if reasons else None


def left_out_note(rejected: Sequence[Rejected]) -> str | None:
    """Say what was left out that is no utterance lost; None where nothing was."""
    reasons = [entry.reason for entry in rejected if not entry.lost]
    return f"left out without loss: {by_reason(reasons)}" if reasons else None


def too_many_lost(
    rejected: Sequence[Rejected], n_accepted: int, max_rejected: float, *, allow_partial: bool
) -> list[Rejected]:
    """Return the utterances that were lost if they are too many to go on, else none; see `require_few_rejected`."""
    lost = [entry for entry in rejected if entry.lost and not (allow_partial and entry.absent)]
    few = len(lost) <= max(max_rejected * (n_accepted + len(lost)), max_rejected > 0)
    return [] if few else lost


def share_to_allow(n_lost: int, total: int) -> float:
    """Return the least ``max_rejected``, in hundredths, that lets a corpus pass with so many lost."""
    return -(-100 * n_lost // total) / 100


def require_few_rejected(
    rejected: Sequence[Rejected],
    n_accepted: int,
    max_rejected: float,
    corpus: str,
    files: Sequence[Path],
    *,
    allow_partial: bool,
) -> None:
    """Refuse a corpus of which too many utterances were lost.

    Parameters
    ----------
    rejected
        All that was left out.
    n_accepted
        Utterances that were not.
    max_rejected
        Share of all utterances that may be lost, 0 to 1; one utterance always may, unless it is 0.
    corpus
        Name of the corpus, for the message.
    files
        Where the rejections are listed, for the message.
    allow_partial
        Audio that is not there does not count, neither as lost nor among all.

    Raises
    ------
    CorpusError
        If more were lost; names reasons, examples, files and the keys of config.yaml that allow more.
    """
    lost = too_many_lost(rejected, n_accepted, max_rejected, allow_partial=allow_partial)
    if not lost:
        return
    total = n_accepted + len(lost)
    key = f"corpora.{corpus}.max_rejected"
    examples = "".join(f"\n  {line}" for line in rejected_examples(lost))
    n_absent = sum(entry.absent for entry in lost)
    part = (
        f", or corpora.{corpus}.allow_partial: true for the {n_absent:,} whose audio is not there" if n_absent else ""
    )
    raise CorpusError(
        f"{corpus}: {lost_note(lost, n_accepted)}, {100 * len(lost) / total:.1f} % of them where {key} in config.yaml "
        f"allows {100 * max_rejected:g} %; all are listed in {some(map(str, files))}.{examples}"
        f"\nMend the files or labels, or set {key}: {share_to_allow(len(lost), total):g} to go on without them{part}"
    )
