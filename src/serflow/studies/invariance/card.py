"""The protocol card of the study: who is trained, validated and tested on each corpus."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from serflow.protocols.examples import read_roles
from serflow.report.protocol import Card, describe, plain_card
from serflow.runs.provenance import gather
from serflow.settings.base import checked
from serflow.stores.parquet import read_metadata
from serflow.studies.invariance.data import read_utterances
from serflow.studies.invariance.options import Options
from serflow.studies.invariance.protocol import folds

SPLITS = {
    "session": "Split: a fold a session, of whose two speakers one validates ({}) and the other is tested.",
    "pair": "Split: a fold a pair of a woman and a man, of whom one validates ({}) and the other is tested.",
    "speaker": "Split: whole speakers, 70/10/20, draw {}, the same for all runs.",
    "speaker80": "Split: whole speakers, 80/10/10, draw {}, the same for all runs.",
}


class Files(NamedTuple):
    """The files that the card reads: of every corpus its utterance table and its split."""

    utterances: tuple[Path, ...]
    splits: tuple[Path, ...]


def make_card(
    files: Files,
    titles: Mapping[str, str],
    runs: Mapping[str, Sequence[int]],
    options: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> Card:
    """Return the card; ``options`` are those of each corpus.

    Utterances without speech, which only their audio tells, are left out by the trainings; their tables say how many.
    """
    corpora = []
    for utterances, split in zip(files.utterances, files.splits, strict=True):
        corpus = read_metadata(utterances)["corpus"]
        own = checked(Options, options[corpus], "invariance")
        examples = read_utterances(utterances, own)
        described = describe(titles[corpus], examples, gather({"utterances": utterances}))
        roles = dict.fromkeys(runs[corpus], read_roles(split, corpus, examples.utterances))
        kind, _, choice = split.stem.rpartition("-")
        rows = list(folds(examples.facts["speaker"], roles, own.speakers, own.folds_used))
        corpora.append((described, SPLITS[kind].format(choice), rows))
    return plain_card("speaker invariance", corpora, settings)
