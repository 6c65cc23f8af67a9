"""Corpora whose labels are in their file names."""

import re
from collections.abc import Callable
from pathlib import Path

from serflow.corpora._audio_files import index_audio
from serflow.corpora.base import Listing, Rejected, Utterance
from serflow.errors import CorpusError


def list_by_name(
    root: Path,
    title: str,
    pattern: re.Pattern[str],
    example: str,
    utterance: Callable[[re.Match[str], str], Utterance],
) -> Listing:
    """List the audio under ``root`` whose stem matches ``pattern``, in the order of the names.

    Parameters
    ----------
    root
        Folder of the corpus; files are found at any depth, folder names mean nothing.
    title
        Name of the corpus, for messages.
    pattern
        What a whole stem looks like.
    example
        A file name of the corpus, for messages.
    utterance
        Makes an utterance of a match and the path relative to ``root``.

    Raises
    ------
    CorpusError
        If no file under ``root`` matches.
    """
    index = index_audio(root)
    listing = Listing(rejected=index.rejected)
    for stem, path in index.paths.items():
        match = pattern.fullmatch(stem)
        if match is None:
            reason = f"not a file name of {title} (they look like {example})"
            listing.rejected.append(Rejected("", path.as_posix(), reason, lost=False))
        else:
            listing.utterances.append(utterance(match, path.as_posix()))
    if not listing.utterances:
        first = next(iter(listing.rejected), None)
        seen = f"left out there, e.g. {first.path}: {first.reason}" if first else "there is no audio file"
        raise CorpusError(
            f"{title}: no file like {example} in {root} or its folders; {seen}. "
            "Point root at the folder that the publisher's archive was unpacked to"
        )
    return listing
