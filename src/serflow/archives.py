"""Unpacking archives that come from elsewhere."""

import errno
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, TypeVar

from serflow.errors import SerflowError

_MAX_BYTES = 8 << 30
_MAX_MEMBERS = 100_000
_MAX_DEPTH = 32
_MAX_NAME = 255
_MAX_RATIO = 1000
"""An archive may unpack to so many times its size: weights are numbers, which shrink to a half."""

MemberT = TypeVar("MemberT")


class _Head(NamedTuple):
    """What an archive says of a member: ``kind`` is ``file``, ``folder``, ``link`` or ``other``."""

    name: str
    kind: str
    size: int


def unpack_tar(archive: Path, folder: Path) -> None:
    """Unpack a tar archive (compressed or not) into ``folder``: its files and folders, with no owner, mode or time.

    Refused before anything is written are links of either kind, devices and pipes; names that are absolute, lead
    outside, differ in nothing but case or stand twice; more than 32 folders in one another; and what unpacks to more
    than 8 GiB, 100,000 files or a thousand times the size of the archive.

    Raises
    ------
    SerflowError
        If the archive is damaged or holds such a member.
    """
    try:
        with tarfile.open(archive) as source:
            members = list(_allowed(archive, ((_tar_head(member), member) for member in source)))
            for head, member in members:
                content = source.extractfile(member) if head.kind == "file" else None
                _write(head, content, folder)
    except (tarfile.TarError, EOFError, zlib.error, LZMAError, ValueError, RecursionError) as error:
        raise SerflowError(f"{archive}: not a whole tar archive ({error}); delete it and run again") from error
    except OSError as error:
        if error.errno is not None:
            raise
        # what gzip and bz2 say of a damaged stream
        raise SerflowError(f"{archive}: not a whole tar archive ({error}); delete it and run again") from error


def unpack_zip(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into ``folder``, as `unpack_tar` does; encrypted members are refused too.

    Raises
    ------
    SerflowError
        If the archive is damaged or holds a member that is not allowed.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            members = list(_allowed(archive, ((_zip_head(member), member) for member in source.infolist())))
            for head, member in members:
                content = source.open(member) if head.kind == "file" else None
                _write(head, content, folder)
    # what zipfile says of passwords and of ways to compress that it does not know
    except (zipfile.BadZipFile, EOFError, zlib.error, LZMAError, ValueError, RuntimeError) as error:
        raise SerflowError(f"{archive}: not a whole zip archive ({error}); delete it and run again") from error
    except OSError as error:
        # what the file says of a member that would begin before it
        if error.errno != errno.EINVAL:
            raise
        raise SerflowError(f"{archive}: not a whole zip archive ({error}); delete it and run again") from error


def _tar_head(member: tarfile.TarInfo) -> _Head:
    link = member.issym() or member.islnk()
    kind = "link" if link else "file" if member.isreg() else "folder" if member.isdir() else "other"
    return _Head(member.name, kind, member.size)


def _zip_head(member: zipfile.ZipInfo) -> _Head:
    mode = member.external_attr >> 16
    # archives made elsewhere than on Unix have no mode
    known = stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR)
    kind = "link" if stat.S_ISLNK(mode) else "other" if not known else "folder" if member.is_dir() else "file"
    return _Head(member.orig_filename, kind, member.file_size)


def _write(head: _Head, content: IO[bytes] | None, folder: Path) -> None:
    """Write a member below ``folder``; that of a file has ``content``."""
    target = folder / head.name
    if content is None:
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # a name that is there already is none of this archive's, and is not followed
    opened = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with content, os.fdopen(opened, "wb") as handle:
        shutil.copyfileobj(content, handle)
    if target.stat().st_size != head.size:
        raise EOFError(f"{head.name} ends early")


def _allowed(archive: Path, members: Iterable[tuple[_Head, MemberT]]) -> Iterator[tuple[_Head, MemberT]]:
    """Yield the members with their heads, names normalised, each looked at as soon as its head is read.

    Raises
    ------
    SerflowError
        At the first that is not allowed.
    """
    seen: dict[str, bool] = {}
    n_bytes = 0
    most = min(_MAX_BYTES, max(archive.stat().st_size, 1 << 20) * _MAX_RATIO)
    for count, (head, member) in enumerate(members, 1):
        n_bytes += head.size
        if count > _MAX_MEMBERS or n_bytes > most:
            raise SerflowError(f"{archive}: unpacks to more than {most:,} bytes or {_MAX_MEMBERS:,} files; refused")
        fault, name = _fault(head, seen)
        if fault is not None:
            said = head.name[:100].encode("utf-8", "backslashreplace").decode()
            raise SerflowError(f"{archive}: refused, its member {said!r} {fault}; nothing was unpacked")
        if name:
            yield head._replace(name=name), member


def _fault(head: _Head, seen: dict[str, bool]) -> tuple[str | None, str]:
    """Say why a member is refused, and return its name; ``seen`` are the names before it and whether they are files."""
    if head.kind not in ("file", "folder"):
        return "is a link" if head.kind == "link" else "is no file or folder", ""
    if head.name.startswith("/") or "\\" in head.name or "\0" in head.name or ":" in head.name[:2]:
        return "has an absolute name or one of another system", ""
    path = PurePosixPath(head.name)
    if ".." in path.parts:
        return "would leave its folder", ""
    if len(path.parts) > _MAX_DEPTH or any(len(os.fsencode(part)) > _MAX_NAME for part in path.parts):
        return f"lies more than {_MAX_DEPTH} folders deep or has a name that is too long", ""
    name = path.as_posix() if path.parts else ""
    folded = [PurePosixPath(*path.parts[:depth]).as_posix().casefold() for depth in range(1, len(path.parts) + 1)]
    if any(seen.get(above, False) for above in folded[:-1]):
        return "lies in what is a file", ""
    if name and folded[-1] in seen and not (head.kind == "folder" and not seen[folded[-1]]):
        return "stands there twice, but for capitals", ""
    for above in folded:
        seen.setdefault(above, False)
    if name:
        seen[folded[-1]] = head.kind == "file"
    return None, name
