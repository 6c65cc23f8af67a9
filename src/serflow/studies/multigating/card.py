"""The protocol card of the study: who is trained, validated and tested in each language."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from serflow.protocols.splits import DRAWN
from serflow.report.protocol import Card, describe, plain_card
from serflow.runs.provenance import gather
from serflow.settings.base import checked
from serflow.stores.parquet import read_metadata
from serflow.studies.multigating.labels import read_utterances
from serflow.studies.multigating.options import Options
from serflow.studies.multigating.protocol import folds, read_all_roles

SPLITS = {
    "utterance": "Split: single utterances, 64/16/20 of each emotion; speakers and sentences are shared.",
    "sentence": "Split: whole sentences, 64/16/20; speakers are shared.",
    "speaker64": "Split: whole speakers, 64/16/20; sentences are shared.",
    "speaker_folds": "Split: {} folds of whole speakers, each tested in turn; the next one validates.",
}
DRAWS = {True: " One draw for all runs.", False: " A draw a run."}


class Files(NamedTuple):
    """The files that the card reads: the utterance table of every corpus, and the splits of its runs, one by one."""

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

    Utterances without one of the features, which only their audio tells, are left out by the trainings; their tables
    say how many.
    """
    described, examples = {}, {}
    n_folds = None
    for utterances in files.utterances:
        corpus = read_metadata(utterances)["corpus"]
        own = checked(Options, options[corpus], "multigating")
        ((name, language),) = own.languages.items()
        examples[corpus], n_folds = read_utterances(utterances, name, language), own.folds_used
        described[corpus] = describe(titles[corpus], examples[corpus], gather({"utterances": utterances}))
    (numbers,) = {tuple(of_corpus) for of_corpus in runs.values()}
    fits = list(folds(read_all_roles(files.splits, numbers, examples), n_folds))
    kind, _, choice = files.splits[0].stem.rpartition("-")
    said = SPLITS[kind].format(choice)
    if kind in DRAWN:
        said += DRAWS[len(set(files.splits[: len(numbers)])) == 1]
    corpora = [(of_corpus, said, [fit.of_corpus[corpus] for fit in fits]) for corpus, of_corpus in described.items()]
    return plain_card("multilingual gating", corpora, settings)
