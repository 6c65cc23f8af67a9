"""Stage: pack the prepared audio of a corpus for training. ``python -m serflow.stages.pack_audio --help``."""

import argparse
from pathlib import Path

from serflow.stage import run_stage, stage_parser
from serflow.stores.waveforms import pack_waveforms


def main(arguments: argparse.Namespace) -> None:
    """Pack ``--shards`` into ``--array`` and ``--index``."""
    pack_waveforms(arguments.shards, arguments.array, arguments.index)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="shards of prepared audio, in order")
    parser.add_argument("--array", type=Path, required=True, help="output: .npy of all samples, 16 bit")
    parser.add_argument("--index", type=Path, required=True, help="output: Parquet of utterances and offsets")
    run_stage(parser, main)
