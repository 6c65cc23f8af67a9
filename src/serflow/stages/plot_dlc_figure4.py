"""Stage: Figure 4 of the DLC paper, gains over baselines. ``python -m serflow.stages.plot_dlc_figure4 --help``."""

import argparse
from pathlib import Path

from serflow.files import write_text
from serflow.report.corpora import read_corpora, read_noise
from serflow.report.style import figure_style, save_svg
from serflow.stage import json_option, run_stage, stage_parser
from serflow.studies.dlc import paper
from serflow.studies.dlc.figure4 import draw_figure4, figure4_table
from serflow.studies.dlc.results import seed_scores

_POINTS = ["gain", "std", "paper_gain", "paper_std"]


def main(arguments: argparse.Namespace) -> None:
    """Draw ``--figure`` and write its numbers to ``--csv``."""
    noise = read_noise(arguments.clips)
    facts = read_corpora(arguments.corpora, arguments.utterances, noise)
    table = figure4_table(seed_scores(arguments.cells), facts, arguments.profiles, arguments.methods, noise)
    printed = table.assign(method=table["method"].map(paper.method_title))
    printed[_POINTS] = printed[_POINTS].round(2) + 0.0
    write_text(arguments.csv, printed.to_csv(index=False, float_format="%.2f", lineterminator="\n"))
    with figure_style():
        save_svg(draw_figure4(table, facts), arguments.figure)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--cells", type=Path, nargs="+", required=True, help="metrics.json of each cell of Table I")
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, help="utterances.parquet of each corpus")
    parser.add_argument(
        "--clips", type=Path, required=True, help="clips.parquet, to know whether the noise is synthetic"
    )
    parser.add_argument(
        "--corpora", type=json_option, required=True, help='[{"name", "title", "synthetic", "departures"}, ...]'
    )
    parser.add_argument("--profiles", nargs="+", required=True, help="noise profiles, in order")
    parser.add_argument("--methods", nargs="+", required=True, help="methods, in order; the paper's come first anyway")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--figure", type=Path, required=True, help="output: SVG")
    parser.add_argument("--csv", type=Path, required=True, help="output: CSV, a line per bar")
    run_stage(parser, main)
