"""Stage: decode a shard of a corpus to 16 kHz mono. ``python -m serflow.stages.prepare_audio --help``."""

import argparse
import hashlib
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from serflow.audio.prepared import LOUD_SHARE, PreparedUtterance, prepare, write_prepared
from serflow.errors import AudioError, CorpusError, SerflowError
from serflow.files import write_csv
from serflow.progress import progress
from serflow.stage import json_option, run_stage, stage_parser
from serflow.stores.parquet import read_metadata, read_table

log = logging.getLogger(__name__)
REJECTED_COLUMNS = ("utterance", "path", "reason", "lost", "absent")


def _shard_rows(listing: Path, shard: int, n_shards: int) -> list[dict[str, Any]]:
    if not 0 <= shard < n_shards:
        raise SerflowError(f"--shard {shard:04d} does not exist: there are {n_shards} shards, from 0000")
    listed = read_table(listing, kind="listing", columns=["utterance", "path", "start", "end"])
    # row i is in shard i * n_shards // n
    first, last = (-(-which * listed.num_rows // n_shards) for which in (shard, shard + 1))
    rows: list[dict[str, Any]] = listed.slice(first, last - first).to_pylist()
    return rows


def _sources_digest(rows: list[dict[str, Any]], root: Path) -> str:
    """Hash which parts of which files, of how many bytes, a shard is made of."""
    digest = hashlib.sha256()
    for row in rows:
        size = None
        with suppress(OSError, ValueError):
            size = (root / row["path"]).stat().st_size
        digest.update(repr((row["utterance"], row["path"], row["start"], row["end"], size)).encode())
    return digest.hexdigest()


def _check_options(options: Any) -> None:
    known = {"min_duration_s", "max_duration_s"}
    if not isinstance(options, dict) or not {"min_duration_s"} <= options.keys() <= known:
        raise SerflowError(f"--options {options!r}: give min_duration_s and, if wanted, max_duration_s, both in s")


def main(arguments: argparse.Namespace) -> None:
    """Decode the utterances of ``--shard``; what cannot be used goes to ``--rejected`` with its reason."""
    _check_options(arguments.options)
    listing = read_metadata(arguments.listing)
    corpus = listing["corpus"]
    if not arguments.root.is_dir():
        raise CorpusError(
            f"{arguments.root}: no such folder; set corpora.{corpus}.root in config.yaml to where the corpus lies"
        )
    rows = _shard_rows(arguments.listing, int(arguments.shard), arguments.n_shards)
    rejected: list[tuple[str, str, str, bool, bool]] = []

    def accepted() -> Iterator[PreparedUtterance]:
        for row in progress(rows, len(rows), "decoding"):
            path = arguments.root / row["path"]
            try:
                prepared = prepare(row["utterance"], path, row["start"], row["end"], **arguments.options)
            except AudioError as error:
                rejected.append((row["utterance"], row["path"], str(error), True, False))
                continue
            if prepared.clipped_share > LOUD_SHARE:
                log.info("%s: %.1f %% of its samples at full scale", row["path"], 100 * prepared.clipped_share)
            yield prepared

    metadata = {
        "corpus": corpus,
        "synthetic": listing["synthetic"],
        "shard": arguments.shard,
        "n_shards": arguments.n_shards,
        "sources": _sources_digest(rows, arguments.root),
        "options": arguments.options,
    }
    n_accepted = write_prepared(arguments.audio, accepted(), metadata)
    write_csv(arguments.rejected, REJECTED_COLUMNS, rejected)
    log.info("%d utterances accepted, %d rejected", n_accepted, len(rejected))
    if rows and not n_accepted:
        log.warning("no utterance of this shard could be used; reasons in %s", arguments.rejected)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--listing", type=Path, required=True, help="the corpus's listing.parquet")
    parser.add_argument("--root", type=Path, required=True, help="the corpus's folder")
    parser.add_argument("--shard", required=True, help='this shard, e.g. "0000"')
    parser.add_argument("--n-shards", type=int, required=True, help="number of shards of the corpus")
    parser.add_argument(
        "--options", type=json_option, required=True, help="JSON: min_duration_s, max_duration_s (optional), in s"
    )
    parser.add_argument("--audio", type=Path, required=True, help="output: Parquet shard of prepared audio")
    parser.add_argument("--rejected", type=Path, required=True, help="output: CSV of utterances left out")
    run_stage(parser, main)
