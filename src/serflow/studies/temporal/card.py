"""The protocol card of the study: who is trained, validated and tested."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from serflow.protocols.examples import read_roles
from serflow.report.protocol import Card, describe, plain_card
from serflow.runs.provenance import gather
from serflow.settings.base import checked
from serflow.stores.parquet import read_metadata
from serflow.studies.temporal.labels import read_utterances
from serflow.studies.temporal.options import Options
from serflow.studies.temporal.protocol import folds

SPLITS = {
    "last_session": "Split: the last session validates, and each speaker of the others is tested in turn.",
    "leave_session": "Split: a fold a session, all of which is tested; the next session validates.",
    "in_turn": "Split: each of the first {} speakers is tested in turn, and the others validate.",
    "speaker": "Split: whole speakers, 70/10/20, a draw a run.",
}


class Files(NamedTuple):
    """The files that the card reads: the utterance table of the corpus, and the splits of its runs, each once."""

    utterances: tuple[Path, ...]
    splits: tuple[Path, ...]


def make_card(
    files: Files,
    titles: Mapping[str, str],
    runs: Mapping[str, Sequence[int]],
    options: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> Card:
    """Return the card; ``options`` are those of the corpus."""
    (utterances,) = files.utterances
    corpus = read_metadata(utterances)["corpus"]
    own = checked(Options, options[corpus], "temporal")
    examples = read_utterances(utterances, own.emotions)
    described = describe(titles[corpus], examples, gather({"utterances": utterances}))
    found = [read_roles(split, corpus, examples.utterances) for split in files.splits]
    # one split for all runs, or one each
    of_runs = found * len(runs[corpus]) if len(found) == 1 else found
    roles = dict(zip(runs[corpus], of_runs, strict=True))
    kind, _, choice = files.splits[0].stem.partition("-")
    rows = list(folds(examples.facts["speaker"], roles, own.folds_used))
    return plain_card("temporal context", [(described, SPLITS[kind].format(choice), rows)], settings)
