"""The options of a table corpus, checked against the header of its table."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serflow.corpora._named_files import NamedFiles
from serflow.corpora._values import UnusableError, key
from serflow.corpora.base import EMOTIONS, refuse_options, unknown_name
from serflow.errors import CorpusError
from serflow.label_files import Rows, read_rows

RATINGS = ("valence", "activation", "dominance", "sentiment")
LABELS = ("emotion", *RATINGS)
WORDS = ("language", "session", "dialogue", "style", "sentence", "text", "intensity")
_FIELDS = ("utterance", "speaker", *WORDS, "gender", "start", "end", "turn", *LABELS)
_NAMES = ("utterance", "id")
_OPTIONS = ("table", "audio", "columns", "emotions", "language", "published")
_SYNONYMS = {
    "angry": "anger", "anxious": "anxiety", "bored": "boredom", "disgusted": "disgust", "excited": "excitement",
    "fearful": "fear", "frustrated": "frustration", "happy": "happiness", "joy": "happiness", "sad": "sadness",
    "surprised": "surprise",
}  # fmt: skip
_PART = re.compile(r"\{\{|\}\}|\{(?P<column>[^{}]*)\}|(?P<brace>[{}])|(?P<text>[^{}]+)")


@dataclass(frozen=True, slots=True)
class TableLayout:
    """What the options say of a table.

    ``columns`` are the columns of our fields; ``is_named`` says whether the options (and not the header alone) say
    which column names an utterance. ``audio`` are the parts of a row's path: whether it is a column, its name or the
    text. ``emotions`` holds our word for each of the table's, as `key` has it.
    """

    table: Path
    name: str
    audio: Sequence[tuple[bool, str]]
    columns: Mapping[str, str]
    is_named: bool
    emotions: Mapping[str, str]
    language: str
    published_total: int | None

    @property
    def folder(self) -> Path:
        """The folder below the root that all audio is in, relative to the root."""
        is_column, first = self.audio[0]
        fixed = "" if is_column else first.replace("\\", "/").rpartition("/")[0]
        folder = Path(os.path.normpath(fixed))
        return Path() if folder.is_absolute() or folder.parts[:1] == ("..",) else folder

    def named_audio(self, row: Mapping[str, str]) -> str:
        """Return the path of a row's audio as the table names it."""
        return "".join(row[text] if is_column else text for is_column, text in self.audio)


def _mapping(options: Mapping[str, Any], option: str) -> Mapping[str, Any]:
    given = options.get(option) or {}
    if not isinstance(given, Mapping):
        raise CorpusError(f"options.{option}: {given!r} is no mapping; write `{option}: {{name: value}}`")
    return given


def _column(named: str, header: Sequence[str]) -> str | None:
    """Return the column of that name; letter case, Unicode form and blanks count only where several are alike."""
    alike = [name for name in header if name and key(name) == key(named)]
    return named if named in alike else alike[0] if len(alike) == 1 else None


def _columns(options: Mapping[str, Any], header: Sequence[str], table: Path) -> dict[str, str]:
    given = _mapping(options, "columns")
    if not given:
        given = {name: column for name in (*_FIELDS, "id") if (column := _column(name, header))}
    if set(_NAMES) <= given.keys():
        raise CorpusError(
            f"{table}: there are both utterance and id, and either holds the names of utterances; "
            "say which in options.columns, e.g. `columns: {utterance: id, ...}`"
        )
    columns = {}
    for name, column in given.items():
        if name not in (*_FIELDS, "id"):
            raise CorpusError(f"options.columns: {unknown_name(str(name), _FIELDS, 'field of an utterance')}")
        found = _column(str(column), header)
        if found is None:
            raise CorpusError(
                f"options.columns.{name}: {unknown_name(str(column), filter(None, header), f'column of {table}')}"
            )
        columns["utterance" if name == "id" else name] = found
    if "speaker" not in columns:
        raise CorpusError(
            f"{table}: options.columns does not say which column holds the speaker; "
            f"add `speaker: NAME`, one of {', '.join(filter(None, header))}"
        )
    if not set(LABELS) & set(columns):
        raise CorpusError(f"{table}: options.columns names no label; add one of {', '.join(LABELS)}")
    return columns


def _emotions(options: Mapping[str, Any]) -> dict[str, str]:
    ours = {**{word: word for word in EMOTIONS}, **_SYNONYMS}
    mapped: dict[str, str] = {}
    for word, emotion in _mapping(options, "emotions").items():
        known = ours.get(key(str(emotion)))
        if known is None:
            raise CorpusError(f"options.emotions.{word}: {unknown_name(str(emotion), EMOTIONS, 'emotion')}")
        if mapped.setdefault(key(str(word)), known) != known:
            raise CorpusError(f"options.emotions.{word}: the same word stands for {mapped[key(str(word))]}, too")
    return {**ours, **mapped}


def _audio(options: Mapping[str, Any], header: Sequence[str], table: Path) -> list[tuple[bool, str]]:
    audio = options.get("audio")
    if not isinstance(audio, str):
        raise CorpusError("options.audio: missing; say where a row's audio is, e.g. `audio: samples/{file_id}`")
    parts: list[tuple[bool, str]] = []
    for part in _PART.finditer(audio):
        named = part["column"]
        if named is None:
            if part["brace"]:
                raise CorpusError(
                    f"options.audio: {audio!r} cannot be read: a brace is alone; write e.g. samples/{{file_id}}"
                )
            parts.append((False, part["text"] or part[0][0]))
            continue
        column = _column(named, header)
        if column is None:
            bare = re.split("[:!]", named)[0]
            if _column(bare, header):
                raise CorpusError(
                    f"options.audio: write {{{bare}}} in {audio!r}; cells are text and cannot be formatted"
                )
            raise CorpusError(f"options.audio: {unknown_name(named, filter(None, header), f'column of {table}')}")
        parts.append((True, column))
    if not any(is_column for is_column, _ in parts):
        raise CorpusError(f"options.audio: {audio!r} names no column in braces, so all rows would share one file")
    return parts


def _published_total(options: Mapping[str, Any]) -> int | None:
    published = options.get("published")
    if published is None:
        return None
    if not isinstance(published, Mapping) or set(published) != {"total"} or not isinstance(published["total"], int):
        raise CorpusError("options.published: write `published: {total: N}`, the number of utterances to expect")
    return int(published["total"])


def _table(root: Path, named: Any) -> Path:
    if not isinstance(named, str) or not named:
        raise CorpusError("options.table: missing; name the CSV or TSV file, relative to root")
    try:
        return root / NamedFiles(root, Path(), (Path(named).suffix.lower(),), "file").find(named)
    except UnusableError as unusable:
        raise CorpusError(
            f"options.table: {root / named}: cannot be read: {unusable}; name a CSV or TSV file below root"
        ) from unusable


def read_table(root: Path, options: Mapping[str, Any]) -> tuple[TableLayout, Rows]:
    """Read the table that the options name, and check them against its header.

    Raises
    ------
    CorpusError
        If it cannot be read, or if an option is wrong.
    """
    refuse_options(options, _OPTIONS)
    table = _table(root, options.get("table"))
    rows = read_rows(table)
    columns = _columns(options, rows.header, table)
    layout = TableLayout(
        table=table,
        name=table.relative_to(root).as_posix(),
        audio=_audio(options, rows.header, table),
        columns=columns,
        is_named=bool(_mapping(options, "columns")) and "utterance" in columns,
        emotions=_emotions(options),
        language=options.get("language") or "und",
        published_total=_published_total(options),
    )
    return layout, rows
