"""Stage: confidence intervals of a study's table. ``python -m serflow.stages.tabulate_intervals --help``."""

import argparse
from pathlib import Path

from serflow.files import write_csv
from serflow.protocols.splits import UNITS
from serflow.report.headings import Layout
from serflow.report.intervals import table_intervals
from serflow.runs.bootstrap import REPLICATES
from serflow.stage import json_option, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--intervals``."""
    layout = Layout.from_json(arguments.layout)
    table = table_intervals(layout, arguments.predictions, arguments.utterances, arguments.unit, arguments.replicates)
    write_csv(arguments.intervals, *table)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--layout", type=json_option, required=True, help="rows and columns, JSON")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions.parquet of each cell")
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, help="utterances.parquet of each corpus")
    parser.add_argument("--unit", choices=UNITS, required=True, help="what the split keeps together")
    parser.add_argument("--replicates", type=int, default=REPLICATES, help="draws of the bootstrap (default 1000)")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--intervals", type=Path, required=True, help="output: CSV, a line per cell of the table")
    run_stage(parser, main)
