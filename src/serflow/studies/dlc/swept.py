"""What trained networks said in noise, as figures read it; `serflow.studies.dlc.sweep` finds it out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from serflow.noise.plan import CONDITIONS
from serflow.runs.bootstrap import CellFits
from serflow.runs.provenance import Provenance
from serflow.stores.parquet import read_metadata, read_table
from serflow.studies.dlc.sweep_schema import SWEEP_KIND

CLEAN_DB = np.inf
"""The level of clean audio, where a number is needed."""
ORACLE = "oracle gate"
COLUMN_OF = {"": "prediction", ORACLE: "oracle_prediction"}
"""What was predicted, by how a line of a figure is told from that of its method."""


class Swept(NamedTuple):
    """A cell's predictions; ``frame`` has a row a fit, utterance, kind and level, ``snr_db`` `CLEAN_DB` where clean."""

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
        return CellFits(
            self.path, self.cell, name, self.classes, table, {key: np.array(rows) for key, rows in of_fit.items()}
        )


def read_swept(path: Path) -> Swept:
    """Return the predictions of a cell in noise.

    Levels of stand-ins are those that were mixed: what is added to those of noise profiles is not a part of them.

    Raises
    ------
    StoreError
        If the file is absent or damaged.
    """
    table, metadata = read_table(path, kind=SWEEP_KIND), read_metadata(path)
    columns = ["run", "fold", "utterance", "condition", "snr_db", "label", *COLUMN_OF.values()]
    frame = pd.DataFrame({name: table.column(name).to_pylist() for name in columns})
    frame["snr_db"] = frame["snr_db"].astype(float).fillna(CLEAN_DB)
    provenance = Provenance.from_json(metadata["provenance"])._replace(raised_db=())
    return Swept(path, metadata["cell"], metadata["classes"], provenance, table, frame)


def line_title(swept: Swept, line: str, facts: Mapping[str, Any]) -> str:
    """Return what a line is called: the method, and how it was routed where that is not by what it hears."""
    title: str = facts["methods"][swept.cell["method"]]
    return f"{title} ({line})" if line else title
