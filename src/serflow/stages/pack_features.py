"""Stage: pack the shards of a feature store for training. ``python -m serflow.stages.pack_features --help``."""

import argparse
from pathlib import Path

from serflow.stage import run_stage, stage_parser
from serflow.stores.frames import pack_frames


def main(arguments: argparse.Namespace) -> None:
    """Pack ``--shards`` into ``--array`` and ``--index``."""
    pack_frames(arguments.shards, arguments.array, arguments.index)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="Parquet shards, in order")
    parser.add_argument("--array", type=Path, required=True, help="output: .npy of all frames")
    parser.add_argument("--index", type=Path, required=True, help="output: Parquet of utterances and offsets")
    run_stage(parser, main)
