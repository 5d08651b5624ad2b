"""Rows out of CSV, JSON, JSONL and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from pipeline.cleaning import clean
from pipeline.documents.encodings import decode
from pipeline.errors import RecordError
from pipeline.record_files.rows import Row, plain
from pipeline.spreadsheets import unescaped

MAX_ROWS = 100_000
MAX_COLUMNS = 200
MAX_CELL = 5_000_000
_DELIMITERS = ",;\t|"
_LOOKED_AT = 20


def text_of(data: bytes, name: str) -> str:
    """Return the text of a file in any encoding.

    Raises:
        RecordError: it is empty, or no text; the message says what it is where that can be told.
    """
    if not data.strip(b"\0 \r\n\t\xef\xbb\xbf"):
        raise RecordError(f"{name} is empty.")
    if data.startswith(b"%PDF-"):
        raise RecordError(f"{name} is a PDF file: records come as CSV, JSON, JSONL or Parquet.")
    if data.startswith(b"PK\x03\x04"):
        raise RecordError(f"{name} is an Excel workbook or another packed file, whatever its name: save it as CSV.")
    text = decode(data)
    if text is None:
        raise RecordError(f"{name} is not a text file: records come as CSV, JSON, JSONL or Parquet.")
    return text


def table_rows(text: str, name: str) -> tuple[Row, ...]:
    """Return the rows of a CSV text whose first row names the columns; parted by comma, semicolon, tab or bar.

    Rows are numbered as in a spreadsheet: the names of the columns are row 1.
    """
    delimiter = _delimiter(text)
    rows = _csv_rows(text, delimiter)
    number, header, _ = next(((n, c, p) for n, c, p in rows if any(cell.strip() for cell in c)), (0, [], ""))
    names = _column_names(header, name)
    found: list[Row] = []
    for number, cells, problem in rows:
        if not problem and not any(cell.strip() for cell in cells):
            continue
        _check_count(found, name)
        over = [cell for cell in cells[len(names) :] if cell.strip()]
        if over and not problem:
            over = f"it has more cells ({len(cells)}) than there are columns ({len(names)})"
            problem = f"{over}; put a text with “{delimiter}” into quotes"
        values = {column: clean(unescaped(cell)) for column, cell in zip(names, cells, strict=False)}
        found.append(Row(f"row {number:,}", values, problem))
    return tuple(found)


def _delimiter(text: str) -> str:
    """Return the delimiter that parts the names of the columns, and most of the first rows as them."""

    def fit(delimiter: str) -> tuple[bool, int, int]:
        counts: list[int] = []
        for _, cells, problem in _csv_rows(text[:2_000_000], delimiter):
            if problem or len(counts) == _LOOKED_AT:
                break
            counts += [len(cells)] if any(cells) else []
        columns = counts[0] if counts else 0
        return columns > 1, sum(count == columns for count in counts), columns

    return max(_DELIMITERS, key=fit)


def _csv_rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str], str]]:
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        try:
            yield number, next(reader), ""
        except StopIteration:
            return
        except csv.Error as error:
            # Past a quotation mark that is out of place nothing can be told apart any more.
            yield number, [], f"a quotation mark is out of place from here on ({error})"
            return


def _column_names(header: list[str], name: str) -> list[str]:
    names = [clean(unescaped(cell)).strip() for cell in header]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise RecordError(f"{name} has no row that names the columns.")
    if len(names) > MAX_COLUMNS:
        raise RecordError(f"{name} has {len(names)} columns; {MAX_COLUMNS} are the limit.")
    names = [cell or f"column {place}" for place, cell in enumerate(names, 1)]
    twice = sorted({cell for cell in names if names.count(cell) > 1})
    if twice:
        raise RecordError(f"{name} has two columns named {twice[0]!r}: rename one of them.")
    return names


def json_values(text: str, name: str) -> list[tuple[str, object]]:
    """Return the values of a JSON list or of JSONL with their places; of one object, a list of one."""
    start = text.lstrip()[:1]
    if start == "[":
        values = parsed(text, name)
        return [(f"entry {number:,}", value) for number, value in enumerate(values, 1)]
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) == 1:
        return [("line 1", parsed(text, name))]
    try:
        json.loads(lines[0][1])
    except ValueError:
        return [("entry 1", parsed(text, name))]
    return [(f"line {number:,}", _line(line)) for number, line in lines]


def parsed(text: str, name: str) -> object:
    """Return the value of a JSON text, with NaN as None.

    Raises:
        RecordError: it is not JSON.
    """
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        raise RecordError(f"{name} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{name} is not JSON that can be read.") from error


class NotJson(str):
    """Why a line could not be read."""


def _line(line: str) -> object:
    try:
        return json.loads(line, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        return NotJson(f"it is not JSON ({error.msg}, column {error.colno})")
    except (ValueError, RecursionError):
        return NotJson("it is not JSON that can be read")


def object_rows(values: list[tuple[str, object]], name: str) -> tuple[Row, ...]:
    """Return a row for each JSON object."""
    found: list[Row] = []
    for place, value in values:
        _check_count(found, name)
        if isinstance(value, dict):
            found.append(Row(place, {clean(key).strip() or "column": plain(cell) for key, cell in value.items()}))
        else:
            found.append(Row(place, {}, str(value) if isinstance(value, NotJson) else "it is not an object"))
    return tuple(found)


def parquet_rows(data: bytes, name: str) -> tuple[Row, ...]:
    """Return the rows of a Parquet file.

    Raises:
        RecordError: it cannot be read, or has too many rows.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(io.BytesIO(data))
        if file.metadata.num_rows > MAX_ROWS:
            raise RecordError(_too_many(name))
        rows = file.read().to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise RecordError(f"{name} is a damaged Parquet file, or one of a kind that is not known here.") from error
    return object_rows([(f"row {number:,}", row) for number, row in enumerate(rows, 1)], name)


def _check_count(found: list[Row], name: str) -> None:
    if len(found) == MAX_ROWS:
        raise RecordError(_too_many(name))


def _too_many(name: str) -> str:
    return f"{name} has more than {MAX_ROWS:,} rows. Split it into several files."


def suffix_of(name: str) -> str:
    """Return the ending of a file's name in small letters."""
    return Path(name).suffix.lower()
