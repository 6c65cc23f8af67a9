"""Stage: a table of a study that is not of scores. ``python -m serflow.stages.tabulate_words --help``.

It is a module of the study with ``Files`` (its inputs by name) and ``make_table(files, facts)``, which returns heading
and rows of words: what networks are built of, what corpora hold. These stand beside those of the paper.
"""

import argparse
import importlib
from pathlib import Path

from serflow.files import write_csv
from serflow.report.comparison import words_beside_paper
from serflow.report.tables import read_published_words
from serflow.stage import files_of, json_option, named_path, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--csv`` of ``--study``, and ``--comparison`` with the paper's own words."""
    module = importlib.import_module(f"serflow.studies.{arguments.study}.{arguments.module}")
    heading, rows = module.make_table(files_of(module.Files, arguments.inputs), arguments.facts)
    write_csv(arguments.csv, heading, rows)
    published = read_published_words(arguments.study, arguments.table)
    write_csv(arguments.comparison, *words_beside_paper(heading, rows, published, arguments.facts.get("printed")))


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="package of serflow.studies")
    parser.add_argument("--module", required=True, help="module of the study that makes it")
    parser.add_argument("--table", required=True, help="name of the paper's own table in published/")
    parser.add_argument(
        "--inputs", type=named_path, nargs="+", required=True, help="name=path, as the study names them"
    )
    parser.add_argument("--facts", type=json_option, required=True, help="what the configuration says of it, JSON")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--csv", type=Path, required=True, help="output: CSV in the paper's shape")
    parser.add_argument("--comparison", type=Path, required=True, help="output: CSV, a line a row and column")
    run_stage(parser, main)
