"""Rows of cells as lines that still make sense when a chunk holds only some of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pipeline.documents.building import one_line

_HEADER_WITHIN = 10  # rows: titles and notes may stand above the header
_MAX_HEADER_CELL = 60  # characters
_NUMBER = re.compile(r"[-+(]?[\d.,:/ '%€$£-]*\d[\d.,:/ '%€$£)-]*")


def row_lines(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a line for every row that is not empty.

    Below a header the line is ``column: value; column: value``, so that a row cut off from its header can still be
    understood. Rows above it, the header itself and tables without one are their cells with tabs between.
    """
    table = [cells for cells in (_trimmed(row) for row in rows) if any(cells)]
    margin = min((next(column for column, cell in enumerate(cells) if cell) for cells in table), default=0)
    table = [cells[margin:] for cells in table]
    at = _header_position(table)
    if at is None:
        return ["\t".join(cells) for cells in table]
    lines = ["\t".join(cell for cell in cells if cell) for cells in table[: at + 1]]
    return lines + [_labelled(table[at], cells) for cells in table[at + 1 :]]


def _trimmed(row: Sequence[str]) -> list[str]:
    cells = [one_line(cell) for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _header_position(table: list[list[str]]) -> int | None:
    """The first row that names every column of the row below it in distinct short words that are no numbers.

    The first column may go without a name: that is how tables with names of rows are written.
    """
    for position, cells in enumerate(table[: min(_HEADER_WITHIN, len(table) - 1)]):
        if len(cells) < 2 or len(set(cells)) < len(cells) or len(table[position + 1]) > len(cells):
            continue
        if all(_is_name(cell) for cell in cells[0 if cells[0] else 1 :]):
            return position
    return None


def _is_name(cell: str) -> bool:
    return bool(cell) and len(cell) <= _MAX_HEADER_CELL and not _NUMBER.fullmatch(cell)


def _labelled(header: list[str], cells: list[str]) -> str:
    names = header + [""] * (len(cells) - len(header))
    pairs = ((name, cell) for name, cell in zip(names, cells, strict=False) if cell)
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs)
