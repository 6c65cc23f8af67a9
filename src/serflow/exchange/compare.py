"""Where two trees of results first diverge, in sentences.

The layers follow from one another: the publishers' files, what of them was rejected, the utterances, noise plans,
features, splits; then of each cell of runs its options, what it read, its code and what it predicted. What differs in
the first layer may be all there is to it.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from serflow.exchange.state import LAYERS, CellState, Entry, State, read_state, results_of
from serflow.stores.parquet import read_table

_SHOWN = 3
_NOUNS = {
    "corpora": "other files of the publisher",
    "rejected": "another list of rejected files",
    "utterances": "another table of utterances",
    "noise plans": "another noise plan",
    "features": "other values",
    "splits": "another split",
}
# what a run calls its inputs, by the layer that they are of
_OF_SOURCES = (
    ("utterances", ("utterances",)),
    ("noise plans", ("plan", "clips")),
    ("splits", ("split",)),
    ("predictions of another cell", ("gate",)),
)


def compare(one: Path, other: Path) -> list[str]:
    """Return where two trees diverge, a sentence each, the first divergence first.

    Raises
    ------
    StoreError
        If one has no runs, or a file is damaged.
    """
    first, second = read_state(one), read_state(other)
    names = (str(one), str(other))
    of_layers = {layer: list(_of_layer(layer, first, second, (one, other))) for layer in LAYERS}
    of_cells = list(_of_cells(first, second, names))
    where = next((layer for layer, said in of_layers.items() if said), "runs" if of_cells else None)
    both = len(first.cells.keys() & second.cells.keys())
    if where is None:
        head = "alike in all that both have" if both else "nothing in common: they have no cell of runs both"
        return [f"{names[0]} and {names[1]}: {head}", *_counts(first, second, names)]
    return [
        f"{names[0]} and {names[1]} first diverge in their {where}",
        *(said for sentences in of_layers.values() for said in sentences),
        *of_cells,
        *_counts(first, second, names),
    ]


def _counts(first: State, second: State, names: tuple[str, str]) -> Iterator[str]:
    both = first.cells.keys() & second.cells.keys()
    alike = sum(first.cells[name].predicted == second.cells[name].predicted for name in both)
    yield f"cells of runs: {len(both)} in both, of which {alike} predict the same"
    for mine, theirs, where in ((first, second, names[0]), (second, first, names[1])):
        alone = sorted(mine.cells.keys() - theirs.cells.keys())
        if alone:
            yield f"in {where} alone: {_some(alone)}"


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _of_layer(layer: str, first: State, second: State, trees: tuple[Path, Path]) -> Iterator[str]:
    """Yield what differs of the artefacts that both trees have, those alike in it in one sentence."""
    mine, theirs = first.layers.get(layer, {}), second.layers.get(layer, {})
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(mine.keys() & theirs.keys()):
        if mine[name].digest != theirs[name].digest:
            groups.setdefault(tuple(_facts(mine[name], theirs[name])), []).append(name)
    for facts, names in groups.items():
        details = _details(layer, names[0], trees)
        said = [*facts, *([f"of {names[0]} {'; '.join(details)}"] if details else [])]
        yield f"{layer}: {_NOUNS[layer]} of {_some(names)}" + (f" ({'; '.join(said)})" if said else "")


def _facts(a: Entry, b: Entry) -> Iterator[str]:
    if a.facts.get("code") != b.facts.get("code"):
        yield "other code"
    plain = [{key: value for key, value in entry.facts.items() if key != "code"} for entry in (a, b)]
    yield from differences(*plain)


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys whose values differ, with both; those of sections with dots."""
    mine, theirs = dict(_flat(a)), dict(_flat(b))
    for key in dict.fromkeys([*mine, *theirs]):
        if key not in mine or key not in theirs:
            yield f"{key} stands in the {'second' if key not in mine else 'first'} alone"
        elif mine[key] != theirs[key]:
            yield f"{key} is {_short(mine[key])} and {_short(theirs[key])}"


def _flat(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _short(value: Any, longest: int = 60) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= longest else f"{text[: longest - 4]} ..."


def _details(layer: str, name: str, trees: tuple[Path, Path]) -> list[str]:
    """Return what both trees' own files say of a difference; nothing of what was exported without them."""
    of_trees = [_members(layer, name, results_of(tree)) for tree in trees]
    if any(members is None for members in of_trees):
        return []
    mine, theirs = (members or {} for members in of_trees)
    said = []
    for here, there, where in ((mine, theirs, "first"), (theirs, mine, "second")):
        alone = sorted(here.keys() - there.keys())
        if alone:
            said.append(f"{len(alone)} in the {where} alone, {_some(alone)}")
    changed = sorted(key for key in mine.keys() & theirs.keys() if mine[key] != theirs[key])
    if changed:
        columns = [place for place in mine[changed[0]] if mine[changed[0]][place] != theirs[changed[0]].get(place)]
        said.append(f"{len(changed)} differ, {changed[0]} in {', '.join(columns)}")
    return said


def _members(layer: str, name: str, results: Path) -> dict[str, dict[str, Any]] | None:
    """Return the rows of an artefact by the utterance (of splits, with the fold) that they are of."""
    if layer == "rejected":
        path = results / "corpora" / name / "rejected.csv"
        if not path.is_file():
            return None
        with open(path, encoding="utf-8", newline="") as handle:
            return {row["utterance"] or row["path"]: dict(row) for row in csv.DictReader(handle)}
    keys: tuple[str, ...] = ("utterance",)
    if layer == "utterances":
        path = results / "corpora" / name / "utterances.parquet"
    elif layer == "splits":
        corpus, protocol = name.split(", ", 1)
        path, keys = results / "splits" / corpus / f"{protocol}.parquet", ("utterance", "fold")
    elif layer == "noise plans":
        corpus, profile = name.split(" in ", 1)
        path = results / "noise" / corpus / f"{profile}.parquet"
    else:
        return None
    if not path.is_file():
        return None
    return {" ".join(str(row[key]) for key in keys): row for row in read_table(path).to_pylist()}


def _of_cells(first: State, second: State, names: tuple[str, str]) -> Iterator[str]:
    """Yield what differs of the cells that both trees have, those alike in it in one sentence."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(first.cells.keys() & second.cells.keys()):
        causes = tuple(_of_cell(first.cells[name], second.cells[name]))
        if causes:
            groups.setdefault(causes, []).append(name)
    for causes, cells in groups.items():
        yield f"runs: {len(cells)} cell{'s' if len(cells) > 1 else ''} ({_some(cells)}): {'; '.join(causes)}"


def _of_cell(a: CellState, b: CellState) -> Iterator[str]:
    if list(a.runs) != list(b.runs):
        yield f"runs are {_short(list(a.runs))} and {_short(list(b.runs))}"
    yield from (f"option {said}" for said in differences(a.options, b.options))
    read = [name for name in dict.fromkeys([*a.sources, *b.sources]) if a.sources.get(name) != b.sources.get(name)]
    if read:
        yield f"other {', '.join(dict.fromkeys(map(_layer_of, read)))} were read"
    if a.code != b.code:
        yield "other code"
    if a.predicted != b.predicted:
        yield "other predictions"
    elif read or a.code != b.code or list(differences(a.options, b.options)):
        yield "the same predictions all the same"


def _layer_of(source: str) -> str:
    return next((layer for layer, begins in _OF_SOURCES if source.startswith(begins)), "features or weights")
