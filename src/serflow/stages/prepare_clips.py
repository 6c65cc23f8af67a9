"""Stage: the noise clips of ESC-50 at 16 kHz. ``python -m serflow.stages.prepare_clips --help``."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from serflow.files import write_csv
from serflow.noise.esc50 import Clip, RejectedClip, check_complete, list_clips, read_clips
from serflow.noise.mixing import CLIPS_KIND
from serflow.noise.published import READS
from serflow.progress import progress
from serflow.reasons import by_reason
from serflow.stage import run_stage, stage_parser
from serflow.state import stamps, take_stock
from serflow.stores.parquet import write_batches

log = logging.getLogger(__name__)
CLIPS_SCHEMA = pa.schema(
    [
        ("clip", pa.string()),
        ("fold", pa.int32()),
        ("target", pa.int32()),
        ("category", pa.string()),
        ("group", pa.string()),
        ("n_samples", pa.int32()),
        ("pcm16", pa.binary()),
        ("trimmed_start_s", pa.float64()),
        ("trimmed_end_s", pa.float64()),
    ]
)
_ROW_GROUP = 64


def _tables(clips: Sequence[Clip]) -> Iterator[pa.Table]:
    for first in range(0, len(clips), _ROW_GROUP):
        rows = [
            {
                "clip": clip.clip,
                "fold": clip.fold,
                "target": clip.target,
                "category": clip.category,
                "group": clip.group,
                "n_samples": len(clip.pcm16),
                "pcm16": clip.pcm16.astype("<i2", copy=False).tobytes(),
                "trimmed_start_s": clip.trimmed_start_s,
                "trimmed_end_s": clip.trimmed_end_s,
            }
            for clip in clips[first : first + _ROW_GROUP]
        ]
        yield pa.Table.from_pylist(rows, schema=CLIPS_SCHEMA)


def main(arguments: argparse.Namespace) -> None:
    """Decode the clips of the three groups; what cannot be used goes to ``--rejected`` with its reason.

    Completeness is checked by file names first, so that a folder with too few clips fails in no time, and
    again once they are decoded.
    """
    partial = arguments.allow_partial or arguments.synthetic
    found = stamps(arguments.root, READS)
    listed, rejected, warnings = list_clips(arguments.root)
    absent = [RejectedClip(clip.clip, f"audio/{clip.clip}.wav", "no such file") for clip in listed if clip.path is None]
    check_complete([clip.group for clip in listed if clip.path], [*rejected, *absent], arguments.root, partial)
    clips = list(progress(read_clips(listed, rejected), len(listed), "reading clips", unit="clip"))
    warnings += check_complete([clip.group for clip in clips], rejected, arguments.root, partial)
    if arguments.synthetic:
        warnings = []
    for warning in warnings:
        log.warning("ESC-50: %s", warning)
    stock = take_stock(arguments.root, arguments.files, found)
    write_batches(
        arguments.clips,
        CLIPS_SCHEMA,
        _tables(clips),
        kind=CLIPS_KIND,
        metadata={"synthetic": arguments.synthetic, "warnings": warnings, "content": stock.content},
        use_dictionary=["category", "group"],
    )
    write_csv(arguments.rejected, RejectedClip._fields, rejected)
    if arguments.files is not None:
        stock.write(arguments.files)
    log.info("%d clips, %d rejected", len(clips), len(rejected))
    if rejected:
        told = by_reason(clip.reason for clip in rejected)
        log.warning("ESC-50: %d clips rejected (%s); see %s", len(rejected), told, arguments.rejected)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of ESC-50, with audio/ and meta/")
    parser.add_argument("--files", type=Path, default=None, help="output: JSON of what was read, not for stand-ins")
    parser.add_argument("--synthetic", action="store_true", help="the clips are stand-ins; fewer are enough")
    parser.add_argument("--allow-partial", action="store_true", help="go on with fewer clips than published")
    parser.add_argument("--clips", type=Path, required=True, help="output: Parquet of clips")
    parser.add_argument("--rejected", type=Path, required=True, help="output: CSV of clips left out")
    run_stage(parser, main)
