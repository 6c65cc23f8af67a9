"""Stage: a row a token of a shard of transcripts. ``python -m serflow.stages.embed_text --help``.

The rows stand in the order of the transcripts. An utterance without a transcript has no row here either, and is
listed with the same reason (``rejected``).
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serflow.backbones.base import load_text_encoder
from serflow.backbones.weights import read_weights
from serflow.progress import progress
from serflow.stage import json_option, run_stage, stage_parser
from serflow.stores.frames import FrameRow, write_frames
from serflow.stores.groups import grouped
from serflow.stores.parquet import check, count_rows
from serflow.transcripts.store import TRANSCRIPTS_KIND, iterate_transcripts

log = logging.getLogger(__name__)
_GROUP = 256
"""Texts given to the network at once; it batches those of about the same length."""
_OF_THE_TRANSCRIPTS = ("recogniser", "language", "corpus", "condition", "shard", "n_shards", "rejected")


def main(arguments: argparse.Namespace) -> None:
    """Write ``--feature`` of the utterances of ``--transcripts`` to ``--frames``."""
    given = check(arguments.transcripts, TRANSCRIPTS_KIND)
    weights = read_weights(arguments.weights)
    options = {"backbone": weights.backbone, **arguments.options}
    name, device, precision = (options[key] for key in ("backbone", "device", "precision"))
    encoder = load_text_encoder(name, Path(weights.path), device, precision)
    recognised_by = {key: given[key] for key in ("backbone", "parameters", "weights", "code") if key in given}
    metadata: dict[str, Any] = {
        "feature": arguments.feature,
        "extractor": name,
        "parameters": {"max_tokens": encoder.max_tokens},
        "sample_rate": None,
        "hop_s": None,
        "units": "activation",
        "backbone": {"name": name, "precision": precision, **encoder.description},
        "weights": weights.describe(),
        "transcripts": recognised_by,
        "stand_ins": [*given["stand_ins"], *(["weights"] if weights.synthetic else [])],
        "code": arguments.code,
        "sources": {"transcripts": given["data_sha256"]},
        **{key: given[key] for key in _OF_THE_TRANSCRIPTS},
    }
    metadata["stand_ins"] = list(dict.fromkeys(metadata["stand_ins"]))

    def rows() -> Iterator[FrameRow]:
        n_utterances = count_rows(arguments.transcripts)
        shown = progress(iterate_transcripts(arguments.transcripts), n_utterances, arguments.feature)
        for group in grouped(shown, _GROUP):
            for row, frames in zip(group, encoder.encode([row.text for row in group]), strict=True):
                yield FrameRow(row.utterance, frames)

    written = write_frames(arguments.frames, rows(), encoder.dim, metadata)
    log.info("%s of %d utterances, %s", arguments.feature, written, given["condition"])


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--feature", required=True, help="name of the feature, e.g. bert")
    parser.add_argument("--transcripts", type=Path, required=True, help="shard of transcripts")
    parser.add_argument("--weights", type=Path, required=True, help="record of the weights")
    parser.add_argument(
        "--options", type=json_option, required=True, help="JSON: device, precision, and backbone (that of --weights)"
    )
    parser.add_argument("--code", required=True, help="fingerprint of the code, kept in the file's metadata")
    parser.add_argument("--frames", type=Path, required=True, help="output: Parquet shard of frames, a row a token")
    run_stage(parser, main)
