"""Looking for damage: every artefact below a folder against its SHA-256, and every store for what it lacks.

Parquet and JSON files and the states of fits hold their digest, of the files of stand-ins and weights it stands in the
record beside their folder, of packed arrays in their index; all others have it in a hidden file beside them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

from serflow.backbones.weights import check_kept, read_weights
from serflow.errors import SerflowError, StoreError
from serflow.files import check_digest, read_sealed_json
from serflow.inspection.kinds import METRICS
from serflow.inspection.paths import require_path, results_folder
from serflow.runs.scores import read_run
from serflow.state import read_record
from serflow.stores.features import FeatureStore
from serflow.stores.frames import PACKED_KIND, PackedFrames
from serflow.stores.parquet import check, read_metadata
from serflow.stores.pulses import PULSES_KIND
from serflow.stores.waveforms import WAVEFORMS_KIND, PackedWaveforms
from serflow.synthetic.tree import check_tree
from serflow.training.checkpoints import check_checkpoint

_NO_ARTEFACTS = ("logs", "benchmarks", "listen")
_FILES = "files.json"
_STATISTICS = "statistics/{feature}/{corpus}/{condition}.json"
_RUN = "runs/{study}/{name}/"
_PLACES = {
    **{kind: f"corpora/{{corpus}}/{kind}.parquet" for kind in ("utterances", "listing")},
    "audio": "audio/{corpus}/{shard}.parquet",
    WAVEFORMS_KIND: "packed/audio/{corpus}.parquet",
    "split": "splits/{corpus}/{protocol}.parquet",
    "clips": "noise/clips.parquet",
    "noise_plan": "noise/{corpus}/{profile}.parquet",
    **dict.fromkeys(("frames", "vectors"), "features/{feature}/{corpus}/{condition}/{shard}.parquet"),
    PACKED_KIND: "packed/{feature}/{corpus}/{condition}.parquet",
    PULSES_KIND: "pulses/{corpus}/{shard}.parquet",
    "transcripts": "transcripts/{recogniser}/{corpus}/{condition}/{shard}.parquet",
    "fingerprints": "audit/fingerprints/{corpus}.parquet",
    **{kind: f"{_RUN}{kind}.parquet" for kind in ("predictions", "history", "embeddings")},
    "noise_sweep": "{study}/robustness/{name}.parquet",
}
"""Where in a folder of results an artefact lies, by what it says of itself."""


class Checked(NamedTuple):
    """A file or folder that was looked at; ``fault`` is None where it is whole."""

    path: Path
    size: int
    fault: str | None


def find(paths: Sequence[Path]) -> list[Path]:
    """Return the artefacts below ``paths``, and the folders that hold shards of features.

    Passed over are logs and benchmarks of jobs, what was rendered to listen to, and what another artefact answers for:
    the files of a stand-in or of weights, and packed arrays.

    Raises
    ------
    StoreError
        If a path is not there, or nothing lies below all of them.
    """
    found: dict[Path, None] = {}
    for path in map(require_path, paths):
        for file in _files(path) if path.is_dir() else [path]:
            found[file] = None
            if path.is_dir() and _is_shard_of_features(file):
                found[file.parent] = None
    if not found:
        raise StoreError(f"{', '.join(map(str, paths))}: no artefact lies there; build some, then look again")
    return list(found)


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if entry.with_name(f"{entry.name}.json").is_file():
                yield from (file for file in [entry / _FILES] if file.is_file())
            elif entry.name not in _NO_ARTEFACTS or not _is_results(folder):
                yield from _files(entry)
        elif entry.name != "README.md" and not (entry.suffix == ".npy" and entry.with_suffix(".parquet").is_file()):
            yield entry


def _is_results(folder: Path) -> bool:
    results = results_folder(folder)
    return results is not None and results.absolute() == folder.absolute()


def _is_shard_of_features(file: Path) -> bool:
    return "features" in file.parts[:-1] and file.suffix == ".parquet" and file.stem.isdecimal()


def check_all(paths: Sequence[Path]) -> Iterator[Checked]:
    """Check files and folders in turn; one that is damaged does not keep from the others."""
    for path in paths:
        fault = None
        try:
            _check(path)
        except SerflowError as error:
            fault = str(error)
        except Exception as error:  # whatever a library makes of damage, the others are to be looked at
            fault = f"{path}: cannot be read ({type(error).__name__}: {error})"
        yield Checked(path, path.stat().st_size if path.is_file() else 0, fault)


def _check(path: Path) -> None:
    if path.is_dir():
        FeatureStore.open(path).utterances()
    elif (record := _record_over(path)) is not None:
        _check_json(record)
    else:
        _CHECKS.get(path.suffix, check_digest)(path)


def _record_over(path: Path) -> Path | None:
    """Return the record or manifest that answers for a file of weights or of a stand-in."""
    records = (folder.with_name(f"{folder.name}.json") for folder in path.parents if folder.name)
    return None if path.name == _FILES else next((record for record in records if record.is_file()), None)


def _check_array(path: Path) -> None:
    index = path.with_suffix(".parquet")
    if not index.is_file():
        raise StoreError(f"{path}: its index {index.name} is missing; delete it and run the same command again")
    _check_parquet(index)


def _check_parquet(path: Path) -> None:
    said = check(path)
    if said["kind"] == PACKED_KIND:
        PackedFrames.open(path)
    elif said["kind"] == WAVEFORMS_KIND:
        PackedWaveforms.open(path)
    if said["kind"] in _PLACES:
        _check_place(path, _PLACES[said["kind"]], said)


def _check_json(path: Path) -> None:
    if path.name == METRICS:
        read_run(path)
        _check_place(path, f"{_RUN}{METRICS}", read_sealed_json(path))
    elif path.name == _FILES:
        _check_record(path)
    else:
        said = read_sealed_json(path)
        _check_place(path, _STATISTICS, said)
        _check_described(path, said)


def _check_described(path: Path, said: dict[str, Any]) -> None:
    """Compare a folder of ``resources`` with the file beside it that tells of it."""
    if "backbone" in said:
        name = said["backbone"]
        check_kept(read_weights(path), path.with_suffix(""))
    elif "stand_in" in said:
        name = said["corpus"]
        check_tree(path.with_suffix(""), said)
    else:
        return
    if name != path.stem:
        raise StoreError(f"{path}: is of {name}; delete it and run the same command again")


def _check_record(path: Path) -> None:
    """Compare a record of what was read with the table that was made of it."""
    read_sealed_json(path)
    tables = [path.with_name(name) for name in ("listing.parquet", "clips.parquet")]
    stock = read_record(path)
    for table in tables:
        if stock is not None and table.is_file() and read_metadata(table)["content"] != stock.content:
            raise StoreError(f"{path}: tells of other files than {table.name} was made of; delete both and run again")


def _check_place(path: Path, pattern: str, said: dict[str, Any]) -> None:
    """Refuse a file of results that lies where another belongs."""
    results = results_folder(path)
    inside = None if results is None else path.absolute().relative_to(results.absolute()).as_posix()
    if inside is not None:
        # which version a run is of, it does not say
        inside = re.sub("^versions/[^/]+/", "runs/", inside)
    fields = [name for _, name, _, _ in Formatter().parse(pattern) if name]
    if inside is None or inside.split("/")[0] != pattern.split("/")[0] or not said.keys() >= set(fields):
        return
    expected = pattern.format_map(said)
    if inside != expected:
        raise StoreError(f"{path}: is {expected} by what it says; delete both and run the same command again")


_CHECKS: dict[str, Callable[[Path], None]] = {
    ".parquet": _check_parquet,
    ".json": _check_json,
    ".npy": _check_array,
    ".pt": check_checkpoint,
}
