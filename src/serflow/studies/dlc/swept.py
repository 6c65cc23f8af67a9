"""What trained networks said in noise, as figures read it; `serflow.studies.dlc.sweep` finds it out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from serflow.noise.plan import CONDITIONS
from serflow.report.facts import Stamped, marked, marks, stamped
from serflow.report.marks import raised_marks
from serflow.runs.bootstrap import CellFits
from serflow.runs.provenance import Provenance, joined
from serflow.settings.base import CLEAN
from serflow.stores.parquet import read_metadata, read_table
from serflow.studies.dlc.sweep_schema import SWEEP_KIND

CLEAN_DB = np.inf
"""The level of clean audio, where a number is needed."""
ORACLE = "oracle gate"
COLUMN_OF = {"": "prediction", ORACLE: "oracle_prediction"}
"""What was predicted, by how a line of a figure is told from that of its method."""
_WORDS = ("fold", "utterance", "condition", "label", *COLUMN_OF.values())
_READ = ("run", "snr_db", "target", *_WORDS)


class Swept(NamedTuple):
    """A cell's predictions; ``frame`` has a row a fit, utterance, kind and level, ``snr_db`` `CLEAN_DB` where clean.

    Words of the frame are kept once, and numbered.
    """

    path: Path
    cell: Mapping[str, str]
    classes: Sequence[str]
    provenance: Provenance
    table: pa.Table
    frame: pd.DataFrame

    @property
    def lines(self) -> list[str]:
        """What of `COLUMN_OF` it has."""
        return [name for name, column in COLUMN_OF.items() if self.frame[column].notna().all()]

    def points(self) -> Iterator[tuple[str, float]]:
        """Yield each kind and level: kinds in their order, clean audio first, then louder and louder noise."""
        levels = sorted(self.frame["snr_db"].unique(), reverse=True)
        for kind in CONDITIONS:
            if (self.frame["condition"] == kind).any():
                yield from ((kind, level) for level in levels)

    def at(self, kind: str, snr_db: float) -> pd.DataFrame:
        """Return the rows of a kind and level, indexed by run, fold and utterance."""
        chosen = self.frame[(self.frame["condition"] == kind) & (self.frame["snr_db"] == snr_db)]
        return chosen.set_index(["run", "fold", "utterance"])

    def fits(self, kind: str, snr_db: float, name: str) -> CellFits:
        """Return the same as the bootstrap takes the predictions of a cell, under a name of its own."""
        places = np.flatnonzero((self.frame["condition"] == kind) & (self.frame["snr_db"] == snr_db))
        table = self.table.take(places)
        keys = list(zip(table.column("run").to_pylist(), table.column("fold").to_pylist(), strict=True))
        of_fit: dict[tuple[int, str], list[int]] = {}
        for place, key in enumerate(keys):
            of_fit.setdefault(key, []).append(place)
        fits = {key: np.array(rows) for key, rows in of_fit.items()}
        return CellFits(self.path, self.cell, name, self.classes, table, fits, self.provenance)


def read_swept(path: Path) -> Swept:
    """Return the predictions of a cell in noise.

    Raises
    ------
    StoreError
        If the file is absent or damaged.
    """
    table, metadata = read_table(path, kind=SWEEP_KIND, columns=_READ), read_metadata(path)
    words = {name: table.column(name).dictionary_encode().combine_chunks() for name in _WORDS}
    frame = pd.DataFrame(
        {
            "run": table.column("run").to_numpy(),
            "snr_db": table.column("snr_db").fill_null(CLEAN_DB).to_numpy(),
            **{name: found.to_pandas() for name, found in words.items()},
        }
    )
    provenance = Provenance.from_json(metadata["provenance"])
    return Swept(path, metadata["cell"], metadata["classes"], provenance, table, frame)


def line_title(swept: Swept, line: str, facts: Mapping[str, Any]) -> str:
    """Return what a line is called: the method, and how it was routed where that is not by what it hears."""
    title: str = facts["methods"][swept.cell["method"]]
    return f"{title} ({line})" if line else title


def method_of(title: str) -> str:
    """Return the method that a line is of, from what `line_title` calls it."""
    return title.removesuffix(f" ({ORACLE})")


def trained_on(swept: Swept, facts: Mapping[str, Any]) -> str:
    """Return what a cell's networks heard in training: ``clean``, or the profile, with what was added to its levels."""
    heard: str = facts["trained_on"][swept.cell["method"]]
    return heard if heard == CLEAN else marked(heard, raised_marks(swept.provenance))


def noise_of(table: pd.DataFrame) -> str:
    """Return the noise that networks of a table's ``trained_on`` were trained in; empty where none was."""
    return ", ".join(name for name in dict.fromkeys(table["trained_on"]) if name != CLEAN)


def remarks(swept: Swept) -> list[str]:
    """Return what a reader must know of the data behind a line: marks, then what was said of them."""
    return [*marks(_as_mixed(swept.provenance)), *swept.provenance.remarks]


def headings(cells: Iterable[Swept], corpora: Mapping[str, str]) -> Stamped:
    """Return the headings of the corpora with the marks that not all have, and the stamp of a picture of the cells."""
    parts: dict[str, list[Provenance]] = {corpus: [] for corpus in corpora}
    for swept in cells:
        parts[swept.cell["corpus"]].append(_as_mixed(swept.provenance))
    return stamped(corpora, {corpus: joined(of_corpus) for corpus, of_corpus in parts.items()})


def _as_mixed(provenance: Provenance) -> Provenance:
    """Return it without what is added to the levels of profiles: those of a sweep are what is mixed."""
    return provenance._replace(raised_db=())
