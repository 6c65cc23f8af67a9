"""Stage: the utterances whose audio was accepted. ``python -m serflow.stages.accept_utterances --help``."""

import argparse
import logging
from pathlib import Path

from serflow.audio.prepared import source_notes
from serflow.corpora._acceptance import accept, read_prepared
from serflow.corpora._tables import (
    read_listing,
    read_listing_metadata,
    read_rejected,
    write_rejected,
    write_utterances,
)
from serflow.stage import run_stage, stage_parser

log = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> None:
    """Join ``--listing`` with the prepared ``--audio`` into ``--utterances`` and ``--rejected``."""
    described = read_listing_metadata(arguments.listing)
    corpus = described["corpus"]
    listing = read_listing(arguments.listing)
    without_audio = [entry for path in arguments.audio_rejected for entry in read_rejected(path)]
    prepared = read_prepared(arguments.audio, corpus)
    utterances = accept(listing, prepared, without_audio, corpus)
    for note in source_notes([(name, entry.source_subtype, entry.clipped_share) for name, entry in prepared]):
        log.warning("%s: %s", corpus, note)
    rejected = read_rejected(arguments.listing_rejected) + without_audio
    warnings = list(described["warnings"])
    if without_audio:
        warnings.append(f"audio: {len(without_audio)} of {listing.num_rows} listed utterances rejected")
    write_utterances(
        arguments.utterances,
        utterances,
        metadata={
            "corpus": corpus,
            "layout": described["layout"],
            "title": described["title"],
            "synthetic": described["synthetic"],
            "partial": bool(warnings),
            "counts": {
                "listed": listing.num_rows,
                "accepted": utterances.num_rows,
                "rejected": len(rejected),
            },
            "warnings": warnings,
            "content": described["content"],
        },
    )
    write_rejected(arguments.rejected, rejected)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--listing", type=Path, required=True, help="Parquet listing of the corpus")
    parser.add_argument("--listing-rejected", type=Path, required=True, help="CSV of what the listing left out")
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="Parquet shards of prepared audio")
    parser.add_argument("--audio-rejected", type=Path, nargs="+", required=True, help="CSV a shard of rejected audio")
    parser.add_argument("--utterances", type=Path, required=True, help="output: Parquet of the accepted utterances")
    parser.add_argument("--rejected", type=Path, required=True, help="output: CSV of all that was left out and why")
    run_stage(parser, main)
