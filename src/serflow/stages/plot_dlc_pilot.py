"""Stage: draw the optimiser pilot of the DLC study. ``python -m serflow.stages.plot_dlc_pilot --help``."""

import argparse
from pathlib import Path

from serflow.files import read_json, write_text
from serflow.report.style import figure_style, save_svg
from serflow.stage import run_stage, stage_parser
from serflow.studies.dlc.pilot import draw_pilot, pilot_curves, pilot_table


def named_path(text: str) -> tuple[str, Path]:
    """Parse ``name=path``, for ``argparse``'s ``type=``."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not name=path")
    return name, Path(path)


def main(arguments: argparse.Namespace) -> None:
    """Draw ``--histories`` into ``--figure`` and write the numbers to ``--csv``."""
    chance = 100.0 / len(read_json(arguments.chance)["classes"])
    curves = pilot_curves(dict(arguments.histories))
    table = pilot_table(curves, chance)
    write_text(arguments.csv, table.to_csv(index=False, float_format="%.2f", lineterminator="\n"))
    with figure_style():
        save_svg(draw_pilot(curves, chance, arguments.title), arguments.figure)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument(
        "--histories", type=named_path, nargs="+", required=True, help="optimiser=history.parquet of each run"
    )
    parser.add_argument(
        "--chance", type=Path, required=True, help="metrics.json of a run: its classes give chance level"
    )
    parser.add_argument("--title", required=True, help="the data, e.g. 'IEMOCAP (synthetic), h1'")
    parser.add_argument("--figure", type=Path, required=True, help="output: SVG")
    parser.add_argument("--csv", type=Path, required=True, help="output: CSV of the curves")
    run_stage(parser, main)
