"""Finding the audio files of a corpus, once, by name."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from serflow.corpora.base import Rejected
from serflow.errors import CorpusError

SUFFIXES = (".wav", ".flac")


def require_folder(root: Path, title: str) -> None:
    """Refuse a root that is not a folder.

    Raises
    ------
    CorpusError
        If it is not.
    """
    if not root.is_dir():
        what = "it is a file, not a folder" if root.exists() else "there is no such folder"
        raise CorpusError(f"{title}: root is {root}, but {what}; correct root in config.yaml")


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Walk folders in order, through links but never twice, without hidden folders and macOS leftovers."""
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        yield Path(folder), sorted(name for name in files if not name.startswith("."))


def audio_files(root: Path) -> list[Path]:
    """Return the WAV and FLAC files under ``root``, relative to it, in order.

    Names that start with a dot (the ``._*`` shadow files of macOS) are no audio and are passed over.
    """
    return [
        (folder / name).relative_to(root)
        for folder, names in _walk(root)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES
    ]


def find_file(root: Path, names: tuple[str, ...]) -> Path | None:
    """Return the least deeply nested file under ``root`` that has one of ``names``, or None."""
    found = [folder / name for folder, files in _walk(root) for name in files if name in names]
    return min(found, key=lambda path: (len(path.parts), path), default=None)


def text_files(folder: Path, suffix: str) -> list[Path]:
    """Return the files of ``suffix`` directly in ``folder``, in order, without ``._*`` shadow files."""
    return sorted(path for path in folder.glob(f"*{suffix}") if path.is_file() and not path.name.startswith("."))


def read_lines(path: Path) -> list[str]:
    """Return the lines of a label file; bytes that are not UTF-8 are read as ISO-8859-1.

    Raises
    ------
    CorpusError
        If the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror or error}; make the file readable") from error
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return content.decode("iso-8859-1").splitlines()


@dataclass(slots=True)
class AudioIndex:
    """Audio files by stem, relative to the root; and those passed over, with the reason."""

    paths: dict[str, Path] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)

    def unused(self, used: set[str], reason: str) -> list[Rejected]:
        """Return a rejection for each file whose stem is not in ``used``."""
        return [Rejected("", path.as_posix(), reason) for stem, path in self.paths.items() if stem not in used]


def _preference(path: Path) -> tuple[bool, int, str]:
    return path.suffix.lower() != ".wav", len(path.parts), path.as_posix()


def index_audio(root: Path, below: Path | None = None) -> AudioIndex:
    """Index the audio under ``root`` (or its folder ``below``) by stem; paths are relative to ``root``.

    A stem that occurs twice is the same recording copied or converted: WAV is preferred to FLAC, then the
    less deeply nested file, and the other one is rejected. So is a file whose path is not UTF-8, since no
    table can hold it.
    """
    start = root if below is None else below
    index = AudioIndex()
    for path in sorted((start.relative_to(root) / path for path in audio_files(start)), key=_preference):
        try:
            name = path.as_posix()
            name.encode()
        except UnicodeEncodeError:
            readable = name.encode("utf-8", "backslashreplace").decode()
            reason = "the name of the file or its folder is not UTF-8; rename it (file names alone carry the labels)"
            index.rejected.append(Rejected("", readable, reason))
            continue
        kept = index.paths.setdefault(path.stem, path)
        if kept is not path:
            index.rejected.append(Rejected("", name, f"same name as {kept.as_posix()}, which is used"))
    index.paths = dict(sorted(index.paths.items()))
    return index
