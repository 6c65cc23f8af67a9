"""results/README.md, read as what it is: a promise of which files there are and what is in them.

A section is of the files that its heading names; its lines beginning with ``-`` are their columns (of JSON the keys):
names, a type, and after a colon what they mean. ``...`` stands for any others, ``{a,b}`` for a or b; a line that begins
with studies' names is of their files and need not be in each of them. ``Metadata:`` lists what a Parquet file
says of itself. Files of other kinds stand in the table at the top.
"""

import csv
import json
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

ANY = "..."
# what a cell of a CSV may be, if it is not empty; the last two are what columns of Parquet are in a CSV
_INTEGER, _NUMBER = r"-?\d+", r"-?\d+(\.\d+)?(e[-+]\d+)?"
CELLS = {
    **{"string": ".*", "integer": _INTEGER, "number": _NUMBER, "percent": r"-?\d+\.\d\d", "bool": "True|False"},
    **{"int32": _INTEGER, "double": _NUMBER},
}
JSON_TYPES = {str: "string", bool: "bool", int: "integer", float: "number", list: "list", dict: "object"}
_NAMES = re.compile(r"`([^`]+)`")
_COLUMNS = re.compile(r"(?P<names>`[^`]+`(?:, `[^`]+`)*) (?P<type>[\w<>]+(?:\[dim\])?)(?:; |(?=: )|$)")


class Column(NamedTuple):
    """``studies`` are those whose files have it; none is named for what is in the files of all."""

    type: str
    studies: tuple[str, ...]


class Section(NamedTuple):
    """Some files and their columns; ``kind`` is None where the path tells all."""

    patterns: list[str]
    kind: str | None
    columns: dict[str, Column]
    metadata: list[str]


def column_type(kind: pa.DataType) -> str:
    """Return a type as the page writes it, whatever the items of a list are called."""
    return re.sub(r"^(?:fixed_size_)?list<\w+: (\w+)>(?:\[\d+\])?$", r"list<\1>", str(kind)) + (
        "[dim]" if pa.types.is_fixed_size_list(kind) else ""
    )


def _spread(name: str) -> list[str]:
    """Return the names that ``n_{train,val}`` stands for."""
    parts = [part[1:-1].split(",") if part.startswith("{") else [part] for part in re.split(r"(\{[^}]+\})", name)]
    return ["".join(chosen) for chosen in product(*parts)]


def _columns(line: str) -> Iterator[tuple[str, Column]]:
    own = re.match(r"- (?:(\w+(?:, \w+)*): )?", line)
    assert own, line
    place = own.end()
    while found := _COLUMNS.match(line, place):
        for name in _NAMES.findall(found["names"]):
            for column in [name] if name == ANY else _spread(name):
                yield column, Column(found["type"], tuple(own[1].split(", ")) if own[1] else ())
        place = found.end()
    assert place > own.end(), f"no names and type: {line}"
    assert place == len(line) or line.startswith(": ", place), f"what comes after the type? {line}"


class Page:
    """The page; ``studies`` are what ``{study}`` may be."""

    def __init__(self, path: Path, studies: Collection[str]) -> None:
        text = path.read_text(encoding="utf-8")
        self.studies = studies
        self.sections: list[Section] = []
        for heading, body in re.findall(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL):
            self.sections.append(self._section(heading, body))
        rows = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
        self.others = [pattern for row in rows for pattern in _NAMES.findall(row)]

    def _section(self, heading: str, body: str) -> Section:
        kind = re.search(r" \((\w+)\)$", heading)
        said, _, lines = f"\n{body}".partition("\n- ")
        columns: dict[str, Column] = {}
        if borrowed := re.search(r"Columns of `([^`]+)`(?: without ([^.]+))?\.", said):
            lender = next(section for section in self.sections if borrowed[1] in section.patterns)
            without = _NAMES.findall(borrowed[2] or "")
            assert set(without) <= lender.columns.keys(), heading
            columns = {name: column for name, column in lender.columns.items() if name not in without}
        for line in f"- {lines}".strip().splitlines() if lines else []:
            for name, column in _columns(line):
                assert name not in columns, f"{heading}: {name} twice"
                columns[name] = column
        _, _, metadata = said.partition("Metadata:")
        return Section(_NAMES.findall(heading), kind[1] if kind else None, columns, _NAMES.findall(metadata))

    def patterns(self) -> list[str]:
        """Return all patterns of paths that the page knows."""
        return [*self.others, *dict.fromkeys(pattern for section in self.sections for pattern in section.patterns)]

    def pattern_of(self, name: str) -> str | None:
        """Return what a path, relative to the folder of the page, is an instance of: the one that says most of it."""
        fitting = [pattern for pattern in self.patterns() if self._regex(pattern).fullmatch(name)]
        return max(fitting, key=lambda pattern: len(re.sub(r"\{\w+\}", "", pattern)), default=None)

    def _regex(self, pattern: str) -> re.Pattern[str]:
        stands_for = {
            **{"study": f"(?:{'|'.join(map(re.escape, self.studies))})", "table": r"\w+"},
            # these stand for several folders
            **{"cell": ".+", "job": ".+"},
        }
        parts = re.split(r"(\{\w+\})", pattern)
        return re.compile(
            "".join(stands_for.get(part[1:-1], "[^/]+") if part[:1] == "{" else re.escape(part) for part in parts)
        )

    def faults(self, folder: Path) -> list[str]:
        """Say what below a folder is not as the page says."""
        return [f"{name}: {fault}" for name, path in _files(folder) for fault in self.faults_of(path, name)]

    def faults_of(self, path: Path, name: str) -> Iterator[str]:
        """Yield what of a file, by its name below the folder of the page, is not as the page says."""
        pattern = self.pattern_of(name)
        sections = [section for section in self.sections if pattern in section.patterns]
        if not sections:
            if pattern is None or path.suffix in (".parquet", ".csv", ".json"):
                yield "not on the page"
            return
        columns, metadata = _found(path)
        section = next((section for section in sections if section.kind in (None, metadata.get("kind"))), None)
        if section is None:
            yield f"kind {metadata.get('kind')!r} is not on the page"
            return
        yield from _differences(section, columns, name.split("/"))
        yield from (f"no {entry} in its metadata" for entry in section.metadata if entry not in metadata)

    def unseen(self, folder: Path, study: str) -> set[str]:
        """Return the columns of a study's own that no file below a folder has."""
        files = [(self.pattern_of(name), path) for name, path in _files(folder)]
        unseen: set[str] = set()
        for section in self.sections:
            own = {name for name, column in section.columns.items() if study in column.studies}
            seen = {name for pattern, path in files if own and pattern in section.patterns for name in _found(path)[0]}
            unseen |= own - seen
        return unseen


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder by name, but the page itself; hidden ones are Snakemake's."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts != ("README.md",) and not any(part.startswith(".") for part in parts):
            yield "/".join(parts), path


def _differences(section: Section, columns: Mapping[str, Collection[str]], parts: Collection[str]) -> Iterator[str]:
    known = {
        name: column
        for name, column in section.columns.items()
        if not column.studies or not set(column.studies).isdisjoint(parts)
    }
    for name, types in columns.items():
        column = known.get(name, known.get(ANY))
        if column is None:
            yield f"column {name} is not on the page"
        elif column.type not in types:
            yield f"column {name} is no {column.type}"
    for name, column in known.items():
        if name not in columns and name != ANY and not column.studies:
            yield f"no column {name}"


def _found(path: Path) -> tuple[dict[str, Collection[str]], dict[str, Any]]:
    """Return the types that each column of a file may pass for, and its metadata."""
    if path.suffix == ".parquet":
        columns = {field.name: [column_type(field.type)] for field in pq.read_schema(path)}
        return columns, json.loads(pq.read_metadata(path).metadata[b"serflow"])
    if path.suffix == ".csv":
        with open(path, encoding="utf-8", newline="") as handle:
            heading, *rows = csv.reader(handle)
        cells = {name: [row[place] for row in rows if row[place]] for place, name in enumerate(heading)}
        return {
            name: [kind for kind, form in CELLS.items() if all(re.fullmatch(form, cell, re.DOTALL) for cell in values)]
            for name, values in cells.items()
        }, {}
    return {name: [kind] for name, kind in _keys(json.loads(path.read_text(encoding="utf-8")))}, {}


def _keys(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield the keys of a JSON object with their types, and those of the objects of a list in it."""
    for key, value in content.items():
        yield f"{above}{key}", JSON_TYPES[type(value)]
        for item in value if isinstance(value, list) else []:
            if isinstance(item, dict):
                yield from _keys(item, f"{above}{key}[].")
