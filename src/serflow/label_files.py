"""Reading the label files of a corpus: lines, and the rows of tables as people and spreadsheets save them."""

import codecs
import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from serflow.errors import CorpusError
from serflow.folders import why_no_file

_DELIMITERS = ",;\t|"
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NO_TEXT = {
    b"PK\x03\x04": "a workbook or an archive, not text; save it as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "a workbook of a spreadsheet, not text; save it as CSV",
    b"\x1f\x8b": "compressed, not text; unpack it",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself; run `git lfs pull` in the corpus folder",
}
_SEPARATOR = re.compile(r'"?sep=(?P<delimiter>.)"?[,;\t|]*', re.IGNORECASE)
_INVISIBLE = "\ufeff\u200b\u200e\u200f"
# the limit of csv is there for files that are not trusted to fit into memory; a label file is in memory as a whole
_LONGEST_CELL = 2**31 - 1
_END = "\ufdd0"


class Row(NamedTuple):
    """A row of a table: its first line, and its cells without surrounding blanks."""

    line: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Rows:
    """A label table. ``header`` has an empty name where a column has none.

    ``is_cut`` says whether the file ends without a line end, as whole tables and those that were cut do.
    """

    header: list[str]
    rows: list[Row]
    delimiter: str
    is_cut: bool

    def by_name(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield the line of each row and its cells by the name of their column; what a short row lacks is empty."""
        for line, cells in self.rows:
            yield line, dict.fromkeys(self.header, "") | dict(zip(self.header, cells, strict=False))


def read_bytes(path: Path) -> bytes:
    """Return the content of a label file, which is a file: a named pipe would let its reader wait for ever.

    Raises
    ------
    CorpusError
        If it cannot be read.
    """
    if why := why_no_file(path):
        raise CorpusError(f"{path}: {why}; put the label file there, or make it readable")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror or error}; make the file readable") from error
    except MemoryError as error:
        raise CorpusError(f"{path}: does not fit into memory; it is no label file") from error
    for start, what in _NO_TEXT.items():
        if content.startswith(start):
            raise CorpusError(f"{path}: {what}")
    return content


def _of_spreadsheet(content: bytes, path: Path) -> str | None:
    """Return the text of a file that starts with a byte order mark, None of another."""
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    if encoding is None or encoding == "utf-8-sig":
        return None
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not whole UTF-16 text ({error.reason}); save it as UTF-8") from error


def split_lines(text: str) -> list[str]:
    """Split at the line ends of files alone: U+0085, U+2028 and form feeds are parts of a transcript.

    A carriage return ends a line only in a file that has no line feeds.
    """
    lines = text.replace("\r\n", "\n").split("\n") if "\n" in text else text.split("\r")
    return lines[:-1] if lines[-1] == "" else lines


def _decode_line(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:
        return line.decode("iso-8859-1")


def read_lines(path: Path) -> list[str]:
    """Return the lines of a label file; those that are not UTF-8 are read as Windows-1252.

    Raises
    ------
    CorpusError
        If the file cannot be read.
    """
    content = read_bytes(path)
    text = _of_spreadsheet(content, path)
    if text is None:
        text = "\n".join(_decode_line(line) for line in content.removeprefix(codecs.BOM_UTF8).split(b"\n"))
    return split_lines(text)


def _strict_text(path: Path) -> str:
    content = read_bytes(path)
    text = _of_spreadsheet(content, path)
    if text is not None:
        return text
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path}:{line}: not UTF-8 text ({error.reason} at byte {error.start}); save the table as UTF-8"
        ) from error


def clean(cell: str) -> str:
    """Return a cell without surrounding blanks and characters that nobody sees."""
    return cell.strip().strip(_INVISIBLE).strip()


def _unquoted(cell: str) -> str:
    inner = cell[1:-1]
    whole = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if whole else cell


def _quoted_rows(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield first line, last line and cells of each row, as RFC 4180 quotes them.

    The last row ends with ``_END`` where its last quote is never closed.
    """
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader((f"{line}\n" for line in (*lines, _END)), delimiter=delimiter)
    first = 1
    for cells in reader:
        yield first, reader.line_num, cells
        first = reader.line_num + 1


def _fault_of_quotes(rows: Iterable[tuple[int, int, list[str]]], delimiter: str, width: int) -> str | None:
    """Return the line and the fault of the first quote that swallows what follows, None where there is none."""
    for first, last, cells in rows:
        if cells[-1:] != [_END] and "".join(cells[-1:]).rstrip("\n").endswith(_END):
            return f"{first}: a cell opens a double quote that is never closed; close it, or take it out"
        swallowed = [line for cell in cells for line in cell.split("\n")[1:]]
        if width > 1 and any(len(row) == width for row in csv.reader(swallowed, delimiter=delimiter)):
            return (
                f"{first}: a double quote is opened here and closed in line {last}, with whole rows in between; "
                "close it in its line, or take it out"
            )
    return None


def _rows_of_lines(lines: Sequence[str], delimiter: str) -> list[Row]:
    return [
        Row(number, [_unquoted(clean(cell)) for cell in line.split(delimiter)])
        for number, line in enumerate(lines, start=1)
    ]


def _split(path: Path, lines: Sequence[str], delimiter: str, width: int) -> list[Row]:
    """Split lines into rows.

    Tab-separated text need not quote: a quotation mark in it is one, unless taking it for a quote gives more rows of
    as many cells as the header has.
    """
    quoted = list(_quoted_rows(lines, delimiter))
    fault = _fault_of_quotes(quoted, delimiter, width)
    rows = [Row(first, [clean(cell) for cell in cells]) for first, _, cells in quoted if cells not in ([], [_END])]
    if delimiter == "\t":
        plain = [row for row in _rows_of_lines(lines, delimiter) if any(row.cells)]
        if fault or _odd_rows(plain, width) <= _odd_rows(rows, width):
            return plain
    if fault:
        raise CorpusError(f"{path}:{fault}")
    return rows


def _odd_rows(rows: Sequence[Row], width: int) -> int:
    return sum(len(row.cells) != width for row in rows)


def _delimiter(path: Path, first: str) -> str:
    """Tell the delimiter from the name, else from the header outside of its quotation marks."""
    bare = re.sub(r'"[^"]*"', "", first)
    if path.suffix.lower() in (".tsv", ".tab") and "\t" in bare:
        return "\t"
    return max(_DELIMITERS, key=bare.count)


def read_rows(path: Path, any_encoding: bool = False) -> Rows:
    """Read a table of labels with a header, delimited by commas, semicolons, tabs or bars.

    Empty rows are passed over, and so is the line ``sep=;`` with which spreadsheets begin. Where all rows have one cell
    more than the header, the first one is a name of the row, as R writes it.

    Parameters
    ----------
    path
        The table.
    any_encoding
        Whether lines that are not UTF-8 are read as Windows-1252; refused otherwise.

    Raises
    ------
    CorpusError
        If it cannot be read, has no rows below a header, names a column twice, or opens a quote that swallows rows.
    """
    text = "\n".join((*read_lines(path), "")) if any_encoding else _strict_text(path)
    lines = [line.replace("\r", " ") for line in split_lines(text)]
    start = next((i for i, line in enumerate(lines) if clean(line)), None)
    separator = None if start is None else _SEPARATOR.fullmatch(lines[start].strip(f" {_INVISIBLE}"))
    if start is not None and separator is not None:
        lines[start] = ""
        start = next((i for i, line in enumerate(lines) if clean(line)), None)
    if start is None:
        raise CorpusError(f"{path}: no rows below a header; the first line must name the columns")
    if "\0" in lines[start]:
        raise CorpusError(f"{path}:{start + 1}: holds NUL bytes; it is no UTF-8 text, save the table as UTF-8")
    delimiter = separator["delimiter"] if separator else _delimiter(path, lines[start])
    width = len(next(csv.reader([lines[start]], delimiter=delimiter)))
    rows = [row for row in _split(path, lines, delimiter, width) if any(row.cells)]
    if len(rows) < 2:
        raise CorpusError(f"{path}: no rows below a header; the first line must name the columns")
    header = [unicodedata.normalize("NFC", cell) for cell in rows[0].cells]
    if all(len(row.cells) == width + 1 for row in rows[1:]) and any(row.cells[-1] for row in rows[1:]):
        header.insert(0, "")
    named = [name for name in header if name]
    if len(set(named)) != len(named):
        raise CorpusError(f"{path}: a column name stands twice in the header: {', '.join(named)}; rename one")
    return Rows(header, rows[1:], delimiter, is_cut=not text.endswith(("\n", "\r")))
