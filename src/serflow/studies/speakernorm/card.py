"""The protocol card of the study: who is trained on and who is tested, by every kind of folds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from serflow.protocols.examples import read_roles
from serflow.report.protocol import Card, describe, plain_card
from serflow.runs.provenance import gather
from serflow.settings.base import checked
from serflow.stores.parquet import read_metadata
from serflow.studies.speakernorm.labels import read_utterances
from serflow.studies.speakernorm.options import Options
from serflow.studies.speakernorm.protocol import folds

_HELD_OUT = "; a share of what each training speaker says is held out, and tells the speaker head's accuracy"
SPLITS = {
    "dialogue_fold": "Split: the dialogues that are named by a speaker are tested, in which the partner speaks too; "
    "both are in training as well, in dialogues named by the other.",
    "speaker_fold": f"Split: all that a speaker says is tested{_HELD_OUT}.",
    "session_fold": f"Split: a session is tested, with both of its speakers{_HELD_OUT}.",
    "utterance_fold": "Split: a tenth of the utterances is tested; all speakers are in training too.",
}


class Files(NamedTuple):
    """The files that the card reads: the utterance table of the corpus, and its splits."""

    utterances: tuple[Path, ...]
    splits: tuple[Path, ...]


def make_card(
    files: Files,
    titles: Mapping[str, str],
    runs: Mapping[str, Sequence[int]],
    options: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> Card:
    """Return the card, a section for each kind of folds; ``options`` are those of the corpus."""
    (utterances,) = files.utterances
    corpus = read_metadata(utterances)["corpus"]
    own = checked(Options, options[corpus], "speakernorm")
    examples = read_utterances(utterances, own.emotions)
    provenance = gather({"utterances": utterances})
    corpora = []
    for split in files.splits:
        described = describe(f"{titles[corpus]}, {split.stem}", examples, provenance)
        roles = read_roles(split, corpus, examples.utterances)
        speakers = examples.facts["speaker"]
        rows = list(folds(split.stem, runs[corpus], roles, examples.utterances, speakers, own))
        corpora.append((described, SPLITS[split.stem], rows))
    return plain_card("speaker normalisation", corpora, settings)
