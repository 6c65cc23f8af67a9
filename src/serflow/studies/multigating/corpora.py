"""Table 1: the corpora, counted from their utterance tables: those with a label of the study."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from serflow.report.facts import marked, marks
from serflow.runs.provenance import gather
from serflow.settings.base import checked
from serflow.stores.parquet import read_metadata
from serflow.studies.multigating.labels import read_utterances
from serflow.studies.multigating.options import LanguageOptions
from serflow.training.metrics import reference_classes

HEADING = ("Dataset", "Language", "Num of Speaker", "Emotion Classes", "Num of Utterances", "Emotions")


class Files(NamedTuple):
    """The utterance table of each corpus."""

    utterances: tuple[Path, ...]


def make_table(files: Files, facts: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows, a row a language.

    ``facts`` hold the ``titles`` of the corpora, and by corpus the ``names`` and ``options`` of the ``languages``, and
    what they are called.
    """
    rows = []
    for path in files.utterances:
        corpus = read_metadata(path)["corpus"]
        language = facts["languages"][corpus]
        options = checked(LanguageOptions, language["options"], f"multigating.languages.{language['name']}")
        examples = read_utterances(path, language["name"], options)
        found = Counter(examples.classes[index] for index in reference_classes(examples.targets))
        rows.append(
            [
                marked(facts["titles"][corpus], marks(gather({"utterances": path}))),
                language["title"],
                str(len(set(examples.facts["speaker"]))),
                str(len(examples.classes)),
                str(len(examples.utterances)),
                "; ".join(f"{name} {found[name]}" for name in examples.classes),
            ]
        )
    return list(HEADING), rows
