"""Stage: Table I of the DLC paper, and ours beside the paper's. ``python -m serflow.stages.tabulate_dlc --help``."""

import argparse
from pathlib import Path

import pandas as pd

from serflow.files import write_text
from serflow.report.corpora import read_corpora, read_noise
from serflow.stage import json_option, run_stage, stage_parser
from serflow.studies.dlc.catalog import method_info
from serflow.studies.dlc.comparison import NOISE_COLUMNS, compare_noise_classifier, compare_table1
from serflow.studies.dlc.results import (
    CONTROLS,
    check_complete,
    control_scores,
    seed_scores,
    summarise,
    with_overall,
)
from serflow.studies.dlc.tables import table1


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def main(arguments: argparse.Namespace) -> None:
    """Write ``--table``, ``--comparison`` and ``--noise``."""
    noise = read_noise(arguments.clips)
    facts = read_corpora(arguments.corpora, arguments.utterances, noise)
    profiles, methods = arguments.profiles, arguments.methods

    scores = seed_scores(arguments.cells)
    multimodal = [method for method in methods if method_info(method).modality == "multi"]
    check_complete(scores, methods, list(facts), profiles, dict.fromkeys(multimodal, arguments.without_turns))
    controls = [name for name in arguments.controls if name in CONTROLS]
    scores = pd.concat([scores, control_scores(arguments.cells, controls)], ignore_index=True)
    summary = summarise(with_overall(scores))
    _write_csv(arguments.table, table1(summary, facts, profiles, methods))
    _write_csv(arguments.comparison, compare_table1(scores, summary, facts, profiles, methods, noise))

    # an experiment has noise classifiers on the corpora where a method is routed by them
    accuracies = []
    for _, of_experiment in seed_scores(arguments.noise_cells, measure="wa").groupby("experiment"):
        built = {name: fact for name, fact in facts.items() if name in set(of_experiment["corpus"])}
        check_complete(of_experiment, ["noise_classifier"], list(built), profiles)
        means = summarise(with_overall(of_experiment))
        accuracies.append(compare_noise_classifier(of_experiment, means, built, profiles, noise))
    table = pd.concat(accuracies, ignore_index=True) if accuracies else pd.DataFrame(columns=NOISE_COLUMNS)
    _write_csv(arguments.noise, table)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--cells", type=Path, nargs="+", required=True, help="metrics.json of each cell of the table")
    parser.add_argument("--noise-cells", type=Path, nargs="*", default=[], help="metrics.json of noise classifiers")
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, help="utterances.parquet of each corpus")
    parser.add_argument(
        "--clips", type=Path, required=True, help="clips.parquet, to know whether the noise is synthetic"
    )
    parser.add_argument(
        "--corpora", type=json_option, required=True, help='[{"name", "title", "synthetic", "departures"}, ...]'
    )
    parser.add_argument("--profiles", nargs="+", required=True, help="noise profiles, in order")
    parser.add_argument("--methods", nargs="+", required=True, help="methods, in order; the paper's come first anyway")
    parser.add_argument("--without-turns", nargs="*", default=[], help="corpora that multimodal methods cannot have")
    parser.add_argument("--controls", nargs="*", default=[], help="rows to add: oracle_gate, chance, majority")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--table", type=Path, required=True, help="output: CSV in the shape of Table I")
    parser.add_argument("--comparison", type=Path, required=True, help="output: CSV, a line per cell with the paper's")
    parser.add_argument("--noise", type=Path, required=True, help="output: CSV of the noise classifiers' accuracy")
    run_stage(parser, main)
