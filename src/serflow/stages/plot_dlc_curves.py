"""Stage: draw the training curves of DLC runs. ``python -m serflow.stages.plot_dlc_curves --help``."""

import argparse
from pathlib import Path

from serflow.report.style import figure_style, save_svg
from serflow.stage import json_option, run_stage, stage_parser
from serflow.studies.dlc.curves import draw_validation_curves, validation_curves


def main(arguments: argparse.Namespace) -> None:
    """Draw ``--histories`` into ``--figure``."""
    curves = validation_curves(arguments.histories)
    with figure_style():
        save_svg(draw_validation_curves(curves, arguments.titles), arguments.figure)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--histories", type=Path, nargs="+", required=True, help="history.parquet of each cell")
    parser.add_argument(
        "--titles", type=json_option, required=True, help='{"corpus": "heading of its panels"}, in order'
    )
    parser.add_argument("--figure", type=Path, required=True, help="output: SVG")
    run_stage(parser, main)
