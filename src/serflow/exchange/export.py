"""What may leave the house, as a Workflow Run RO-Crate: fold lists, predictions, scores, tables and digests.

No audio, no features and no words: of predictions the columns that are named here or hold numbers, of corpora their
digests alone, and of what runs say of themselves the entries that are named here. What holds a path of the machine is
refused. The crate follows the profiles Process Run Crate and Workflow Run Crate 0.5 of RO-Crate 1.1
(https://www.researchobject.org/workflow-run-crate/).
"""

import json
import mimetypes
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import serflow
from serflow.errors import StoreError
from serflow.exchange.state import STATE, State, cell_folders, read_state, resting_on, results_of
from serflow.files import atomic_folder, check_digest, digest_path, read_sealed_json, write_sealed_json
from serflow.runs.artefacts import PREDICTIONS_KIND, PREDICTIONS_SCHEMA
from serflow.stores.parquet import read_metadata, read_table, write_table

METADATA = "ro-crate-metadata.json"
_WORDLESS = (*PREDICTIONS_SCHEMA.names, "condition", "gate", "oracle_prediction", "best_prediction", "speaker")
"""Columns of predictions with names in them, and no words that were said."""
_WRITTEN = (".csv", ".md", ".tex")
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
_SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
_SAID = ("study", "cell", "name", "classes", "options", "runs", "provenance", "code", "rejected")
"""What the metadata of predictions keep."""
_MACHINE_PATH = re.compile(r"(?<![\w.:/\\{})\]~-])(?:file://)?~?/[^\s/\"',;:(){}\[\]|<>]+/[^\s\"',;:(){}\[\]|<>]*")


def export(folder: Path, into: Path, snakefile: Path, studies: Sequence[str]) -> list[Path]:
    """Write a crate of a tree of results into a new folder; return its files.

    Parameters
    ----------
    folder
        The results, or the folder that they lie in.
    into
        Must not be there yet.
    snakefile
        That of the workflow; it is copied.
    studies
        Whose runs and tables.

    Raises
    ------
    StoreError
        If there are no runs of the studies, a file is damaged, ``into`` is there, or a path of the machine would leave.
    """
    results = results_of(folder)
    if into.exists():
        raise StoreError(f"{into}: is there already; give the name of a folder that is not")
    if not snakefile.is_file():
        raise StoreError(f"{snakefile}: no such file; give serflow's own with --snakefile")
    if not any(cell_folders(results, study) for study in studies):
        raise StoreError(f"{results}: no runs of {', '.join(studies)}; build some, or name another study")
    state = read_state(results)
    cells = {name: cell for name, cell in state.cells.items() if name.partition("/")[0] in studies}
    # of corpora that other studies use nothing leaves
    state = State(resting_on(state.layers, cells.values()), cells)
    with atomic_folder(into) as crate:
        for study in studies:
            _copy_runs(results, crate, study)
            _copy_tables(results / study, crate / study)
        for path in sorted(results.glob("splits/*/*.parquet")):
            if f"{path.parent.name}, {path.stem}" in state.layers["splits"]:
                _copy(path, crate / path.relative_to(results))
        for study in studies:
            for path in sorted(results.glob(f"qc/{study}.*")):
                _copy(path, crate / path.relative_to(results))
        write_sealed_json(crate / STATE, state.to_json())
        shutil.copyfile(snakefile, crate / "Snakefile")
        files = sorted(path.relative_to(crate) for path in crate.rglob("*") if path.is_file() and path.name[0] != ".")
        for path in files:
            _require_no_paths(crate / path, path)
        described = json.dumps(metadata(files, crate, studies, state), indent=2, ensure_ascii=False)
        (crate / METADATA).write_text(f"{described}\n", encoding="utf-8")
    return [into / path for path in [*files, Path(METADATA)]]


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)
    beside = digest_path(path)
    if beside.is_file():
        shutil.copyfile(beside, digest_path(to))


def _copy_tables(folder: Path, to: Path) -> None:
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if path.is_file() and path.suffix in _WRITTEN and not path.name.startswith("."):
            check_digest(path)
            _copy(path, to / path.name)


def _copy_runs(results: Path, crate: Path, study: str) -> None:
    for folder in cell_folders(results, study):
        to = crate / folder.relative_to(results)
        read_sealed_json(folder / "metrics.json")
        _copy(folder / "metrics.json", to / "metrics.json")
        path = folder / "predictions.parquet"
        table = without_words(read_table(path, kind=PREDICTIONS_KIND))
        said = {key: value for key, value in read_metadata(path).items() if key in _SAID}
        write_table(to / "predictions.parquet", table, kind=PREDICTIONS_KIND, metadata=said)


def without_words(table: pa.Table) -> pa.Table:
    """Return predictions without what was said or recognised: numbers, and the columns that are known to be names."""
    kept = [field.name for field in table.schema if field.name in _WORDLESS or _is_number(field.type)]
    return table.select(kept)


def _is_number(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_list(kind) else kind
    return bool(pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_boolean(inner))


def _require_no_paths(file: Path, name: Path) -> None:
    """Refuse a file in which a path of the machine stands, in whatever part of it people can read."""
    for text in _texts(file):
        if found := _MACHINE_PATH.search(text):
            raise StoreError(
                f"{name}: holds a path of this machine, {found[0]}, and is not exported; "
                "delete it and run the same command again, or give what is called so another name"
            )


def _texts(file: Path) -> Iterator[str]:
    if file.suffix != ".parquet":
        yield file.read_text(encoding="utf-8")
        return
    table = read_table(file)
    yield json.dumps(read_metadata(file), ensure_ascii=False)
    for column in table.columns:
        if pa.types.is_string(column.type):
            yield "\n".join(name for name in pc.unique(column).to_pylist() if name is not None)


def metadata(files: Sequence[Path], crate: Path, studies: Sequence[str], state: State) -> dict[str, Any]:
    """Return the description of a crate, JSON-LD.

    Parameters
    ----------
    files
        All of it but the description, below ``crate``.
    crate
        The folder.
    studies
        Whose results they are.
    state
        What they rest on.
    """
    parts = [{"@id": path.as_posix()} for path in files]
    results = [part for part in parts if part["@id"] not in ("Snakefile", STATE)]
    corpora = sorted(state.layers.get("corpora", {}))
    description = f"Results of serflow: {', '.join(studies)}, on {', '.join(corpora) or 'corpora that are not named'}."
    return {
        "@context": _CONTEXT,
        "@graph": [
            {
                "@id": METADATA,
                "@type": "CreativeWork",
                "about": {"@id": "./"},
                "conformsTo": [{"@id": "https://w3id.org/ro/crate/1.1"}, {"@id": list(_PROFILES)[-1]}],
            },
            {
                "@id": "./",
                "@type": "Dataset",
                "name": f"serflow: {', '.join(studies)}",
                "description": f"{description} No audio, no transcripts.",
                "datePublished": date.today().isoformat(),
                "license": "Scores and fold lists derived from corpora whose licences their publishers set; see there.",
                "conformsTo": [{"@id": profile} for profile in _PROFILES],
                "mainEntity": {"@id": "Snakefile"},
                "mentions": {"@id": "#run"},
                "hasPart": parts,
            },
            *({"@id": profile, "@type": "CreativeWork", "name": name} for profile, name in _PROFILES.items()),
            {
                "@id": "Snakefile",
                "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
                "name": "serflow",
                "programmingLanguage": {"@id": _SNAKEMAKE},
                "softwareVersion": serflow.__version__,
                "license": "https://spdx.org/licenses/MIT",
            },
            {
                "@id": _SNAKEMAKE,
                "@type": "ComputerLanguage",
                "name": "Snakemake",
                "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
                "url": {"@id": "https://snakemake.github.io"},
            },
            {
                "@id": "#run",
                "@type": "CreateAction",
                "name": f"Run of serflow {serflow.__version__}",
                "instrument": {"@id": "Snakefile"},
                "object": [{"@id": STATE}],
                "result": results,
            },
            *(_described(path, crate) for path in files if path.as_posix() != "Snakefile"),
        ],
    }


def _described(path: Path, crate: Path) -> dict[str, Any]:
    kind = "application/vnd.apache.parquet" if path.suffix == ".parquet" else mimetypes.guess_type(path.name)[0]
    found = {"@id": path.as_posix(), "@type": "File", "contentSize": str((crate / path).stat().st_size)}
    return {**found, "encodingFormat": kind or "text/plain"}
