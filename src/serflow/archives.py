"""Unpacking archives that come from elsewhere."""

import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from serflow.errors import SerflowError

_MAX_BYTES = 8 << 30
_MAX_MEMBERS = 100_000
_MAX_DEPTH = 32
_MAX_NAME = 255
_MAX_RATIO = 1000
"""An archive may unpack to so many times its size: weights are numbers, which shrink to a half."""


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
            members = list(_allowed(archive, source))
            for member, name in members:
                target = folder / name
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                content = source.extractfile(member)
                assert content is not None
                # a name that is there already is none of this archive's, and is not followed
                opened = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
                with content, os.fdopen(opened, "wb") as handle:
                    shutil.copyfileobj(content, handle)
                if target.stat().st_size != member.size:
                    raise EOFError(f"{name} ends early")
    except (tarfile.TarError, EOFError, zlib.error, LZMAError, ValueError, RecursionError) as error:
        raise SerflowError(f"{archive}: not a whole tar archive ({error}); delete it and run again") from error
    except OSError as error:
        if error.errno is not None:
            raise
        # what gzip and bz2 say of a damaged stream
        raise SerflowError(f"{archive}: not a whole tar archive ({error}); delete it and run again") from error


def _allowed(archive: Path, source: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """Yield the members with their names, each looked at as soon as its head is read.

    Raises
    ------
    SerflowError
        At the first that is not allowed.
    """
    seen: dict[str, bool] = {}
    n_bytes = 0
    most = min(_MAX_BYTES, max(archive.stat().st_size, 1 << 20) * _MAX_RATIO)
    for count, member in enumerate(source, 1):
        n_bytes += member.size
        if count > _MAX_MEMBERS or n_bytes > most:
            raise SerflowError(f"{archive}: unpacks to more than {most:,} bytes or {_MAX_MEMBERS:,} files; refused")
        fault, name = _fault(member, seen)
        if fault is not None:
            said = member.name[:100].encode("utf-8", "backslashreplace").decode()
            raise SerflowError(f"{archive}: refused, its member {said!r} {fault}; nothing was unpacked")
        if name:
            yield member, name


def _fault(member: tarfile.TarInfo, seen: dict[str, bool]) -> tuple[str | None, str]:
    """Say why a member is refused, and return its name; ``seen`` are the names before it and whether they are files."""
    if not (member.isreg() or member.isdir()):
        return "is a link" if member.issym() or member.islnk() else "is no file or folder", ""
    if member.name.startswith("/") or "\\" in member.name or "\0" in member.name or ":" in member.name[:2]:
        return "has an absolute name or one of another system", ""
    path = PurePosixPath(member.name)
    if ".." in path.parts:
        return "would leave its folder", ""
    if len(path.parts) > _MAX_DEPTH or any(len(os.fsencode(part)) > _MAX_NAME for part in path.parts):
        return f"lies more than {_MAX_DEPTH} folders deep or has a name that is too long", ""
    name = path.as_posix() if path.parts else ""
    folded = [PurePosixPath(*path.parts[:depth]).as_posix().casefold() for depth in range(1, len(path.parts) + 1)]
    if any(seen.get(above, False) for above in folded[:-1]):
        return "lies in what is a file", ""
    if name and folded[-1] in seen and not (member.isdir() and not seen[folded[-1]]):
        return "stands there twice, but for capitals", ""
    for above in folded:
        seen.setdefault(above, False)
    if name:
        seen[folded[-1]] = member.isreg()
    return None, name
