"""Plain text and CSV."""

from __future__ import annotations

import csv
from collections import Counter

from pipeline.documents import refusals
from pipeline.documents.building import ReadText, clean
from pipeline.documents.encodings import decode
from pipeline.documents.tables import row_lines

_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 50
# Quotes that never close make fields longer than this: whatever it is, it is no table, and text it still is.
_MAX_CELL = 128 * 1024


def text_of(data: bytes, name: str, declared: str = "") -> str:
    """Return ``data`` as clean text.

    Raises:
        DocumentError: it is not text in any encoding.
    """
    text = decode(data, declared)
    if text is None:
        raise refusals.unsupported(name)
    return clean(text)


def read_plain(data: bytes, name: str) -> ReadText:
    """Read text as it is: no sections."""
    return ReadText(text_of(data, name), (), "text/plain")


def read_csv(data: bytes, name: str) -> ReadText:
    """Read a table, one line a row, each value after the name of its column (see :func:`row_lines`)."""
    text = text_of(data, name)
    try:
        rows = list(csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(text)))
    except csv.Error:
        return ReadText(text, (), "text/csv")
    # Not left to the limit of the csv module: it is one for the whole process, and files of records may need a larger one.
    if any(len(cell) > _MAX_CELL for cells in rows for cell in cells):
        return ReadText(text, (), "text/csv")
    return ReadText("\n".join(row_lines(rows)), (), "text/csv")


def _delimiter(text: str) -> str:
    """The delimiter that cuts most lines of the beginning into the same number of fields, more than one."""
    lines = text.splitlines()[:_SAMPLE_LINES]

    def regularity(delimiter: str) -> tuple[int, int]:
        widths = Counter(line.count(delimiter) for line in lines if delimiter in line)
        return max(((count, width) for width, count in widths.items()), default=(0, 0))

    return max(_DELIMITERS, key=regularity)
