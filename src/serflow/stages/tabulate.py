"""Stage: a table of a study, and ours beside the paper's. ``python -m serflow.stages.tabulate --help``."""

import argparse
from pathlib import Path

from serflow.files import write_csv
from serflow.report.comparison import beside_paper
from serflow.report.headings import Layout
from serflow.report.tables import fill, fit_rows, in_shape, read_published
from serflow.runs.scores import read_runs
from serflow.stage import json_option, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--csv``, ``--comparison`` and ``--fits``."""
    layout = Layout.from_json(arguments.layout)
    runs = read_runs(arguments.cells)
    table = fill(layout, runs)
    published = read_published(arguments.study, arguments.table, len(layout.corner))
    write_csv(arguments.csv, *in_shape(table))
    write_csv(arguments.comparison, *beside_paper(table, published))
    write_csv(arguments.fits, *fit_rows(runs))


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="package of serflow.studies")
    parser.add_argument("--table", required=True, help="name of the table, as in its published/")
    parser.add_argument("--layout", type=json_option, required=True, help="rows and columns, JSON")
    parser.add_argument("--cells", type=Path, nargs="+", required=True, help="metrics.json of each cell of the table")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--csv", type=Path, required=True, help="output: CSV in the paper's shape")
    parser.add_argument("--comparison", type=Path, required=True, help="output: CSV, a line per cell with the paper's")
    parser.add_argument("--fits", type=Path, required=True, help="output: CSV, a line per fit")
    run_stage(parser, main)
