"""Audio packed for training: what is there, how long and how loud it is."""

import math
import statistics
from pathlib import Path

import numpy as np

from serflow.inspection.description import Description, show_bytes, show_seconds, some
from serflow.inspection.examples import read_labels
from serflow.inspection.paths import utterance_table
from serflow.stores.waveforms import PackedWaveforms

_FULL_SCALE = 32768


def describe_waveforms(path: Path) -> Description:
    """Describe packed audio by its index, and what of the corpus is missing.

    Raises
    ------
    StoreError
        If the index or its array is absent or damaged.
    """
    store = PackedWaveforms.open(path)
    given = store.metadata
    about = Description(path, given["kind"], f"{given['corpus']}, audio for training")
    if given["synthetic"]:
        about.warnings.append("synthetic corpus: made by the workflow, not recorded")
    about.add("corpus", given["corpus"])
    about.add("utterances", len(store))
    about.add("sample rate", store.sample_rate, f"{store.sample_rate} Hz")
    about.add("precision", "int16", "16-bit integers")
    seconds = [int(n) / store.sample_rate for n in store.lengths]
    span = {"min": min(seconds), "median": statistics.median(seconds), "max": max(seconds), "total": sum(seconds)}
    total = show_seconds(span["total"])
    about.add("duration", span, f"{total}; {span['min']:.2f} to {span['max']:.2f} s, median {span['median']:.2f} s")
    peaks = [_peak_db(store, row) for row in range(len(store))]
    louds = {"min": min(peaks), "median": statistics.median(peaks), "max": max(peaks)}
    about.add(
        "peaks", louds, f"{louds['min']:.1f} to {louds['max']:.1f} dB below full scale, median {louds['median']:.1f} dB"
    )
    array = path.with_name(given["array"])
    about.add("array", given["array"], f"{given['array']}, matches its SHA-256")
    size = path.stat().st_size + array.stat().st_size
    about.add("size on disk", size, show_bytes(size))
    table = utterance_table(path, given["corpus"])
    if table is None:
        about.add("compared with corpus", False, "no utterances.parquet: not")
        return about
    held = set(store.utterances)
    names = [entry.utterance for entry in read_labels(table)]
    missing = [name for name in names if name not in held]
    about.add("missing", len(missing), f"{len(missing):,} of the corpus's {len(names):,}")
    if missing:
        about.warnings.append(f"missing without a reason: {some(missing)}")
    if extra := sorted(held - set(names)):
        about.warnings.append(f"not in the corpus's utterance table: {some(extra)}")
    return about


def _peak_db(store: PackedWaveforms, row: int) -> float:
    """Return how far (dB) the largest sample of an utterance, which is never silent, lies below full scale."""
    samples = store[row]
    peak = max(int(np.max(samples)), -int(np.min(samples)))
    return 20 * math.log10(_FULL_SCALE / peak)
