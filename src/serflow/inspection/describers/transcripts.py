"""Transcripts of a corpus, and of one utterance."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serflow.errors import StoreError
from serflow.inspection.describers._common import (
    SHOWN_ROWS,
    add_durations,
    add_network,
    as_text,
    stand_in_warning,
    start,
)
from serflow.inspection.description import Description, show_seconds
from serflow.inspection.kinds import metadata_of, parquet_files
from serflow.stores.parquet import read_metadata
from serflow.transcripts.scoring import Errors, count_errors
from serflow.transcripts.store import TranscriptRow, iterate_transcripts

_HEADINGS = ("utterance", "reference", "transcript", "WER %", "confidence")


def _start_transcripts(files: list[Path], metadata: Mapping[str, Any]) -> Description:
    """Say how transcripts were made."""
    names = (metadata.get(key) or "?" for key in ("recogniser", "corpus", "condition"))
    about = start(files, metadata, " · ".join(["transcripts", *map(str, names)]))
    about.warnings += [stand_in_warning(what) for what in metadata.get("stand_ins", ())]
    for key in ("recogniser", "corpus", "condition", "language"):
        about.add(key, metadata.get(key))
    add_network(about, metadata)
    if metadata.get("parameters"):
        about.add("parameters", metadata["parameters"], as_text(metadata["parameters"]))
    about.add("code", metadata.get("code"))
    return about


def _cells(row: TranscriptRow) -> list[Any]:
    """Return an utterance as a line of a table."""
    wer = None if row.wer is None else round(100 * row.wer, 1)
    confidence = None if row.confidence is None else round(row.confidence, 3)
    return [row.utterance, row.reference, row.text, wer, confidence]


def describe_transcripts(path: Path) -> Description:
    """Describe transcripts: how they were made, and their errors where there are references."""
    files = parquet_files(path)
    metadata = metadata_of(files[0])
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
        if len(shown) < SHOWN_ROWS:
            shown.append(row)
    add_durations(about, seconds)
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
    about.add_table(f"Transcripts{first}", _HEADINGS, map(_cells, shown))
    about.add_table("Rejected", ["utterance", "reason"], sorted(rejected.items())[:SHOWN_ROWS])
    return about


def describe_transcript(path: Path, utterance: str) -> Description:
    """Describe one utterance: what was said and what was understood."""
    for file in parquet_files(path):
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
