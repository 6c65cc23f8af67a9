"""Stage: one cell of the DLC study's Table I. ``python -m serflow.stages.train_dlc --help``.

Trains and tests one method on one corpus in one noise profile, with all seeds and, in experiment 2, all
held-out conditions. States of unfinished fits lie in ``fits`` beside the outputs: a killed run goes on.
"""

import argparse
import shutil
from pathlib import Path

from serflow.errors import ConfigError
from serflow.settings.base import checked
from serflow.stage import json_option, run_stage, stage_parser
from serflow.studies.dlc.artefacts import write_history, write_metrics, write_model, write_predictions
from serflow.studies.dlc.catalog import method_info
from serflow.studies.dlc.cell import CellName, read_gate, train_cell
from serflow.studies.dlc.data import HELD_OUT, CellFiles, load_cell
from serflow.studies.dlc.options import Options
from serflow.training.seeds import reproducible


def main(arguments: argparse.Namespace) -> None:
    """Train a cell and write ``--predictions``, ``--history``, ``--metrics`` and ``--model``."""
    cell = CellName(arguments.experiment, arguments.method, arguments.corpus, arguments.profile)
    info = method_info(cell.method)
    options = checked(Options, arguments.options, "dlc")
    if cell.experiment not in info.experiments:
        raise ConfigError(f"--experiment: {cell.method} is not part of {cell.experiment}")
    if info.routes and arguments.gate is None:
        raise ConfigError(f"--gate: {cell.method} needs the predictions of noise_classifier in the same cell")
    if (info.modality == "multi") != (arguments.text is not None):
        raise ConfigError(f"--text: {cell.method} is {info.modality}modal; give text to multimodal methods alone")

    files = CellFiles(
        arguments.utterances, arguments.split, arguments.plan, arguments.clean, arguments.noisy, arguments.text
    )
    labels = options.iemocap_labels
    data = load_cell(files, cell.corpus, cell.profile, arguments.seeds, predicts=info.predicts, labels=labels)
    states = arguments.predictions.parent / "fits"
    with reproducible():
        results = train_cell(
            cell,
            data,
            options,
            seeds=arguments.seeds,
            states=states,
            depends_on=[arguments.code, *files.digests()],
            gate=read_gate(arguments.gate, cell) if info.routes else None,
        )

    metadata = {"study": "dlc", **cell._asdict(), "code": arguments.code}
    read = options.as_json(info.options)
    described = {**metadata, "classes": data.classes, "options": read, "seeds": arguments.seeds}
    write_predictions(arguments.predictions, data, results, described)
    write_history(arguments.history, results, described)
    write_model(arguments.model, results, metadata)
    write_metrics(arguments.metrics, cell, data, results, info.modality, arguments.code)
    shutil.rmtree(states)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = stage_parser(__doc__)
    parser.add_argument("--experiment", choices=tuple(HELD_OUT), required=True, help="exp1: all noise is known")
    parser.add_argument("--method", required=True, help="module of serflow.studies.dlc.methods")
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--profile", required=True, help="name of the noise profile")
    parser.add_argument("--utterances", type=Path, required=True, help="the corpus's utterances.parquet")
    parser.add_argument("--split", type=Path, required=True, help="Parquet of utterance, fold, role")
    parser.add_argument("--plan", type=Path, required=True, help="noise plan of the profile")
    parser.add_argument("--clean", type=Path, required=True, help="index of packed clean features")
    parser.add_argument("--noisy", type=Path, required=True, help="index of packed features of the profile")
    parser.add_argument("--text", type=Path, help="index of packed token embeddings, for multimodal methods")
    parser.add_argument("--gate", type=Path, help="predictions of noise_classifier, for methods with experts")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, help="folds of the split")
    parser.add_argument("--options", type=json_option, required=True, help='{"model": {"maps": 16}, ...}')
    parser.add_argument("--code", required=True, help="fingerprint of the code, kept in the outputs")
    parser.add_argument("--predictions", type=Path, required=True, help="output: Parquet, a row per test utterance")
    parser.add_argument("--history", type=Path, required=True, help="output: Parquet, a row per epoch")
    parser.add_argument("--metrics", type=Path, required=True, help="output: JSON of scores and counts")
    parser.add_argument("--model", type=Path, required=True, help="output: safetensors, best weights of each fit")
    return parser


if __name__ == "__main__":
    run_stage(make_parser(), main)
