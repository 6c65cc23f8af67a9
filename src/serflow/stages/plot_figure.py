"""Stage: a figure of a study, and the numbers in it. ``python -m serflow.stages.plot_figure --help``.

The figure is a module of the study with ``Files`` (its inputs by name) and ``make_figure(files, facts)``, which returns
the figure and a table.
"""

import argparse
import importlib
from pathlib import Path

from serflow.files import digested_path, in_two_digits, write_csv
from serflow.report.style import figure_style, save_svg
from serflow.stage import files_of, json_option, named_path, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Draw ``--figure`` of ``--study`` into ``--svg`` and write its numbers to ``--csv``."""
    module = importlib.import_module(f"serflow.studies.{arguments.study}.{arguments.figure}")
    with figure_style():
        figure, table = module.make_figure(files_of(module.Files, arguments.inputs), arguments.facts)
        with digested_path(arguments.svg) as path:
            save_svg(figure, path)
    write_csv(arguments.csv, list(table.columns), map(in_two_digits, table.itertuples(index=False, name=None)))


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="package of serflow.studies")
    parser.add_argument("--figure", required=True, help="module of the study that draws it")
    parser.add_argument(
        "--inputs", type=named_path, nargs="+", required=True, help="name=path, as the figure names them"
    )
    parser.add_argument("--facts", type=json_option, required=True, help="what the configuration says of it, JSON")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--svg", type=Path, required=True, help="output: SVG")
    parser.add_argument("--csv", type=Path, required=True, help="output: CSV of what is drawn")
    run_stage(parser, main)
