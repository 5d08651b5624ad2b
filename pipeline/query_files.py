"""Lists of queries from what people have: typed lines, CSV, TSV, JSONL and JSON, in any encoding.

Whatever cannot be taken in is refused with its line, and no query is shortened or left out in silence: a list that
comes in is the list that was meant.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from pipeline.documents.encodings import decode
from pipeline.errors import QueryFileError
from pipeline.records import Split
from pipeline.spreadsheets import unescaped

MAX_QUERIES = 5_000
MAX_QUERY_CHARACTERS = 8_000
MAX_LINE_CHARACTERS = 100_000
QUERY_COLUMNS = ("query", "question", "prompt", "user-message", "user_message", "input", "text")
SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".json")
_SPLIT_COLUMN = "split"
# Whatever is held back from training is on the test side, so that nothing of it is ever trained on.
_SPLITS = {
    **dict.fromkeys(("train", "training"), Split.TRAIN),
    **dict.fromkeys(("test", "testing", "validation", "valid", "val", "dev", "eval"), Split.TEST),
}


@dataclass(frozen=True, slots=True)
class ImportedQuery:
    """A query as it came in. ``split`` is None where the file does not say; ``metadata`` holds its other columns."""

    text: str
    split: Split | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportedQueries(Sequence[ImportedQuery]):
    """The queries of one list in their order, and how many lines were left out as blank or as exact repetitions."""

    queries: tuple[ImportedQuery, ...]
    duplicates: int = 0
    blank: int = 0

    @overload
    def __getitem__(self, index: int) -> ImportedQuery: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ImportedQuery, ...]: ...
    def __getitem__(self, index: int | slice) -> ImportedQuery | tuple[ImportedQuery, ...]:
        return self.queries[index]

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a file: where it is, as a person finds it, the query's text, and the other columns."""

    place: str
    text: str
    others: Mapping[str, object] = field(default_factory=dict)


def read_queries(source: Path | str, name: str = "") -> ImportedQueries:
    """Return the queries of a file, or of typed text with one query a line.

    Args:
        source: a path is a file, whose format is told by the ending of ``name``; text is what somebody typed.
        name: the file's name as the person knows it; taken from the path when empty.

    Raises:
        QueryFileError: the list cannot be taken in; the message names the line and says what to change.
    """
    label = name or (source.name if isinstance(source, Path) else "The text")
    try:
        found = _collect(_typed_rows(source) if isinstance(source, str) else _file_rows(source, label))
    except _PlaceError as error:
        raise QueryFileError(f"{label}, {error}") from error
    if not found:
        raise QueryFileError(f"{label} holds no query: every line of it is blank.")
    return found


class _PlaceError(Exception):
    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")


def _line(number: int) -> str:
    return f"line {number:,}"


def _collect(rows: Iterator[_Row]) -> ImportedQueries:
    found: dict[str, ImportedQuery] = {}
    duplicates = blank = 0
    for row in rows:
        text = _clean(row.text).strip()
        if len(text) > MAX_QUERY_CHARACTERS:
            raise _PlaceError(
                row.place, f"the query has {len(text):,} characters; {MAX_QUERY_CHARACTERS:,} are the limit."
            )
        if not text:
            blank += 1
        elif text in found:
            duplicates += 1
        elif len(found) == MAX_QUERIES:
            raise _PlaceError(
                row.place, f"the list has more than {MAX_QUERIES:,} queries. Split it into several files."
            )
        else:
            found[text] = ImportedQuery(text, _split(row), _metadata(row.others))
    return ImportedQueries(tuple(found.values()), duplicates, blank)


def _split(row: _Row) -> Split | None:
    values = [value for name, value in row.others.items() if name.strip().casefold() == _SPLIT_COLUMN]
    value = str(values[0]).strip() if values and values[0] is not None else ""
    if not value:
        return None
    if value.casefold() not in _SPLITS:
        raise _PlaceError(row.place, f"the split is {value[:40]!r}; it can be train or test.")
    return _SPLITS[value.casefold()]


def _metadata(others: Mapping[str, object]) -> dict[str, str]:
    """Return the columns that hold something as text: lists of plain values one a line, anything deeper as JSON."""
    texts = {_clean(name).strip(): _clean(_as_text(value)) for name, value in others.items()}
    return {name: text for name, text in texts.items() if name and text and name.casefold() != _SPLIT_COLUMN}


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return "\n".join(filter(None, map(_as_text, value)))
    return json.dumps(value, ensure_ascii=False)


def _clean(text: str) -> str:
    """Take out what no database holds: NUL, and halves of characters that JSON can spell but text cannot hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _typed_rows(text: str) -> Iterator[_Row]:
    return (_Row(_line(number), line) for number, line in _lines(text))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines. Only line feeds and carriage returns end one, as in an editor."""
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise _PlaceError(_line(number), f"it has {len(line):,} characters; {MAX_LINE_CHARACTERS:,} are the limit.")
        yield number, line


def _file_rows(path: Path, label: str) -> Iterator[_Row]:
    suffix = Path(label).suffix.lower()
    if suffix not in SUFFIXES:
        raise QueryFileError(f"{label} is not a list of queries: use one of {', '.join(SUFFIXES)}.")
    data = path.read_bytes()
    text = decode(data)
    if text is None or data.startswith(b"%PDF-"):
        raise QueryFileError(f"{label} is not a text file: save the queries as {', '.join(SUFFIXES)}.")
    if not text.strip():
        raise QueryFileError(f"{label} is empty.")
    if suffix in (".csv", ".tsv"):
        return _table_rows(text, suffix, label)
    if suffix == ".json" and text.lstrip().startswith("["):
        return _array_rows(text, label)
    return _typed_rows(text) if suffix == ".txt" else _json_rows(text, label)


def _query_column(names: Sequence[str]) -> str | None:
    known = {name.strip().casefold(): name for name in reversed(names)}
    return next((known[name] for name in QUERY_COLUMNS if name in known), None)


def _no_column(label: str, names: Sequence[str]) -> QueryFileError:
    shown = ", ".join(name.strip()[:40] or "(no name)" for name in names[:20]) or "(none)"
    return QueryFileError(
        f"{label} has no column of queries. It has: {shown}. Name the column {', '.join(QUERY_COLUMNS[:-1])} "
        f"or {QUERY_COLUMNS[-1]}."
    )


def _table_rows(text: str, suffix: str, label: str) -> Iterator[_Row]:
    """Yield the rows of a table whose first row names the columns. CSV may be parted by comma, semicolon or tab."""
    delimiters = "\t" if suffix == ".tsv" else ",;\t"
    headers = {delimiter: _header(text, delimiter) for delimiter in delimiters}
    delimiter = next((each for each in delimiters if _query_column(headers[each]) is not None), None)
    if delimiter is None:
        raise _no_column(label, max(headers.values(), key=len))
    header = headers[delimiter]
    filled = [name.strip().casefold() for name in header if name.strip()]
    if len(set(filled)) < len(filled):
        raise QueryFileError(f"{label} has two columns of the same name: rename one of them.")
    return _named_rows(text, delimiter, header)


def _header(text: str, delimiter: str) -> list[str]:
    rows = csv.reader((line for _, line in _lines(text)), delimiter=delimiter)
    return next(([unescaped(cell) for cell in cells] for cells in rows if any(cells)), [])


def _named_rows(text: str, delimiter: str, header: list[str]) -> Iterator[_Row]:
    column = _query_column(header)
    rows = _cells(text, delimiter)
    next(row for row in rows if any(row[1]))
    for place, cells in rows:
        if any(cell.strip() for cell in cells[len(header) :]):
            over = f"it has more cells ({len(cells)}) than there are columns ({len(header)})"
            raise _PlaceError(place, f"{over}: put a text with a {delimiter!r} in it into quotation marks.")
        named = dict(zip(header, cells, strict=False))
        query = named.pop(column, "")
        yield _Row(place, query, named)


def _cells(text: str, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    reader = csv.reader((line for _, line in _lines(text)), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield _line(line), [unescaped(cell) for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise _PlaceError(_line(line), f"a quotation mark is out of place from here on ({error}).") from error


def _array_rows(text: str, label: str) -> Iterator[_Row]:
    values = enumerate(_parsed(text, 1), start=1)
    return _object_rows(((f"entry {number:,}", value) for number, value in values), label)


def _json_rows(text: str, label: str) -> Iterator[_Row]:
    lines = ((number, line) for number, line in _lines(text) if line.strip())
    return _object_rows(((_line(number), _parsed(line.rstrip(), number)) for number, line in lines), label)


def _parsed(text: str, line: int) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = _line(line + error.lineno - 1)
        raise _PlaceError(place, f"it is not JSON ({error.msg}, column {error.colno}).") from error
    except (ValueError, RecursionError) as error:
        raise _PlaceError(_line(line), "it is not JSON that can be read.") from error


def _object_rows(values: Iterator[tuple[str, object]], label: str) -> Iterator[_Row]:
    """Yield a row per JSON value: a text is a query, an object has one. The first object decides on the column."""
    column = None
    for place, value in values:
        if isinstance(value, str):
            yield _Row(place, value)
            continue
        if not isinstance(value, dict):
            raise _PlaceError(place, "it is neither a text nor an object in curly braces.")
        column = column or _query_column(list(value))
        if column is None:
            raise _no_column(label, list(value))
        query = value.pop(column, False)
        if not isinstance(query, str | None):
            raise _PlaceError(place, f"its {column!r} is missing or is not a text.")
        yield _Row(place, query or "", value)
