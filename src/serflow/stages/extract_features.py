"""Stage: compute a feature of a shard of audio. ``python -m serflow.stages.extract_features --help``.

Noise is mixed in as the audio is read; noisy copies are not stored. An utterance that has no such feature is
listed with its reason in the metadata of the shard (``rejected``), and in the log.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from serflow.audio.prepared import iterate_prepared
from serflow.backbones.base import Backbone, StandardisedBackbone, load_backbone
from serflow.backbones.weights import read_weights
from serflow.errors import AudioError, ConfigError, StoreError
from serflow.features.base import BatchFeature, Feature, FloatArray, load_feature
from serflow.files import read_sealed_json
from serflow.progress import progress
from serflow.reasons import by_reason
from serflow.stage import json_option, run_stage, stage_parser
from serflow.stages._noisy import stand_ins, waveform_reader
from serflow.stores.frames import FrameRow, write_frames
from serflow.stores.groups import grouped
from serflow.stores.parquet import count_rows, read_metadata
from serflow.stores.vectors import write_vectors

log = logging.getLogger(__name__)
_GROUP = 64
"""Utterances given to a feature at once; it batches them as it likes."""


def _load(arguments: argparse.Namespace) -> tuple[Feature, dict[str, Any]]:
    """Return the feature, and what the metadata say of its network."""
    extractor = arguments.extractor or arguments.feature
    if (arguments.backbone is None) != (arguments.weights is None):
        raise ConfigError("give --backbone and --weights together, or neither")
    if arguments.backbone is None:
        return load_feature(extractor, arguments.parameters), {}
    weights = read_weights(arguments.weights)
    options = arguments.backbone
    backbone = load_backbone(options["name"], Path(weights.path), options["device"], options["precision"])
    statistics: dict[str, Any] = {}
    if arguments.statistics is not None:
        backbone, statistics = _told(arguments, backbone)
    described = {
        "backbone": {"name": options["name"], "precision": options["precision"], **backbone.description},
        "weights": weights.describe(),
        **statistics,
    }
    return load_feature(extractor, arguments.parameters, backbone), described


def _told(arguments: argparse.Namespace, backbone: Backbone) -> tuple[Backbone, dict[str, Any]]:
    """Return the network as it standardises by the whole corpus in this condition, and what the metadata say of that.

    Raises
    ------
    ConfigError
        If its input is not standardised.
    StoreError
        If the file is damaged, or of another corpus, condition or feature.
    """
    if not isinstance(backbone, StandardisedBackbone):
        raise ConfigError(f"feature {arguments.feature}: the input of its network is not standardised")
    content = read_sealed_json(arguments.statistics)
    for name in ("feature", "corpus", "condition"):
        if content[name] != getattr(arguments, name):
            raise StoreError(
                f"{arguments.statistics}: of {name} {content[name]} and not {getattr(arguments, name)}; delete it and "
                "run again"
            )
    statistics = {name: content[name] for name in ("mean", "deviation")}
    return backbone.standardised_by(**statistics), {"statistics": statistics}


def _attempt(feature: Feature, waveform: FloatArray) -> FloatArray | AudioError:
    try:
        return feature(waveform)
    except AudioError as error:
        return error


def _compute(feature: Feature, waveforms: Sequence[FloatArray]) -> list[FloatArray | AudioError]:
    """Return the feature of each utterance, or the reason why it has none."""
    if isinstance(feature, BatchFeature):
        try:
            return list(feature.batch(waveforms))
        except AudioError:
            log.info(
                "an utterance among %d has no %s; going through them one by one", len(waveforms), feature.info.name
            )
    return [_attempt(feature, waveform) for waveform in waveforms]


def main(arguments: argparse.Namespace) -> None:
    """Write ``--feature`` of the utterances of ``--audio`` to ``--frames``."""
    waveform_of = waveform_reader(arguments.condition, arguments.corpus, arguments.plan, arguments.clips)
    feature, network = _load(arguments)
    files = {"audio": arguments.audio, "plan": arguments.plan, "clips": arguments.clips}
    described = {name: read_metadata(path) for name, path in files.items() if path is not None}
    rejected: dict[str, str] = {}
    group_size = _GROUP if isinstance(feature, BatchFeature) else 1

    def rows() -> Iterator[FrameRow]:
        n_utterances = count_rows(arguments.audio)
        shard = iterate_prepared(arguments.audio, expect={"corpus": arguments.corpus})
        for group in grouped(progress(shard, n_utterances, arguments.feature), group_size):
            computed = _compute(feature, [waveform_of(item) for item in group])
            for item, result in zip(group, computed, strict=True):
                if isinstance(result, AudioError):
                    rejected[item.utterance] = str(result)
                    log.info("%s has no %s: %s", item.utterance, arguments.feature, result)
                else:
                    yield FrameRow(item.utterance, result)

    def metadata() -> dict[str, Any]:
        return {
            "feature": arguments.feature,
            "extractor": arguments.extractor or arguments.feature,
            "parameters": arguments.parameters,
            "sample_rate": feature.info.sample_rate,
            "hop_s": feature.info.hop_s,
            "units": feature.info.units,
            **network,
            "corpus": arguments.corpus,
            "condition": arguments.condition,
            "stand_ins": stand_ins(described, network),
            "code": arguments.code,
            "shard": described["audio"]["shard"],
            "n_shards": described["audio"]["n_shards"],
            "rejected": rejected,
            "sources": {name: entries["data_sha256"] for name, entries in described.items()},
        }

    write = write_frames if feature.info.kind == "frames" else write_vectors
    written = write(arguments.frames, rows(), feature.info.dim, metadata, mantissa_bits=arguments.mantissa_bits)
    log.info("%s of %d utterances, %s; %d rejected", arguments.feature, written, arguments.condition, len(rejected))
    if rejected:
        log.warning(
            "%s, %s: %d of %d utterances have no %s (%s); see the log",
            arguments.corpus, arguments.condition, len(rejected), written + len(rejected), arguments.feature,
            by_reason(rejected.values()),
        )  # fmt: skip


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--feature", required=True, help="name of the feature, e.g. mfb")
    parser.add_argument("--extractor", help="module that computes it (default: the one of its name)")
    parser.add_argument("--parameters", type=json_option, default={}, help="JSON: its parameters")
    parser.add_argument("--backbone", type=json_option, help="JSON: name, device and precision of its network")
    parser.add_argument("--weights", type=Path, help="record of the network's weights (resources/weights/NAME.json)")
    parser.add_argument("--statistics", type=Path, help="JSON of the whole corpus (stage measure_corpus)")
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--condition", required=True, help="clean, or a noise profile")
    parser.add_argument("--audio", type=Path, required=True, help="shard of prepared audio")
    parser.add_argument("--plan", type=Path, help="noise plan of the corpus in that profile")
    parser.add_argument("--clips", type=Path, help="noise clips (clips.parquet)")
    parser.add_argument("--mantissa-bits", type=int, help="round values to so many bits of mantissa (default: do not)")
    parser.add_argument("--code", required=True, help="fingerprint of the code, kept in the file's metadata")
    parser.add_argument("--frames", type=Path, required=True, help="output: Parquet shard of frames or vectors")
    run_stage(parser, main)
