"""Stage: confidence intervals of DLC's Table I. ``python -m serflow.stages.tabulate_dlc_intervals --help``."""

import argparse
from pathlib import Path

from serflow.files import write_text
from serflow.splits import PROTOCOLS
from serflow.stage import run_stage, stage_parser
from serflow.studies.dlc.intervals import REPLICATES, table1_intervals

_PERCENT = ["ua", "low", "high", "difference", "difference_low", "difference_high"]


def main(arguments: argparse.Namespace) -> None:
    """Write ``--intervals``."""
    table = table1_intervals(arguments.predictions, arguments.utterances, arguments.split, arguments.replicates)
    table[_PERCENT] = table[_PERCENT].round(2) + 0.0
    write_text(arguments.intervals, table.to_csv(index=False, float_format="%.2f", lineterminator="\n"))


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions.parquet of each cell")
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, help="utterances.parquet of each corpus")
    parser.add_argument("--split", choices=PROTOCOLS, required=True, help="what the split keeps together")
    parser.add_argument("--replicates", type=int, default=REPLICATES, help="draws of the bootstrap (default 1000)")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--intervals", type=Path, required=True, help="output: CSV, a line per cell of Table I")
    run_stage(parser, main)
