"""The page of a study: what it shows is gathered here, from files alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from serflow.errors import StoreError
from serflow.files import check_digest
from serflow.report.curves import mean_curve
from serflow.report.headings import Layout, merged
from serflow.report.marks import provenance_marks
from serflow.report.page.grids import (
    Behind,
    Grid,
    Plain,
    Words,
    plain_table,
    read_csv,
    score_grid,
    title_of,
    words_table,
)
from serflow.report.page.render import picture, render
from serflow.report.page.sounds import CLEAN, Sound, cut
from serflow.report.page.squares import OWN_WORDS, Squares, heard, read_squares
from serflow.runs.histories import read_history
from serflow.runs.provenance import Provenance, joined
from serflow.stores import parquet

SOUNDS = "{study}_audio"
"""Folder of the recordings, beside the page."""
_STAND_INS = {
    "corpus": "Synthetic speech stands in for {names}: the numbers show that the workflow runs, and nothing about the "
    "methods.",
    "noise": "Synthetic noise stands in for {names}.",
    "weights": "Random weights stand in for the released ones of {names}.",
}
_RAISED = "{db:+g} dB are added to the SNRs of the noise profiles, so speech is easier to hear than in the paper."
_PARTIAL = "Fewer utterances or clips than published: {names}."
_REAL = "Made from the publishers' data."


class Study(NamedTuple):
    """What the configuration says of a study.

    Parameters
    ----------
    name, title
        Its key, and what people call the paper.
    about
        Which paper, and what it asks, in plain words.
    layouts
        Its tables of scores, in order.
    captions
        What a table or figure shows, by its name.
    titles
        Of the corpora by name, in order.
    curve, quantity
        The column of the histories that curves show, and what people call it.
    """

    name: str
    title: str
    about: str
    layouts: Mapping[str, Layout]
    captions: Mapping[str, str]
    titles: Mapping[str, str]
    curve: str
    quantity: str


class Files(NamedTuple):
    """What the page is made of.

    ``tables`` are shown in their order, ``beside`` are comparisons and intervals, ``conditions`` what the utterances of
    each of ``predictions`` sound like: ``clean``, or a noise profile; ``claims``, ``audit`` and the ``card``
    are Markdown, of which a page has only the last for sure.
    """

    tables: Sequence[Path]
    beside: Sequence[Path]
    figures: Sequence[Path]
    card: Path
    fits: Path
    predictions: Sequence[Path]
    conditions: Sequence[str]
    utterances: Sequence[Path]
    audio: Sequence[Path] = ()
    plans: Sequence[Path] = ()
    clips: Path | None = None
    claims: Path | None = None
    audit: Path | None = None


class Limits(NamedTuple):
    """Utterances that a square lists, how many of them are heard, and whether it says what they say."""

    listed: int
    heard: int
    transcripts: bool


class Page(NamedTuple):
    """The page, a page for each table alone, and what the overview of all studies says of it."""

    html: str
    tables: Mapping[str, str]
    overview: Mapping[str, Any]


def make_page(study: Study, files: Files, limits: Limits, folder: Path) -> Page:
    """Return the page of a study, and write what is heard on it into ``folder``.

    Raises
    ------
    StoreError
        If a file is absent or damaged, or is not of this study.
    """
    heard_in = zip(files.predictions, files.conditions, strict=True)
    cells = [read_squares(path, limits.listed, condition) for path, condition in heard_in]
    stamp = stamp_of(joined(cell.provenance for cell in cells), study.titles)
    shown = [_table(study, path, files.beside, cells) for path in files.tables]
    figures = [
        {
            "name": path.stem,
            "title": title_of(path.stem),
            "address": picture(path),
            "caption": study.captions.get(path.stem, ""),
        }
        for path in files.figures
    ]
    head = {"title": study.title, "about": study.about, "stamp": stamp, "n_runs": _runs(cells)}
    content = {
        **head,
        "study": study.name,
        "tables": shown,
        "figures": figures,
        "card": _checked_text(files.card),
        "claims": None if files.claims is None else _checked_text(files.claims),
        "audit": None if files.audit is None else _checked_text(files.audit),
        "corpora": _corpora(study, files.fits),
        "listing": _listing(study, files, limits, cells, folder),
        "limits": limits._asdict(),
        "has_matrices": any(cell.counts.any() for cell in cells),
    }
    return Page(
        html=render("study.html", content),
        tables={table["grid"].name: render("table.html", {**head, "table": table, "listing": None}) for table in shown},
        overview={
            "study": study.name,
            "title": study.title,
            "about": study.about,
            "stamp": stamp,
            "corpora": content["corpora"],
            "table": next((_plain(table) for table in shown if table["kind"] == "scores"), {}),
            "counts": {"tables": len(shown), "figures": len(figures), "cells": len(cells)},
        },
    )


def _checked_text(path: Path) -> str:
    check_digest(path)
    return path.read_text(encoding="utf-8")


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table of scores as JSON has it."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple) and hasattr(value, "_asdict"):
            return {name: plain(entry) for name, entry in value._asdict().items()}
        return [plain(entry) for entry in value] if isinstance(value, tuple) else value

    return {**table, "grid": plain(table["grid"])}


def stamp_of(provenance: Provenance, titles: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what no view may leave unsaid of the data: the words of the stamp, and sentences."""
    names = {kind: [titles.get(name, name) for name in found] for kind, found in provenance.stand_ins.items()}
    said = [words.format(names=", ".join(names[kind])) for kind, words in _STAND_INS.items() if names.get(kind)]
    said += [_RAISED.format(db=db) for db in provenance.raised_db]
    if provenance.partial:
        said.append(_PARTIAL.format(names=", ".join(titles.get(name, name) for name in provenance.partial)))
    return {"marks": provenance_marks(provenance), "said": said or [_REAL]}


def _runs(cells: Sequence[Squares]) -> int:
    return len({run for cell in cells for run in cell.runs})


def _table(study: Study, path: Path, beside: Sequence[Path], cells: Sequence[Squares]) -> dict[str, Any]:
    """Return a table with its caption: of scores, of words beside the paper's, or as it is."""
    name = path.stem
    comparison, intervals = (
        next((other for other in beside if other.stem == f"{name}_{what}"), None) for what in ("vs_paper", "intervals")
    )
    kind: str
    grid: Grid | Words | Plain
    if name in study.layouts:
        if comparison is None:
            raise StoreError(f"{path}: {name}_vs_paper.csv is not given; give it too")
        runs = [Behind(cell.cell, cell.condition) for cell in cells]
        kind, grid = "scores", score_grid(name, study.layouts[name], path, comparison, intervals, runs)
    elif comparison is not None:
        kind, grid = "words", words_table(name, path, comparison)
    else:
        kind, grid = "plain", plain_table(name, path)
    return {"kind": kind, "grid": grid, "caption": study.captions.get(name, "")}


def _corpora(study: Study, fits: Path) -> list[dict[str, str]]:
    """Return of each corpus how many fits there are and what they are trained and tested on, from the card's table."""
    heading, rows = read_csv(fits)
    said = []
    for corpus, title in study.titles.items():
        of_corpus = [found for row in rows if (found := dict(zip(heading, row, strict=True)))["corpus"] == corpus]
        if of_corpus:
            facts = {"fits": f"{len(of_corpus):,}", "runs": f"{len({row['run'] for row in of_corpus}):,}"}
            for fact in ("n_classes", "n_train", "n_val", "n_test", "test_speakers"):
                numbers = [int(row[fact]) for row in of_corpus]
                low, high = min(numbers), max(numbers)
                facts[fact] = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            said.append({"title": title, **facts})
    return said


def _listing(study: Study, files: Files, limits: Limits, cells: Sequence[Squares], folder: Path) -> dict[str, Any]:
    """Return what the script of the page shows: every cell of runs with its matrix, and who stands in it."""
    sounds = _sounds(files, limits, cells, folder)
    names: dict[str, dict[str, int]] = {}
    facts: list[list[Any]] = []
    for path in files.utterances:
        corpus = str(parquet.read_metadata(path)["corpus"])
        wanted = sorted(
            {
                one.utterance
                for cell in cells
                if _corpus(cell) == corpus
                for found in cell.listed.values()
                for one in found
            }
        )
        for row in _utterances(path, wanted):
            names.setdefault(corpus, {})[row["utterance"]] = len(facts)
            recorded = sounds.get((corpus, row["utterance"]), {})
            facts.append(
                [
                    row["utterance"],
                    study.titles.get(corpus, corpus),
                    row["speaker"],
                    row["text"] if limits.transcripts else None,
                    {condition: list(sound) for condition, sound in recorded.items()},
                ]
            )
    fields = list(cells[0].cell) if cells else []
    return {
        "fields": fields,
        "labels": _labels(study, fields),
        "quantity": study.quantity,
        "folder": SOUNDS.format(study=study.name),
        "utterances": facts,
        "cells": [_cell(study, cell, names.get(_corpus(cell), {}), limits) for cell in cells],
    }


def _corpus(cell: Squares) -> str:
    return cell.cell.get("corpus", "")


def _profile(cell: Squares) -> str | None:
    """Return the noise that a cell's utterances have, None for clean speech."""
    return None if cell.condition == CLEAN else cell.condition


def _sounds(
    files: Files, limits: Limits, cells: Sequence[Squares], folder: Path
) -> dict[tuple[str, str], dict[str, Sound]]:
    """Write recordings of what is heard: clean, and in the noise of each cell that lists it."""
    chosen = heard(cells, limits.heard)
    wanted: dict[str, dict[str, set[str]]] = {}
    for cell in cells:
        of_corpus, profile = wanted.setdefault(_corpus(cell), {}), _profile(cell)
        for one in (one for found in cell.listed.values() for one in found):
            if one.utterance in chosen[_corpus(cell)]:
                of_corpus.setdefault(one.utterance, set()).update([profile] if profile else [])
    return cut(folder, files.audio, wanted, files.plans, files.clips) if limits.heard else {}


def _utterances(path: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is said of some utterances of a corpus.

    Raises
    ------
    StoreError
        If the corpus does not know one of them.
    """
    table = parquet.read_table(path, kind="utterances", columns=["utterance", "speaker", "text"])
    found = table.filter(pc.is_in(table.column("utterance"), value_set=pa.array(names, pa.string()))).to_pylist()
    unknown = sorted(set(names) - {row["utterance"] for row in found})
    if unknown:
        raise StoreError(f"{path}: has no {unknown[0]}, which was predicted; delete the run and train again")
    return sorted(found, key=lambda row: row["utterance"])


def _labels(study: Study, fields: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what values of a cell's names are called: corpora by title, others by the rows that take them in."""
    found: dict[str, dict[str, str]] = {"corpus": dict(study.titles)} if "corpus" in fields else {}
    for layout in study.layouts.values():
        for field in fields:
            rows = [(merged(row.where).get(field, ()), row.name[-1]) for row in layout.rows]
            named: dict[str, str] = {}
            for values, name in rows:
                if len(values) == 1:
                    named.setdefault(values[0], name)
            # a name that several values have tells nothing
            if field != "corpus" and len(named) > 1 and len(set(named.values())) == len(named):
                found[field] = {**named, **found.get(field, {})}
    return found


def _cell(study: Study, cell: Squares, places: Mapping[str, int], limits: Limits) -> dict[str, Any]:
    listed = {
        f"{row},{column}": [
            [
                places[one.utterance],
                one.run,
                one.fold,
                [round(share, 3) for share in one.posterior],
                [words for words in one.words if limits.transcripts or words[0] != OWN_WORDS["heard"]],
            ]
            for one in found
        ]
        for (row, column), found in cell.listed.items()
    }
    return {
        "at": list(cell.cell.values()),
        "classes": list(cell.classes),
        "stamp": stamp_of(cell.provenance, study.titles)["marks"],
        "profile": _profile(cell),
        "counts": cell.counts.tolist(),
        "listed": listed,
        "curve": _curve(cell.path.with_name("history.parquet"), study.curve),
    }


def _curve(path: Path, value: str) -> list[float]:
    """Return the mean over fits by period, in percent; nothing of what has no periods, or does not measure it."""
    if value not in parquet.read_table(path, kind="history").column_names:
        return []
    return [round(mean, 2) for mean in mean_curve(read_history(path, value))["mean"].tolist()]
