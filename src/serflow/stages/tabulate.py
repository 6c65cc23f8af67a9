"""Stage: tables of a study, and ours beside the paper's. ``python -m serflow.stages.tabulate --help``.

Tables that are shown together are made together; each has a file of its own among each kind of output.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from serflow.errors import ConfigError, StoreError
from serflow.files import write_csv
from serflow.report.comparison import beside_paper
from serflow.report.headings import Layout
from serflow.report.tables import NO_WORDS, Words, fill, fit_rows, in_shape, read_published, read_words, taken_in
from serflow.runs.scores import read_runs
from serflow.stage import json_option, named_path, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--csv``, ``--comparison`` and ``--fits`` of each table."""
    runs = read_runs(arguments.cells)
    # what a cell could not be had for stands in the notes
    unused = {run.name for run in runs if any(fit.tallies for fit in run.fits)}
    beside = dict(arguments.beside)
    outputs = zip(arguments.csv, arguments.comparison, arguments.fits, strict=True)
    for (name, content), (csv, comparison, fits) in zip(arguments.layouts.items(), outputs, strict=True):
        layout = Layout.from_json(content)
        table = fill(layout, runs)
        published = read_published(arguments.study, layout.printed or name, len(layout.corner))
        write_csv(csv, *in_shape(table, published, _words(name, layout, beside)))
        write_csv(comparison, *beside_paper(table, published))
        write_csv(fits, *fit_rows(taken_in(table)))
        unused -= {run.name for run in taken_in(table)}
    if unused:
        raise StoreError(f"cell {min(unused)}: no row and column of the tables takes it in; leave it out of --cells")


def _words(table: str, layout: Layout, beside: Mapping[str, Path]) -> Words:
    if layout.beside is None:
        return NO_WORDS
    if layout.beside not in beside:
        raise ConfigError(f"--beside: the columns of {layout.beside} stand in {table}; give {layout.beside}=path")
    return read_words(beside[layout.beside], layout.rows)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="package of serflow.studies")
    parser.add_argument("--layouts", type=json_option, required=True, help='{"table": rows and columns}, in order')
    parser.add_argument("--cells", type=Path, nargs="+", required=True, help="metrics.json of each cell of the tables")
    parser.add_argument(
        "--beside", type=named_path, nargs="*", default=[], help="name=path of each table of words that a layout names"
    )
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--csv", type=Path, nargs="+", required=True, help="output: CSV in the paper's shape")
    parser.add_argument("--comparison", type=Path, nargs="+", required=True, help="output: CSV, a line per cell")
    parser.add_argument("--fits", type=Path, nargs="+", required=True, help="output: CSV, a line per fit")
    run_stage(parser, main)
