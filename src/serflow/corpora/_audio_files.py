"""Finding the audio files of a corpus, once, by name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serflow.corpora.base import Rejected
from serflow.errors import CorpusError
from serflow.folders import walk

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


def _readable(name: str) -> str:
    """Return a name that a table can hold, whatever its bytes are."""
    return name.encode("utf-8", "backslashreplace").decode()


def audio_files(root: Path, unreadable: Callable[[str, OSError], None]) -> list[Path]:
    """Return the WAV and FLAC files under ``root``, relative to it, in the order of `walk`.

    Names that start with a dot (the ``._*`` shadow files of macOS) are no audio and are passed over. ``unreadable``
    is called with each folder that cannot be read, relative to ``root``, and the error.
    """
    paths = (Path(name) for name, _ in walk(root, unreadable))
    return [path for path in paths if path.suffix.lower() in SUFFIXES]


def reject_folders(rejected: list[Rejected], folder: Path) -> Callable[[str, OSError], None]:
    """Return what adds folders that cannot be read to ``rejected``; their names are relative to ``folder``."""

    def unreadable(name: str, error: OSError) -> None:
        reason = f"the folder cannot be read ({error.strerror or error}); make it readable"
        rejected.append(Rejected("", _readable((folder / name).as_posix()), reason))

    return unreadable


def find_file(root: Path, names: tuple[str, ...]) -> Path | None:
    """Return the least deeply nested file under ``root`` that has one of ``names``, or None.

    Folders that cannot be read are passed over; `index_audio` rejects them.
    """
    found = [root / name for name, entry in walk(root, lambda name, error: None) if entry.name in names]
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
        return [
            Rejected("", path.as_posix(), reason, lost=False) for stem, path in self.paths.items() if stem not in used
        ]


def _preference(path: Path) -> tuple[bool, int, str]:
    return path.suffix.lower() != ".wav", len(path.parts), path.as_posix()


def index_audio(root: Path, below: Path | None = None) -> AudioIndex:
    """Index the audio under ``root`` (or its folder ``below``) by stem; paths are relative to ``root``.

    A stem that occurs twice is the same recording copied or converted: WAV is preferred to FLAC, then the
    less deeply nested file, and the other one is rejected. So is a file whose path is not UTF-8, since no
    table can hold it, and a folder that cannot be read.
    """
    start = (root if below is None else below).relative_to(root)
    index = AudioIndex()
    found = audio_files(root / start, reject_folders(index.rejected, start))
    for path in sorted((start / path for path in found), key=_preference):
        name = path.as_posix()
        if _readable(name) != name:
            reason = "the name of the file or its folder is not UTF-8; rename it (file names alone carry the labels)"
            index.rejected.append(Rejected("", _readable(name), reason))
            continue
        kept = index.paths.setdefault(path.stem, path)
        if kept is not path:
            index.rejected.append(Rejected("", name, f"same name as {kept.as_posix()}, which is used", lost=False))
    index.paths = dict(sorted(index.paths.items()))
    return index
