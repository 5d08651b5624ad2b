"""Files of records that are packed, read in a process of its own: a small one may unpack into more than the memory holds."""

from __future__ import annotations

from pathlib import Path

from pipeline.contained import BOUNDS, Bounds, OutOfBoundsError, contained
from pipeline.errors import RecordError
from pipeline.record_files.reading import read_file
from pipeline.record_files.rows import Source

_PACKED = (b"PAR1", b"PK\x03\x04")


def read_apart(path: Path, name: str = "", bounds: Bounds = BOUNDS) -> Source:
    """Return the rows of a file as :func:`~pipeline.record_files.reading.read_file` does.

    Raises:
        RecordError: as there; or the file takes too much time or memory to read.
    """
    name = name or path.name
    with path.open("rb") as file:
        if not file.read(4).startswith(_PACKED):
            return read_file(path, name)
    try:
        return contained("pipeline.record_files.apart:_read", str(path), name, bounds=bounds)
    except OutOfBoundsError as error:
        raise RecordError(f"{name} {error.why}. Split it into several files.") from error


def _read(path: str, name: str) -> Source:
    return read_file(Path(path), name)
