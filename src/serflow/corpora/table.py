"""Any folder of audio with a CSV or TSV file of labels."""

import csv
import io
import math
import os
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serflow.corpora._audio_files import SUFFIXES, audio_files, reject_folders, require_folder
from serflow.corpora.base import (
    AUDIO_FILES,
    EMOTIONS,
    CorpusInfo,
    Listing,
    Rejected,
    Utterance,
    refuse_options,
    unknown_name,
)
from serflow.errors import CorpusError

_OPTIONS = ("table", "audio", "columns", "emotions", "language", "published")
_NUMBERS = ("start", "end", "valence", "activation", "dominance", "sentiment")
_WORDS = (
    "utterance", "speaker", "language", "session", "dialogue", "gender", "style", "sentence", "text", "intensity",
)  # fmt: skip
_FIELDS = (*_WORDS, *_NUMBERS, "turn", "emotion")
_LABELS = ("emotion", "valence", "activation", "dominance", "sentiment")
_SYNONYMS = {
    "angry": "anger", "bored": "boredom", "disgusted": "disgust", "excited": "excitement", "fearful": "fear",
    "frustrated": "frustration", "happy": "happiness", "joy": "happiness", "sad": "sadness", "surprised": "surprise",
}  # fmt: skip
_GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}


class _UnusableError(Exception):
    """A row that cannot be used; the message is the reason."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """The options of a table corpus, checked against the header of the table."""

    table: Path
    name: str
    audio: str
    columns: Mapping[str, str]
    emotions: Mapping[str, str]
    language: str
    published_total: int | None


def _read_rows(table: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and the numbered rows, cells without surrounding blanks."""
    try:
        content = table.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CorpusError(f"{table}: cannot be read: {error.strerror or error}; correct options.table") from error
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{table}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    first = content.partition("\n")[0]
    delimiter = "\t" if table.suffix.lower() in (".tsv", ".tab") else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    if len(rows) < 2:
        raise CorpusError(f"{table}: no rows below a header; the first line must name the columns")
    header = rows[0][1]
    if len(set(header)) != len(header):
        raise CorpusError(f"{table}: a column name stands twice in the header: {', '.join(header)}; rename one")
    return header, rows[1:]


def _mapping(options: Mapping[str, Any], option: str) -> Mapping[str, Any]:
    given = options.get(option) or {}
    if not isinstance(given, Mapping):
        raise CorpusError(f"options.{option}: {given!r} is no mapping; write `{option}: {{name: value}}`")
    return given


def _columns(options: Mapping[str, Any], header: list[str], table: Path) -> dict[str, str]:
    columns = _mapping(options, "columns") or {name: name for name in _FIELDS if name in header}
    for name, column in columns.items():
        if name not in _FIELDS:
            hint = ". The name of an utterance is `utterance`" if name == "id" else ""
            raise CorpusError(f"options.columns: {unknown_name(name, _FIELDS, 'field of an utterance')}{hint}")
        if column not in header:
            raise CorpusError(f"options.columns.{name}: {unknown_name(str(column), header, f'column of {table}')}")
    if "speaker" not in columns:
        raise CorpusError(
            f"{table}: options.columns does not say which column holds the speaker; "
            f"add `speaker: NAME`, one of {', '.join(header)}"
        )
    if not set(_LABELS) & set(columns):
        raise CorpusError(f"{table}: options.columns names no label; add one of {', '.join(_LABELS)}")
    return dict(columns)


def _emotions(options: Mapping[str, Any]) -> dict[str, str]:
    known = {**{word: word for word in EMOTIONS}, **_SYNONYMS}
    for word, emotion in _mapping(options, "emotions").items():
        if emotion not in EMOTIONS:
            raise CorpusError(f"options.emotions.{word}: {unknown_name(str(emotion), EMOTIONS, 'emotion')}")
        known[str(word).strip().lower()] = emotion
    return known


def _audio(options: Mapping[str, Any], header: list[str], table: Path) -> str:
    audio = options.get("audio")
    if not isinstance(audio, str):
        raise CorpusError("options.audio: missing; say where a row's audio is, e.g. `audio: samples/{file_id}`")
    try:
        fields = [part[1:] for part in string.Formatter().parse(audio) if part[1] is not None]
    except ValueError as error:
        raise CorpusError(
            f"options.audio: {audio!r} cannot be read: {error}; write e.g. samples/{{file_id}}"
        ) from error
    for name, form, conversion in fields:
        if name not in header:
            raise CorpusError(f"options.audio: {unknown_name(str(name), header, f'column of {table}')}")
        if form or conversion:
            raise CorpusError(f"options.audio: write {{{name}}} in {audio!r}; cells are text and cannot be formatted")
    if not fields:
        raise CorpusError(f"options.audio: {audio!r} names no column in braces, so all rows would share one file")
    return audio


def _published_total(options: Mapping[str, Any]) -> int | None:
    published = options.get("published")
    if published is None:
        return None
    if not isinstance(published, Mapping) or set(published) != {"total"} or not isinstance(published["total"], int):
        raise CorpusError("options.published: write `published: {total: N}`, the number of utterances to expect")
    return int(published["total"])


def _layout(root: Path, options: Mapping[str, Any]) -> tuple[_Layout, list[str], list[tuple[int, list[str]]]]:
    refuse_options(options, _OPTIONS)
    if not isinstance(options.get("table"), str):
        raise CorpusError("options.table: missing; name the CSV or TSV file, relative to root")
    table = root / options["table"]
    header, rows = _read_rows(table)
    layout = _Layout(
        table=table,
        name=options["table"],
        audio=_audio(options, header, table),
        columns=_columns(options, header, table),
        emotions=_emotions(options),
        language=options.get("language", "und"),
        published_total=_published_total(options),
    )
    return layout, header, rows


def _find_audio(root: Path, named: str) -> Path | None:
    """Return the audio of a row, relative to the root; FLAC is taken for a WAV that is not there, and the reverse."""
    path = Path(os.path.normpath(named))
    if path.is_absolute() or path.parts[:1] == ("..",):
        raise _UnusableError("the audio lies outside root; name it relative to root")
    if not path.name:
        return None
    others = (path.with_suffix(suffix) for suffix in SUFFIXES) if path.suffix.lower() in ("", *SUFFIXES) else ()
    return next((candidate for candidate in (path, *others) if (root / candidate).is_file()), None)


def _number(field: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _UnusableError(f"{field} is {text!r}, not a number")
    return value


def _emotion(word: str | None, layout: _Layout) -> str | None:
    if word is None:
        return None
    emotion = layout.emotions.get(word.lower())
    if emotion is None:
        raise _UnusableError(
            f"emotion {word!r} is none of ours; map it in options, e.g. `emotions: {{{word}: happiness}}` "
            f"(ours: {', '.join(EMOTIONS)})"
        )
    return emotion


def _gender(word: str | None) -> str | None:
    if word is None:
        return None
    if word.lower() not in _GENDERS:
        raise _UnusableError(f"gender {word!r} is none of {', '.join(_GENDERS)}; take gender out of options.columns")
    return _GENDERS[word.lower()]


def _cut(start: float | None, end: float | None) -> None:
    if (start is None) != (end is None):
        raise _UnusableError("only one of start and end is given")
    if start is not None and end is not None and (start < 0 or end <= start):
        raise _UnusableError(f"start {start:g} s and end {end:g} s enclose no audio")


def _name(given: str | None, path: Path) -> str:
    name = given or path.stem
    if re.fullmatch(r"[^./\\\0][^/\\\0]*", name) is None:
        raise _UnusableError(f"utterance {name!r} cannot be a file name; names have no slash and no dot in front")
    return name


def _utterance(cells: Mapping[str, str], path: Path, layout: _Layout) -> Utterance:
    values = {field: cells[column] or None for field, column in layout.columns.items()}
    numbers = {field: _number(field, values.get(field)) for field in _NUMBERS}
    turn = _number("turn", values.get("turn"))
    emotion = _emotion(values.get("emotion"), layout)
    _cut(numbers["start"], numbers["end"])
    if not values["speaker"]:
        raise _UnusableError("no speaker")
    if emotion is None and all(numbers.get(label) is None for label in _LABELS):
        raise _UnusableError("no label")
    return Utterance(
        id=_name(values.get("utterance"), path),
        path=path.as_posix(),
        speaker=values["speaker"],
        language=values.get("language") or layout.language,
        start=numbers["start"],
        end=numbers["end"],
        session=values.get("session"),
        dialogue=values.get("dialogue"),
        turn=None if turn is None else int(turn),
        gender=_gender(values.get("gender")),
        style=values.get("style"),
        sentence=values.get("sentence"),
        text=values.get("text"),
        emotion=emotion,
        intensity=values.get("intensity"),
        valence=numbers["valence"],
        activation=numbers["activation"],
        dominance=numbers["dominance"],
        sentiment=numbers["sentiment"],
    )


def _unlisted_audio(root: Path, layout: _Layout, used: set[Path]) -> list[Rejected]:
    folder = Path(os.path.normpath(layout.audio.partition("{")[0].rpartition("/")[0]))
    used_names = {path.with_suffix("") for path in used}
    rejected: list[Rejected] = []
    for path in audio_files(root / folder, reject_folders(rejected, folder)):
        if (folder / path).with_suffix("") not in used_names:
            reason = f"audio without a row in {layout.name}"
            rejected.append(Rejected("", (folder / path).as_posix(), reason, lost=False))
    return rejected


class Table:
    """A table with a row for each utterance, and options that say what its columns are.

    ``table`` names the CSV or TSV file (the delimiter is told by the name, else by the header); ``audio``
    says where a row's audio is, with columns in braces; ``columns`` maps our columns to the table's (those of the
    same name where it is not given; where there is no ``utterance``, the file names it); ``emotions`` maps the
    table's words to ours; ``language`` is an ISO 639-1 code; ``published: {total: N}`` is the number of utterances
    to expect. Example::

        table: data.tsv
        audio: samples/{file_id}
        columns: {emotion: emotion, speaker: speaker_id, text: raw_text, gender: gender}
        language: pl
    """

    info = CorpusInfo(
        title="table",
        n_utterances=None,
        language="und",
        licence="that of the corpus",
        address="its publisher",
        reads=AUDIO_FILES,
    )

    def list(self, root: Path, options: Mapping[str, Any]) -> Listing:
        """List the rows of the table that have audio under ``root``.

        Raises
        ------
        CorpusError
            If the table cannot be read, an option is wrong, or no row has audio.
        """
        require_folder(root, self.info.title)
        layout, header, rows = _layout(root, options)
        listing = Listing(published_total=layout.published_total)
        used: set[Path] = set()
        for number, cells in rows:
            where = f"{layout.name}:{number}"
            if len(cells) != len(header):
                reason = f"{where}: {len(cells)} cells where the header has {len(header)}"
                listing.rejected.append(Rejected("", layout.name, reason))
                continue
            row = dict(zip(header, cells, strict=True))
            named = layout.audio.format_map(row)
            name_column = layout.columns.get("utterance")
            name = (row[name_column] if name_column else "") or Path(named).stem
            try:
                path = _find_audio(root, named)
                if path is None:
                    raise _UnusableError("in the table, but there is no such audio file")
                used.add(path)
                listing.utterances.append(_utterance(row, path, layout))
            except _UnusableError as unusable:
                listing.rejected.append(Rejected(name, named, f"{where}: {unusable}"))
        if not used:
            first = listing.rejected[0]
            raise CorpusError(
                f"{layout.table}: no row has audio under {root}; the first: {first.path}: {first.reason}. "
                "Correct root, or options.audio, which says where a row's audio is"
            )
        listing.rejected += _unlisted_audio(root, layout, used)
        listing.reject_duplicates()
        return listing


CORPUS = Table()
