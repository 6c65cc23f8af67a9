"""Stage: how loud the noise of a corpus is in each profile. ``python -m serflow.stages.tabulate_levels --help``."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serflow.errors import StoreError
from serflow.files import in_two_digits, write_csv
from serflow.noise.mixing import PLAN_KIND, read_plan
from serflow.noise.plan import CONDITIONS
from serflow.stage import run_stage, stage_parser
from serflow.stores.parquet import check

COLUMNS = (
    "corpus", "profile", "mixing", "condition", "n_utterances", "n_clips", "profile_snr_db", "snr_offset_db",
    "achieved_p05_db", "achieved_median_db", "achieved_p95_db",
)  # fmt: skip


def level_rows(plans: Sequence[Path]) -> Iterator[list[Any]]:
    """Yield `COLUMNS` of each plan and condition: the SNR that the profile says, and those of the mixtures.

    Raises
    ------
    StoreError
        If a plan is damaged, or they are of several corpora.
    """
    corpora = set()
    for path in plans:
        metadata = check(path, PLAN_KIND)
        corpora.add(metadata["corpus"])
        if len(corpora) > 1:
            raise StoreError(
                f"{path}: a noise plan of {metadata['corpus']} among those of another corpus; leave it out"
            )
        rows = list(read_plan(path).values())
        for condition in CONDITIONS:
            part = [row for row in rows if row.condition == condition]
            achieved = [row.achieved_snr_db for row in part]
            yield [
                metadata["corpus"],
                metadata["profile"],
                metadata["mixing"],
                condition,
                len(part),
                len({row.clip for row in part}),
                metadata["profile_snrs"][condition],
                metadata["snr_offset_db"],
                *(np.percentile(achieved, [5, 50, 95]).tolist() if achieved else [None] * 3),
            ]


def main(arguments: argparse.Namespace) -> None:
    """Write the levels of ``--plans`` to ``--table``."""
    write_csv(arguments.table, COLUMNS, map(in_two_digits, level_rows(arguments.plans)))


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--plans", type=Path, nargs="+", required=True, help="noise plans of one corpus")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--table", type=Path, required=True, help="output: CSV, a line a profile and condition")
    run_stage(parser, main)
