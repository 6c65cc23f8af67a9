"""What lies in a file or folder that no rule makes: told cheaply, known by content.

Snakemake watches the inputs of rules alone. A corpus, ESC-50 and weights given by path are none: their `state` is a
parameter of the rules that read them. It is told from names, sizes and times. The stage that reads such a folder
leaves a record with the SHA-256 of each file (`take_stock`), and as long as nothing differs from that record, or
times differ and the content does not, the state stays what it was.

The rules ask for it while Snakemake plans, so this module imports nothing heavy.
"""

import fnmatch
import gc
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from serflow.errors import SerflowError, StoreError
from serflow.files import JSON_SEAL, ZEROS, read_sealed_json, sha256_file, write_sealed
from serflow.folders import is_file, is_folder, walk

ABSENT = "absent"
EVERYTHING = ("*",)
_EXAMPLES = 3


class Stamp(NamedTuple):
    """What a file system says of a file: bytes, time of the content and of the entry (ns).

    All are None of what is no file that could be read: a link that leads nowhere, a device, a closed folder.
    """

    size: int | None
    mtime_ns: int | None
    ctime_ns: int | None


_NO_FILE = Stamp(None, None, None)


class Known(NamedTuple):
    """A file as it was read last; ``sha256`` is None where it could not be."""

    stamp: Stamp
    sha256: str | None


class State(NamedTuple):
    """A name for what lies there, and what has changed since it was recorded, a phrase each."""

    id: str
    changes: list[str]


@dataclass(frozen=True, slots=True)
class Stock:
    """The state of a folder with the digests of its files, by relative name."""

    id: str
    files: Mapping[str, Known]

    @property
    def content(self) -> str:
        """16 hexadecimal digits that names, sizes and digests of the files give, and no time."""
        return _digest((name, file.stamp.size, file.sha256) for name, file in sorted(self.files.items()))

    def write(self, record: Path) -> None:
        """Write the record, a line a file, atomically and sealed."""
        lines = (
            f"{json.dumps(name)}: {json.dumps([*file.stamp, file.sha256])}" for name, file in sorted(self.files.items())
        )
        files = ",\n".join(lines)
        write_sealed(
            record, f'{{"id": {json.dumps(self.id)}, "files": {{\n{files}\n}},\n"{JSON_SEAL}": "{ZEROS.decode()}"}}\n'
        )


def _stamp(status: os.stat_result) -> Stamp:
    if not stat.S_ISREG(status.st_mode):
        return _NO_FILE
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def stamps(path: Path, reads: Sequence[str] = EVERYTHING) -> dict[str, Stamp]:
    """Return a stamp of each file below a folder by its relative name, or of the file that ``path`` is.

    Parameters
    ----------
    path
        File or folder; hidden names below it are passed over.
    reads
        Patterns of relative names (`fnmatch`, of any case; ``*`` also stands for slashes); other files do not count.
    """
    found: dict[str, Stamp] = {}
    if not is_folder(path):
        if is_file(path):
            with suppress(OSError):
                found[path.name] = _stamp(path.stat())
        return found

    def unreadable(name: str, error: OSError) -> None:
        found[f"{name}/"] = _NO_FILE

    wanted = re.compile("|".join(map(fnmatch.translate, reads)), re.IGNORECASE).match
    for name, entry in walk(path, unreadable):
        if wanted(name):
            found[name] = _NO_FILE
            with suppress(OSError):
                found[name] = _stamp(entry.stat())
    return found


def _digest(rows: Iterable[object]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def paths(path: Path, found: Iterable[str]) -> dict[str, Path]:
    """Return the files that names of `stamps` stand for."""
    folder = path if is_folder(path) else path.parent
    return {name: folder / name for name in found}


def _sha256(file: Path) -> str | None:
    try:
        return sha256_file(file)
    except OSError:
        return None


def _sha256_as_stamped(file: Path, stamp: Stamp) -> str | None:
    if stamp == _NO_FILE:
        return None
    digest = _sha256(file)
    try:
        return digest if _stamp(file.stat()) == stamp else None
    except OSError:
        return None


def read_record(record: Path) -> Stock | None:
    """Read a record; what is none counts as nothing recorded, for it can only be told anew."""
    try:
        content = read_sealed_json(record)
        files = {
            str(name): Known(Stamp(size, mtime, ctime), sha256)
            for name, (size, mtime, ctime, sha256) in content["files"].items()
        }
        return Stock(str(content["id"]), files)
    except (StoreError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _some(what: str, names: Iterable[str]) -> list[str]:
    ordered = sorted(names)
    if not ordered:
        return []
    shown = ", ".join(name.encode("utf-8", "backslashreplace").decode() for name in ordered[:_EXAMPLES])
    return [f"{what} {shown}" + (f" and {len(ordered) - _EXAMPLES} more" if len(ordered) > _EXAMPLES else "")]


def _differences(found: Mapping[str, Stamp], known: Mapping[str, Known]) -> list[str]:
    """Say which files came, went, or have another size."""
    resized = (name for name, stamp in found.items() if name in known and stamp.size != known[name].stamp.size)
    return [
        *_some("new:", found.keys() - known.keys()),
        *_some("gone:", known.keys() - found.keys()),
        *_some("changed:", resized),
    ]


def _reread(
    path: Path, found: Mapping[str, Stamp], known: Mapping[str, Known]
) -> Iterator[tuple[str, Stamp, str | None]]:
    """Read the files again whose times differ, or that could not be read before."""
    from serflow.progress import progress

    doubtful = [
        name
        for name, stamp in sorted(found.items())
        if stamp != known[name].stamp or (known[name].sha256 is None and stamp != _NO_FILE)
    ]
    compared = progress(paths(path, doubtful).items(), len(doubtful), f"comparing {path}", unit="files")
    for name, file in compared:
        yield name, found[name], _sha256(file)


def _cheap(found: Mapping[str, Stamp]) -> str:
    return _digest((name, stamp.size, stamp.mtime_ns) for name, stamp in sorted(found.items()))


def _compare(path: Path, found: Mapping[str, Stamp], known: Stock | None) -> tuple[State, Stock | None]:
    """Return the state, and the record with the present times where only they differ from it."""
    if known is None:
        return State(_cheap(found), []), None
    changes = _differences(found, known.files)
    if changes:
        return State(_cheap(found), changes), None
    reread = {}
    for name, stamp, sha256 in _reread(path, found, known.files):
        if sha256 != known.files[name].sha256:
            # size and time may be those of the record: the content tells them apart
            return State(_digest((_cheap(found), name, sha256)), _some("changed:", [name])), None
        if stamp != known.files[name].stamp:
            reread[name] = Known(stamp, sha256)
    return State(known.id, []), Stock(known.id, {**known.files, **reread}) if reread else None


@contextmanager
def _no_collection() -> Iterator[None]:
    """Hold the garbage collector off: passes over so many small tuples that stay would take half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def look(path: Path, record: Path, reads: Sequence[str] = EVERYTHING) -> State:
    """Return the state of a file or folder without reading it, unless times differ from the record.

    Files whose times alone differ are read and compared by their SHA-256. Where they are the same, the record gets
    the new times, if it can be written, so that the next look is cheap again.

    Parameters
    ----------
    path
        File or folder.
    record
        What `take_stock` left when it was read last; it may be absent.
    reads
        Patterns of the files that count, see `stamps`.

    Returns
    -------
    The state; ``absent`` where there is nothing at ``path``.
    """
    if not (is_folder(path) or is_file(path)):
        return State(ABSENT, [])
    with _no_collection():
        state, refreshed = _compare(path, stamps(path, reads), read_record(record))
    if refreshed is not None:
        with suppress(SerflowError):
            refreshed.write(record)
    return state


def take_stock(path: Path, record: Path | None, found: Mapping[str, Stamp]) -> Stock:
    """Read all files that were found, but those that the record knows already.

    Parameters
    ----------
    path
        File or folder.
    record
        Record of an earlier time, where there may be one.
    found
        What `stamps` found before anything was made of the files. What has changed since counts as not read, so that
        the next look will not find it as it was.
    """
    from serflow.progress import progress

    known = None if record is None else read_record(record)
    state, refreshed = _compare(path, found, known)
    read = (refreshed or known or Stock("", {})).files
    stock: dict[str, Known] = {}
    for name, file in progress(paths(path, found).items(), len(found), f"reading {path}", unit="files"):
        stamp = found[name]
        if name in read and read[name].stamp == stamp and read[name].sha256 is not None:
            stock[name] = read[name]
        else:
            stock[name] = Known(stamp, _sha256_as_stamped(file, stamp))
    return Stock(state.id, stock)
