"""CSV that a spreadsheet or pandas opens, and that runs nothing there."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

# A cell that begins with one of these may be run as a formula by a spreadsheet (OWASP ASVS 5.0, 1.2.10), some of which
# also take the wide forms.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows of text as CSV with a header line; a cell that begins as a formula gets an apostrophe before it.

    :func:`unescaped` makes each cell what it was, also one that began with an apostrophe before.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    # Names of columns may be somebody's too.
    writer.writerows([_harmless(cell) for cell in row] for row in (columns, *rows))
    return file.getvalue()


def _harmless(cell: str) -> str:
    runs = cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if runs or unescaped(cell) != cell else cell


def unescaped(cell: str) -> str:
    """Return a cell without the apostrophe by which :func:`to_csv`, or a spreadsheet, says that it is no formula."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell
