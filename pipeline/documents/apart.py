"""Files read in a process of its own where a small one may unpack into a large one, or its reader may never end."""

from __future__ import annotations

from pathlib import Path, PurePath

from pipeline.contained import BOUNDS, Bounds, OutOfBoundsError, Worker, contained
from pipeline.documents import refusals
from pipeline.documents.reading import ReadText, read_file

# What is text is read once from its beginning to its end.
_TEXT = (".md", ".markdown", ".txt", ".csv", ".tsv")
_NO_TEXT = (b"%PDF-", b"PK", b"{\\rtf", b"<", b"\xd0\xcf")
_LOOKED_AT = 1024
_WORK = "pipeline.documents.apart:_read"


def read_apart(path: Path, name: str, bounds: Bounds = BOUNDS, worker: Worker | None = None) -> ReadText:
    """Return the text of a file as :func:`~pipeline.documents.reading.read_file` does, in the process of ``worker`` if given.

    Raises:
        DocumentError: as there; or the file takes too much time or memory to read.
    """
    if _is_text(path, name):
        return read_file(path, name)
    try:
        if worker is not None:
            return worker.do(_WORK, str(path), name)
        return contained(_WORK, str(path), name, bounds=bounds)
    except OutOfBoundsError as error:
        raise refusals.out_of_bounds(name, error.why) from error


def _is_text(path: Path, name: str) -> bool:
    with path.open("rb") as file:
        begin = file.read(_LOOKED_AT)
    return PurePath(name).suffix.lower() in _TEXT and not begin.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith(
        _NO_TEXT
    )


def _read(path: str, name: str) -> ReadText:
    return read_file(Path(path), name)
