"""Finding the audio files of a corpus, once, by name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from serflow.corpora.base import AUDIO_SUFFIXES, Rejected, some
from serflow.folders import walk, why_no_file
from serflow.printable import is_printable

_CLOSED = "the folder cannot be read"
Reject = Callable[[Rejected], None]


def files_of(root: Path, suffixes: tuple[str, ...], reject: Reject, below: Path = Path()) -> list[Path]:
    """Return the files of some suffixes in the folder ``below`` of ``root``, as relative paths in the order of `walk`.

    Names that start with a dot (the ``._*`` shadow files of macOS) are passed over. ``reject`` is called with each
    folder that cannot be read, and with what has such a suffix and is no file that a table can name: a folder, a named
    pipe, a link that leads nowhere, a name that is not UTF-8.
    """
    found = []

    def unreadable(name: str, error: OSError) -> None:
        reason = f"{_CLOSED} ({error.strerror or error}); make it readable"
        reject(Rejected("", (below / name).as_posix(), reason))

    for name, _ in walk(root / below, unreadable, with_folders=True):
        if not name.lower().endswith(suffixes):
            continue
        path = below / name
        if not is_printable(path.as_posix()):
            reason = "the name of the file or its folder is not UTF-8 or holds control characters; rename it"
            reject(Rejected("", path.as_posix(), reason))
        elif why := why_no_file(root / path):
            reject(Rejected("", path.as_posix(), f"named like a file of the corpus, but {why}"))
        else:
            found.append(path)
    return found


def audio_files(root: Path, reject: Reject, below: Path = Path()) -> list[Path]:
    """Return the audio files in the folder ``below`` of ``root``, see `files_of`."""
    return files_of(root, AUDIO_SUFFIXES, reject, below)


def closed_folders(rejected: Iterable[Rejected]) -> str:
    """Return a clause on the folders among ``rejected`` that cannot be read, nothing where there are none."""
    closed = [f"{entry.path}: {entry.reason}" for entry in rejected if entry.reason.startswith(_CLOSED)]
    return f"; {some(closed)}" if closed else ""


def find_file(root: Path, names: tuple[str, ...]) -> Path | None:
    """Return the least deeply nested entry under ``root`` that has one of ``names``, in any letter case, or None.

    Folders that cannot be read are passed over; `index_audio` rejects them.
    """
    wanted = {name.casefold() for name in names}
    entries = walk(root, lambda name, error: None, with_folders=True)
    found = [root / name for name, entry in entries if entry.name.casefold() in wanted]
    return min(found, key=lambda path: (len(path.parts), path), default=None)


def text_files(root: Path, folder: Path, suffix: str, reject: Reject) -> list[Path]:
    """Return what ends in ``suffix`` directly in ``folder``, in order, without ``._*`` shadow files.

    ``reject`` is called where the folder cannot be read.
    """

    def unreadable(name: str, error: OSError) -> None:
        if name == ".":
            reason = f"{_CLOSED} ({error.strerror or error}); make it readable"
            reject(Rejected("", folder.relative_to(root).as_posix(), reason))

    names = (name for name, _ in walk(folder, unreadable, with_folders=True) if "/" not in name)
    return sorted(folder / name for name in names if name.lower().endswith(suffix))


@dataclass(slots=True)
class AudioIndex:
    """Audio files by stem, relative to the root; and those passed over, with the reason."""

    paths: dict[str, Path] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)

    def missing(self, stem: str, utterance: str, expected: str, reason: str) -> Rejected:
        """Return the rejection of an utterance that has no audio: for what is there instead, else for ``reason``."""
        there = next((entry for entry in self.rejected if entry.lost and Path(entry.path).stem == stem), None)
        if there is None:
            return Rejected(utterance, expected, reason, absent=True)
        self._told.add(there.path)
        return Rejected(utterance, there.path, there.reason)

    def unused(self, used: set[str], reason: str) -> list[Rejected]:
        """Return what was passed over and is not `missing`, and each file whose stem is not in ``used``."""
        return [entry for entry in self.rejected if entry.path not in self._told] + [
            Rejected("", path.as_posix(), reason, lost=False) for stem, path in self.paths.items() if stem not in used
        ]


def _preference(path: Path) -> tuple[int, int, str]:
    return AUDIO_SUFFIXES.index(path.suffix.lower()), len(path.parts), path.as_posix()


def index_audio(root: Path, below: Path = Path()) -> AudioIndex:
    """Index the audio in the folder ``below`` of ``root`` by stem; paths are relative to ``root``.

    A stem that occurs twice is the same recording copied or converted: WAV is preferred to FLAC and that to what is
    compressed with loss, then the less deeply nested file, and the other one is rejected. So is what `audio_files`
    rejects.
    """
    index = AudioIndex()
    for path in sorted(audio_files(root, index.rejected.append, below), key=_preference):
        kept = index.paths.setdefault(path.stem, path)
        if kept is not path:
            reason = f"same name as {kept.as_posix()}, which is used"
            index.rejected.append(Rejected("", path.as_posix(), reason, lost=False))
    index.paths = dict(sorted(index.paths.items()))
    return index
