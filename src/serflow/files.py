"""Writing files so that a reader never sees half of one, and hashing them."""

import csv
import errno
import fcntl
import hashlib
import json
import logging
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from serflow.errors import SerflowError, StoreError

log = logging.getLogger(__name__)
ZEROS = b"0" * 64
JSON_SEAL, FOOTER_SEAL = "content_sha256", "footer_sha256"
"""Keys under which JSON, and the footer of a Parquet file, hold their own SHA-256."""
_SEAL = re.compile(f'"(?:{JSON_SEAL}|{FOOTER_SEAL})": "([0-9a-f]{{64}})"'.encode())
_CHUNK = 1 << 20
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_TEMPORARY = ".tmp-"
_LOCK = ".lock"
_DIGEST_SUFFIX = ".sha256"
_CHANGED = "damaged or changed by hand"
_AGAIN = "delete it and run the same command again"


def explain_os_error(error: OSError, path: Path) -> SerflowError:
    """Turn an operating-system error met while writing ``path`` into one sentence with a next step."""
    if error.errno in NO_SPACE:
        return SerflowError(
            f"{path}: no space left on the disk; nothing half-written was kept. "
            "Free some space and run the same command again."
        )
    if error.errno == errno.EFBIG:
        return SerflowError(
            f"{path}: cannot be written: larger than a file may be here (`ulimit -f`, or the file system's own limit); "
            "nothing half-written was kept."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SerflowError(
            f"{path}: not writable ({error.strerror}). Make the folder writable, "
            "or run from another folder with `snakemake --directory DIR`."
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return SerflowError(f"{path}: a file stands where a folder is needed; move it away.")
    return SerflowError(f"{path}: cannot be written: {error.strerror or error}")


def _hold(path: Path, flags: int = os.O_RDWR) -> int:
    """Lock a temporary for as long as its writer lives, and return the descriptor; a file system may know no locks."""
    handle = os.open(path, flags, 0o600)
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def _fault_of_disk(temporary: Path) -> OSError | None:
    """Return what a write says where a library failed with an error of its own: libraries hide that a disk is full."""
    try:
        with open(temporary, "ab") as handle:
            handle.write(bytes(_CHUNK))
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        return error
    return None


@contextmanager
def _explained(final: Path, probe: Path) -> Iterator[None]:
    """Raise what the operating system holds against writing ``final`` as one sentence, whatever a library makes of it.

    ``probe`` is a file that may be written to find out.
    """
    try:
        yield
    except SerflowError:
        raise
    except Exception as error:
        known = isinstance(error, OSError) and error.errno is not None
        found = error if known else _fault_of_disk(probe)
        if isinstance(found, OSError):
            raise explain_os_error(found, final) from error
        raise


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; on success flush it to disk and rename it to ``path``.

    A killed or failed writer leaves no file under the final name; `sweep` removes what a killed one leaves.

    Raises
    ------
    SerflowError
        If the disk is full or the folder cannot be written.
    """
    final = Path(path)
    temporary, handle = _make_file(final)
    try:
        with _explained(final, temporary):
            yield temporary
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(final)
    finally:
        os.close(handle)
        with suppress(FileNotFoundError):
            temporary.unlink()


def _make_file(final: Path) -> tuple[Path, int]:
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        opened, name = tempfile.mkstemp(prefix=f".{final.name}{_TEMPORARY}", dir=final.parent)
        os.close(opened)
        return Path(name), _hold(Path(name))
    except OSError as error:
        raise explain_os_error(error, final) from error


@contextmanager
def atomic_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``; on success it takes its place.

    Raises
    ------
    SerflowError
        If the disk is full or the folder cannot be written.
    """
    final = Path(folder)
    temporary, handle = _make_folder(final)
    new, old = temporary / "new", temporary / "old"
    try:
        with _explained(final, temporary / _LOCK):
            new.mkdir()
            yield new
            if final.exists():
                final.rename(old)
            new.rename(final)
    finally:
        os.close(handle)
        shutil.rmtree(temporary, ignore_errors=True)


def _make_folder(final: Path) -> tuple[Path, int]:
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}{_TEMPORARY}", dir=final.parent))
        return temporary, _hold(temporary / _LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise explain_os_error(error, final) from error


@contextmanager
def exclusive(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Work in ``folder`` alone: wait for another process that does, and let go however this one ends.

    Raises
    ------
    SerflowError
        If the folder cannot be made.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        handle = os.open(Path(folder) / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise explain_os_error(error, Path(folder)) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("%s: another process is at work there; waiting for it to end", folder)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            log.info("%s: this file system has no locks (%s)", folder, error)
        yield
    finally:
        os.close(handle)


def sweep(folder: str | os.PathLike[str], before: float) -> list[Path]:
    """Remove what killed writers left below ``folder``, and return it: temporaries, and digests without their file.

    A writer holds a lock on its temporary, which dies with it: what is locked stays, on whatever host it is written.

    Parameters
    ----------
    folder
        Where to look; it may be absent.
    before
        Time (s since the epoch) that the run began; what is younger stays.
    """
    removed = []
    for above, folders, files in os.walk(folder):
        for name in sorted([*files, *folders]):
            path = Path(above, name)
            if _is_left_over(path) and _is_older(path, before):
                _remove(path)
                removed.append(path)
        folders[:] = [name for name in folders if _TEMPORARY not in name]
    return removed


def _is_left_over(path: Path) -> bool:
    """Say whether a path is a temporary that nobody writes, or a digest of a file that is gone."""
    if not path.name.startswith("."):
        return False
    if path.name.endswith(_DIGEST_SUFFIX):
        return not path.with_name(path.name[1 : -len(_DIGEST_SUFFIX)]).exists()
    if _TEMPORARY not in path.name:
        return False
    lock = path / _LOCK if path.is_dir() else path
    try:
        handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return path.is_dir()
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _is_older(path: Path, before: float) -> bool:
    try:
        return path.lstat().st_mtime < before
    except OSError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def digest_path(path: str | os.PathLike[str]) -> Path:
    """Return the hidden file beside ``path`` that holds its SHA-256, as ``sha256sum --check`` reads it."""
    return Path(path).with_name(f".{Path(path).name}{_DIGEST_SUFFIX}")


@contextmanager
def digested_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Do as `atomic_path`, and write the SHA-256 beside the file: for formats that have no room for it.

    Raises
    ------
    SerflowError
        If the disk is full or the folder cannot be written.
    """
    final = Path(path)
    with atomic_path(final) as temporary:
        yield temporary
        # first, so that a file that is there is never without
        write_text(digest_path(final), f"{sha256_file(temporary)}  {final.name}\n")


def check_digest(path: str | os.PathLike[str]) -> None:
    """Compare a file with the SHA-256 beside it.

    Raises
    ------
    StoreError
        If it is not what was written, or has none.
    """
    beside = digest_path(path)
    try:
        said = beside.read_text(encoding="ascii").partition(" ")[0]
        found = sha256_file(path)
    except FileNotFoundError as error:
        raise StoreError(f"{path}: {error.filename} is missing; {_AGAIN}") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: it or its digest {beside.name} cannot be read ({error}); {_AGAIN}") from error
    if said != found:
        raise StoreError(f"{path}: does not match the SHA-256 in {beside.name} ({_CHANGED}); {_AGAIN}")


def require_folder(folder: str | os.PathLike[str]) -> None:
    """See that a folder may be there: nothing else stands in its place.

    Raises
    ------
    SerflowError
        If a file does, or a link that leads nowhere.
    """
    if os.path.lexists(folder) and not Path(folder).is_dir():
        raise explain_os_error(FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)), Path(folder))


def require_writable(folder: str | os.PathLike[str]) -> None:
    """Make ``folder`` if it is not there, and try to write in it.

    Raises
    ------
    SerflowError
        If it cannot be made or written.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise explain_os_error(error, Path(folder)) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows under a heading as UTF-8 CSV, atomically: the way of all our tables.

    ``None`` and NaN become an empty cell, a bool ``True`` or ``False``; of percent see `two_digits`. What UTF-8 cannot
    say (a file name in another code) is written with backslashes.

    Raises
    ------
    ValueError
        If a row has not as many cells as there are columns.
    """
    with (
        digested_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as handle,
    ):
        writer = csv.writer(_Lines(handle), lineterminator="\r\n")
        writer.writerow(columns)
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f"{path}: a row of {len(row)} cells under {len(columns)} columns")
            writer.writerow(None if isinstance(cell, float) and math.isnan(cell) else cell for cell in row)


class _Lines:
    """Ends rows with a line feed, of a writer that must know of carriage returns to quote those in a cell."""

    def __init__(self, handle: TextIO) -> None:
        self.handle = handle

    def write(self, row: str) -> None:
        self.handle.write(f"{row[:-2]}\n")


def two_digits(value: float | None) -> str:
    """Return a number as tables have percent: two digits after the point, no minus zero; nothing of None and NaN."""
    return "" if value is None or math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"


def in_two_digits(row: Iterable[Any]) -> list[Any]:
    """Return a row with its floats as `two_digits` has them."""
    return [two_digits(cell) if isinstance(cell, float) else cell for cell in row]


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises
    ------
    SerflowError
        If the file is absent or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SerflowError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SerflowError(f"{path}: not valid JSON ({error}); delete it and run again") from error


def seal(content: bytes) -> bytes:
    """Return ``content`` with its SHA-256 in place of the 64 zeros that stand where `is_sealed` looks.

    The digest is that of the content with the zeros, so every other byte is under it.
    """
    *_, place = _SEAL.finditer(content)
    return content[: place.start(1)] + hashlib.sha256(content).hexdigest().encode() + content[place.end(1) :]


def is_sealed(content: bytes) -> bool:
    """Say whether ``content`` is what `seal` returned."""
    places = list(_SEAL.finditer(content))
    if not places:
        return False
    start, end = places[-1].span(1)
    return hashlib.sha256(content[:start] + ZEROS + content[end:]).hexdigest().encode() == content[start:end]


def write_sealed_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON, atomically, with the SHA-256 of the file under ``content_sha256``.

    Keys keep their order, which is that of classes and of the names of a cell; NaN is refused.
    """
    sealed = {**content, JSON_SEAL: ZEROS.decode()}
    write_sealed(path, json.dumps(sealed, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_sealed(path: str | os.PathLike[str], text: str) -> None:
    """Write JSON text that ends with ``content_sha256``, 64 zeros, atomically and sealed."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(seal(text.encode()))


def read_sealed_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `write_sealed_json` wrote.

    Raises
    ------
    StoreError
        If the file is absent, or does not say what was written.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not is_sealed(content):
        raise StoreError(f"{path}: does not match its SHA-256 ({_CHANGED}); {_AGAIN}")
    read: dict[str, Any] = json.loads(content)
    del read[JSON_SEAL]
    return read


def sha256_file(path: str | os.PathLike[str], end: int | None = None) -> str:
    """SHA-256 of the first ``end`` bytes of a file (all of it by default), as hexadecimal."""
    digest = hashlib.sha256()
    left = end
    with open(path, "rb") as handle:
        while left is None or left > 0:
            block = handle.read(_CHUNK if left is None else min(_CHUNK, left))
            if not block:
                break
            digest.update(block)
            left = None if left is None else left - len(block)
    return digest.hexdigest()
