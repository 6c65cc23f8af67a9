"""Noise clips, and which of them go over which utterance."""

import statistics
from collections import Counter
from pathlib import Path

from serflow.inspection.describers._common import LESS, add_durations, stand_in_warning, start
from serflow.inspection.description import Description
from serflow.inspection.kinds import metadata_of, parquet_files
from serflow.report.marks import PARTIAL_NOISE
from serflow.stores.parquet import read_table


def describe_plan(path: Path) -> Description:
    """Describe a noise plan, level by level."""
    files = parquet_files(path)
    metadata = metadata_of(files[0])
    about = start(files, metadata, f"{metadata.get('corpus')}, noise profile {metadata.get('profile')}")
    if metadata.get("synthetic_clips"):
        about.warnings.append(stand_in_warning("noise"))
    if metadata.get("clip_warnings"):
        about.warnings.append(f"{PARTIAL_NOISE}: {LESS}")
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


def describe_clips(path: Path) -> Description:
    """Describe the noise clips."""
    files = parquet_files(path)
    metadata = metadata_of(files[0])
    about = start(files, metadata, "noise clips")
    if metadata.get("synthetic"):
        about.warnings.append(stand_in_warning("noise"))
    if metadata.get("warnings"):
        about.warnings.append(f"{PARTIAL_NOISE}: {LESS}")
    rows = read_table(files[0], columns=["group", "category", "n_samples"]).to_pydict()
    add_durations(about, [n / 16_000 for n in rows["n_samples"]])
    pairs = Counter(zip(rows["group"], rows["category"], strict=True))
    about.add_table("Clips", ["group", "category", "clips"], ([g, c, n] for (g, c), n in sorted(pairs.items())))
    about.add_table("Warnings", ["warning"], [[warning] for warning in metadata.get("warnings", [])])
    return about
