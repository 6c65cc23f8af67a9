"""Finding files by the names that somebody wrote down, where file systems and spreadsheets have changed them."""

import os
import re
import unicodedata
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote

from serflow.corpora._audio_files import files_of
from serflow.corpora._values import AbsentError, UnusableError
from serflow.corpora.base import AUDIO_SUFFIXES
from serflow.folders import is_folder, why_no_file
from serflow.printable import shown

# what a table may name where the audio was converted since, or was taken from a video
_MEDIA = {
    *AUDIO_SUFFIXES, ".aac", ".amr", ".avi", ".flv", ".m4a", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm", ".wma",
}  # fmt: skip
# quotation marks and dashes as word processors set them; what Windows takes no file name with
_ALIKE = str.maketrans(
    dict.fromkeys('*?"<>|:\u201c\u201d\u201e', "_")
    | dict.fromkeys("\u2018\u2019\u201a\u2032", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
)
_ABSENT = "there is no such file"
_DASHES = re.compile("-+")
_DRIVE = re.compile("[A-Za-z]:[/\\\\]")


def without_suffix(name: str) -> str:
    """Return a name without the suffix of audio or video; what else follows a dot is part of the name."""
    stem, dot, suffix = name.rpartition(".")
    return stem if f"{dot}{suffix.lower()}" in _MEDIA and stem[-1:] not in ("", "/") else name


def _fold(name: str) -> str:
    """Return a path as it is compared: letter case, Unicode form, blanks and dashes do not count."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).translate(_ALIKE)
    parts = (" ".join(part.split()).rstrip(" .") for part in folded.split("/"))
    return _DASHES.sub("-", "/".join(parts))


def _number(stem: str) -> tuple[str, int] | None:
    """Return folder and number where a name is a number: spreadsheets make 7 of 007, and data frames 7.0."""
    folder, _, name = _fold(stem).rpartition("/")
    match = re.fullmatch(r"(\d{1,18})(?:\.0)?", name, re.ASCII)
    return (folder, int(match[1])) if match else None


class NamedFiles:
    """The files of some suffixes below a root, to be found by the names that a table or an option gives them.

    ``folder`` is the folder below the root, relative to it, that all names begin with. It is searched only where a
    name is not that of a file; names are then compared without letter case, Unicode form, blanks, kinds of dashes
    and suffix, and after ``%20`` and the like were taken for what they stand for.
    """

    def __init__(
        self, root: Path, folder: Path, suffixes: tuple[str, ...] = AUDIO_SUFFIXES, what: str = "audio file"
    ) -> None:
        self._suffixes = suffixes
        self._what = what
        self._root = root
        self._folder = folder if is_folder(root / folder) else Path()
        self._real_root = Path(os.path.realpath(root))
        self._roots = (str(root.absolute()), str(self._real_root))
        self._found: dict[str, Path] = {}
        self._real_folders: dict[Path, Path] = {}
        self._by_stem: dict[str, list[Path]] | None = None
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_folded_stem: dict[str, list[Path]] = defaultdict(list)
        self._by_number: dict[tuple[str, int], list[Path]] = defaultdict(list)

    def find(self, named: str) -> Path:
        """Return the file that a table names, relative to the root.

        Raises
        ------
        AbsentError
            If there is none.
        UnusableError
            If more than one fits, or if it lies outside root or cannot be read.
        """
        if named not in self._found:
            self._found[named] = self._find(named)
        return self._found[named]

    def _find(self, named: str) -> Path:
        text = self._below_root(named)
        why = why_no_file(self._root / text)
        if why is not None and why != _ABSENT:
            raise UnusableError(f"no file that can be read: {text} ({why})")
        path = Path(text) if why is None else self._similar(text)
        self._require_below_root(path)
        return path

    def _below_root(self, named: str) -> str:
        """Return a path as written in a table, relative to the root."""
        text = unquote(named[7:]) if named.startswith("file://") else named
        if "\\" in text and why_no_file(self._root / text) is not None:
            text = text.replace("\\", "/")
        if _DRIVE.match(text):
            raise UnusableError(f"{shown(named)} is a path on a drive of Windows; name it relative to root")
        if not text.rpartition("/")[2].strip("."):
            raise UnusableError(f"there is no such {self._what}: {shown(named)} names none")
        text = os.path.normpath(text)
        if text.startswith("/"):
            text = self._relative(text)
        if text.split("/")[0] == "..":
            raise UnusableError(
                f"{shown(named)} lies outside root, which is {self._roots[0]}; name it relative to root"
            )
        return text

    def _relative(self, absolute: str) -> str:
        for candidate in (absolute, os.path.realpath(absolute)):
            parts = candidate.split("/")
            for root in self._roots:
                depth = len(root.rstrip("/").split("/"))
                if _fold("/".join(parts[:depth])) == _fold(root.rstrip("/")):
                    return "/".join(parts[depth:])
        return ".."

    def _similar(self, name: str) -> Path:
        names = (name, unquote(name)) if "%" in name else (name,)
        found = next((found for each in names if (found := self._candidates(each))), None)
        if not found and (key := _number(without_suffix(name))):
            found = self._by_number.get(key)
        if not found:
            raise AbsentError(f"there is no such {self._what}")
        if len(found) > 1:
            several = " and ".join(path.as_posix() for path in found[:2])
            raise UnusableError(
                f"{several} both fit {shown(name)}; name the one that is meant as it is named on the disk"
            )
        return found[0]

    def _candidates(self, name: str) -> list[Path]:
        """Return the files that differ from a name in their suffix or its letter case; else the similar ones."""
        if self._by_stem is None:
            self._by_stem = self._index()
        stem = without_suffix(name)
        same = [path for key in sorted({name, stem}) for path in self._by_stem.get(key, [])]
        if stem != name:
            same += [path for path in self._by_name.get(_fold(name), []) if path not in same]
        return same or self._by_folded_stem.get(_fold(stem), []) or self._by_folded_stem.get(_fold(name), [])

    def _index(self) -> dict[str, list[Path]]:
        by_stem: dict[str, list[Path]] = defaultdict(list)
        for below in files_of(self._root, self._suffixes, lambda rejected: None, self._folder):
            stem = without_suffix(below.as_posix())
            by_stem[stem].append(below)
            self._by_name[_fold(below.as_posix())].append(below)
            self._by_folded_stem[_fold(stem)].append(below)
            if key := _number(stem):
                self._by_number[key].append(below)
        return by_stem

    def _require_below_root(self, path: Path) -> None:
        """Refuse what a link leads out of the root."""
        if path.parent not in self._real_folders:
            self._real_folders[path.parent] = Path(os.path.realpath(self._root / path.parent))
        real = self._real_folders[path.parent] / path.name
        real = Path(os.path.realpath(real)) if real.is_symlink() else real
        if not real.is_relative_to(self._real_root):
            raise UnusableError(
                f"{path.as_posix()} leads out of root by a link, to {real}; "
                "copy the file below root, or point root at a folder that holds both"
            )
