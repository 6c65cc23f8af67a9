"""Stage: draw the training curves of a study. ``python -m serflow.stages.plot_curves --help``."""

import argparse
from pathlib import Path

from serflow.files import digested_path
from serflow.report.headings import Layout
from serflow.report.style import figure_style, save_svg
from serflow.report.training import draw_training
from serflow.stage import json_option, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Draw ``--histories`` into ``--figure``."""
    layout = Layout.from_json(arguments.layout)
    with figure_style():
        figure = draw_training(layout, arguments.histories, arguments.value, arguments.quantity, arguments.titles)
        with digested_path(arguments.figure) as path:
            save_svg(figure, path)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--layout", type=json_option, required=True, help="rows and columns of a table, JSON")
    parser.add_argument("--histories", type=Path, nargs="+", required=True, help="history.parquet of each cell")
    parser.add_argument("--value", required=True, help="column of the histories, a share, e.g. val_ua")
    parser.add_argument("--quantity", required=True, help="what people call it")
    parser.add_argument("--titles", type=json_option, required=True, help='{"corpus": "title"}, in order')
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--figure", type=Path, required=True, help="output: SVG")
    run_stage(parser, main)
