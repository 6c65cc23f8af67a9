"""How long corpora are (h), how many speakers and sessions they have, and which share of them has a label.

What the utterance table of a corpus says counts, where there is one; else what is published (``hours.csv``, with the
source of each); of a stand-in, the mean length of the utterances that were recorded with the costs.
"""

import csv
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serflow.config import Config
from serflow.corpora.base import Count, load_corpus
from serflow.errors import SerflowError

_TABLE = Path(__file__).with_name("hours.csv")
_S_PER_H = 3600.0


@functools.cache
def published_hours() -> dict[str, float]:
    """Return the published hours of corpora, by layout; of Mandarin, whose layout is a table, by its name."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return {row["corpus"]: float(row["hours"]) for row in csv.DictReader(file)}


class Hours:
    """Tells how long the corpora of a configuration are.

    Parameters
    ----------
    config
        What each corpus is.
    folder
        Working folder, which may have utterance tables.
    utterance_s
        Mean length (s) of an utterance of each stand-in.
    """

    def __init__(self, config: Config, folder: Path, utterance_s: Mapping[str, float]) -> None:
        self._config = config
        self._folder = folder
        self._utterance_s = utterance_s
        self._read = functools.cache(self._read_table)
        self._asked: dict[str, str] = {}

    def _read_table(self, corpus: str) -> dict[str, Any] | None:
        """Return hours, number of utterances, of speakers and of sessions; None where there is no table."""
        path = self._folder / "results" / "corpora" / corpus / "utterances.parquet"
        if not path.is_file():
            return None
        from serflow.stores.parquet import read_table

        try:
            table = read_table(path, kind="utterances", columns=["duration_s", "speaker", "session"])
        except SerflowError:
            # it is made anew before anything is made of it
            return None
        named = {name: len({*table.column(name).to_pylist()} - {None}) for name in ("speaker", "session")}
        hours = sum(table.column("duration_s").to_pylist()) / _S_PER_H
        return {"hours": hours, "utterances": table.num_rows, **named}

    def of(self, corpus: str) -> float | None:
        """Return the hours of a corpus, None where nothing says."""
        hours, origin = self._of(corpus)
        if hours is not None:
            self._asked[corpus] = f"{corpus} {hours:.3g} h, {origin}"
        return hours

    def _of(self, corpus: str) -> tuple[float | None, str]:
        read = self._read(corpus)
        if read is not None:
            return float(read["hours"]), "as read"
        if self._config.is_synthetic(corpus):
            length_s = self._utterance_s.get(corpus)
            hours = None if length_s is None else length_s * self._config.synthetic.utterances / _S_PER_H
            return hours, "a stand-in"
        published = published_hours()
        return published.get(corpus, published.get(self._config.layout(corpus))), "as published"

    def told(self) -> list[str]:
        """Return how long the corpora are that were asked for, and by what that is known."""
        return [self._asked[corpus] for corpus in sorted(self._asked)]

    def utterance_s(self, corpus: str) -> float | None:
        """Return the mean length (s) of an utterance of a corpus that has been read."""
        read = self._read(corpus)
        return None if read is None or not read["utterances"] else float(_S_PER_H * read["hours"] / read["utterances"])

    def unknown(self, corpus: str) -> str:
        """Say that the length of a corpus is not known, and what helps."""
        return (
            f"nothing says how long {corpus} is: make results/corpora/{corpus}/utterances.parquet first, which is the "
            "cheapest part of a run"
        )

    def count(self, corpus: str, column: str) -> int | None:
        """Return how many speakers or sessions a corpus has, None where nothing says."""
        read = self._read(corpus)
        if read is not None:
            return int(read[column]) or None
        return next((len(count.counts) for count in self._published(corpus) if count.column == column), None)

    def labelled(self, corpus: str, style: str | None) -> float:
        """Return the share of a corpus's utterances, of one style, with a label of the papers'; 1 if nothing says."""
        whole = self._config.n_utterances(corpus)
        if self._config.is_synthetic(corpus) or not whole:
            return 1.0
        among = [count for count in self._published(corpus) if count.among is not None]
        styles = [count.counts for count in among if count.column == "style"]
        of_style = [counts[style] for counts in styles if style is not None and style in counts]
        return min([*of_style, *(sum(count.counts.values()) for count in among), whole]) / whole

    def _published(self, corpus: str) -> tuple[Count, ...]:
        return tuple(count for count in load_corpus(self._config.layout(corpus)).info.published if count.complete)
