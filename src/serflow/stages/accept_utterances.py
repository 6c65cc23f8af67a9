"""Stage: the utterances whose audio was accepted. ``python -m serflow.stages.accept_utterances --help``."""

import argparse
import logging
from pathlib import Path

from serflow.audio.prepared import source_notes
from serflow.corpora._acceptance import accept, read_prepared
from serflow.corpora._duplicates import duplicates_note, find_duplicates, write_duplicates
from serflow.corpora._rejections import left_out_note, lost_note, require_few_rejected
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
    """Join ``--listing`` with the prepared ``--audio`` into ``--utterances`` and ``--rejected``.

    What was rejected, by labels or audio, is one warning; more than ``--max-rejected`` of the utterances stop the run.
    So are ``--duplicates`` by content.
    """
    described = read_listing_metadata(arguments.listing)
    corpus = described["corpus"]
    listing = read_listing(arguments.listing)
    rejected_by = {path: read_rejected(path) for path in (arguments.listing_rejected, *arguments.audio_rejected)}
    without_audio = [entry for path in arguments.audio_rejected for entry in rejected_by[path]]
    rejected = rejected_by[arguments.listing_rejected] + without_audio
    write_rejected(arguments.rejected, rejected)
    prepared = read_prepared(arguments.audio, corpus)
    utterances = accept(listing, prepared, without_audio, corpus)
    listed_in = [path for path, entries in rejected_by.items() if any(entry.lost for entry in entries)]
    require_few_rejected(
        rejected,
        utterances.num_rows,
        arguments.max_rejected,
        corpus,
        listed_in,
        allow_partial=arguments.allow_partial,
    )
    n_lost = sum(entry.lost for entry in rejected)
    lost = lost_note(rejected, utterances.num_rows)
    notes = [note for note in (lost, left_out_note(rejected)) if note]
    if notes:
        log.warning("%s: %s; see %s", corpus, "; ".join(notes), arguments.rejected)
    for note in source_notes([(name, audio.source_subtype, audio.clipped_share) for name, audio in prepared]):
        log.warning("%s: %s", corpus, note)
    duplicates = find_duplicates(utterances)
    write_duplicates(arguments.duplicates, duplicates)
    same = duplicates_note(duplicates, utterances.num_rows)
    if same:
        log.warning("%s: %s; see %s", corpus, same, arguments.duplicates)
    write_utterances(
        arguments.utterances,
        utterances,
        metadata={
            "corpus": corpus,
            "layout": described["layout"],
            "title": described["title"],
            "synthetic": described["synthetic"],
            "partial": bool(described["warnings"] or lost),
            "counts": {
                "labelled": utterances.num_rows + n_lost,
                "listed": listing.num_rows,
                "accepted": utterances.num_rows,
                "rejected": n_lost,
                "left_out": len(rejected) - n_lost,
            },
            "warnings": [*described["warnings"], *(note for note in (lost, same) if note)],
            "same_audio": arguments.same_audio,
            "content": described["content"],
        },
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--listing", type=Path, required=True, help="Parquet listing of the corpus")
    parser.add_argument("--listing-rejected", type=Path, required=True, help="CSV of what the listing left out")
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="Parquet shards of prepared audio")
    parser.add_argument("--audio-rejected", type=Path, nargs="+", required=True, help="CSV a shard of rejected audio")
    parser.add_argument("--max-rejected", type=float, required=True, help="share of utterances that may be rejected")
    parser.add_argument("--allow-partial", action="store_true", help="audio that is not there is not rejected audio")
    parser.add_argument(
        "--same-audio",
        choices=("keep", "drop"),
        required=True,
        help="whether studies keep utterances of the same audio, or drop all but the first",
    )
    parser.add_argument("--utterances", type=Path, required=True, help="output: Parquet of the accepted utterances")
    parser.add_argument("--rejected", type=Path, required=True, help="output: CSV of all that was left out and why")
    parser.add_argument("--duplicates", type=Path, required=True, help="output: CSV of utterances of the same audio")
    run_stage(parser, main)
