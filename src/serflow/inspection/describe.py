"""What there is to say of an artefact, whatever it is. Big files are read a row group at a time."""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serflow.errors import StoreError
from serflow.files import read_json
from serflow.inspection.description import Description, show_bytes, show_seconds, some
from serflow.inspection.examples import emotion_rank, read_labels
from serflow.inspection.paths import require_path, utterance_table
from serflow.stores.features import STORE_KINDS, FeatureStore
from serflow.stores.frames import PACKED_KIND
from serflow.stores.parquet import METADATA_KEY, iterate_batches, read_metadata, read_table
from serflow.stores.vectors import VECTORS_KIND
from serflow.transcripts.scoring import Errors, count_errors
from serflow.transcripts.store import TRANSCRIPTS_KIND, TranscriptRow, iterate_transcripts

FEATURE_KINDS = (*STORE_KINDS, PACKED_KIND)
STAND_IN_MARKS = {"corpus": "synthetic corpus", "noise": "synthetic noise", "weights": "STAND-IN weights"}
_STAND_IN_WARNINGS = {
    "corpus": f"{STAND_IN_MARKS['corpus']}: made by the workflow, not recorded",
    "noise": f"{STAND_IN_MARKS['noise']}: made by the workflow, not ESC-50",
    "weights": f"{STAND_IN_MARKS['weights']}: a random network in the format of the release, not a trained one",
}
_SHOWN_ROWS = 40
_SHOWN_VALUES = 12
_MAX_DISTINCT = 10_000

Describer = Callable[[list[Path], dict[str, Any]], Description]


def describe(path: Path, utterance: str | None = None) -> Description:
    """Describe an artefact: a feature store, a table of the workflow, a run, a CSV or JSON file.

    Parameters
    ----------
    path
        File, or folder of shards or of a run.
    utterance
        Describe this utterance of a feature store or of transcripts alone.

    Raises
    ------
    StoreError
        If there is no such path, or what is there is damaged.
    """
    require_path(path)
    kind = kind_of(path)
    if utterance is not None:
        if kind == TRANSCRIPTS_KIND:
            return _describe_transcript(path, utterance)
        if kind not in FEATURE_KINDS:
            raise StoreError(f"{path}: holds {kind}; --utterance goes with a store of features or with transcripts")
        return _describe_utterance(path, utterance)
    if kind in FEATURE_KINDS:
        return _describe_features(path)
    if kind == "run":
        return _describe_run(path)
    if path.suffix == ".csv":
        return _describe_csv(path)
    if path.suffix == ".json":
        return _describe_json(path)
    if path.suffix == ".safetensors":
        return _describe_weights(path)
    files = _parquet_files(path) if path.is_dir() else [path]
    return _DESCRIBERS.get(kind, _describe_generic)(files, _metadata(files[0]))


def kind_of(path: Path) -> str:
    """Return what an existing path holds: the kind of its Parquet files, ``run``, or the suffix of the file.

    Raises
    ------
    StoreError
        If it is a folder without artefacts, or a file of another sort.
    """
    if path.is_dir():
        if (path / "metrics.json").is_file() or (path / "history.parquet").is_file():
            return "run"
        return str(_metadata(_parquet_files(path)[0]).get("kind"))
    if path.suffix in (".csv", ".json", ".safetensors"):
        return path.suffix[1:]
    if path.suffix == ".npy":
        index = path.with_suffix(".parquet")
        raise StoreError(f"{path}: an array without names; inspect its index {index}")
    if path.suffix != ".parquet":
        raise StoreError(f"{path}: not an artefact; inspect reads .parquet, .csv, .json and .safetensors, and folders")
    return str(_metadata(path).get("kind"))


def _parquet_files(folder: Path) -> list[Path]:
    files = sorted(entry for entry in folder.glob("*.parquet") if not entry.name.startswith("."))
    if files:
        return files
    entries = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    inside = f"it has {some(entries, 8)}: give one of them" if entries else "it is empty"
    raise StoreError(f"{folder}: no artefact lies in this folder; {inside}")


def _metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a Parquet file; none for one that serflow did not write."""
    try:
        foreign = METADATA_KEY not in (pq.read_metadata(path).metadata or {})
    except (pa.ArrowException, OSError):
        foreign = False
    return {} if foreign else read_metadata(path)


# Features


def _about_store(store: FeatureStore, what: str) -> Description:
    """Say how a store was made."""
    given = store.metadata
    names = (given.get(key) or "?" for key in ("feature", "corpus", "condition"))
    about = Description(store.path, what, " · ".join(map(str, names)))
    for key in ("feature", "corpus", "condition"):
        about.add(key, given.get(key))
    about.warnings += [_STAND_IN_WARNINGS[what] for what in given.get("synthetic", ())]
    if given.get("extractor") not in (None, given.get("feature")):
        about.add("extractor", given["extractor"])
    _add_network(about, given)
    about.add("parameters", given.get("parameters"), _as_text(given.get("parameters") or {}))
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


def _add_network(about: Description, given: Mapping[str, Any]) -> None:
    """Say which network was used, with which weights."""
    if given.get("backbone"):
        backbone = dict(given["backbone"])
        about.add("backbone", given["backbone"], f"{backbone.pop('name', '?')} ({_as_text(backbone)})")
    if weights := given.get("weights"):
        told = ("release", "source", "licence", "trained_on", "digest")
        about.add("weights", dict(weights), _as_text({key: weights[key] for key in told if key in weights}))


def _as_text(entries: Mapping[str, Any]) -> str:
    parts = [f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in entries.items()]
    return ", ".join(parts) or "none"


class _Values:
    """Range and moments of values, gathered array by array."""

    def __init__(self) -> None:
        self.n = self.not_finite = 0
        self.total = self.squares = 0.0
        self.low, self.high = np.inf, -np.inf

    def take(self, values: np.ndarray[Any, Any]) -> None:
        finite = values if np.isfinite(values).all() else values[np.isfinite(values)]
        self.not_finite += values.size - finite.size
        if finite.size:
            self.n += finite.size
            self.total += float(np.sum(finite, dtype=np.float64))
            self.squares += float(np.sum(np.square(finite, dtype=np.float64)))
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))

    def facts(self) -> dict[str, Any]:
        if not self.n:
            return {"min": None, "mean": None, "max": None, "std": None, "not_finite": self.not_finite}
        mean = self.total / self.n
        std = max(0.0, self.squares / self.n - mean * mean) ** 0.5
        return {"min": self.low, "mean": mean, "max": self.high, "std": std, "not_finite": self.not_finite}

    def text(self) -> str:
        if not self.n:
            return "no values"
        found = self.facts()
        finite = f"; {self.not_finite:,} NaN or infinite" if self.not_finite else "; all finite"
        return f"{found['min']:.4g} to {found['max']:.4g}, mean {found['mean']:.4g}, std {found['std']:.4g}{finite}"


def _describe_features(path: Path) -> Description:
    store = FeatureStore.open(path)
    about = _about_store(store, f"packed {store.kind}" if store.packed else store.kind)
    values = _Values()
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
    about.add_table("Rejected", ["utterance", "reason"], rows[:_SHOWN_ROWS])


def _describe_utterance(path: Path, utterance: str) -> Description:
    store = FeatureStore.open(path)
    about = _about_store(store, "utterance")
    about.heading = f"{utterance} · {about.heading}"
    frames = store.read(utterance)
    values = _Values()
    values.take(frames)
    about.add("shape", list(frames.shape), f"({len(frames):,}, {store.dim})")
    if store.hop_s is not None:
        about.add("duration", len(frames) * store.hop_s, show_seconds(len(frames) * store.hop_s))
    about.add("values", values.facts(), values.text())
    table = utterance_table(path, store.metadata.get("corpus"))
    rows = [] if table is None else [row for row in read_table(table).to_pylist() if row["id"] == utterance]
    for key, value in (rows[0] if rows else {}).items():
        if value is not None and key != "id":
            about.add(key.replace("_", " "), value)
    return about


# Tables of the workflow


def _counts(values: Sequence[Any]) -> list[tuple[Any, int]]:
    return Counter("(none)" if value is None else value for value in values).most_common()


def _durations(about: Description, seconds: Sequence[float]) -> None:
    if seconds:
        span = {"min": min(seconds), "median": statistics.median(seconds), "max": max(seconds), "total": sum(seconds)}
        total = show_seconds(span["total"])
        about.add("duration", span, f"{total}; {span['min']:.2f} to {span['max']:.2f} s, median {span['median']:.2f} s")


def _start(files: list[Path], metadata: Mapping[str, Any], heading: str) -> Description:
    path = files[0] if len(files) == 1 else files[0].parent
    about = Description(path, str(metadata.get("kind") or "Parquet"), heading)
    about.add("rows", sum(pq.read_metadata(file).num_rows for file in files))
    size = sum(file.stat().st_size for file in files)
    about.add("size on disk", size, show_bytes(size))
    return about


def _describe_utterances(files: list[Path], metadata: dict[str, Any]) -> Description:
    title = metadata.get("title") or metadata.get("corpus")
    about = _start(files, metadata, f"{title}, utterances")
    table = read_table(files[0])
    rows = table.select([name for name in table.column_names if name != "valence_ratings"]).to_pydict()
    if metadata.get("synthetic"):
        about.warnings.append(_STAND_IN_WARNINGS["corpus"])
    if metadata.get("partial"):
        about.warnings.append("partial: not all that the publisher counts is there")
    about.add("corpus", metadata.get("corpus"))
    about.add("layout", metadata.get("layout"))
    if "counts" in metadata:
        about.add("counts", metadata["counts"])
    if "duration_s" in rows:
        _durations(about, rows["duration_s"])
    about.add("speakers", len(set(rows["speaker"])))
    about.add("dialogues", len(set(rows["dialogue"]) - {None}))
    for column in ("gender", "language", "style"):
        found = dict(_counts(rows[column]))
        if set(found) != {"(none)"}:
            about.add(column, found)
    about.add("with text", sum(text is not None for text in rows["text"]))
    emotions = Counter(rows["emotion"])
    by_gender = {key: Counter(e for e, g in zip(rows["emotion"], rows["gender"], strict=True) if g == key)
                 for key in sorted({g for g in rows["gender"] if g is not None})}  # fmt: skip
    about.add_table(
        "Emotions",
        ["emotion", "utterances", "%", *by_gender],
        (
            [name or "(none)", n, round(100 * n / table.num_rows, 1), *(by_gender[g][name] for g in by_gender)]
            for name, n in sorted(emotions.items(), key=lambda item: emotion_rank(item[0]))
        ),
    )
    speakers = _counts(rows["speaker"])
    shown = f", the {_SHOWN_VALUES} with most" if len(speakers) > _SHOWN_VALUES else ""
    about.add_table(f"Speakers{shown}", ["speaker", "utterances"], speakers[:_SHOWN_VALUES])
    about.add_table("Departures from the published counts", ["departure"], [[w] for w in metadata.get("warnings", [])])
    return about


def _describe_split(files: list[Path], metadata: dict[str, Any]) -> Description:
    about = _start(files, metadata, f"{metadata.get('corpus')}, split by {metadata.get('protocol')}")
    for key in ("corpus", "protocol", "seeds", "units", "cuts"):
        about.add(key, metadata.get(key))
    table = read_table(files[0]).to_pydict()
    counts = Counter(zip(table["fold"], table["role"], strict=True))
    roles = [role for role in ("train", "val", "test") if role in table["role"]]
    roles += sorted(set(table["role"]) - set(roles))
    about.add_table(
        "Folds", ["fold", *roles], ([f, *(counts[f, r] for r in roles)] for f in sorted(set(table["fold"])))
    )
    return about


def _describe_audio(files: list[Path], metadata: dict[str, Any]) -> Description:
    about = _start(files, metadata, f"{metadata.get('corpus')}, prepared audio")
    if metadata.get("synthetic"):
        about.warnings.append(_STAND_IN_WARNINGS["corpus"])
    about.add("corpus", metadata.get("corpus"))
    about.add("shards", len(files), f"{len(files)} of {metadata.get('n_shards')}")
    columns = ["n_samples", "sample_rate", "source_rate", "source_channels", "source_subtype", "clipped_samples"]
    gathered: dict[str, list[Any]] = {column: [] for column in columns}
    for file in files:
        for batch in iterate_batches(file, kind="audio", columns=columns):
            for column, values in batch.to_pydict().items():
                gathered[column] += values
    seconds = [n / rate for n, rate in zip(gathered["n_samples"], gathered["sample_rate"], strict=True)]
    _durations(about, seconds)
    clipped = [n for n in gathered["clipped_samples"] if n]
    about.add("clipped", len(clipped), f"{len(clipped):,} utterances, {sum(clipped):,} samples")
    for column in ("sample_rate", "source_rate", "source_channels", "source_subtype"):
        about.add(column.replace("_", " "), {str(key): n for key, n in _counts(gathered[column])})
    return about


def _describe_plan(files: list[Path], metadata: dict[str, Any]) -> Description:
    about = _start(files, metadata, f"{metadata.get('corpus')}, noise profile {metadata.get('profile')}")
    if metadata.get("synthetic_clips"):
        about.warnings.append(_STAND_IN_WARNINGS["noise"])
    for key in ("corpus", "profile", "mixing", "seed"):
        about.add(key, metadata.get(key))
    rows = read_table(files[0]).to_pylist()
    about.add("clips used", len({row["clip"] for row in rows}))
    scaled = sum(row["scale"] < 1 for row in rows)
    about.add("scaled down", scaled, f"{scaled:,} utterances, so as not to clip")
    table = []
    for condition in sorted({row["condition"] for row in rows}):
        group = [row for row in rows if row["condition"] == condition]
        achieved = [row["achieved_snr_db"] for row in group]
        asked = sorted({row["snr_db"] for row in group})
        off = max(abs(row["achieved_snr_db"] - row["snr_db"]) for row in group)
        table.append(
            [condition, len(group), asked[0] if len(asked) == 1 else str(asked), round(min(achieved), 2),
             round(statistics.fmean(achieved), 2), round(max(achieved), 2), round(off, 3)]
        )  # fmt: skip
    headings = ["condition", "utterances", "asked dB", "min dB", "mean dB", "max dB", "furthest off dB"]
    about.add_table("SNR requested and achieved", headings, table)
    return about


def _describe_clips(files: list[Path], metadata: dict[str, Any]) -> Description:
    about = _start(files, metadata, "noise clips")
    if metadata.get("synthetic"):
        about.warnings.append(_STAND_IN_WARNINGS["noise"])
    rows = read_table(files[0], columns=["group", "category", "n_samples"]).to_pydict()
    _durations(about, [n / 16_000 for n in rows["n_samples"]])
    pairs = Counter(zip(rows["group"], rows["category"], strict=True))
    about.add_table("Clips", ["group", "category", "clips"], ([g, c, n] for (g, c), n in sorted(pairs.items())))
    about.add_table("Warnings", ["warning"], [[warning] for warning in metadata.get("warnings", [])])
    return about


# Transcripts

_TRANSCRIPT_HEADINGS = ("utterance", "reference", "transcript", "WER %", "confidence")


def _start_transcripts(files: list[Path], metadata: Mapping[str, Any]) -> Description:
    """Say how transcripts were made."""
    names = (metadata.get(key) or "?" for key in ("recogniser", "corpus", "condition"))
    about = _start(files, metadata, " · ".join(["transcripts", *map(str, names)]))
    about.warnings += [_STAND_IN_WARNINGS[what] for what in metadata.get("synthetic", ())]
    for key in ("recogniser", "corpus", "condition", "language"):
        about.add(key, metadata.get(key))
    _add_network(about, metadata)
    if metadata.get("parameters"):
        about.add("parameters", metadata["parameters"], _as_text(metadata["parameters"]))
    about.add("code", metadata.get("code"))
    return about


def _transcript_cells(row: TranscriptRow) -> list[Any]:
    """Return an utterance as a line of a table."""
    wer = None if row.wer is None else round(100 * row.wer, 1)
    confidence = None if row.confidence is None else round(row.confidence, 3)
    return [row.utterance, row.reference, row.text, wer, confidence]


def _describe_transcripts(files: list[Path], metadata: dict[str, Any]) -> Description:
    about = _start_transcripts(files, metadata)
    about.add("shards", len(files), f"{len(files)} of {metadata.get('n_shards')}")
    errors, scored, empty = Errors(), 0, 0
    seconds: list[float] = []
    confidences: list[float] = []
    shown: list[TranscriptRow] = []
    for row in (row for file in files for row in iterate_transcripts(file)):
        seconds.append(row.duration_s)
        empty += not row.text
        if row.confidence is not None:
            confidences.append(row.confidence)
        if row.reference is not None:
            scored += 1
            errors = errors.plus(count_errors(row.reference, row.text))
        if len(shown) < _SHOWN_ROWS:
            shown.append(row)
    _durations(about, seconds)
    about.add("without words", empty, f"{empty:,} of {len(seconds):,}")
    about.add("with reference", scored, f"{scored:,} of {len(seconds):,}")
    for label, rate, length, unit in (
        ("WER", errors.wer, errors.words, "words"),
        ("CER", errors.cer, errors.characters, "characters"),
    ):
        about.add(label, rate if scored else None, f"{100 * rate:.1f} % of {length:,} {unit}" if scored else "-")
    if confidences:
        span = {"min": min(confidences), "mean": statistics.fmean(confidences), "max": max(confidences)}
        about.add("confidence", span, f"{span['min']:.3g} to {span['max']:.3g}, mean {span['mean']:.3g}")
    rejected = {key: value for file in files for key, value in read_metadata(file).get("rejected", {}).items()}
    about.add("rejected", len(rejected))
    first = f", the first {len(shown)} of {len(seconds):,}" if len(seconds) > len(shown) else ""
    about.add_table(f"Transcripts{first}", _TRANSCRIPT_HEADINGS, map(_transcript_cells, shown))
    about.add_table("Rejected", ["utterance", "reason"], sorted(rejected.items())[:_SHOWN_ROWS])
    return about


def _describe_transcript(path: Path, utterance: str) -> Description:
    """Describe one utterance: what was said and what was understood."""
    files = _parquet_files(path) if path.is_dir() else [path]
    for file in files:
        for row in iterate_transcripts(file):
            if row.utterance == utterance:
                metadata = read_metadata(file)
                about = _start_transcripts([file], metadata)
                about.heading = f"{utterance} · {about.heading}"
                about.add("duration", row.duration_s, show_seconds(row.duration_s))
                about.add("reference", row.reference)
                about.add("transcript", row.text, row.text or "(no words)")
                for label, rate in (("WER", row.wer), ("CER", row.cer)):
                    about.add(label, rate, "-" if rate is None else f"{100 * rate:.1f} %")
                about.add("confidence", row.confidence)
                return about
        if reason := read_metadata(file).get("rejected", {}).get(utterance):
            raise StoreError(f"{file}: {utterance} has no transcript: {reason}")
    raise StoreError(f"{path}: holds no utterance {utterance!r}; `serflow inspect {path}` shows some of its names")


# Runs


def _describe_run(folder: Path) -> Description:
    metrics = read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else None
    if metrics is None:
        raise StoreError(f"{folder}: a run without metrics.json is not finished; run the same command again")
    names = [str(metrics[key]) for key in ("study", "experiment", "method", "corpus", "profile") if key in metrics]
    about = Description(folder, "run", " · ".join(names))
    for key in ("classes", "modality", "parameters", "code", "excluded"):
        if key in metrics:
            about.add(key, metrics[key])
    fits = metrics["fits"]
    about.add("seeds", sorted({fit["seed"] for fit in fits}), str(sorted({fit["seed"] for fit in fits})))
    for score in ("ua", "wa"):
        values = [100 * fit[score] for fit in fits]
        spread = statistics.stdev(values) if len(values) > 1 else None
        text = f"{statistics.fmean(values):.1f} %" + (f" ± {spread:.1f} over {len(values)} fits" if spread else "")
        about.add(score.upper(), {"mean": statistics.fmean(values), "std": spread}, text)
    epochs = [fit["epochs"] for fit in fits]
    about.add("epochs", epochs, f"{min(epochs)} to {max(epochs)}")
    columns = ["seed", "held_out", "ua", "wa", "n_train", "n_val", "n_test", "best_epoch", "epochs"]
    rows = [[round(100 * fit[c], 2) if c in ("ua", "wa") else fit[c] for c in columns] for fit in fits]
    headings = [{"ua": "UA %", "wa": "WA %"}.get(c, c.replace("_", " ")) for c in columns]
    about.add_table("Fits", headings, rows[:_SHOWN_ROWS])
    predictions = folder / "predictions.parquet"
    if predictions.is_file():
        table = read_table(predictions, columns=["label", "prediction"]).to_pydict()
        counts = Counter(zip(table["label"], table["prediction"], strict=True))
        classes = metrics["classes"]
        about.add_table(
            "Confusion (rows: label, columns: prediction)",
            ["", *classes, "recall %"],
            (
                [label, *(counts[label, c] for c in classes), _recall(counts, label, classes)]
                for label in classes
            ),
        )  # fmt: skip
    return about


def _recall(counts: Mapping[tuple[str, str], int], label: str, classes: Sequence[str]) -> float | None:
    total = sum(counts[label, c] for c in classes)
    return round(100 * counts[label, label] / total, 1) if total else None


# Files of any sort


def _describe_csv(path: Path) -> Description:
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not a CSV table ({error})") from error
    about = Description(path, "csv", path.name)
    about.add("rows", len(table))
    about.add("columns", list(table.columns))
    if list(table.columns) == ["utterance", "path", "reason"]:
        about.kind, about.heading = "rejected", "what was left out, and why"
        about.add_table("Reasons", ["reason", "files"], _counts(list(table["reason"]))[:_SHOWN_ROWS])
    shown = f", the first {_SHOWN_ROWS} of {len(table)}" if len(table) > _SHOWN_ROWS else ""
    about.add_table(f"Rows{shown}", list(table.columns), table.head(_SHOWN_ROWS).to_numpy().tolist())
    return about


def _describe_json(path: Path) -> Description:
    content = read_json(path)
    about = Description(path, "json", path.name)
    if not isinstance(content, dict):
        about.add("content", content)
        return about
    if "backbone" in content and content.get("synthetic"):
        about.warnings.append(_STAND_IN_WARNINGS["weights"])
    for key, value in content.items():
        about.add(key.replace("_", " "), value)
    return about


def _describe_weights(path: Path) -> Description:
    import safetensors

    about = Description(path, "safetensors", path.name)
    try:
        with safetensors.safe_open(path, framework="numpy") as weights:
            shapes = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118
            metadata = weights.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise StoreError(f"{path}: not a whole safetensors file ({error}); delete it and run again") from error
    for key, value in sorted(metadata.items()):
        about.add(key, value)
    about.add("tensors", len(shapes))
    about.add("values", int(sum(np.prod(shape) for shape in shapes.values())))
    rows = [[name, " x ".join(map(str, shape)) or "scalar"] for name, shape in sorted(shapes.items())]
    about.add_table("Tensors", ["name", "shape"], rows[:_SHOWN_ROWS])
    return about


def _row_groups(files: Sequence[Path], column: str) -> Iterator[pa.ChunkedArray]:
    for file in files:
        with pq.ParquetFile(file) as source:
            for group in range(source.num_row_groups):
                yield source.read_row_group(group, columns=[column], use_threads=False).column(0)


def _describe_generic(files: list[Path], metadata: dict[str, Any]) -> Description:
    """Describe the columns of any Parquet file."""
    about = _start(files, metadata, f"{metadata['kind']} (Parquet)" if metadata else "a Parquet file")
    if not metadata:
        about.warnings.append("not written by serflow: nothing is known of how it was made")
    for key, value in sorted(metadata.items()):
        if key not in ("kind", "data_sha256", "schema_version"):
            about.add(key.replace("_", " "), value)
    schema = pq.read_schema(files[0])
    rows = []
    for field in schema:
        try:
            rows.append([field.name, str(field.type), *_column(files, field)])
        except (pa.ArrowException, OSError, KeyError) as error:
            raise StoreError(f"{about.path}: column {field.name} cannot be read ({error})") from error
    about.add_table("Columns", ["column", "type", "missing", "values"], rows)
    return about


def _column(files: Sequence[Path], field: pa.Field) -> tuple[int, str]:
    """Return how many values are missing, and what the others are like."""
    nulls, numbers, lengths = 0, _Values(), _Values()
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


_DESCRIBERS: dict[str, Describer] = {
    "utterances": _describe_utterances,
    "listing": _describe_utterances,
    "split": _describe_split,
    "audio": _describe_audio,
    "noise_plan": _describe_plan,
    "clips": _describe_clips,
    TRANSCRIPTS_KIND: _describe_transcripts,
}
