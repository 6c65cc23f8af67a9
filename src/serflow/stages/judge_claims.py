"""Stage: the claims of a paper over our tables. ``python -m serflow.stages.judge_claims --help``.

The claims are those of ``published/claims.yaml`` of the study; see `serflow.claims`.
"""

import argparse
from pathlib import Path

from serflow.claims.card import COLUMNS, Sources, judge_all, lines, page
from serflow.claims.ledger import claims_path, read_claims
from serflow.files import digested_path, write_csv
from serflow.protocols.splits import UNITS
from serflow.report.headings import Layout
from serflow.report.tables import published_tables
from serflow.runs.bootstrap import REPLICATES, clusters_by_corpus
from serflow.runs.scores import read_runs
from serflow.stage import json_option, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--csv`` and ``--page``."""
    claims = read_claims(claims_path(arguments.study))
    layouts = {name: Layout.from_json(content) for name, content in arguments.layouts.items()}
    sources = Sources(
        layouts,
        published_tables(arguments.study, layouts),
        read_runs(arguments.cells),
        clusters_by_corpus(arguments.utterances, arguments.unit),
    )
    judged = judge_all(claims, sources, arguments.replicates)
    write_csv(arguments.csv, COLUMNS, lines(judged))
    with digested_path(arguments.page) as temporary:
        temporary.write_text(page(arguments.title, judged), encoding="utf-8")


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="package of serflow.studies")
    parser.add_argument("--title", required=True, help="what people call its paper")
    parser.add_argument("--layouts", type=json_option, required=True, help='{"table": rows and columns}')
    parser.add_argument(
        "--cells", type=Path, nargs="*", default=[], help="metrics.json of each cell of the tables that claims are of"
    )
    parser.add_argument(
        "--utterances", type=Path, nargs="*", default=[], help="utterances.parquet of each corpus of the study"
    )
    parser.add_argument("--unit", choices=UNITS, required=True, help="what the split keeps together")
    parser.add_argument("--replicates", type=int, default=REPLICATES, help="draws of the bootstrap (default 1000)")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--csv", type=Path, required=True, help="output: CSV, a line a number of each claim")
    parser.add_argument("--page", type=Path, required=True, help="output: Markdown")
    run_stage(parser, main)
