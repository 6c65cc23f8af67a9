"""Stores of features, and one utterance of such a store."""

import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from serflow.inspection.describers._common import SHOWN_ROWS, Values, add_network, as_text, stand_in_warning
from serflow.inspection.description import Description, show_bytes, show_seconds, some
from serflow.inspection.examples import emotion_rank, read_labels
from serflow.inspection.paths import utterance_table
from serflow.stores.features import FeatureStore
from serflow.stores.parquet import read_table
from serflow.stores.vectors import VECTORS_KIND


def describe_features(path: Path) -> Description:
    """Describe a store of features: how it was made, what it holds, and what of its corpus is missing."""
    store = FeatureStore.open(path)
    about = _about_store(store, f"packed {store.kind}" if store.packed else store.kind)
    values = Values()
    lengths: list[int] = []
    names: list[str] = []
    for name, frames in store.iterate():
        values.take(frames)
        lengths.append(len(frames))
        names.append(name)
    _add_shape(about, store, lengths)
    about.add("values", values.facts(), values.text())
    table = utterance_table(path, store.metadata.get("corpus"))
    whole = path.is_dir() or store.packed
    _add_coverage(about, store, names, table if whole else None, lengths)
    if table is None or not whole:
        about.add("compared with corpus", False, "a single shard: not" if not whole else "no utterances.parquet: not")
    return about


def describe_utterance(path: Path, utterance: str) -> Description:
    """Describe one utterance of a store of features, with its labels."""
    store = FeatureStore.open(path)
    about = _about_store(store, "utterance")
    about.heading = f"{utterance} · {about.heading}"
    frames = store.read(utterance)
    values = Values()
    values.take(frames)
    about.add("shape", list(frames.shape), f"({len(frames):,}, {store.dim})")
    if store.hop_s is not None:
        about.add("duration", len(frames) * store.hop_s, show_seconds(len(frames) * store.hop_s))
    about.add("values", values.facts(), values.text())
    table = utterance_table(path, store.metadata.get("corpus"))
    rows = [] if table is None else [row for row in read_table(table).to_pylist() if row["utterance"] == utterance]
    for key, value in (rows[0] if rows else {}).items():
        if value is not None and key != "utterance":
            about.add(key.replace("_", " "), value)
    return about


def _about_store(store: FeatureStore, what: str) -> Description:
    """Say how a store was made."""
    given = store.metadata
    names = (given.get(key) or "?" for key in ("feature", "corpus", "condition"))
    about = Description(store.path, what, " · ".join(map(str, names)))
    for key in ("feature", "corpus", "condition"):
        about.add(key, given.get(key))
    about.warnings += [stand_in_warning(what) for what in given.get("stand_ins", ())]
    if given.get("extractor") not in (None, given.get("feature")):
        about.add("extractor", given["extractor"])
    add_network(about, given)
    about.add("parameters", given.get("parameters"), as_text(given.get("parameters") or {}))
    rate, hop = given.get("sample_rate"), store.hop_s
    if "recogniser" in given:
        about.add("text by", given["recogniser"])
    else:
        about.add("sample rate", rate, f"{rate} Hz" if rate else "not recorded")
    without_hop = "one vector an utterance" if store.kind == VECTORS_KIND else "one row a token"
    about.add("hop", hop, f"{1000 * hop:g} ms" if hop else without_hop)
    about.add("units", given.get("units"))
    bits = given.get("mantissa_bits")
    about.add("precision", bits, f"float32, mantissa rounded to {bits} bits" if bits else "float32")
    about.add("code", given.get("code"))
    return about


def _add_shape(about: Description, store: FeatureStore, lengths: Sequence[int]) -> None:
    about.add("utterances", store.n_utterances)
    if store.kind == VECTORS_KIND:
        about.add("shape", [store.dim], f"({store.dim},)")
    elif lengths:
        middle = statistics.median(lengths)
        span = {"min": min(lengths), "median": middle, "max": max(lengths), "total": sum(lengths)}
        about.add("frames", span, f"{span['min']:,} to {span['max']:,}, median {middle:g}; {span['total']:,} in all")
        about.add("shape", [None, store.dim], f"(n_frames, {store.dim})")
    size = sum(file.stat().st_size for file in store.shards)
    if store.packed:
        size += store.path.with_name(store.metadata["array"]).stat().st_size
    values = 4 * store.dim * sum(lengths)
    share = f", {100 * size / values:.0f} % of the values in float32" if values else ""
    about.add("files", len(store.shards) + store.packed)
    about.add("size on disk", size, show_bytes(size) + share)


def _add_coverage(
    about: Description, store: FeatureStore, names: list[str], table: Path | None, lengths: Sequence[int]
) -> None:
    """Say how much audio is covered, and what of the corpus is not there."""
    hop = store.hop_s
    labels = read_labels(table) if table is not None else []
    held = set(names)
    if hop is not None:
        about.add("duration", sum(lengths) * hop, show_seconds(sum(lengths) * hop))
    elif labels:
        seconds = sum(entry.duration_s for entry in labels if entry.utterance in held)
        about.add("duration", seconds, show_seconds(seconds))
    rejected = store.rejected
    about.add("rejected", len(rejected))
    if labels:
        missing = [e.utterance for e in labels if e.utterance not in held and e.utterance not in rejected]
        extra = sorted(held - {entry.utterance for entry in labels})
        about.add("missing", len(missing), f"{len(missing):,} of the corpus's {len(labels):,}")
        if missing:
            about.warnings.append(f"missing without a reason: {some(missing)}")
        if extra:
            about.warnings.append(f"not in the corpus's utterance table: {some(extra)}")
        emotions = Counter(entry.emotion for entry in labels if entry.utterance in held)
        ordered = {str(key): emotions[key] for key in sorted(emotions, key=emotion_rank)}
        about.add("emotions", ordered)
    rows = [[name, reason] for name, reason in sorted(rejected.items())]
    about.add_table("Rejected", ["utterance", "reason"], rows[:SHOWN_ROWS])
