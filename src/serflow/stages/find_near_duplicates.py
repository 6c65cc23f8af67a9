"""Stage: utterances of a corpus that are the same recording. ``python -m serflow.stages.find_near_duplicates --help``.

Gain, resampling, trimming and noise do not hide it; that the same sentence is said again is no such thing.
"""

import argparse
import logging
from pathlib import Path

from serflow.audit.near import near_duplicates
from serflow.audit.prints import read_prints, write_near
from serflow.stage import run_stage, stage_parser

log = logging.getLogger("serflow")


def main(arguments: argparse.Namespace) -> None:
    """Write the ``--pairs`` of ``--fingerprints``."""
    prints = read_prints(arguments.fingerprints)
    found = near_duplicates(prints.landmarks)
    log.info("%d pairs among %d utterances", len(found), len(prints.utterances))
    write_near(arguments.pairs, prints.utterances, found)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--fingerprints", type=Path, required=True, help="Parquet, a row an utterance")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--pairs", type=Path, required=True, help="output: CSV, a row a pair")
    run_stage(parser, main)
