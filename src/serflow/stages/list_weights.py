"""Stage: list the weights that can be loaded. ``python -m serflow.stages.list_weights --help``."""

import argparse
from pathlib import Path

from serflow.backbones.weights import LEDGER_COLUMNS, ledger
from serflow.files import write_csv
from serflow.stage import run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write address, size, digest, licence and training data of every release to ``--ledger``."""
    write_csv(arguments.ledger, LEDGER_COLUMNS, ledger())


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--ledger", type=Path, required=True, help="output: CSV, a row a release")
    run_stage(parser, main)
