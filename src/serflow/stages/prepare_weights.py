"""Stage: get the weights of a pretrained network. ``python -m serflow.stages.prepare_weights --help``.

They come from a path, from the publisher (pinned by digest), or are a stand-in; a record says which.
"""

import argparse
import logging
from dataclasses import asdict
from pathlib import Path

from serflow.backbones._fetch import fetch
from serflow.backbones.base import Release, backbone_module, releases
from serflow.backbones.weights import DOWNLOAD, STAND_IN, Weights, describe_files, known_release, unfit_path
from serflow.errors import ConfigError, WeightsError
from serflow.files import atomic_folder, write_sealed_json
from serflow.stage import run_stage, stage_parser
from serflow.state import stamps, take_stock

log = logging.getLogger(__name__)


def _release(backbone: str, name: str | None) -> Release:
    known = releases(backbone)
    if name is None:
        return next(iter(known.values()))
    if name not in known:
        raise ConfigError(f"backbones.{backbone}.release: no release {name!r}; known: {', '.join(known)}")
    return known[name]


def _stand_in(backbone: str, folder: Path) -> Path:
    with atomic_folder(folder / STAND_IN) as temporary:
        written: Path = backbone_module(backbone).write_stand_in(temporary, seed=0)
    return folder / STAND_IN / written.relative_to(temporary)


def _prepare(arguments: argparse.Namespace) -> Weights:
    backbone, wanted = arguments.backbone, arguments.weights
    if wanted == STAND_IN:
        weights = describe_files(backbone, STAND_IN, None, _stand_in(backbone, arguments.folder))
        log.warning(
            "%s: a stand-in, a small network trained on %s; what is made with it says so", backbone, weights.trained_on
        )
        return weights
    if wanted == DOWNLOAD:
        release = _release(backbone, arguments.release)
        source, path = fetch(backbone, release, arguments.folder)
        return describe_files(backbone, source, release, path)
    path = Path(wanted)
    if (unfit := unfit_path(backbone, path)) is not None:
        raise WeightsError(f"backbones.{backbone}.weights: {unfit}; give a path, download or stand-in")
    found = stamps(path)
    weights = describe_files(backbone, "path", known_release(backbone, path), path)
    if arguments.files is not None:
        take_stock(path, arguments.files, found).write(arguments.files)
    return weights


def main(arguments: argparse.Namespace) -> None:
    """Get the weights of ``--backbone`` and write ``--record``."""
    weights = _prepare(arguments)
    write_sealed_json(arguments.record, asdict(weights))
    log.info("%s: %s, release %s, licence %s", weights.backbone, weights.source, weights.release, weights.licence)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--backbone", required=True, help="name of the network, e.g. ge2e")
    parser.add_argument("--weights", required=True, help="download, stand-in, or the path of a file or folder")
    parser.add_argument("--release", help="which published weights to download (default: the first)")
    parser.add_argument("--folder", type=Path, required=True, help="where downloads and stand-ins are kept")
    parser.add_argument("--files", type=Path, default=None, help="output: JSON of what was read from a path")
    parser.add_argument("--record", type=Path, required=True, help="output: JSON that says what was taken")
    run_stage(parser, main)
