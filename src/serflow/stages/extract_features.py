"""Stage: compute a feature of a shard of audio. ``python -m serflow.stages.extract_features --help``.

Noise is mixed in as the audio is read; noisy copies are not stored.
"""

import argparse
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from serflow.audio.prepared import FloatArray, PreparedUtterance, iterate_prepared
from serflow.errors import ConfigError
from serflow.features.base import load_feature
from serflow.noise.mixing import ClipBank, planned, read_plan
from serflow.progress import progress
from serflow.stage import json_option, run_stage, stage_parser
from serflow.stores.frames import FrameRow, write_frames
from serflow.stores.parquet import read_metadata

log = logging.getLogger(__name__)
CLEAN = "clean"


def _waveform_reader(arguments: argparse.Namespace) -> Callable[[PreparedUtterance], FloatArray]:
    """Return what gives an utterance's waveform in the condition that was asked for."""
    if arguments.condition == CLEAN:
        return lambda item: item.waveform
    plan = read_plan(arguments.plan, expect={"corpus": arguments.corpus, "profile": arguments.condition})
    bank = ClipBank.read(arguments.clips)
    return lambda item: bank.mix(item.waveform, planned(plan, item.utterance, arguments.plan))


def main(arguments: argparse.Namespace) -> None:
    """Write ``--feature`` of the utterances of ``--audio`` to ``--frames``."""
    noise = {"plan": arguments.plan, "clips": arguments.clips}
    if any((path is None) != (arguments.condition == CLEAN) for path in noise.values()):
        raise ConfigError(
            f"--condition {arguments.condition}: give --plan and --clips with a noise profile, and neither with {CLEAN}"
        )
    feature = load_feature(arguments.feature, arguments.parameters)
    files = {"audio": arguments.audio, **{name: path for name, path in noise.items() if path is not None}}
    described = {name: read_metadata(path) for name, path in files.items()}
    waveform_of = _waveform_reader(arguments)

    def rows() -> Iterator[FrameRow]:
        n_utterances = pq.read_metadata(arguments.audio).num_rows
        shard = iterate_prepared(arguments.audio, expect={"corpus": arguments.corpus})
        for item in progress(shard, n_utterances, arguments.feature):
            yield FrameRow(item.utterance, feature(waveform_of(item)))

    metadata = {
        "feature": arguments.feature,
        "parameters": arguments.parameters,
        "sample_rate": feature.info.sample_rate,
        "hop_s": feature.info.hop_s,
        "units": feature.info.units,
        "corpus": arguments.corpus,
        "condition": arguments.condition,
        "code": arguments.code,
        "shard": described["audio"]["shard"],
        "sources": {name: entries["data_sha256"] for name, entries in described.items()},
    }
    written = write_frames(arguments.frames, rows(), feature.info.dim, metadata)
    log.info("%s of %d utterances, %s", arguments.feature, written, arguments.condition)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--feature", required=True, help="name of the feature, e.g. mfb")
    parser.add_argument("--parameters", type=json_option, default={}, help="JSON: its parameters")
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--condition", required=True, help="clean, or a noise profile")
    parser.add_argument("--audio", type=Path, required=True, help="shard of prepared audio")
    parser.add_argument("--plan", type=Path, help="noise plan of the corpus in that profile")
    parser.add_argument("--clips", type=Path, help="noise clips (clips.parquet)")
    parser.add_argument("--code", required=True, help="fingerprint of the code, kept in the file's metadata")
    parser.add_argument("--frames", type=Path, required=True, help="output: Parquet shard of frames")
    run_stage(parser, main)
