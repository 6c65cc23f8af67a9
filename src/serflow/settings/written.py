"""Configuration files as people write them: with the line of every key, and with no word that YAML makes another of.

Snakemake reads the same files by YAML 1.1, where ``01`` is 1 and ``no`` is False, where ``1:30`` is 90, and where the
second of two sections of one name takes the place of the first. Here a word without quotes is what is written, until
the type of its key makes a number or a truth of it, and what would be lost is refused.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serflow.errors import ConfigError
from serflow.settings.base import KeyPath, Word

COMMAND_LINE = "--config"
_MOST_VALUES = 10_000
_NULLS = ("", "~", "null", "Null", "NULL")
_KINDS = "tag:yaml.org,2002:"
_TAGS = [_KINDS + kind for kind in ("str", "seq", "map")]
_MERGE = "<<"
_ADVICE = {
    "'\\t'": "indent with blanks, not with tabs",
    "mapping values are not allowed": "put a text with a colon and a blank in quotes; keys of a section begin in the "
    "same column",
    "<block mapping start>": "keys of a section begin in the same column",
    "<block end>": "keys of a section begin in the same column",
    "cannot start any token": "put the value in quotes",
    "alias": "put a text that begins with * in quotes",
    "escape": "in double quotes write a backslash twice; single quotes take it as it is",
    "another document": "take the line `---` out",
    "could not find expected ':'": "after a key come a colon and a blank",
    "quoted scalar": "close the quote",
}


class _Loader(yaml.SafeLoader):
    """Composes nodes, which know their lines; a word without quotes is a text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # as PyYAML declares it


@dataclass(frozen=True)
class Written:
    """What one file, or the command line, says of the configuration; ``name`` stands in messages."""

    name: str
    content: dict[str, Any]
    node: yaml.Node | None = None

    def line(self, path: KeyPath) -> str | None:
        """Return ``file:line: `` of a key or an entry of a list, or None where it does not stand here."""
        if self.node is None:
            return f"{self.name}: " if path[0] in self.content else None
        line, node = 0, self.node
        for part in path:
            below = _below(node, part)
            if below is None:
                return None
            line, node = below
        return f"{self.name}:{line}: "


def place(documents: Sequence[Written], path: KeyPath) -> str:
    """Return ``file:line: `` of a key in the last document that sets it, or of the section that it is missing from."""
    for length in range(len(path), 0, -1):
        for document in reversed(documents):
            if (line := document.line(path[:length])) is not None:
                return line
    return ""


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _below(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    """Return line and node of a key's value or an entry."""
    if isinstance(node, yaml.MappingNode):
        return next(((_line(key), value) for key, value in _pairs(node) if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and str(part).isdigit() and int(part) < len(node.value):
        return _line(node.value[int(part)]), node.value[int(part)]
    return None


def _merges(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.style is None and key.value == _MERGE


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Yield the keys and values of a section, then those that are merged in."""
    yield from (pair for pair in node.value if not _merges(pair[0]))
    for key, value in node.value:
        if _merges(key):
            for other in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                yield from _pairs(other)


class _Reader:
    """Makes values of nodes, and refuses what would be lost or blown up."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._values = 0
        self._open: list[int] = []

    def _error(self, node: yaml.Node, said: str) -> ConfigError:
        return ConfigError(f"{self._name}:{_line(node)}: {said}")

    def value(self, node: yaml.Node) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise self._error(node, f"more than {_MOST_VALUES:,} values where aliases (*) are followed; use fewer")
        if node.tag not in _TAGS:
            raise self._error(node, f"the tag {node.tag.replace(_KINDS, '!!')} is not read; take it out")
        if isinstance(node, yaml.ScalarNode):
            if node.style is not None:
                return str(node.value)
            return None if node.value in _NULLS else Word(node.value)
        if id(node) in self._open:
            raise self._error(node, "an alias (*) stands within what it stands for; write the value out")
        self._open.append(id(node))
        value: Any
        if isinstance(node, yaml.MappingNode):
            value = self._section(node)
        else:
            value = [self.value(entry) for entry in node.value]
        self._open.pop()
        return value

    def _section(self, node: yaml.MappingNode) -> dict[str, Any]:
        lines: dict[str, int] = {}
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if _merges(key):
                merged = {**self._merged(value), **merged}
                continue
            if not isinstance(key, yaml.ScalarNode) or (key.style is None and key.value in _NULLS):
                raise self._error(key, "a key has to be a word; put it in quotes")
            if key.value in lines:
                both = f"in lines {lines[key.value]} and {_line(key)}"
                raise self._error(key, f"{key.value} stands twice in one section, {both}; make one of the two")
            lines[key.value] = _line(key)
            own[key.value] = self.value(value)
        return {**merged, **own}

    def _merged(self, node: yaml.Node) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for other in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(other, yaml.MappingNode):
                raise self._error(node, f"{_MERGE} takes an alias (*) of a section")
            merged = {**self.value(other), **merged}
        return merged


def _compose(text: str, name: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{name}:{line}: a control character stands there; take it out") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        assert mark is not None
        said = " ".join(words for words in (error.context, error.problem) if words)
        if error.context_mark is not None and error.context_mark.line != mark.line:
            said += f" (begun in line {error.context_mark.line + 1})"
        advice = next((advice for words, advice in _ADVICE.items() if words in said), "close every bracket and quote")
        raise ConfigError(f"{name}:{mark.line + 1}: not YAML: {said}; {advice}") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: brackets within brackets, too deep to be read; take some out") from error


def _document(text: str, name: str) -> Written:
    node = _compose(text, name)
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{name}: no keys at its top; write such as `data_root: /data`, or leave the file out")
    try:
        return Written(name, _Reader(name).value(node), node)
    except RecursionError as error:
        raise ConfigError(f"{name}: sections within sections, too deep to be read; take some out") from error


def read(file: Path) -> Written:
    """Read a configuration file, YAML or JSON.

    Raises
    ------
    ConfigError
        If it cannot be read, is no YAML, has a key twice, or grows beyond measure by its aliases; names file and line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file.name}:{line}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    if text.lstrip().startswith("{") and "\t" in text:
        try:
            json.loads(text)
        except ValueError:
            pass
        else:
            # JSON may be indented with tabs, and has none within its texts
            text = text.replace("\t", " ")
    return _document(text, file.name)


def slip(files: Sequence[Path]) -> str | None:
    """Return what is said of the first file that cannot be read; None where all can."""
    for file in files:
        try:
            read(file)
        except ConfigError as error:
            return f"The configuration is wrong:\n  {error}"
    return None


def read_argument(argument: str) -> Written:
    """Read one ``key=value`` of the command line; the value is a word, or YAML where it has brackets or quotes.

    Raises
    ------
    ConfigError
        If what has brackets is no YAML.
    """
    key, _, text = argument.partition("=")
    if not text.lstrip().startswith(("{", "[", '"', "'")):
        return Written(COMMAND_LINE, {key: None if text in _NULLS else Word(text)})
    name = f"{COMMAND_LINE} {key}"
    node = _compose(text, name)
    assert node is not None
    return Written(name, {key: _Reader(name).value(node)})


def merged(documents: Sequence[Written]) -> dict[str, Any]:
    """Return what all documents say together: sections are joined, everything else is taken from the last."""
    content: dict[str, Any] = {}
    for document in documents:
        content = _joined(content, document.content)
    return content


def _joined(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    joined = dict(below)
    for key, value in above.items():
        known = joined.get(key)
        joined[key] = _joined(known if isinstance(known, dict) else {}, value) if isinstance(value, dict) else value
    return joined
