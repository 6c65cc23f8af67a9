"""Stage: checks of a study's tables. ``python -m serflow.stages.check_quality --help``; see `serflow.qc.checks`."""

import argparse
from pathlib import Path

from serflow.files import digested_path, write_csv
from serflow.protocols.splits import UNITS
from serflow.qc.bands import read_bands
from serflow.qc.checks import COLUMNS, Sources, check_fits, check_table
from serflow.qc.page import page, rows
from serflow.report.facts import marks
from serflow.report.headings import Layout
from serflow.report.tables import published_tables
from serflow.runs.bootstrap import REPLICATES, clusters_by_corpus, read_predictions
from serflow.runs.provenance import joined
from serflow.runs.scores import read_runs
from serflow.stage import json_option, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--csv`` and ``--page``."""
    layouts = {name: Layout.from_json(content) for name, content in arguments.layouts.items()}
    runs = read_runs(arguments.cells)
    sources = Sources(
        runs,
        [read_predictions(path.with_name("predictions.parquet")) for path in arguments.cells],
        clusters_by_corpus(arguments.utterances, arguments.unit),
        published_tables(arguments.study, layouts),
        read_bands(arguments.study),
    )
    checks = [check_fits(runs)]
    for name, layout in layouts.items():
        checks += check_table(name, layout, sources, arguments.replicates)
    write_csv(arguments.csv, COLUMNS, rows(checks))
    with digested_path(arguments.page) as temporary:
        stamp = marks(joined(run.provenance for run in runs))
        temporary.write_text(page(arguments.title, stamp, checks), encoding="utf-8")


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="package of serflow.studies")
    parser.add_argument("--title", required=True, help="what people call its paper")
    parser.add_argument("--layouts", type=json_option, required=True, help='{"table": rows and columns}')
    parser.add_argument("--cells", type=Path, nargs="+", required=True, help="metrics.json of each cell of the tables")
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, help="utterances.parquet of each corpus")
    parser.add_argument("--unit", choices=UNITS, required=True, help="what the split keeps together")
    parser.add_argument("--replicates", type=int, default=REPLICATES, help="draws of the bootstrap (default 1000)")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--csv", type=Path, required=True, help="output: CSV, a line a check")
    parser.add_argument("--page", type=Path, required=True, help="output: Markdown")
    run_stage(parser, main)
