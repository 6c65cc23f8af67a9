"""Any folder of audio with a CSV or TSV file of labels."""

import difflib
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from serflow.corpora._audio_files import audio_files
from serflow.corpora._named_files import NamedFiles, without_suffix
from serflow.corpora._table_options import RATINGS, WORDS, TableLayout, read_table
from serflow.corpora._values import NOTHING, AbsentError, UnusableError, key, number, seconds, whole_number
from serflow.corpora.base import AUDIO_FILES, EMOTIONS, Corpus, CorpusInfo, Listing, Rejected, Utterance, fault_of_id
from serflow.errors import CorpusError
from serflow.folders import is_folder
from serflow.label_files import Row, Rows
from serflow.printable import is_printable, is_text, shown

_Value = TypeVar("_Value")
_GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}
_NO_WORDS_OF_YAML = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_EXAMPLES = 5
_PASTED = 100


def _gender(word: str) -> str:
    if key(word) not in _GENDERS:
        raise ValueError(f"{shown(word)}, none of {', '.join(_GENDERS)}")
    return _GENDERS[key(word)]


def _word(field: str) -> Callable[[str], str]:
    def read(word: str) -> str:
        if not (is_text if field == "text" else is_printable)(word):
            raise ValueError(f"{shown(word)}, with control characters")
        return word

    return read


def _counted(values: Counter[str], most_shown: int = _EXAMPLES) -> str:
    most = values.most_common(most_shown)
    left = len(values) - len(most)
    return ", ".join(f"{value} ({count})" for value, count in most) + (f" and {left} more" if left else "")


@dataclass(slots=True)
class _Reader:
    """Makes utterances of rows, and counts what stands in optional columns and cannot be read."""

    layout: TableLayout
    decimal_comma: bool
    odd: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    unmapped: Counter[str] = field(default_factory=Counter)
    spelt: dict[str, str] = field(default_factory=dict)
    short: int = 0

    def utterance(self, row: Mapping[str, str], path: Path) -> Utterance:
        """Return the utterance of a row; its id is that in the table, or empty.

        Raises
        ------
        UnusableError
            If there is no speaker, no label, a word that is no emotion, or a time that is none.
        """
        cells = {name: row[column] for name, column in self.layout.columns.items()}
        odd: dict[str, str] = {}
        start, end = _cut(cells, self.decimal_comma)
        speaker = cells["speaker"]
        if not speaker or not is_printable(speaker):
            raise UnusableError(f"speaker is {shown(speaker)}, with control characters" if speaker else "no speaker")
        emotion = self._emotion(cells.get("emotion", ""))
        ratings = {name: _optional(cells, name, self._rating, odd) for name in RATINGS}
        if emotion is None and all(rating is None for rating in ratings.values()):
            said = "; ".join(f"{name} is {value}" for name, value in odd.items())
            raise UnusableError(f"no label ({said})" if said else "no label")
        words = {name: _optional(cells, name, _word(name), odd) for name in WORDS}
        optional: dict[str, Any] = {**ratings, **words, "language": words["language"] or self.layout.language}
        made = Utterance(
            id=cells.get("utterance", ""),
            path=path.as_posix(),
            speaker=speaker,
            start=start,
            end=end,
            turn=_optional(cells, "turn", whole_number, odd),
            gender=_optional(cells, "gender", _gender, odd),
            emotion=emotion,
            **optional,
        )
        for name, value in odd.items():
            self.odd[name][value] += 1
        return made

    def _rating(self, text: str) -> float:
        return number(text, self.decimal_comma)

    def _emotion(self, word: str) -> str | None:
        known = self.layout.emotions.get(key(word))
        if known is None and key(word) not in NOTHING - {"none"}:
            self.unmapped[self.spelt.setdefault(key(word), word)] += 1
            raise UnusableError(
                f"emotion {shown(word)} is none of ours; map it in options, e.g. `emotions: "
                f"{{{_yaml(word)}: happiness}}` (ours: {', '.join(EMOTIONS)})"
            )
        return known

    def notes(self) -> list[str]:
        """Return what was counted, a sentence for each column."""
        table = self.layout.table
        notes = []
        if self.unmapped:
            mapping = ", ".join(f"{_yaml(word)}: {_nearest(word)}" for word in [*self.unmapped][:_PASTED])
            notes.append(
                f"{table}: {_rows(self.unmapped.total())} left out for emotion words that are none of ours: "
                f"{_counted(Counter({shown(word): n for word, n in self.unmapped.items()}), _PASTED)}. "
                f"Paste `emotions: {{{mapping}}}` into options and put the right one of ours for each: "
                f"{', '.join(EMOTIONS)}"
            )
        notes += [
            f"{table}: {name} is absent in {_rows(values.total())} where it is {_counted(values)}"
            for name, values in self.odd.items()
        ]
        if self.short:
            notes.append(f"{table}: {_rows(self.short)} with fewer cells than the header; those at the end are absent")
        return notes


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def _yaml(word: str) -> str:
    """Return a word as a key that YAML reads as this word; it takes `no` and `01` for others."""
    is_plain = re.fullmatch(r"[^\W\d_][\w-]*", word) and word.lower() not in _NO_WORDS_OF_YAML
    return word if is_plain else json.dumps(word, ensure_ascii=not word.isprintable())


def _nearest(word: str) -> str:
    close = difflib.get_close_matches(key(word), EMOTIONS, n=1, cutoff=0.75)
    return close[0] if close else "other"


def _optional(cells: Mapping[str, str], name: str, read: Callable[[str], _Value], odd: dict[str, str]) -> _Value | None:
    """Return what an optional cell says; what cannot be read is absent, and put into ``odd``."""
    text = cells.get(name, "")
    if not text or (name not in WORDS and key(text) in NOTHING):
        return None
    try:
        return read(text)
    except ValueError as error:
        odd[name] = str(error)
        return None


def _cut(cells: Mapping[str, str], decimal_comma: bool) -> tuple[float | None, float | None]:
    """Return start and end (s), both None where the whole file is the utterance."""
    times: dict[str, float | None] = {}
    for name in ("start", "end"):
        text = cells.get(name, "")
        try:
            times[name] = None if key(text) in NOTHING else seconds(text, decimal_comma)
        except ValueError as error:
            raise UnusableError(f"{name} is {error}") from error
    start, end = times["start"] or 0.0, times["end"]
    if start < 0 or (end is not None and end <= start):
        last = "that of the file" if end is None else f"{end:g} s"
        raise UnusableError(f"start {start:g} s and end {last} enclose no audio")
    return (None, None) if start == 0 and end is None else (start, end)


def _row(layout: TableLayout, rows: Rows, row: Row, reader: _Reader) -> dict[str, str]:
    """Return the cells of a row by column; what a short row lacks at its end is empty, if it is optional."""
    n_cells, n_columns = len(row.cells), len(rows.header)
    if n_cells == n_columns:
        return dict(zip(rows.header, row.cells, strict=True))
    if any(row.cells[n_columns:]):
        raise UnusableError(
            f"{n_cells} cells where the header has {n_columns}; put a cell that holds the delimiter in quotation marks"
        )
    lacking = set(rows.header[n_cells:])
    if lacking and rows.is_cut and row is rows.rows[-1]:
        raise UnusableError("the table ends within this row; it may have been cut off, fetch it again")
    needed = {column for name, column in layout.columns.items() if name not in (*WORDS, *RATINGS, "gender", "turn")}
    needed |= {text for is_column, text in layout.audio if is_column}
    if lacking & needed:
        raise UnusableError(f"{n_cells} cells where the header has {n_columns}")
    reader.short += bool(lacking & set(layout.columns.values()))
    return dict.fromkeys(rows.header, "") | dict(zip(rows.header, row.cells, strict=False))


def _ms(time: float | None) -> str:
    return "end" if time is None else f"{round(1000 * time)}"


def _default_ids(utterances: Sequence[Utterance]) -> list[str]:
    """Return names of utterances by their files: alike for all of a table.

    They are the stems of the files; where two files have the same stem, the paths below the root, their parts joined
    by ``_``; where a file has several segments, start and end in ms are added.
    """
    stems = {utterance.path: without_suffix(utterance.path) for utterance in utterances}
    names = {path: stem.rpartition("/")[2] for path, stem in stems.items()}
    if len(set(names.values())) < len(names):
        names = {path: stem.replace("/", "_") for path, stem in stems.items()}
    segments = {(utterance.path, utterance.start, utterance.end) for utterance in utterances}
    several = len(segments) > len(names)
    return [
        f"{names[entry.path]}_{_ms(entry.start or 0.0)}_{_ms(entry.end)}"
        if several and (entry.start, entry.end) != (None, None)
        else names[entry.path]
        for entry in utterances
    ]


def _named(utterances: Sequence[Utterance], layout: TableLayout, notes: list[str]) -> list[Utterance]:
    """Return the utterances under their names: those of the table, else by their files.

    A column that nobody named in the options is taken only where it can name utterances.
    """
    given = [utterance.id for utterance in utterances]
    if "utterance" in layout.columns and not layout.is_named:
        column = layout.columns["utterance"]
        fault = "repeats values" if len(set(given)) < len(given) else next(filter(None, map(fault_of_id, given)), None)
        if fault:
            notes.append(
                f"{layout.table}: the column {column} names no utterances, since it {fault}; they are named by their "
                f"files. To use it set `columns: {{utterance: {column}, ...}}` in options"
            )
            given = [""] * len(given)
    unnamed = [utterance for utterance, name in zip(utterances, given, strict=True) if not name]
    defaults = iter(_default_ids(unnamed))
    return [replace(utterance, id=name or next(defaults)) for utterance, name in zip(utterances, given, strict=True)]


def _unlisted_audio(root: Path, layout: TableLayout, used: set[Path], named: set[str]) -> list[Rejected]:
    folder = layout.folder if is_folder(root / layout.folder) else Path(os.path.commonpath([p.parent for p in used]))
    used_names = {without_suffix(path.as_posix()) for path in used}
    rejected: list[Rejected] = []
    for path in audio_files(root, rejected.append, folder):
        if without_suffix(path.as_posix()) not in used_names:
            rejected.append(Rejected("", path.as_posix(), f"audio without a row in {layout.name}"))
    return [replace(entry, lost=False) for entry in rejected if entry.path not in named]


class Table(Corpus):
    """A table with a row for each utterance, and options that say what its columns are.

    ``table`` names the CSV or TSV file (the delimiter is told by the name, else by the header); ``audio``
    says where a row's audio is, with columns in braces; ``columns`` maps our columns to the table's (those of the
    same name where it is not given); ``emotions`` maps the table's words to ours; ``language`` is an ISO 639-1 code;
    ``published: {total: N}`` is the number of utterances to expect. Example::

        table: data.tsv
        audio: samples/{file_id}
        columns: {emotion: emotion, speaker: speaker_id, text: raw_text, gender: gender}
        language: pl

    A row needs audio, a speaker and a label. What cannot be read in another column is absent. An utterance is named
    by the column ``utterance`` (or ``id``) where there is one, else by its file.
    """

    info = CorpusInfo(
        title="table",
        n_utterances=None,
        language="und",
        licence="that of the corpus",
        address="its publisher",
        reads=AUDIO_FILES,
    )

    def read(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """Read the rows of the table that have audio under ``root``.

        Raises
        ------
        CorpusError
            If the table cannot be read, an option is wrong, or no row has audio.
        """
        layout, rows = read_table(root, options)
        audio = NamedFiles(root, layout.folder)
        reader = _Reader(layout, decimal_comma=rows.delimiter != ",")
        listing = Listing(published_total=layout.published_total)
        found: list[Utterance] = []
        used: set[Path] = set()
        for row in rows.rows:
            named, name = layout.name, ""
            try:
                cells = _row(layout, rows, row, reader)
                named = layout.named_audio(cells)
                name = cells[layout.columns["utterance"]] if "utterance" in layout.columns else ""
                name = name or without_suffix(named.replace("\\", "/").rpartition("/")[2])
                path = audio.find(named)
                used.add(path)
                found.append(reader.utterance(cells, path))
            except UnusableError as unusable:
                absent = isinstance(unusable, AbsentError)
                reason = f"{layout.name}:{row.line}: {unusable}"
                listing.rejected.append(Rejected(name, named, reason, absent=absent))
        if not used:
            first = listing.rejected[0]
            raise CorpusError(
                f"{layout.table}: no row has audio under {root}; the first: {first.path}: {first.reason}. "
                "Correct root, or options.audio, which says where a row's audio is"
            )
        listing.notes += reader.notes()
        listing.utterances = _named(found, layout, listing.notes)
        named_so = {os.path.normpath(entry.path.replace("\\", "/")) for entry in listing.rejected}
        listing.rejected += _unlisted_audio(root, layout, used, named_so)
        return listing


CORPUS = Table()
