"""Stage: the DLC study's protocol, in numbers. ``python -m serflow.stages.describe_dlc_protocol --help``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from serflow.errors import ConfigError, StoreError
from serflow.files import write_text
from serflow.report.corpora import read_corpora, read_noise
from serflow.stage import json_option, run_stage, stage_parser
from serflow.stores.parquet import read_metadata
from serflow.studies.dlc.protocol import protocol_table, read_records
from serflow.studies.dlc.protocol_card import protocol_card


def _of_corpus(paths: Sequence[Path], corpus: str, what: str) -> list[Path]:
    found = [path for path in paths if read_metadata(path).get("corpus") == corpus]
    if not found:
        raise StoreError(f"no {what} of corpus {corpus!r} is given; build it and give it too")
    return found


def main(arguments: argparse.Namespace) -> None:
    """Write ``--table`` and ``--card``."""
    if not isinstance(arguments.settings, dict):
        raise ConfigError('--settings: a mapping is needed, such as {"selection": "best validation UA"}')
    noise = read_noise(arguments.clips)
    facts = read_corpora(arguments.corpora, arguments.utterances, noise)
    corpora = [
        read_records(
            _of_corpus(arguments.utterances, name, "utterances.parquet")[0],
            _of_corpus(arguments.splits, name, "split")[0],
            _of_corpus(arguments.plans, name, "noise plan"),
            arguments.labels,
        )
        for name in facts
    ]
    table = protocol_table(corpora)
    write_text(arguments.table, table.to_csv(index=False, float_format="%.2f", lineterminator="\n"))
    write_text(arguments.card, protocol_card(corpora, table, facts, noise, arguments.settings))


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, help="utterances.parquet of each corpus")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="Parquet of utterance, fold, role, each")
    parser.add_argument("--plans", type=Path, nargs="+", required=True, help="noise plans of every corpus and profile")
    parser.add_argument("--clips", type=Path, required=True, help="clips.parquet: whether the noise is synthetic")
    parser.add_argument(
        "--corpora", type=json_option, required=True, help='[{"name", "title", "synthetic", "departures"}, ...]'
    )
    parser.add_argument("--labels", required=True, help="labels of IEMOCAP: merged or hap_only")
    parser.add_argument("--settings", type=json_option, required=True, help='{"selection": "...", ...}, in order')
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--table", type=Path, required=True, help="output: CSV, a line per fit")
    parser.add_argument("--card", type=Path, required=True, help="output: Markdown, a section per corpus")
    run_stage(parser, main)
