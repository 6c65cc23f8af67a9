"""Stage: make a stand-in corpus. ``python -m serflow.stages.make_synthetic_corpus --help``."""

import argparse
import importlib
from dataclasses import asdict
from pathlib import Path

from serflow.errors import ConfigError
from serflow.files import write_sealed_json
from serflow.stage import json_option, run_stage, stage_parser
from serflow.synthetic.catalogue import LAYOUTS
from serflow.synthetic.corpus import Options
from serflow.synthetic.tree import describe_tree, stand_in_tree, write_marker

HOW = (
    "All speech was made by Praat's text-to-speech synthesiser (eSpeak NG), with sentences and labels made up by a "
    "random generator; the emotion is in the f0, rate, level, spectral tilt, breathiness and roughness, and of what is "
    "said of one's own accord also in some of the words."
)


def main(arguments: argparse.Namespace) -> None:
    """Write the stand-in for ``--corpus`` to the folder ``--root``, and its manifest."""
    if arguments.corpus not in LAYOUTS:
        raise ConfigError(f"no stand-in for corpus {arguments.corpus!r}; there is one for {', '.join(sorted(LAYOUTS))}")
    options = Options.parse(arguments.options)
    writer = importlib.import_module(f"serflow.synthetic.{arguments.corpus}")
    with stand_in_tree(arguments.root) as folder:
        n_utterances = writer.write(folder, options)
        write_marker(folder, f"the corpus {arguments.corpus}", HOW, asdict(options))
        manifest = describe_tree(folder, arguments.corpus, asdict(options), n_utterances)
    write_sealed_json(arguments.manifest, manifest)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--corpus", required=True, help="name of the corpus, as in config.yaml")
    parser.add_argument("--root", type=Path, required=True, help="output: folder in the publisher's layout")
    parser.add_argument(
        "--options",
        type=json_option,
        default={},
        help="JSON: utterances, seed, emotion_strength, speaker_bias, scatter, emotion_in_text",
    )
    parser.add_argument("--manifest", type=Path, required=True, help="output: JSON with counts and the digest")
    run_stage(parser, main)
