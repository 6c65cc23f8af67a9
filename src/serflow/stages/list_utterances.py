"""Stage: list a corpus as its publisher ships it. ``python -m serflow.stages.list_utterances --help``."""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from serflow.corpora._completeness import (
    differences_from_published,
    rejected_examples,
    require_nothing_rejected,
    require_utterances,
)
from serflow.corpora._tables import write_listing, write_rejected
from serflow.corpora.base import Utterance, files_read, load_corpus
from serflow.printable import printable
from serflow.stage import json_option, run_stage, stage_parser
from serflow.state import stamps, take_stock

log = logging.getLogger(__name__)
_LONGEST_NOTE = 10_000


def _in_language(utterances: list[Utterance], stated: str, language: str | None) -> list[Utterance]:
    """Put ``language`` where the layout has its own; a language that a table gives for a row stays."""
    if language is None or language == stated:
        return utterances
    return [replace(entry, language=language) if entry.language == stated else entry for entry in utterances]


def main(arguments: argparse.Namespace) -> None:
    """List ``--root`` into ``--listing`` and ``--rejected``, and compare with the published counts.

    All files that the layout may read are hashed, audio as well: the listing says which content it is of.
    """
    corpus = load_corpus(arguments.layout)
    title = arguments.title or corpus.info.title
    found = stamps(arguments.root, files_read(corpus.info, arguments.options))
    listing = corpus.list(arguments.root, arguments.options)
    log.info("%d utterances, %d files or labels left out", len(listing.utterances), len(listing.rejected))
    for line in rejected_examples(listing.rejected):
        log.info("left out: %s", line)
    for note in listing.notes:
        log.warning("%s: %s", arguments.corpus, printable(note, _LONGEST_NOTE))
    write_rejected(arguments.rejected, listing.rejected)
    require_utterances(listing, arguments.corpus, arguments.root)
    warnings: list[str] = []
    if arguments.synthetic:
        require_nothing_rejected(listing, arguments.corpus)
    else:
        warnings = differences_from_published(
            listing, corpus.info, arguments.corpus, title, arguments.root, arguments.allow_partial
        )
        if warnings:
            log.warning("%s is partial (%d differences from the published counts)", arguments.corpus, len(warnings))
        for line in warnings:
            log.info("partial: %s", line)
    stock = take_stock(arguments.root, arguments.files, found)
    write_listing(
        arguments.listing,
        _in_language(listing.utterances, corpus.info.language, arguments.language),
        metadata={
            "corpus": arguments.corpus,
            "layout": arguments.layout,
            "title": title,
            "synthetic": arguments.synthetic,
            "warnings": warnings,
            "content": stock.content,
        },
    )
    if arguments.files is not None:
        stock.write(arguments.files)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--corpus", required=True, help="name of the corpus in config.yaml")
    parser.add_argument("--layout", required=True, help="module of serflow.corpora that reads it")
    parser.add_argument("--root", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--files", type=Path, default=None, help="output: JSON of what was read, not for stand-ins")
    parser.add_argument("--options", type=json_option, default={}, help="options of the layout, JSON")
    parser.add_argument("--title", default=None, help="heading in tables; the layout's title by default")
    parser.add_argument("--language", default=None, help="ISO 639-1 code in place of the layout's own")
    parser.add_argument("--synthetic", action="store_true", help="root is a stand-in: nothing may be rejected")
    parser.add_argument("--allow-partial", action="store_true", help="differences from published counts are warnings")
    parser.add_argument("--listing", type=Path, required=True, help="output: Parquet of the utterances")
    parser.add_argument("--rejected", type=Path, required=True, help="output: CSV of what was left out and why")
    run_stage(parser, main)
