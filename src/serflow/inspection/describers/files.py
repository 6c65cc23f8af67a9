"""Files of any sort: CSV, JSON, weights, and Parquet of a kind that has no describer of its own."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serflow.corpora._tables import REJECTED_COLUMNS
from serflow.errors import StoreError
from serflow.files import check_digest, digest_path, read_sealed_json
from serflow.inspection.describers._common import SHOWN_ROWS, Values, add_provenance, counts, stand_in_warning, start
from serflow.inspection.description import Description
from serflow.inspection.kinds import metadata_of, parquet_files
from serflow.runs.provenance import Provenance
from serflow.stores.parquet import METADATA_KEY, check, readable

_SHOWN_VALUES = 12
_MAX_DISTINCT = 10_000


def describe_csv(path: Path) -> Description:
    """Describe a table."""
    import pandas as pd

    if digest_path(path).is_file():
        check_digest(path)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not a CSV table ({error})") from error
    about = Description(path, "csv", path.name)
    about.add("rows", len(table))
    about.add("columns", list(table.columns))
    if list(table.columns) == REJECTED_COLUMNS:
        about.kind, about.heading = "rejected", "what was left out, and why"
        about.add_table("Reasons", ["reason", "files"], counts(list(table["reason"]))[:SHOWN_ROWS])
    shown = f", the first {SHOWN_ROWS} of {len(table)}" if len(table) > SHOWN_ROWS else ""
    about.add_table(f"Rows{shown}", list(table.columns), table.head(SHOWN_ROWS).to_numpy().tolist())
    return about


def describe_json(path: Path) -> Description:
    """Describe a JSON file, entry by entry."""
    content = read_sealed_json(path)
    about = Description(path, "json", path.name)
    if "backbone" in content and content.get("synthetic"):
        about.warnings.append(stand_in_warning("weights"))
    for key, value in content.items():
        about.add(key.replace("_", " "), value)
    return about


def describe_weights(path: Path) -> Description:
    """Describe the tensors of a safetensors file, and what serflow says of them."""
    import safetensors

    if digest_path(path).is_file():
        check_digest(path)
    about = Description(path, "safetensors", path.name)
    try:
        with safetensors.safe_open(path, framework="numpy") as weights:
            shapes = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118
            metadata = weights.metadata() or {}
        entries = json.loads(metadata.pop(METADATA_KEY.decode(), "{}")) | metadata
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise StoreError(f"{path}: not a whole safetensors file ({error}); delete it and run again") from error
    if "provenance" in entries:
        add_provenance(about, Provenance.from_json(entries.pop("provenance")))
    for key, value in sorted(entries.items()):
        about.add(key, value)
    about.add("tensors", len(shapes))
    about.add("values", int(sum(np.prod(shape) for shape in shapes.values())))
    rows = [[name, " x ".join(map(str, shape)) or "scalar"] for name, shape in sorted(shapes.items())]
    about.add_table("Tensors", ["name", "shape"], rows[:SHOWN_ROWS])
    return about


def _row_groups(files: Sequence[Path], column: str) -> Iterator[pa.ChunkedArray]:
    for file in files:
        with readable(file), pq.ParquetFile(file) as source:
            for group in range(source.num_row_groups):
                yield source.read_row_group(group, columns=[column], use_threads=False).column(0)


def describe_generic(path: Path) -> Description:
    """Describe the columns of any Parquet file."""
    files = parquet_files(path)
    metadata = metadata_of(files[0])
    if metadata:
        for file in files:
            check(file)
    about = start(files, metadata, f"{metadata['kind']} (Parquet)" if metadata else "a Parquet file")
    if not metadata:
        about.warnings.append("not written by serflow: nothing is known of how it was made")
    for key, value in sorted(metadata.items()):
        if key not in ("kind", "data_sha256", "schema_version"):
            about.add(key.replace("_", " "), value)
    add_columns(about, files)
    return about


def add_columns(about: Description, files: Sequence[Path]) -> None:
    """Say what each column of Parquet files holds."""
    rows = []
    with readable(files[0]):
        schema = pq.read_schema(files[0])
    for field in schema:
        try:
            rows.append([field.name, str(field.type), *_column(files, field)])
        except (pa.ArrowException, OSError, KeyError) as error:
            raise StoreError(f"{about.path}: column {field.name} cannot be read ({error})") from error
    about.add_table("Columns", ["column", "type", "missing", "values"], rows)


def _column(files: Sequence[Path], field: pa.Field) -> tuple[int, str]:
    """Return how many values are missing, and what the others are like."""
    nulls, numbers, lengths = 0, Values(), Values()
    counts: Counter[Any] = Counter()
    many = False
    for chunk in _row_groups(files, field.name):
        nulls += chunk.null_count
        present = chunk.drop_null()
        kind = field.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            numbers.take(present.to_numpy())
        elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
            inner = present.combine_chunks() if isinstance(present, pa.ChunkedArray) else present
            lengths.take(inner.value_lengths().to_numpy(zero_copy_only=False))
            if pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type):
                numbers.take(inner.flatten().to_numpy(zero_copy_only=False))
        elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            lengths.take(np.array([len(value) for value in present.to_pylist()]))
        elif not many:
            counts.update(map(str, present.to_pylist()))
            many = len(counts) > _MAX_DISTINCT
    parts = []
    if lengths.n:
        parts.append(f"{lengths.low:g} to {lengths.high:g} {'bytes' if not numbers.n else 'values'} each")
    if numbers.n:
        parts.append(numbers.text())
    if counts:
        common = [f"{value} ({n:,})" if len(counts) <= _SHOWN_VALUES else value for value, n in counts.most_common(6)]
        distinct = f"over {_MAX_DISTINCT:,}" if many else f"{len(counts):,}"
        parts.append(f"{distinct} different: {', '.join(common)}{', ...' if len(counts) > 6 else ''}")
    return nulls, "; ".join(parts) or "none"
