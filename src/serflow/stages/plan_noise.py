"""Stage: draw the noise of a corpus in one profile. ``python -m serflow.stages.plan_noise --help``."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from serflow.audio.prepared import PreparedUtterance, iterate_prepared
from serflow.errors import NoiseError
from serflow.noise.conditions import profile_of, split_of
from serflow.noise.mixing import ClipBank, write_plan
from serflow.noise.plan import (
    CONDITIONS,
    FOLDS_OF_ROLE,
    MIXINGS,
    Draw,
    check_profile,
    draw_clips,
    draw_clips_by_fold,
    make_plan,
)
from serflow.progress import progress
from serflow.stage import json_option, run_stage, stage_parser
from serflow.stores.parquet import read_metadata, read_table

log = logging.getLogger(__name__)


def _all_audio(shards: Sequence[Path], corpus: str) -> Iterator[PreparedUtterance]:
    for shard in shards:
        yield from iterate_prepared(shard, expect={"corpus": corpus})


def _draws(arguments: argparse.Namespace, utterances: Sequence[str], bank: ClipBank) -> dict[str, Draw]:
    # whichever split its clips follow, an utterance has the kind of noise that the profile draws for it
    profile = profile_of(arguments.profile)
    if arguments.split is None:
        return draw_clips(utterances, bank.by_condition, profile, arguments.seed)
    table = read_table(arguments.split, kind="split").to_pylist()
    roles: dict[str, str] = {}
    for row in table:
        if roles.setdefault(row["utterance"], row["role"]) != row["role"]:
            raise NoiseError(
                f"{arguments.split}: {row['utterance']} has another role in fold {row['fold']}; with noise.clips "
                "by_fold all folds have the same roles: delete it and run the same command again"
            )
    return draw_clips_by_fold({name: roles[name] for name in utterances}, bank, profile, arguments.seed)


def _check_split(condition: str, split: Path | None, bank: ClipBank) -> None:
    """Hold the split of a condition whose name has one against what was given, and see that each role has clips."""
    named = split_of(condition)
    if named is None:
        return
    given = None if split is None else read_metadata(split)["protocol"]
    if given != named:
        raise NoiseError(f"--profile {condition}: its clips follow {named}; give the split {named} with --split")
    for role, folds in FOLDS_OF_ROLE.items():
        of_kind = bank.of_folds(folds)
        if without := [kind for kind in CONDITIONS if not of_kind.get(kind)]:
            raise NoiseError(
                f"{condition}: training, validation and test hear clips of other folds of ESC-50, and of "
                f"{', '.join(without)} there is none in fold {', '.join(map(str, folds))} ({role}): what shared clips "
                "are worth (premiums.csv) can be told with all five folds alone; see noise.esc50.root in config.yaml"
            )


def main(arguments: argparse.Namespace) -> None:
    """Draw condition, clip and offset of each utterance, and set the level."""
    snrs = check_profile(arguments.snrs, arguments.mixing)
    corpus = read_metadata(arguments.utterances)["corpus"]
    utterances = (
        read_table(arguments.utterances, kind="utterances", columns=["utterance"]).column("utterance").to_pylist()
    )
    bank = ClipBank.read(arguments.clips)
    _check_split(arguments.profile, arguments.split, bank)
    draws = _draws(arguments, utterances, bank)
    audio = progress(_all_audio(arguments.audio, corpus), len(utterances), "planning noise")
    levels = {condition: snr + arguments.snr_offset_db for condition, snr in snrs.items()}
    rows = {row.utterance: row for row in make_plan(audio, draws, bank, levels, arguments.mixing)}
    missing = [utterance for utterance in utterances if utterance not in rows]
    if missing:
        raise NoiseError(
            f"{arguments.utterances}: {len(missing)} utterances, first {missing[0]!r}, are in none of the "
            f"{len(arguments.audio)} audio shards given; give all shards of the corpus, or build them again"
        )
    metadata = {
        "corpus": corpus,
        "profile": arguments.profile,
        "profile_snrs": snrs,
        "snr_offset_db": arguments.snr_offset_db,
        "mixing": arguments.mixing,
        "seed": arguments.seed,
        "clips": "shared" if arguments.split is None else "by_fold",
        "synthetic_clips": bank.synthetic,
        "clip_warnings": bank.warnings,
    }
    write_plan(arguments.plan, [rows[utterance] for utterance in utterances], metadata)
    scaled = sum(row.scale < 1 for row in rows.values())
    log.info("%d utterances planned, %d of them scaled down so as not to clip", len(rows), scaled)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--utterances", type=Path, required=True, help="the corpus's utterances.parquet")
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="all shards of prepared audio")
    parser.add_argument("--clips", type=Path, required=True, help="noise clips (clips.parquet)")
    parser.add_argument("--split", type=Path, help="split whose roles draw clips of folds of their own (by_fold)")
    parser.add_argument(
        "--profile", required=True, help="h1, part of the draw; h1@partners-0 where clips follow a split"
    )
    parser.add_argument("--snrs", type=json_option, required=True, help="JSON: SNR in dB of natural, interior, human")
    parser.add_argument("--snr-offset-db", type=float, default=0.0, help="added to each of them: stand-ins are raised")
    parser.add_argument("--mixing", choices=MIXINGS, default="snr", help="how the level is set")
    parser.add_argument("--seed", type=int, default=0, help="part of the draw")
    parser.add_argument("--plan", type=Path, required=True, help="output: noise plan")
    run_stage(parser, main)
