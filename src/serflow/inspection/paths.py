"""Where artefacts lie below a results folder, and what to say of a path that is not there."""

import difflib
from pathlib import Path

from serflow.errors import StoreError
from serflow.plugins import plugin_names

_TARGETS = ("audio", "corpora", "features", "noise", "packed", "runs", "splits", "transcripts", "versions")
"""Folders of results/ whose files Snakemake can be asked for by name, besides those of studies."""

_FOLDER_TARGETS = {"features": "", "corpora": "utterances.parquet", "runs": "metrics.json"}
"""What to ask for where a folder is meant; "" for the folder itself."""


def results_folder(path: Path) -> Path | None:
    """Return the ``results`` folder that ``path`` lies in, None if it lies in none."""
    for folder in (path, *path.parents):
        if folder.name == "results" or (folder / "corpora").is_dir():
            return folder
    absolute = path.absolute()
    return results_folder(absolute) if absolute != path else None


def utterance_table(path: Path, corpus: str | None) -> Path | None:
    """Return the utterance table of a corpus in the results folder that ``path`` lies in, if it is there."""
    results = results_folder(path)
    if results is None or corpus is None:
        return None
    table = results / "corpora" / corpus / "utterances.parquet"
    return table if table.is_file() else None


def build_command(path: Path) -> str | None:
    """Return the command that builds an artefact of the results folder, None if it is no target."""
    parts = path.parts
    if "results" not in parts:
        return None
    start = len(parts) - 1 - parts[::-1].index("results")
    inner = parts[start + 1 :]
    if not inner or (inner[0] not in (*_TARGETS, *plugin_names("serflow.studies")) and path.suffix != ".csv"):
        return None
    target = Path(*parts[start:])
    if not path.suffix:
        if inner[0] not in _FOLDER_TARGETS:
            return None
        target /= _FOLDER_TARGETS[inner[0]]
    directory = "" if start == 0 else f" --directory {Path(*parts[:start])}"
    return f"snakemake --cores 2 {target}{directory}"


def near_match(path: Path) -> Path | None:
    """Return the existing path that is most like one that does not exist, part by part."""
    existing = Path(path.anchor) if path.anchor else Path()
    for part in path.parts[1:] if path.anchor else path.parts:
        if (existing / part).exists():
            existing /= part
            continue
        if not existing.is_dir():
            return None
        names = sorted(entry.name for entry in existing.iterdir() if not entry.name.startswith("."))
        near = difflib.get_close_matches(part, names, n=1, cutoff=0.5)
        if not near:
            return None
        existing /= near[0]
    return existing


def require_path(path: Path) -> Path:
    """Return ``path`` if it exists.

    Raises
    ------
    StoreError
        If not; with the nearest path that exists and the command that builds what was asked for.
    """
    if path.exists():
        return path
    hints = []
    near = near_match(path)
    if near is not None:
        hints.append(f"did you mean {near}?")
    command = build_command(path)
    if command is not None:
        hints.append(f"{'If not, build' if near is not None else 'build'} it with `{command}`")
    raise StoreError(f"{path}: no such file or folder; {' '.join(hints) or 'ls results shows what there is'}")
