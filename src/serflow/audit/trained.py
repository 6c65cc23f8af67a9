"""A cell that was trained, with the tables that it was trained from: told by their digests, which the cell kept."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from serflow.errors import StoreError
from serflow.protocols.examples import look_up
from serflow.protocols.folds import IntArray
from serflow.stores.parquet import check, read_metadata, read_table

_SPLITS = re.compile(r"splits?(?:/(\d+))?")
_PLANS = re.compile(r"plan(?:/(\d+))?")
_UTTERANCES = re.compile(r"utterances(?:/(\d+))?")


class Trained(NamedTuple):
    """A cell of a study: what it was trained with, and on.

    ``splits`` has one for each run; ``plan`` is None of what hears no noise; ``rejected`` are utterances that no fit
    has, for their audio or their words.
    """

    cell: Mapping[str, str]
    options: Mapping[str, Any]
    runs: Sequence[int]
    predictions: Path
    utterances: Path
    splits: Sequence[Path]
    plan: Path | None
    rejected: Sequence[str]

    @property
    def corpus(self) -> str:
        """By its name in the configuration."""
        return self.cell["corpus"]

    def planned(self, column: str, names: Sequence[str]) -> list[Any]:
        """Return what the noise plan says of utterances.

        Raises
        ------
        StoreError
            If there is no plan, or it lacks one of them.
        """
        if self.plan is None:
            raise StoreError(f"{self.predictions}: was trained without a noise plan")
        table = read_table(self.plan, kind="noise_plan", columns=["utterance", column])
        utterances, values = (table.column(name).to_pylist() for name in ("utterance", column))
        rows: IntArray = look_up(names, {name: row for row, name in enumerate(utterances)}, self.plan)
        return [values[row] for row in rows.tolist()]


class Tables:
    """Utterance tables, splits and noise plans, to be found by the digests of their data."""

    def __init__(self, paths: Sequence[Path]) -> None:
        found = [read_metadata(path) for path in paths]
        # two corpora may have tables of the same data
        self._by_digest = {(of["data_sha256"], of["corpus"]): path for of, path in zip(found, paths, strict=True)}
        self._digests = {digest for digest, _ in self._by_digest}

    def of(self, predictions: Path, study: str) -> Trained:
        """Return a cell by its predictions.

        Raises
        ------
        StoreError
            If they are damaged or of another study, or a table that they rest on is not among those given.
        """
        found = check(predictions, "predictions", {"study": study})
        corpus, runs = found["cell"]["corpus"], found["runs"]
        sources: Mapping[str, str] = found["provenance"]["sources"]

        def given(pattern: re.Pattern[str], what: str) -> list[Path]:
            """Return the tables of the cell's corpus, in the order of its runs; a joint training has others' too."""
            places = {match[0]: int(match[1] or 0) for match in map(pattern.fullmatch, sources) if match}
            digests = [sources[name] for name in sorted(places, key=places.__getitem__)]
            of_corpus = [self._by_digest[digest, corpus] for digest in digests if (digest, corpus) in self._by_digest]
            if not self._digests.issuperset(digests) or (digests and not of_corpus):
                raise StoreError(
                    f"{predictions}: was trained from another {what} of {corpus} than there is now; "
                    "delete it and run the same command again"
                )
            return of_corpus

        splits, plans = given(_SPLITS, "split"), given(_PLANS, "noise plan")
        if len(splits) == 1:
            splits = splits * len(runs)
        if len(splits) != len(runs):
            raise StoreError(f"{predictions}: {len(splits)} of the splits of its {len(runs)} runs are given; build all")
        return Trained(
            cell=found["cell"],
            options=found["options"],
            runs=runs,
            predictions=predictions,
            utterances=given(_UTTERANCES, "utterance table")[0],
            splits=splits,
            plan=plans[0] if plans else None,
            rejected=found["rejected"],
        )
