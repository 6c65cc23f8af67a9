"""Looking at files and folders that somebody else made."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

_OWN = ("results", "resources")
_KINDS = {
    stat.S_IFDIR: "it is a folder, not a file",
    stat.S_IFIFO: "it is a named pipe (FIFO), not a file",
    stat.S_IFSOCK: "it is a socket, not a file",
    stat.S_IFCHR: "it is a device, not a file",
    stat.S_IFBLK: "it is a device, not a file",
}


def is_file(path: Path) -> bool:
    """Say whether a file is there; one that may not be asked for is not."""
    return _is(stat.S_ISREG, path)


def is_folder(path: Path) -> bool:
    """Say whether a folder is there; one that may not be asked for is not."""
    return _is(stat.S_ISDIR, path)


def _is(kind: Callable[[int], bool], path: Path) -> bool:
    try:
        return kind(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def why_no_file(path: Path) -> str | None:
    """Return why there is no file to read, a clause such as ``there is no such file``; None where there is one.

    Whether it may be read is known only when it is: a file that is closed to the user is one.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "it is a link that leads nowhere" if path.is_symlink() else "there is no such file"
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            return "there is no such file"
        if error.errno == errno.ELOOP:
            return "it is a link in a circle"
        return f"it cannot be read: {error.strerror or error}"
    except ValueError:
        return "there is no such file"
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "it is no file")


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def walk(
    root: Path, unreadable: Callable[[str, OSError], None], with_folders: bool = False
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what is no folder below ``root``, by its name relative to it: names in order, files before folders.

    Links are followed, though no folder is entered twice. Names that start with a dot, macOS leftovers
    (``__MACOSX``), and ``results`` and ``resources`` of the working folder are passed over.

    Parameters
    ----------
    root
        Where to start; nothing is yielded where it is not there.
    unreadable
        Called with the relative name of a folder that cannot be read (``.`` for ``root``), and the error.
    with_folders
        Whether folders are yielded, too.
    """
    seen = {_identity(Path(name)) for name in _OWN} - {_identity(root)}
    todo = [""]
    while todo:
        below = todo.pop()
        folder = root / below
        identity = _identity(folder)
        if identity is not None:
            if identity in seen:
                continue
            seen.add(identity)
        try:
            with os.scandir(folder) as entries:
                found = sorted(
                    (entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX"),
                    key=lambda entry: entry.name,
                )
        except FileNotFoundError:
            continue
        except OSError as error:
            unreadable(below or ".", error)
            continue
        folders = []
        for entry in found:
            name = f"{below}/{entry.name}" if below else entry.name
            is_entered = _leads_to_folder(entry)
            if is_entered:
                folders.append(name)
            if with_folders or not is_entered:
                yield name, entry
        todo += reversed(folders)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
