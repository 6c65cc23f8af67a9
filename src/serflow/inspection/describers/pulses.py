"""Pitch pulses of a corpus: how they were looked for, how many there are, and who has none."""

from pathlib import Path

import numpy as np

from serflow.audio.mel import SAMPLE_RATE
from serflow.inspection.describers._common import SHOWN_ROWS, add_durations, as_text, stand_in_warning, start
from serflow.inspection.description import Description
from serflow.inspection.kinds import metadata_of, parquet_files
from serflow.stores.parquet import read_metadata
from serflow.stores.pulses import iterate_pulses


def describe_pulses(path: Path) -> Description:
    """Describe pitch pulses by their shards.

    Raises
    ------
    StoreError
        If one is damaged.
    """
    files = parquet_files(path)
    metadata = metadata_of(files[0])
    about = start(files, metadata, f"pitch pulses · {metadata.get('corpus') or '?'}")
    if metadata.get("synthetic"):
        about.warnings.append(stand_in_warning("corpus"))
    about.add("corpus", metadata.get("corpus"))
    about.add("parameters", metadata.get("parameters"), as_text(metadata.get("parameters") or {}))
    about.add("code", metadata.get("code"))
    about.add("shards", len(files), f"{len(files)} of {metadata.get('n_shards')}")
    rows = [row for file in files for row in iterate_pulses(file)]
    add_durations(about, [row.n_samples / SAMPLE_RATE for row in rows])
    about.add("pulses", sum(len(row.pulses) for row in rows))
    periods = np.concatenate([np.empty(0), *(np.diff(row.pulses) for row in rows)])
    if len(periods):
        pitch = SAMPLE_RATE / float(np.median(periods))
        about.add("median pitch", pitch, f"{pitch:.0f} Hz")
    without = [row.utterance for row in rows if not len(row.pulses)]
    about.add("without a pulse", len(without), f"{len(without):,} of {len(rows):,}")
    rejected = {key: value for file in files for key, value in read_metadata(file).get("rejected", {}).items()}
    about.add("rejected", len(rejected))
    first = f", the first {SHOWN_ROWS} of {len(without):,}" if len(without) > SHOWN_ROWS else ""
    about.add_table(f"Without a pulse{first}", ["utterance"], [[name] for name in without[:SHOWN_ROWS]])
    about.add_table("Rejected", ["utterance", "reason"], sorted(rejected.items())[:SHOWN_ROWS])
    return about
