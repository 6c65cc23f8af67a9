"""Utterances of a corpus, their division, their audio."""

from collections import Counter
from pathlib import Path
from typing import Any

from serflow.inspection.describers._common import LESS, add_durations, counts, stand_in_warning, start
from serflow.inspection.description import Description
from serflow.inspection.examples import emotion_rank
from serflow.inspection.kinds import metadata_of, parquet_files
from serflow.report.marks import PARTIAL
from serflow.stores.parquet import iterate_batches, read_table

_SHOWN_SPEAKERS = 12


def describe_utterances(path: Path) -> Description:
    """Describe the utterances of a corpus, as its publisher lists them or as they were accepted."""
    files = parquet_files(path)
    metadata = metadata_of(files[0])
    title = metadata.get("title") or metadata.get("corpus")
    about = start(files, metadata, f"{title}, utterances")
    table = read_table(files[0])
    rows = table.select([name for name in table.column_names if name != "valence_ratings"]).to_pydict()
    if metadata.get("synthetic"):
        about.warnings.append(stand_in_warning("corpus"))
    if metadata.get("partial"):
        about.warnings.append(f"{PARTIAL}: {LESS}")
    about.add("corpus", metadata.get("corpus"))
    about.add("layout", metadata.get("layout"))
    if "counts" in metadata:
        about.add("counts", metadata["counts"])
    if "duration_s" in rows:
        add_durations(about, rows["duration_s"])
    about.add("speakers", len(set(rows["speaker"])))
    about.add("dialogues", len(set(rows["dialogue"]) - {None}))
    for column in ("gender", "language", "style"):
        found = dict(counts(rows[column]))
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
    speakers = counts(rows["speaker"])
    shown = f", the {_SHOWN_SPEAKERS} with most" if len(speakers) > _SHOWN_SPEAKERS else ""
    about.add_table(f"Speakers{shown}", ["speaker", "utterances"], speakers[:_SHOWN_SPEAKERS])
    about.add_table("Warnings", ["warning"], [[w] for w in metadata.get("warnings", [])])
    return about


def describe_split(path: Path) -> Description:
    """Describe who trains and who is tested in each fold."""
    files = parquet_files(path)
    metadata = metadata_of(files[0])
    about = start(files, metadata, f"{metadata.get('corpus')}, split by {metadata.get('protocol')}")
    for key in ("corpus", "protocol", "unit", "draw", "cuts"):
        about.add(key, metadata.get(key))
    table = read_table(files[0]).to_pydict()
    sizes = Counter(zip(table["fold"], table["role"], strict=True))
    roles = [role for role in ("train", "val", "test") if role in table["role"]]
    roles += sorted(set(table["role"]) - set(roles))
    about.add_table("Folds", ["fold", *roles], ([f, *(sizes[f, r] for r in roles)] for f in sorted(set(table["fold"]))))
    return about


def describe_audio(path: Path) -> Description:
    """Describe prepared audio."""
    files = parquet_files(path)
    metadata = metadata_of(files[0])
    about = start(files, metadata, f"{metadata.get('corpus')}, prepared audio")
    if metadata.get("synthetic"):
        about.warnings.append(stand_in_warning("corpus"))
    about.add("corpus", metadata.get("corpus"))
    about.add("shards", len(files), f"{len(files)} of {metadata.get('n_shards')}")
    columns = ["n_samples", "sample_rate", "source_rate", "source_channels", "source_subtype", "clipped_samples"]
    gathered: dict[str, list[Any]] = {column: [] for column in columns}
    for file in files:
        for batch in iterate_batches(file, kind="audio", columns=columns):
            for column, values in batch.to_pydict().items():
                gathered[column] += values
    seconds = [n / rate for n, rate in zip(gathered["n_samples"], gathered["sample_rate"], strict=True)]
    add_durations(about, seconds)
    clipped = [n for n in gathered["clipped_samples"] if n]
    about.add("clipped", len(clipped), f"{len(clipped):,} utterances, {sum(clipped):,} samples")
    for column in ("sample_rate", "source_rate", "source_channels", "source_subtype"):
        about.add(column.replace("_", " "), {str(key): n for key, n in counts(gathered[column])})
    return about
