"""A stand-in's folder: put in place as a whole, marked as synthetic, and described by a manifest."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import serflow
from serflow.errors import CorpusError, StoreError
from serflow.files import atomic_folder, sha256_file, write_text

MARKER = "STAND-IN.txt"


def _check_replaceable(root: Path) -> None:
    if root.is_dir() and ((root / MARKER).is_file() or not any(root.iterdir())):
        return
    if root.exists():
        raise CorpusError(
            f"{root}: refusing to replace what was not made by serflow (it holds no {MARKER}). "
            "Give the stand-in another folder, or move this one away."
        )


@contextmanager
def stand_in_tree(root: Path) -> Iterator[Path]:
    """Yield a folder beside ``root`` to write a stand-in to; on success it takes the place of ``root``.

    Raises
    ------
    CorpusError
        If ``root`` exists and is not an earlier stand-in.
    SerflowError
        If the disk is full or the folder cannot be written.
    """
    _check_replaceable(root)
    with atomic_folder(root) as new:
        yield new


def write_marker(root: Path, what: str, how: str, options: Mapping[str, Any]) -> None:
    """Write the note that says that this folder is synthetic, how it was made and with which options."""
    write_text(
        root / MARKER,
        f"This folder is a SYNTHETIC STAND-IN for {what}. It is not the corpus and holds no recording of it.\n"
        f"{how}\n"
        "Results on it say that the workflow runs; they say nothing about emotion recognition on real recordings.\n"
        f"Made by serflow {serflow.__version__} with options {json.dumps(dict(options), sort_keys=True)}.\n"
        "serflow replaces this folder when the options or the code change: keep nothing of your own in it.\n",
    )


def _digest(root: Path) -> tuple[int, str]:
    """Return how many files a folder holds, and the SHA-256 of their names and digests."""
    digest = hashlib.sha256()
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    for name in names:
        digest.update(f"{name}\0{sha256_file(root / name)}\n".encode())
    return len(names), digest.hexdigest()


def describe_tree(root: Path, corpus: str, options: Mapping[str, Any], n_utterances: int) -> dict[str, Any]:
    """Return the manifest of a stand-in: what it is, how many files it holds and the digest of them all."""
    n_files, sha256 = _digest(root)
    return {
        "corpus": corpus,
        "stand_in": True,
        "options": dict(options),
        "n_files": n_files,
        "n_utterances": n_utterances,
        "sha256": sha256,
    }


def check_tree(root: Path, manifest: Mapping[str, Any]) -> None:
    """Compare a stand-in with its manifest.

    Raises
    ------
    StoreError
        If a file is missing, new or changed.
    """
    n_files, sha256 = _digest(root)
    if sha256 != manifest["sha256"]:
        counted = (
            f"{n_files} files and not {manifest['n_files']}" if n_files != manifest["n_files"] else "other content"
        )
        raise StoreError(f"{root}: has {counted}; delete it and its manifest, and run the same command again")
