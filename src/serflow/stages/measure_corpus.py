"""Stage: what a feature of a whole corpus is standardised by. ``python -m serflow.stages.measure_corpus --help``.

Mean and deviation of what its network reads: the averages of those of the utterances, as SERAB takes them for BYOL-S.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from serflow.audio.prepared import iterate_prepared
from serflow.backbones.base import StandardisedBackbone, load_backbone
from serflow.backbones.weights import read_weights
from serflow.errors import ConfigError, StoreError
from serflow.files import write_sealed_json
from serflow.progress import progress
from serflow.stage import json_option, run_stage, stage_parser
from serflow.stages._noisy import waveform_reader
from serflow.stores.parquet import count_rows, read_metadata

log = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> None:
    """Write ``--statistics`` of the utterances of ``--audio``.

    Raises
    ------
    ConfigError
        If the input of the network is not standardised.
    StoreError
        If nothing but silence is there.
    """
    waveform_of = waveform_reader(arguments.condition, arguments.corpus, arguments.plan, arguments.clips)
    weights, options = read_weights(arguments.weights), arguments.backbone
    network = load_backbone(options["name"], Path(weights.path), options["device"], options["precision"])
    if not isinstance(network, StandardisedBackbone):
        raise ConfigError(
            f"features.{arguments.feature}.standardise: the input of {options['name']} is not standardised; remove it"
        )

    def measured() -> Iterator[tuple[float, float]]:
        for shard in arguments.audio:
            audio = iterate_prepared(shard, expect={"corpus": arguments.corpus})
            for item in progress(audio, count_rows(shard), arguments.feature):
                yield network.measure(waveform_of(item))

    found = np.array(list(measured())).reshape(-1, 2)
    if not (found[:, 1] > 0).any():
        raise StoreError(f"{arguments.audio[0]}: no sound in the {len(found)} utterances of {arguments.corpus}")
    mean, deviation = found.mean(0).tolist()
    log.info("%d utterances: mean %.4f, deviation %.4f", len(found), mean, deviation)
    files = {"plan": arguments.plan, "clips": arguments.clips}
    sources = {"audio": [read_metadata(shard)["data_sha256"] for shard in arguments.audio]}
    sources |= {name: read_metadata(path)["data_sha256"] for name, path in files.items() if path is not None}
    write_sealed_json(
        arguments.statistics,
        {
            "feature": arguments.feature,
            "corpus": arguments.corpus,
            "condition": arguments.condition,
            "mean": mean,
            "deviation": deviation,
            "utterances": len(found),
            "weights": weights.describe(),
            "sources": sources,
            "code": arguments.code,
        },
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--feature", required=True, help="name of the feature, e.g. byol")
    parser.add_argument("--backbone", type=json_option, required=True, help="JSON: name, device and precision")
    parser.add_argument("--weights", type=Path, required=True, help="record of the network's weights")
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--condition", required=True, help="clean, or a noise profile")
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="all shards of prepared audio")
    parser.add_argument("--plan", type=Path, help="noise plan of the corpus in that profile")
    parser.add_argument("--clips", type=Path, help="noise clips (clips.parquet)")
    parser.add_argument("--code", required=True, help="fingerprint of the code, kept in the file")
    parser.add_argument("--statistics", type=Path, required=True, help="output: JSON")
    run_stage(parser, main)
