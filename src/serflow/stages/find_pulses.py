"""Stage: find the pitch pulses of a shard of audio. ``python -m serflow.stages.find_pulses --help``.

Praat looks at whole utterances; what trains on crops of them cuts the pulses with the waveform. An utterance without a
pulse is kept as such and counted; one that Praat cannot analyse is listed with its reason in the metadata of the shard
(``rejected``), and in the log.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serflow.audio.prepared import iterate_prepared
from serflow.errors import AudioError
from serflow.features.pitch_pulse import build
from serflow.progress import progress
from serflow.reasons import by_reason
from serflow.stage import json_option, run_stage, stage_parser
from serflow.stores.parquet import count_rows, read_metadata
from serflow.stores.pulses import PulseRow, write_pulses

log = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> None:
    """Write where the pulses of the utterances of ``--audio`` are to ``--pulses``."""
    feature = build(arguments.parameters)
    audio = read_metadata(arguments.audio)
    corpus = audio["corpus"]
    rejected: dict[str, str] = {}

    def rows() -> Iterator[PulseRow]:
        for item in progress(iterate_prepared(arguments.audio), count_rows(arguments.audio), "pitch pulses"):
            try:
                found = feature.nearest_samples(item.waveform)
            except AudioError as error:
                rejected[item.utterance] = str(error)
                log.info("%s has no pitch pulses: %s", item.utterance, error)
                continue
            if not len(found):
                log.info("%s: Praat finds no pitch pulse", item.utterance)
            yield PulseRow(item.utterance, len(item.pcm16), found)

    def metadata() -> dict[str, Any]:
        return {
            "corpus": corpus,
            "synthetic": audio["synthetic"],
            "parameters": arguments.parameters,
            "code": arguments.code,
            "shard": audio["shard"],
            "n_shards": audio["n_shards"],
            "rejected": rejected,
            "sources": {"audio": audio["data_sha256"]},
        }

    counts = write_pulses(arguments.pulses, rows(), metadata)
    log.info("%d utterances, %d without a pulse; %d rejected", *counts.values(), len(rejected))
    if rejected:
        log.warning(
            "%s: Praat cannot look for the pulses of %d of %d utterances (%s); see the log",
            corpus, len(rejected), counts["n_utterances"] + len(rejected), by_reason(rejected.values()),
        )  # fmt: skip


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--audio", type=Path, required=True, help="shard of prepared audio")
    parser.add_argument("--parameters", type=json_option, default={}, help="JSON: floor_hz, ceiling_hz of the pitch")
    parser.add_argument("--code", required=True, help="fingerprint of the code, kept in the file's metadata")
    parser.add_argument("--pulses", type=Path, required=True, help="output: Parquet shard of pulses")
    run_stage(parser, main)
