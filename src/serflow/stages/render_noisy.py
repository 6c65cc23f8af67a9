"""Stage: write noisy utterances to listen to. ``python -m serflow.stages.render_noisy --help``."""

import argparse
import itertools
from pathlib import Path

import soundfile

from serflow.audio.decode import SAMPLE_RATE
from serflow.audio.prepared import iterate_prepared
from serflow.files import digested_path, write_csv
from serflow.noise.mixing import ClipBank, PlanRow, planned, read_plan
from serflow.progress import progress
from serflow.stage import run_stage, stage_parser


def main(arguments: argparse.Namespace) -> None:
    """Write a 24-bit FLAC for each utterance into ``--folder``, and then the plan as ``plan.csv``.

    24 bits, for speech at -30 dB SNR would lose half of its 16 bits to the noise.
    """
    plan = read_plan(arguments.plan)
    bank = ClipBank.read(arguments.clips)
    audio = itertools.chain.from_iterable(map(iterate_prepared, arguments.audio))
    for utterance in progress(audio, len(plan), "rendering"):
        row = planned(plan, utterance.utterance, arguments.plan)
        noisy = bank.mix(utterance.waveform, row)
        with digested_path(arguments.folder / f"{utterance.utterance}.flac") as path:
            soundfile.write(path, noisy, SAMPLE_RATE, format="FLAC", subtype="PCM_24")
    write_csv(arguments.folder / "plan.csv", PlanRow._fields, plan.values())


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="shards of prepared audio")
    parser.add_argument("--plan", type=Path, required=True, help="noise plan of the corpus")
    parser.add_argument("--clips", type=Path, required=True, help="noise clips (clips.parquet)")
    parser.add_argument("--folder", type=Path, required=True, help="output: folder of FLAC files")
    run_stage(parser, main)
