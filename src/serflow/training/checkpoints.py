"""The working state of a fit on disk, so that a killed training goes on where it was; and final weights."""

import hashlib
import io
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from serflow.errors import StoreError
from serflow.files import atomic_path, digested_path

log = logging.getLogger(__name__)
_MAGIC = b"serflow fit "
_HEAD_BYTES = len(_MAGIC) + 2 * hashlib.sha256().digest_size + 1


def key_of(*parts: Any) -> str:
    """Return the digest of what a fit depends on (code fingerprint, options, digests of the inputs)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _head(digest: str) -> bytes:
    """Return the line that a file begins with; it has the same length for every digest."""
    return _MAGIC + digest.encode() + b"\n"


class _HashedFile(io.BufferedWriter):
    """A file for ``torch.save``, hashed while it is written."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "wb"))
        self.digest = hashlib.sha256()
        self._error: BaseException | None = None

    def write(self, content: Any, /) -> int:
        try:
            self.digest.update(content)
            return super().write(content)
        except BaseException as error:
            self._error = error
            raise

    def save(self, content: Mapping[str, Any]) -> None:
        """Write by ``torch.save``, which makes an error of its own of a full disk and of Ctrl-C."""
        try:
            torch.save(content, self)
        except RuntimeError as error:
            raise (self._error or error) from None


@dataclass(frozen=True)
class Checkpoint:
    """One file with the state of one fit: a line with its SHA-256, then what ``torch.save`` writes.

    ``key`` says what the fit depends on; a state with another key is not used. ``every_s`` is how many seconds (s) lie
    between two writings at least: what a kill may cost, for short periods to be longer than the writing of their state.
    A state may be larger than the network several times over, so it is never a second time in memory: tensors go
    straight to the file and come straight from it.
    """

    path: Path
    key: str
    every_s: float = 0.0

    def save(self, state: Mapping[str, Any]) -> None:
        """Write tensors and plain values, whole or not at all.

        Raises
        ------
        SerflowError
            If the disk is full or the folder cannot be written.
        """
        with atomic_path(self.path) as temporary, _HashedFile(temporary) as file:
            file.seek(_HEAD_BYTES)
            file.save({"key": self.key, "state": dict(state)})
            head = _head(file.digest.hexdigest())
            file.seek(0)
            file.write(head)

    def load(self) -> dict[str, Any] | None:
        """Return the state, on the CPU, or ``None`` where there is none or it belongs to another fit.

        Raises
        ------
        StoreError
            If the file is damaged.
        """
        if not self.path.is_file():
            return None
        check_checkpoint(self.path)
        with open(self.path, "rb") as file:
            file.seek(_HEAD_BYTES)
            loaded: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        if loaded["key"] != self.key:
            log.info("%s: of other code, options or inputs; the fit starts over", self.path)
            return None
        state: dict[str, Any] = loaded["state"]
        return state


def check_checkpoint(path: Path) -> None:
    """Compare the state of a fit with its SHA-256.

    Raises
    ------
    StoreError
        If it is damaged.
    """
    try:
        with open(path, "rb") as file:
            whole = file.read(_HEAD_BYTES) == _head(hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not whole:
        raise StoreError(
            f"{path}: the state of a fit does not match its SHA-256 (damaged or changed by hand); "
            "delete it and run the same command again: the fit starts over"
        )


def save_weights(path: str | os.PathLike[str], weights: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write named tensors as safetensors, with ``metadata`` as JSON under ``serflow``, atomically and with a digest.

    The same weights and metadata give the same bytes: safetensors writes several entries in no fixed order,
    so there is one.
    """
    entry = {"serflow": json.dumps(dict(metadata), sort_keys=True)}
    with digested_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary, entry)
