"""What a path holds."""

from pathlib import Path
from typing import Any

from serflow.errors import StoreError
from serflow.inspection.description import some
from serflow.stores.features import STORE_KINDS
from serflow.stores.frames import PACKED_KIND
from serflow.stores.parquet import is_foreign, read_metadata

RUN, METRICS = "run", "metrics.json"
FEATURE_KINDS = (*STORE_KINDS, PACKED_KIND)


def kind_of(path: Path) -> str:
    """Return what an existing path holds: the kind of its Parquet files, ``run``, or the suffix of the file.

    Raises
    ------
    StoreError
        If it is a folder without artefacts, or a file of another sort.
    """
    if path.is_dir():
        if (path / METRICS).is_file() or (path / "history.parquet").is_file():
            return RUN
        return str(metadata_of(parquet_files(path)[0]).get("kind"))
    if path.name == METRICS:
        return RUN
    if path.suffix in (".csv", ".json", ".safetensors"):
        return path.suffix[1:]
    if path.suffix == ".npy":
        index = path.with_suffix(".parquet")
        raise StoreError(f"{path}: an array without names; inspect its index {index}")
    if path.suffix != ".parquet":
        raise StoreError(f"{path}: not an artefact; inspect reads .parquet, .csv, .json and .safetensors, and folders")
    return str(metadata_of(path).get("kind"))


def parquet_files(path: Path) -> list[Path]:
    """Return the Parquet files of a folder, or the file itself.

    Raises
    ------
    StoreError
        If the folder has none.
    """
    if not path.is_dir():
        return [path]
    files = sorted(entry for entry in path.glob("*.parquet") if not entry.name.startswith("."))
    if files:
        return files
    entries = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    inside = f"it has {some(entries, 8)}: give one of them" if entries else "it is empty"
    raise StoreError(f"{path}: no artefact lies in this folder; {inside}")


def metadata_of(path: Path) -> dict[str, Any]:
    """Return the metadata of a Parquet file; none for one that serflow did not write."""
    return {} if is_foreign(path) else read_metadata(path)
