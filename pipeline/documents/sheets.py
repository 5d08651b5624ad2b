"""XLSX: one section a sheet, one line a row."""

from __future__ import annotations

import datetime
import io
import warnings
import zlib
from typing import Any
from zipfile import BadZipFile

from pipeline.documents import refusals
from pipeline.documents.building import ReadText, TextBuilder
from pipeline.documents.kinds import Kind
from pipeline.documents.tables import row_lines

MAX_CELLS = 2_000_000  # empty ones count: one value in the last column of each row would take hours
# How openpyxl reports missing parts (OSError is "no workbook in it"), elements and attributes. SyntaxError is the base of
# ParseError of the standard library's XML parser, which it reads sheets with.
_BROKEN = (BadZipFile, zlib.error, OSError, SyntaxError, KeyError, ValueError, AttributeError, TypeError, IndexError)


def read_xlsx(data: bytes, name: str) -> ReadText:
    """Read a workbook: values as they were last calculated, each after the name of its column (:func:`row_lines`).

    Hidden sheets are left out: what the reader of the file does not see is not answered from.

    Raises:
        DocumentError: the file is damaged, or has more cells than can be read.
    """
    import openpyxl  # 0.2 s, only when an XLSX comes
    from lxml.etree import LxmlError
    from openpyxl.utils.exceptions import InvalidFileException

    builder = TextBuilder()
    try:
        with warnings.catch_warnings():
            # It warns of formatting that it does not know, which no text depends on.
            warnings.simplefilter("ignore", UserWarning)
            workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            for sheet in workbook.worksheets:
                if sheet.sheet_state == "visible":
                    _add_sheet(builder, sheet, name)
    except (LxmlError, InvalidFileException, *_BROKEN) as error:
        raise refusals.damaged(name, "XLSX") from error
    return builder.finish(Kind.XLSX)


def _add_sheet(builder: TextBuilder, sheet: Any, name: str) -> None:
    sheet.reset_dimensions()  # a sheet may claim a million empty rows
    rows: list[list[str]] = []
    cells = 0
    for row in sheet.iter_rows():
        cells += len(row) + 1
        if cells > MAX_CELLS:
            raise refusals.too_large(name, f"a sheet with over {MAX_CELLS:,} cells")
        rows.append([_cell_text(cell) for cell in row])
    builder.section(sheet.title)
    builder.add("\n".join(row_lines(rows)))


def _cell_text(cell: Any) -> str:
    """The value about as the sheet shows it: dates without midnight, whole numbers without a point, per cent."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime):
        return str(value.date() if value.time() == datetime.time() else value)
    if isinstance(value, int | float) and "%" in (cell.number_format or ""):
        return f"{value * 100:.10g}%"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
