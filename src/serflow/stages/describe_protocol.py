"""Stage: what a study's fits are trained and tested on. ``python -m serflow.stages.describe_protocol --help``."""

import argparse
import importlib
from pathlib import Path

from serflow.errors import ConfigError
from serflow.files import digested_path, in_two_digits, write_csv
from serflow.stage import files_of, json_option, named_path, run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write ``--table`` and ``--card``."""
    for name in ("titles", "runs", "options", "settings"):
        if not isinstance(getattr(arguments, name), dict):
            raise ConfigError(f"--{name}: a mapping is needed, such as {{}}")
    module = importlib.import_module(f"serflow.studies.{arguments.study}.card")
    card = module.make_card(
        files_of(module.Files, arguments.inputs),
        arguments.titles,
        arguments.runs,
        arguments.options,
        arguments.settings,
    )
    with digested_path(arguments.card) as path:
        path.write_text(card.page, encoding="utf-8")
    columns = list(dict.fromkeys(name for row in card.rows for name in row))
    write_csv(arguments.table, columns, (in_two_digits(map(row.get, columns)) for row in card.rows))


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="package of serflow.studies")
    parser.add_argument("--inputs", type=named_path, nargs="+", required=True, help="name=path, as the card names them")
    parser.add_argument("--titles", type=json_option, required=True, help='{"corpus": "title"}, in order')
    parser.add_argument("--runs", type=json_option, required=True, help='{"corpus": [0, 1]}')
    parser.add_argument("--options", type=json_option, required=True, help="what fits are trained with, JSON")
    parser.add_argument("--settings", type=json_option, required=True, help='{"selection": "..."}, in order')
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--table", type=Path, required=True, help="output: CSV, a line per fit")
    parser.add_argument("--card", type=Path, required=True, help="output: Markdown, a section per corpus")
    run_stage(parser, main)
