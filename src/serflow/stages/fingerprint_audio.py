"""Stage: fingerprints of the audio of a corpus. ``python -m serflow.stages.fingerprint_audio --help``."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from serflow.audio.prepared import iterate_prepared
from serflow.audit.fingerprint import Landmarks, landmarks
from serflow.audit.prints import write_prints
from serflow.progress import progress
from serflow.stage import run_stage, stage_parser
from serflow.stores.parquet import count_rows, read_metadata


def main(arguments: argparse.Namespace) -> None:
    """Write ``--fingerprints`` of the utterances of ``--audio``."""
    metadata = [read_metadata(shard) for shard in arguments.audio]

    def rows() -> Iterator[tuple[str, Landmarks]]:
        for shard in arguments.audio:
            audio = iterate_prepared(shard, expect={"corpus": arguments.corpus})
            for item in progress(audio, count_rows(shard), "fingerprints"):
                yield item.utterance, landmarks(item.waveform)

    said = {
        "corpus": arguments.corpus,
        "synthetic": metadata[0]["synthetic"],
        "code": arguments.code,
        "sources": {"audio": [of_shard["data_sha256"] for of_shard in metadata]},
    }
    write_prints(arguments.fingerprints, rows(), said)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="all shards of prepared audio, in order")
    parser.add_argument("--code", required=True, help="fingerprint of the code, kept in the file")
    parser.add_argument("--fingerprints", type=Path, required=True, help="output: Parquet, a row an utterance")
    run_stage(parser, main)
