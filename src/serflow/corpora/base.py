"""What a corpus module gives: utterances as its publisher labels them, and the counts to expect.

Corpus modules use the standard library alone, so that the Snakefile may ask them for titles and counts.
Every module of this package but this one (and those whose names start with ``_``) is a corpus: it has a
``CORPUS`` object, and its file name is its name in ``config.yaml``.
"""

import difflib
import importlib
import math
import os
import re
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from serflow.errors import CorpusError
from serflow.folders import is_folder, why_no_file
from serflow.plugins import plugin_names
from serflow.printable import is_printable, printable
from serflow.state import EVERYTHING

# by preference, where one recording is there in several formats: lossless ones first
AUDIO_SUFFIXES = (
    ".wav", ".flac", ".aiff", ".aif", ".aifc", ".au", ".snd", ".sph", ".nist", ".rf64", ".w64", ".caf",
    ".ogg", ".oga", ".opus", ".mp3",
)  # fmt: skip
AUDIO_FILES = tuple(f"*{suffix}" for suffix in AUDIO_SUFFIXES)
# with a suffix and what a temporary name adds, a name stays within the 255 bytes that file systems take
_LONGEST_ID = 200
_SURROGATE = re.compile("[\ud800-\udfff]")
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Utterance:
    """One labelled utterance. ``None`` where the publisher says nothing.

    ``path`` is relative to the corpus root. ``start`` and ``end`` (s) cut the utterance out of a longer file;
    both are ``None`` where the file is the utterance. ``turn`` orders the utterances of a dialogue from 0.
    ``emotion`` is a word of the list in ``EMOTIONS``; ``ratings`` on their publisher's own scale.
    """

    id: str
    path: str
    speaker: str
    language: str
    start: float | None = None
    end: float | None = None
    session: str | None = None
    dialogue: str | None = None
    turn: int | None = None
    gender: str | None = None
    style: str | None = None
    sentence: str | None = None
    text: str | None = None
    emotion: str | None = None
    intensity: str | None = None
    valence: float | None = None
    activation: float | None = None
    dominance: float | None = None
    sentiment: float | None = None
    valence_ratings: tuple[float, ...] | None = None


_FIELDS = tuple(column.name for column in fields(Utterance))

EMOTIONS = (
    "anger", "anxiety", "boredom", "calm", "disgust", "excitement", "fear", "frustration", "happiness",
    "neutral", "sadness", "surprise", "other", "undecided",
)  # fmt: skip


def some(names: Iterable[str]) -> str:
    """Return the first few names, and how many others there are."""
    listed = list(names)
    left = len(listed) - _EXAMPLES
    return ", ".join(listed[:_EXAMPLES]) + (f" and {left} more" if left > 0 else "")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file or label that was left out, printably. ``utterance`` is empty where the label could not be read.

    ``lost`` says whether the corpus has an utterance less for it, so far as one can tell: not for a copy of what is
    kept, nor for audio without a label, a file of another corpus, or a line that only adds to an utterance. ``absent``
    are labels of audio that is not there, as in a part of a corpus.
    """

    utterance: str
    path: str
    reason: str
    lost: bool = True
    absent: bool = False

    def __post_init__(self) -> None:
        for name in ("utterance", "path", "reason"):
            object.__setattr__(self, name, printable(getattr(self, name)))


def fault_of_id(name: str) -> str | None:
    """Return why an id cannot be a file name; it becomes one."""
    if not name:
        return "is empty"
    if name.startswith("."):
        return "starts with a dot"
    if "/" in name or "\\" in name:
        return "holds a slash"
    if not is_printable(name):
        return "holds control characters"
    if len(name.encode()) > _LONGEST_ID:
        return f"is longer than {_LONGEST_ID} bytes"
    return None


def _fault(utterance: Utterance) -> str | None:
    """Return why no layout can have such an utterance, None where it can be."""
    if why := fault_of_id(utterance.id):
        return f"utterance {printable(utterance.id)[:60]!r} cannot be a file name: it {why}; give it another name"
    if utterance.path.startswith("/") or ".." in utterance.path.split("/"):
        return "the audio lies outside root; name it relative to root"
    if not is_printable(utterance.path):
        return "the name of the file or its folder is not UTF-8 or holds control characters; rename it"
    if not utterance.speaker or not is_printable(utterance.speaker):
        return "no speaker that can be printed"
    for name in _FIELDS:
        value = getattr(utterance, name)
        if isinstance(value, str) and _SURROGATE.search(value):
            return f"{name} is not Unicode text"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name} is not a number"
    return None


@dataclass(slots=True)
class Listing:
    """What a corpus on disk holds: usable utterances in a fixed order, and what was left out and why.

    ``published_total`` is set where the options say how many utterances there should be. ``notes`` say of many labels
    at once what is wrong with them, a sentence each.
    """

    utterances: list[Utterance] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    published_total: int | None = None
    notes: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Move to ``rejected`` what no corpus can have, and all but the first utterance of each id.

        Of those, what says the same again is not lost.
        """
        first: dict[str, Utterance] = {}
        for utterance in self.utterances:
            fault = _fault(utterance)
            kept = utterance if fault else first.setdefault(utterance.id, utterance)
            if kept is not utterance:
                fault = f"duplicate id: {kept.path} has it already; ids must be unique in a corpus"
            if fault is not None:
                lost = kept is utterance or kept != utterance
                self.rejected.append(Rejected(utterance.id, utterance.path, fault, lost))
        self.utterances = list(first.values())


@dataclass(frozen=True, slots=True)
class Count:
    """A published count: utterances per value of ``column``, over utterances whose emotion is in ``among``.

    Where ``complete`` is false, only some values were published and the others are not checked.
    """

    column: str
    counts: Mapping[str, int]
    among: tuple[str, ...] | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class CorpusInfo:
    """Facts of a corpus that need no data: for headings, messages and the size of the DAG.

    ``turns`` says whether its utterances have an order in dialogues. ``reads`` are patterns of the files below the root
    that the layout may read (`serflow.state.stamps`); a change of any other file is none of the corpus.
    """

    title: str
    n_utterances: int | None
    language: str
    licence: str
    address: str
    published: tuple[Count, ...] = ()
    turns: bool = False
    reads: tuple[str, ...] = EVERYTHING


class Corpus(ABC):
    """A corpus: its facts, and how to read its publisher's layout."""

    info: CorpusInfo

    def list(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """List the corpus under ``root``; what an utterance may be is checked here, for all layouts.

        Raises
        ------
        CorpusError
            If ``root`` is not laid out as the publisher ships it, or cannot be read.
        """
        if not is_folder(root):
            why = why_no_file(root) or "it is a file, not a folder"
            raise CorpusError(
                f"{self.info.title}: root is {root}, but {why.replace('no such file', 'no such folder')}; "
                "correct root in config.yaml"
            )
        try:
            with os.scandir(root):
                pass
            listing = self.read(root, options)
        except OSError as error:
            name = root if error.filename is None else os.fsdecode(error.filename)
            raise CorpusError(f"{name}: cannot be read: {error.strerror or error}; make it readable") from error
        listing.settle()
        return listing

    @abstractmethod
    def read(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """Read labels and names of the corpus under ``root``, a folder.

        Raises
        ------
        CorpusError
            If ``root`` is not laid out as the publisher ships it.
        """


def corpus_names() -> list[str]:
    """Return the names of the corpus layouts that this package reads."""
    return plugin_names("serflow.corpora")


def load_corpus(layout: str) -> Corpus:
    """Return the corpus of that layout.

    Raises
    ------
    CorpusError
        If there is no such layout.
    """
    if layout not in corpus_names():
        raise CorpusError(f"no corpus layout {layout!r}; known: {', '.join(corpus_names())}")
    corpus = importlib.import_module(f"serflow.corpora.{layout}").CORPUS
    assert isinstance(corpus, Corpus)
    return corpus


def unknown_name(name: str, known: Iterable[str], what: str) -> str:
    """Return a sentence that refuses ``name`` and offers the nearest known one."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    offer = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"unknown {what} {name!r}: {offer}known: {', '.join(names) or 'none'}"


def refuse_options(options: Mapping[str, Any], known: Iterable[str] = ()) -> None:
    """Refuse options that a layout does not have.

    Raises
    ------
    CorpusError
        Naming the first unknown option and the nearest known one.
    """
    for name in options:
        if name not in known:
            raise CorpusError(unknown_name(name, known, "option of this corpus layout"))


def files_read(info: CorpusInfo, options: Mapping[str, Any]) -> list[str]:
    """Return patterns of the files that a layout may read: its own, and those that its options name (layout ``table``).

    ``audio: samples/{file_id}`` names all files in ``samples``.
    """
    return [*info.reads, *(_pattern(str(options[name])) for name in ("table", "audio") if name in options)]


def _pattern(named: str) -> str:
    """Return a pattern of what an option names, in whatever Unicode form, on whatever system and at whatever root."""
    slashes = unicodedata.normalize("NFC", named).replace("\\", "/")
    pattern = os.path.normpath(re.sub(r"\{[^{}]*\}", "*", slashes)).replace("[", "[[]")
    if pattern.startswith("/"):
        pattern = f"*{pattern.rpartition('/')[2]}"
    return re.sub(r"[^\x00-\x7f]+", "*", pattern)


def counted(listing: Listing, column: str, among: tuple[str, ...] | None = None) -> Counter[str]:
    """Return the utterances per value of a column, over those whose emotion is in ``among``."""
    return Counter(
        str(getattr(utterance, column))
        for utterance in listing.utterances
        if among is None or utterance.emotion in among
    )


def missing_from_published(listing: Listing, info: CorpusInfo) -> list[str]:
    """Say, a line each, where the listing differs from the published counts; empty when it does not."""
    lines = []
    total = info.n_utterances if listing.published_total is None else listing.published_total
    if total is not None and len(listing.utterances) != total:
        lines.append(f"utterances: {len(listing.utterances)} of {total} published")
    for published in info.published:
        found = counted(listing, published.column, published.among)
        among = f" (of {', '.join(published.among)})" if published.among else ""
        for value, count in published.counts.items():
            if found[value] != count:
                lines.append(f"{published.column} {value}{among}: {found[value]} of {count}")
        if published.complete:
            for value in sorted(found.keys() - published.counts.keys()):
                lines.append(f"{published.column} {value}{among}: {found[value]}, none published")
    return lines
