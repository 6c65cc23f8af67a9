"""Stage: train, validation and test roles, a fold a seed. ``python -m serflow.stages.split_utterances --help``."""

import argparse
from pathlib import Path

import pyarrow as pa

from serflow.corpora._tables import read_utterances
from serflow.splits import PROTOCOLS, TRAIN_END, VAL_END, roles, split_unit
from serflow.stage import run_stage, stage_parser
from serflow.stores.parquet import read_metadata, write_batches

SPLIT_KIND = "split"
SPLIT_SCHEMA = pa.schema([("utterance", pa.string()), ("fold", pa.int32()), ("role", pa.string())])


def main(arguments: argparse.Namespace) -> None:
    """Split ``--utterances`` into ``--split``, a fold for each of ``--seeds``."""
    rows = read_utterances(arguments.utterances, columns=["id", "dialogue", "speaker"]).to_pylist()
    names = [row["id"] for row in rows]
    units = [split_unit(arguments.protocol, row["id"], row["dialogue"], row["speaker"]) for row in rows]
    seeds = list(dict.fromkeys(arguments.seeds))
    write_batches(
        arguments.split,
        SPLIT_SCHEMA,
        (
            pa.table(
                [names, [seed] * len(names), roles(units, seeds[0] if arguments.one_split else seed)],
                schema=SPLIT_SCHEMA,
            )
            for seed in seeds
        ),
        kind=SPLIT_KIND,
        metadata={
            "corpus": read_metadata(arguments.utterances)["corpus"],
            "protocol": arguments.protocol,
            "seeds": seeds,
            "one_split": arguments.one_split,
            "units": len(set(units)),
            "cuts": [TRAIN_END, VAL_END],
        },
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--utterances", type=Path, required=True, help="Parquet of accepted utterances")
    parser.add_argument("--protocol", choices=PROTOCOLS, required=True, help="what is never split")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, help="a fold each")
    parser.add_argument("--one-split", action="store_true", help="all folds have the roles of the first seed")
    parser.add_argument("--split", type=Path, required=True, help="output: Parquet of utterance, fold, role")
    run_stage(parser, main)
