"""Stage: what scores owe to leaks of their protocol. ``python -m serflow.stages.tabulate_premiums --help``."""

import argparse
from pathlib import Path
from typing import Any

from serflow.errors import StoreError
from serflow.files import write_csv
from serflow.premiums.measure import COLUMNS, UNIT, Version, premiums
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
    cells: dict[str, list[CellFits]] = {root: [] for root in arguments.roots.values()}
    for path in arguments.predictions:
        found = [root for root in cells if path.is_relative_to(root)]
        if len(found) != 1:
            raise StoreError(f"{path}: lies in {len(found)} of the folders of --roots; give runs of the versions alone")
        cells[found[0]].append(read_predictions(path))
    rows: list[list[Any]] = []
    for table, layouts in arguments.layouts.items():
        of = {
            version: Version(Layout.from_json(layouts.get(version, layouts[WITHOUT_LEAKS])), cells[root])
            for version, root in arguments.roots.items()
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
    parser.add_argument("--roots", type=json_option, required=True, help='{"version": folder of its runs}, JSON')
    parser.add_argument("--leaks", nargs="+", required=True, help="names of the leaks")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions.parquet of each cell")
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, help="utterances.parquet of each corpus")
    parser.add_argument("--replicates", type=int, default=REPLICATES, help="draws of the bootstrap (default 1000)")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--premiums", type=Path, required=True, help="output: CSV, a line per leak and cell of a table")
    run_stage(parser, main)
