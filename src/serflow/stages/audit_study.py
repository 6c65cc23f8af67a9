"""Stage: what the sets of every fit of a study share. ``python -m serflow.stages.audit_study --help``."""

import argparse
from pathlib import Path

from serflow.audit.prints import read_near
from serflow.audit.study import audit_cells, columns_of
from serflow.audit.summary import summary
from serflow.audit.trained import Tables
from serflow.backbones.weights import read_weights
from serflow.files import digested_path, write_csv
from serflow.stage import json_option, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--audit`` and ``--summary`` of the cells whose ``--predictions`` are given."""
    tables = Tables([*arguments.utterances, *arguments.splits, *arguments.plans])
    cells = [tables.of(path, arguments.study) for path in arguments.predictions]
    exposures = [arguments.exposures[place] for place in arguments.exposed]
    networks = {record.stem: read_weights(record) for record in arguments.weights}
    near = {path.stem: read_near(path) for path in arguments.near}
    columns, rows = columns_of(cells), list(audit_cells(arguments.study, cells, exposures, networks, near))
    write_csv(arguments.audit, columns, rows)
    with digested_path(arguments.summary) as path:
        found = [dict(zip(columns, row, strict=True)) for row in rows]
        path.write_text(summary(arguments.title, arguments.titles, found), encoding="utf-8")


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="key of the study")
    parser.add_argument("--title", required=True, help="what people call its paper")
    parser.add_argument("--titles", type=json_option, required=True, help='{"corpus": "title"}, in order')
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="of each cell")
    parser.add_argument(
        "--exposures", type=json_option, required=True, help='[{"statistics": {}, ...}, ...], each once'
    )
    parser.add_argument("--exposed", type=int, nargs="+", required=True, help="which of these each cell has, from 0")
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, help="utterances.parquet of each corpus")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="splits of all runs")
    parser.add_argument("--plans", type=Path, nargs="*", default=[], help="noise plans, where there are any")
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="records of the networks' weights")
    parser.add_argument("--near", type=Path, nargs="+", required=True, help="near_duplicates/CORPUS.csv of each corpus")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--audit", type=Path, required=True, help="output: CSV, a row a fit and pair of its sets")
    parser.add_argument("--summary", type=Path, required=True, help="output: Markdown, a section per corpus")
    run_stage(parser, main)
