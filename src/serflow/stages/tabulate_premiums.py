"""Stage: what scores owe to leaks of their protocol. ``python -m serflow.stages.tabulate_premiums --help``."""

import argparse
from pathlib import Path
from typing import Any

from serflow.errors import StoreError
from serflow.files import write_csv
from serflow.premiums.measure import COLUMNS, UNIT, Version, by_profile, premiums
from serflow.premiums.versions import WITHOUT_LEAKS
from serflow.report.headings import Layout
from serflow.runs.bootstrap import REPLICATES, CellFits, clusters_by_corpus, read_predictions
from serflow.stage import json_option, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--premiums``.

    Raises
    ------
    StoreError
        If predictions are of none of the versions.
    """
    clusters = clusters_by_corpus(arguments.utterances, UNIT)
    cells: dict[str, list[CellFits]] = {version: [] for version in arguments.roots}
    for path in arguments.predictions:
        cell = read_predictions(path)
        corpus = cell.cell["corpus"]
        found = [
            version
            for version, roots in arguments.roots.items()
            if corpus in roots and path.is_relative_to(roots[corpus])
        ]
        if not found:
            raise StoreError(f"{path}: lies in no folder that --roots names for {corpus}; give runs of the versions")
        for version in found:
            cells[version].append(cell)
    rows: list[list[Any]] = []
    for table, layouts in arguments.layouts.items():
        of = {
            version: Version(Layout.from_json(layouts.get(version, layouts[WITHOUT_LEAKS])), by_profile(of_version))
            for version, of_version in cells.items()
        }
        rows += premiums(table, of, arguments.leaks, clusters, arguments.replicates)
    write_csv(arguments.premiums, COLUMNS, rows)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument(
        "--layouts",
        type=json_option,
        required=True,
        help='{"table": {"version": rows and columns}}, JSON; a version that is not there has those of the clean one',
    )
    parser.add_argument(
        "--roots", type=json_option, required=True, help='{"version": {"corpus": folder of its runs}}, JSON'
    )
    parser.add_argument("--leaks", nargs="+", required=True, help="names of the leaks")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions.parquet of each cell")
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, help="utterances.parquet of each corpus")
    parser.add_argument("--replicates", type=int, default=REPLICATES, help="draws of the bootstrap (default 1000)")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--premiums", type=Path, required=True, help="output: CSV, a line per leak and cell of a table")
    run_stage(parser, main)
