"""Stage: make a stand-in for ESC-50. ``python -m serflow.stages.make_synthetic_esc50 --help``."""

import argparse
from dataclasses import asdict
from pathlib import Path

from serflow.files import write_sealed_json
from serflow.stage import json_option, run_stage, stage_parser
from serflow.synthetic.esc50 import Options, write
from serflow.synthetic.tree import describe_tree, stand_in_tree, write_marker

HOW = "All sounds were made from filtered noise, clicks, chirps and harmonic tones."


def main(arguments: argparse.Namespace) -> None:
    """Write the sounds to the folder ``--root``, and their manifest."""
    options = Options.parse(arguments.options)
    with stand_in_tree(arguments.root) as folder:
        n_clips = write(folder, options)
        write_marker(folder, "the noise collection ESC-50", HOW, asdict(options))
        manifest = describe_tree(folder, "esc50", asdict(options), n_clips)
    write_sealed_json(arguments.manifest, manifest)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="output: folder in the layout of ESC-50")
    parser.add_argument("--options", type=json_option, default={}, help="JSON: seed, clips_per_class_and_fold")
    parser.add_argument("--manifest", type=Path, required=True, help="output: JSON with counts and the digest")
    run_stage(parser, main)
