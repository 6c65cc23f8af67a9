"""Stage: train, validation and test roles by a named protocol. ``python -m serflow.stages.split_utterances --help``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from serflow.corpora._tables import read_utterances
from serflow.protocols.splits import COLUMNS, DRAWN, Row, divide, parse_protocol
from serflow.stage import run_stage, stage_parser
from serflow.stores.parquet import read_metadata, write_batches

SPLIT_KIND = "split"
SPLIT_SCHEMA = pa.schema([("utterance", pa.string()), ("fold", pa.string()), ("role", pa.string())])


def _table(rows: Sequence[Row], fold: str, roles: Sequence[str | None]) -> pa.Table:
    """Return who is in a fold."""
    placed = [(row["utterance"], fold, role) for row, role in zip(rows, roles, strict=True) if role is not None]
    return pa.table([list(column) for column in zip(*placed, strict=True)], schema=SPLIT_SCHEMA)


def main(arguments: argparse.Namespace) -> None:
    """Split ``--utterances`` into ``--split``, whose folds are those of ``--protocol``."""
    protocol = parse_protocol(arguments.protocol)
    rows = read_utterances(arguments.utterances, columns=list(COLUMNS)).to_pylist()
    write_batches(
        arguments.split,
        SPLIT_SCHEMA,
        (_table(rows, fold, roles) for fold, roles in divide(arguments.protocol, rows)),
        kind=SPLIT_KIND,
        metadata={
            "corpus": read_metadata(arguments.utterances)["corpus"],
            "protocol": arguments.protocol,
            "unit": protocol.unit,
            "draw": protocol.draw,
            "cuts": DRAWN.get(protocol.kind),
        },
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--utterances", type=Path, required=True, help="Parquet of accepted utterances")
    parser.add_argument("--protocol", required=True, help="of serflow.protocols.splits: dialogue-0, last_session")
    parser.add_argument("--split", type=Path, required=True, help="output: Parquet of utterance, fold, role")
    run_stage(parser, main)
