"""Stage: error rates of a recogniser, corpus by corpus. ``python -m serflow.stages.tabulate_wer --help``.

A row for each corpus and profile (``clean`` without noise; ``condition``: ``none`` or ``all``), and one for each
condition of the noise in it. Rates are in percent: edits a word (or character) of all references together, so that a
long utterance weighs more than a short one. ``words`` counts those of the references; without references the rates are
empty.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serflow.errors import StoreError
from serflow.files import two_digits, write_csv
from serflow.noise.mixing import PlanRow, planned, read_plan
from serflow.stage import run_stage, stage_parser
from serflow.stages._noisy import CLEAN
from serflow.stores.parquet import read_metadata
from serflow.transcripts.scoring import Errors, count_errors
from serflow.transcripts.store import TranscriptRow, iterate_transcripts, transcript_stores

COLUMNS = (
    "corpus", "synthetic", "profile", "condition", "snr_db", "n_utterances", "words", "wer", "cer",
    "mean_confidence", "note",
)  # fmt: skip
ALL = "all"
_MARKS = {"corpus": "synthetic corpus", "noise": "synthetic noise", "weights": "stand-in weights"}


@dataclass(slots=True)
class _Group:
    """Utterances that a row of the table is about; ``snrs`` (dB) are those asked for."""

    n_utterances: int = 0
    n_scored: int = 0
    errors: Errors = field(default_factory=Errors)
    n_confidences: int = 0
    confidence: float = 0.0
    snrs: set[float] = field(default_factory=set)

    def take(self, row: TranscriptRow, errors: Errors | None, plan: PlanRow | None) -> None:
        """Count an utterance."""
        self.n_utterances += 1
        if errors is not None:
            self.n_scored += 1
            self.errors = self.errors.plus(errors)
        if row.confidence is not None:
            self.n_confidences += 1
            self.confidence += row.confidence
        if plan is not None:
            self.snrs.add(plan.snr_db)

    def cells(self) -> dict[str, Any]:
        """Return counts and rates as they stand in the table."""
        scored = self.n_scored > 0
        return {
            "snr_db": next(iter(self.snrs)) if len(self.snrs) == 1 else None,
            "n_utterances": self.n_utterances,
            "words": self.errors.words,
            "wer": two_digits(100.0 * self.errors.wer) if scored else None,
            "cer": two_digits(100.0 * self.errors.cer) if scored else None,
            "mean_confidence": round(self.confidence / self.n_confidences, 4) if self.n_confidences else None,
        }

    def notes(self) -> list[str]:
        """Say what of the utterances was not scored."""
        if self.n_scored == self.n_utterances:
            return []
        return [f"reference text of {self.n_scored} of {self.n_utterances} utterances" if self.n_scored else "no text"]


def _plans(paths: Sequence[Path]) -> dict[tuple[str, str], Path]:
    """Return the noise plans by corpus and profile."""
    found: dict[tuple[str, str], Path] = {}
    for path in paths:
        metadata = read_metadata(path)
        found[metadata["corpus"], metadata["profile"]] = path
    return found


def _count(shards: Sequence[Path], plan_path: Path | None, expect: Mapping[str, str]) -> dict[str, _Group]:
    """Return all utterances of a store (`ALL`) and those of each condition of the noise; one row group is in memory."""
    plan = None if plan_path is None else read_plan(plan_path, expect=expect)
    groups = {ALL: _Group()}
    for shard in shards:
        for row in iterate_transcripts(shard):
            errors = None if row.reference is None else count_errors(row.reference, row.text)
            mixed = None if plan is None or plan_path is None else planned(plan, row.utterance, plan_path)
            groups[ALL].take(row, errors, mixed)
            if mixed is not None:
                groups.setdefault(mixed.condition, _Group()).take(row, errors, mixed)
    return {name: groups[name] for name in (ALL, *sorted(groups.keys() - {ALL}))}


def _rows(shards: Sequence[Path], plan: Path | None) -> Iterator[list[Any]]:
    """Yield the rows of one corpus in one profile."""
    described = [read_metadata(shard) for shard in shards]
    corpus, profile, marks = (described[0][key] for key in ("corpus", "condition", "stand_ins"))
    rejected = sum(len(metadata["rejected"]) for metadata in described)
    if (plan is None) != (profile == CLEAN):
        raise StoreError(
            f"{shards[0].parent}: no noise plan of {corpus}, {profile}, was given; give it with --plans "
            f"(results/noise/{corpus}/{profile}.parquet)"
        )
    for name, group in _count(shards, plan, {"corpus": corpus, "profile": profile}).items():
        notes = [_MARKS[mark] for mark in marks] + group.notes()
        if rejected and name == ALL:
            notes.append(f"without a transcript: {rejected}")
        cells = {
            "corpus": corpus,
            "synthetic": "corpus" in marks,
            "profile": profile,
            "condition": "none" if profile == CLEAN else name,
            "note": "; ".join(notes),
            **group.cells(),
        }
        if name == ALL:
            cells["snr_db"] = None
        yield [cells[column] for column in COLUMNS]


def main(arguments: argparse.Namespace) -> None:
    """Write the error rates of ``--transcripts`` to ``--table``."""
    stores = transcript_stores(arguments.transcripts)
    plans = _plans(arguments.plans)
    rows = (
        row
        for (corpus, profile), shards in stores.items()
        for row in _rows(shards, None if profile == CLEAN else plans.get((corpus, profile)))
    )
    write_csv(arguments.table, COLUMNS, rows)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--transcripts", type=Path, nargs="+", required=True, help="all shards, of one recogniser")
    parser.add_argument("--plans", type=Path, nargs="*", default=[], help="noise plans of the corpora and profiles")
    parser.add_argument("--code", required=True, help="fingerprint of the code; kept in the log")
    parser.add_argument("--table", type=Path, required=True, help="output: CSV, a row a corpus, profile and condition")
    run_stage(parser, main)
