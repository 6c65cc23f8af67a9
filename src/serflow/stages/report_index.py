"""Stage: the overview of all studies' results. ``python -m serflow.stages.report_index --help``."""

import argparse
from pathlib import Path

from serflow.files import digested_path, read_sealed_json
from serflow.report.page.render import render
from serflow.stage import run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--page``; it links to the pages of the studies, which lie beside it."""
    studies = [read_sealed_json(path) for path in arguments.overviews]
    with digested_path(arguments.page) as path:
        path.write_text(render("index.html", {"studies": studies, "listing": None}), encoding="utf-8")


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--overviews", type=Path, nargs="+", required=True, help="JSON of each study, in order")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--page", type=Path, required=True, help="output: HTML")
    run_stage(parser, main)
