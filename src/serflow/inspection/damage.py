"""Looking for damage: every Parquet artefact against its digest, every packed array, every store for its shards."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from serflow.errors import StoreError
from serflow.inspection.paths import require_path
from serflow.stores.features import FeatureStore
from serflow.stores.frames import PACKED_KIND, PackedFrames
from serflow.stores.parquet import check
from serflow.stores.waveforms import WAVEFORMS_KIND, PackedWaveforms


class Checked(NamedTuple):
    """A file or folder that was looked at; ``fault`` is None where it is whole."""

    path: Path
    size: int
    fault: str | None


def find(paths: Sequence[Path]) -> list[Path]:
    """Return the Parquet files below ``paths``, and the folders that hold shards of features.

    Raises
    ------
    StoreError
        If a path is not there, or nothing lies below all of them.
    """
    found: dict[Path, None] = {}
    for path in map(require_path, paths):
        files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        for file in files:
            if not file.name.startswith("."):
                found[file] = None
                if path.is_dir() and _is_shard_of_features(file):
                    found[file.parent] = None
    if not found:
        raise StoreError(f"{', '.join(map(str, paths))}: no Parquet file lies there; build some, then look again")
    return list(found)


def _is_shard_of_features(file: Path) -> bool:
    return "features" in file.parts[:-1] and file.stem.isdecimal()


def check_all(paths: Sequence[Path]) -> Iterator[Checked]:
    """Check files and folders in turn."""
    for path in paths:
        fault = None
        try:
            _check(path)
        except StoreError as error:
            fault = str(error)
        except OSError as error:
            fault = f"{path}: cannot be read: {error.strerror or error}"
        yield Checked(path, path.stat().st_size if path.is_file() else 0, fault)


def _check(path: Path) -> None:
    if path.is_dir():
        FeatureStore.open(path)
        return
    kind = check(path).get("kind")
    if kind == PACKED_KIND:
        PackedFrames.open(path)
    elif kind == WAVEFORMS_KIND:
        PackedWaveforms.open(path)
