"""Stage: ask trained networks in noise of every kind and level. ``python -m serflow.stages.predict_in_noise --help``.

Utterances are mixed as their audio is read; neither noisy audio nor features of it are stored, and nothing is trained.
"""

import argparse
import importlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from serflow.audio.prepared import PreparedUtterance, iterate_prepared
from serflow.features.base import load_feature
from serflow.noise.mixing import ClipBank
from serflow.progress import progress
from serflow.runs.provenance import gather, joined, same_audio
from serflow.settings.base import checked
from serflow.stage import files_of, json_option, named_path, named_value, run_stage, stage_parser
from serflow.stores.parquet import write_batches
from serflow.training.seeds import reproducible

log = logging.getLogger(__name__)
NOT_PARQUET = ("model", "gate_model")


def main(arguments: argparse.Namespace) -> None:
    """Write what the fits of ``--cell`` say to ``--predictions``."""
    study = importlib.import_module(f"serflow.studies.{arguments.study}.sweep")
    cell = study.Cell(**dict(arguments.cell))
    files = files_of(study.Files, arguments.inputs)
    options = checked(study.Options, arguments.options, arguments.study)
    gate_options = arguments.gate_options and checked(study.Options, arguments.gate_options, arguments.study)
    grid = study.Grid(tuple(arguments.snr_db), arguments.clips, arguments.seed)
    extractor = study.Extractor(load_feature(arguments.extractor, arguments.parameters), arguments.mantissa_bits)
    given = {name: value for name, value in files._asdict().items() if value is not None and name not in NOT_PARQUET}
    swept = study.load(files, cell, options, arguments.runs, gate_options)

    def shards() -> Iterator[Sequence[PreparedUtterance]]:
        for path in progress(files.audio, len(files.audio), "predicting in noise", unit="shard"):
            yield list(iterate_prepared(path, expect={"corpus": cell.corpus}))

    def tables() -> Iterator[pa.Table]:
        with reproducible():
            yield from study.predictions(swept, shards(), ClipBank.read(files.clips), extractor, grid)

    metadata = {
        "study": arguments.study,
        "cell": cell._asdict(),
        "name": "/".join(cell),
        "classes": list(swept.data.classes),
        "options": arguments.options,
        "runs": arguments.runs,
        "snr_db": list(grid.snr_db),
        "provenance": joined(
            [gather(given), same_audio(given, swept.data.utterances, [fit.rows for fit in swept.fits])]
        ).to_json(),
        "code": arguments.code,
    }
    written = write_batches(
        arguments.predictions, study.SWEEP_SCHEMA, tables(), kind=study.SWEEP_KIND, metadata=metadata
    )
    log.info("%s: %d predictions in noise", " ".join(cell), written)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="package of serflow.studies")
    parser.add_argument("--cell", type=named_value, nargs="+", required=True, help="name=value of each of its fields")
    parser.add_argument("--inputs", type=named_path, nargs="+", required=True, help="name=path, as its Files has them")
    parser.add_argument("--runs", type=int, nargs="+", required=True, help="seeds of the runs, in the order of splits")
    parser.add_argument("--options", type=json_option, required=True, help="JSON: what the cell was trained with")
    parser.add_argument("--gate-options", type=json_option, help="JSON: what the noise classifier was trained with")
    parser.add_argument("--extractor", required=True, help="module of the feature")
    parser.add_argument("--parameters", type=json_option, default={}, help="JSON: the feature's parameters")
    parser.add_argument("--mantissa-bits", type=int, help="round values to so many bits of mantissa (default: do not)")
    parser.add_argument("--snr-db", type=float, nargs="+", required=True, help="levels")
    parser.add_argument("--clips", choices=("shared", "by_fold"), default="shared", help="which clips are drawn")
    parser.add_argument("--seed", type=int, default=0, help="part of the draw")
    parser.add_argument("--code", required=True, help="fingerprint of the code, kept in the file's metadata")
    parser.add_argument("--predictions", type=Path, required=True, help="output: Parquet of what was predicted")
    return parser


if __name__ == "__main__":
    run_stage(make_parser(), main)
