"""Writing files so that a reader never sees half of one, and hashing them."""

import csv
import errno
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from serflow.errors import SerflowError

_CHUNK = 1 << 20
_SEAL = "content_sha256"


def explain_os_error(error: OSError, path: Path) -> SerflowError:
    """Turn an operating-system error met while writing ``path`` into one sentence with a next step."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SerflowError(
            f"{path}: no space left on the disk; nothing half-written was kept. "
            "Free some space and run the same command again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SerflowError(
            f"{path}: not writable ({error.strerror}). Make the folder writable, "
            "or run from another folder with `snakemake --directory DIR`."
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return SerflowError(f"{path}: a file stands where a folder is needed; move it away.")
    return SerflowError(f"{path}: cannot be written: {error.strerror or error}")


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; on success flush it to disk and rename it to ``path``.

    A killed or failed writer leaves no file under the final name.

    Raises
    ------
    SerflowError
        If the disk is full or the folder cannot be written.
    """
    final = Path(path)
    temporary: Path | None = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{final.name}.tmp-", dir=final.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(final)
    except OSError as error:
        raise explain_os_error(error, final) from error
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                temporary.unlink()


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


def _write_json(path: str | os.PathLike[str], content: Any, sort_keys: bool) -> None:
    write_text(path, json.dumps(content, indent=2, sort_keys=sort_keys, allow_nan=False, ensure_ascii=False) + "\n")


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write ``content`` as indented JSON with sorted keys, atomically; NaN is refused."""
    _write_json(path, content, sort_keys=True)


def write_csv(path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows under a heading as UTF-8 CSV, atomically: the way of all our tables.

    ``None`` and NaN become an empty cell, a bool ``True`` or ``False``; of percent see `two_digits`.

    Raises
    ------
    ValueError
        If a row has not as many cells as there are columns.
    """
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f"{path}: a row of {len(row)} cells under {len(columns)} columns")
            writer.writerow(None if isinstance(cell, float) and math.isnan(cell) else cell for cell in row)


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
    except ValueError as error:
        raise SerflowError(f"{path}: not valid JSON ({error}); delete it and run again") from error


def _seal(content: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != _SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def write_sealed_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write a mapping as `write_json` does, with the SHA-256 of what it says under ``content_sha256``.

    Keys keep their order, which is that of classes and of the names of a cell.
    """
    _write_json(path, {**content, _SEAL: _seal(content)}, sort_keys=False)


def read_sealed_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `write_sealed_json` wrote.

    Raises
    ------
    SerflowError
        If the file is absent, is not JSON, or does not say what was written.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get(_SEAL) != _seal(content):
        raise SerflowError(
            f"{path}: does not match its SHA-256 (damaged or changed by hand); delete it and run the same command again"
        )
    return content


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
