"""Made-up results of a lab: a corpus, its rejected files, a split, a store and runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from made_up_runs import UTTERANCE, predicted, write_cell, write_noise_plan, write_packed, write_split, write_utterances
from serflow.corpora._tables import REJECTED_COLUMNS
from serflow.files import write_csv
from serflow.runs.provenance import gather

NAMES = [f"u{i:02d}" for i in range(12)]


def write_lab(
    folder: Path,
    systems: Sequence[str] = ("alone",),
    *,
    corpus: str = "toy",
    texts: Sequence[str] = ("hello there",) * 12,
    rejected: Sequence[str] = ("broken.wav",),
    held_out: int = 4,
    values: float = 1.0,
    parameters: Mapping[str, Any] | None = None,
    snrs: Mapping[str, float] | None = None,
    options: Mapping[str, Any] | None = None,
    wrong: int = 3,
    edits: int = 1,
    runs: Sequence[int] = (0, 1),
    study: str = "dlc",
    remarks: Sequence[str] = (),
) -> Path:
    """Write results of two runs a system, and return the folder; ``wrong`` predictions of twelve are not right."""
    results = folder / "results"
    about = [
        {UTTERANCE: name, "speaker": f"s{i % 3}", "text": text}
        for i, (name, text) in enumerate(zip(NAMES, texts, strict=True))
    ]
    inputs: dict[str, Path | Sequence[Path]] = {"utterances": write_utterances(results, corpus, about)}
    write_csv(
        results / "corpora" / corpus / "rejected.csv",
        REJECTED_COLUMNS,
        [[name, name, "cannot be decoded", True, False][: len(REJECTED_COLUMNS)] for name in rejected],
    )
    roles = {name: "test" if i < held_out else "train" for i, name in enumerate(NAMES)}
    inputs["split"] = write_split(results, {"all": roles}, corpus, "speaker-0")
    level = (snrs or {}).get("human", 0.0)
    inputs["plan"] = write_noise_plan(results, [(name, "human", "c", level) for name in NAMES], corpus, snrs=snrs)
    stored = write_packed(
        results,
        f"mel/{corpus}",
        {"u00": np.full((2, 3), values)},
        corpus=corpus,
        parameters=parameters or {"n_mels": 40},
    )
    provenance = gather({**inputs, "mel": stored})
    provenance = provenance._replace(remarks=(*provenance.remarks, *remarks))
    for system in systems:
        fits = []
        for run in runs:
            rows = [(name, np.eye(3)[i % 3].tolist(), (i + (i < wrong)) % 3) for i, name in enumerate(NAMES)]
            more = {"heard": list(texts), "speaker": [f"s{i % 3}" for i in range(12)], "edits": [edits] * 12}
            fits.append(predicted(rows, run, "all", more=more))
        write_cell(
            results, {"system": system, "corpus": corpus}, fits, study=study, provenance=provenance,
            options=options or {"training": {"learning_rate": 0.1}},
        )  # fmt: skip
    return results
