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
from serflow.files import atomic_path

log = logging.getLogger(__name__)
_MAGIC = b"serflow fit "


def key_of(*parts: Any) -> str:
    """Return the digest of what a fit depends on (code fingerprint, options, digests of the inputs)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """One file with the state of one fit: a line with its SHA-256, then what ``torch.save`` writes.

    ``key`` says what the fit depends on; a state with another key is not used.
    """

    path: Path
    key: str

    def save(self, state: Mapping[str, Any]) -> None:
        """Write tensors and plain values, whole or not at all."""
        buffer = io.BytesIO()
        torch.save({"key": self.key, "state": dict(state)}, buffer)
        content = buffer.getbuffer()
        with atomic_path(self.path) as temporary, open(temporary, "wb") as handle:
            handle.write(_MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n")
            handle.write(content)

    def load(self) -> dict[str, Any] | None:
        """Return the state, on the CPU, or ``None`` where there is none or it belongs to another fit.

        Raises
        ------
        StoreError
            If the file is damaged.
        """
        if not self.path.is_file():
            return None
        try:
            head, _, content = self.path.read_bytes().partition(b"\n")
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        if head != _MAGIC + hashlib.sha256(content).hexdigest().encode():
            raise StoreError(
                f"{self.path}: the state of a fit does not match its SHA-256 (damaged or changed by hand); "
                "delete it and run the same command again: the fit starts over"
            )
        loaded: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if loaded["key"] != self.key:
            log.info("%s: of other code, options or inputs; the fit starts over", self.path)
            return None
        state: dict[str, Any] = loaded["state"]
        return state


def save_weights(path: str | os.PathLike[str], weights: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write named tensors as safetensors, atomically, with ``metadata`` as JSON under ``serflow``.

    The same weights and metadata give the same bytes: safetensors writes several entries in no fixed order,
    so there is one.
    """
    entry = {"serflow": json.dumps(dict(metadata), sort_keys=True)}
    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary, entry)
