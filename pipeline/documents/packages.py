"""Office files are zip packages: which type one is, and whether it is safe to unpack."""

from __future__ import annotations

import io
import zlib
from zipfile import BadZipFile, ZipFile

from pipeline.documents import refusals

MAX_UNPACKED = 300_000_000  # bytes; lxml needs several times as much for the tree of one part
_MAX_RATIO = 200  # XML of a large sheet packs 10 to 40 times, runs of one byte about 1,000 times
_RATIO_MATTERS = 20_000_000  # bytes; a small file may pack as well as it likes
_MAIN_PARTS = {
    b"wordprocessingml.document.main+xml": ".docx",
    b"presentationml.presentation.main+xml": ".pptx",
    b"spreadsheetml.sheet.main+xml": ".xlsx",
    b"spreadsheetml.template.main+xml": ".xlsx",
    b"ms-excel.sheet.macroEnabled.main+xml": ".xlsx",
    b"ms-powerpoint.presentation.macroEnabled.main+xml": ".pptx",
}
_OTHER_TYPES = {
    b"ms-word.document.macroEnabled": ("a Word file with macros", ".docx"),
    b"wordprocessingml.template": ("a Word template", ".docx"),
    b"presentationml.slideshow": ("a PowerPoint show", ".pptx"),
    b"presentationml.template": ("a PowerPoint template", ".pptx"),
    b"ms-excel.sheet.binary": ("a binary Excel file", ".xlsx"),
    b"opendocument.text": ("an OpenDocument text", ".docx"),
    b"opendocument.spreadsheet": ("an OpenDocument spreadsheet", ".xlsx"),
    b"opendocument.presentation": ("an OpenDocument presentation", ".pptx"),
}
# What zipfile raises on content that is broken: RuntimeError is its word for an encrypted entry, NotImplementedError for
# a packing method or a zip version that it does not know.
BROKEN = (BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


def package_type(data: bytes, name: str, expected: str) -> str:
    """Return ``.docx``, ``.pptx`` or ``.xlsx``: what the zip file ``data`` declares itself to be.

    Every entry has been unpacked once when this returns, so its size and checksum are true. ``expected`` is the ending
    that the file came with, for the sentence, or empty.

    Raises:
        DocumentError: broken, too large once unpacked, or a zip file of another type.
    """
    try:
        with ZipFile(io.BytesIO(data)) as package:
            _check_size(package, len(data), name)
            broken = package.testzip()
            declared = _declaration(package)
    except BROKEN as error:
        raise refusals.damaged(name, f"{expected[1:].upper()}" if expected else "an office file") from error
    if broken is not None:
        raise refusals.damaged(name, f"{expected[1:].upper()}" if expected else "an office file")
    return _type_of(declared, name)


def _check_size(package: ZipFile, packed: int, name: str) -> None:
    # The sizes are those of the table of contents. zipfile reads no more of an entry than its size there says.
    unpacked = sum(entry.file_size for entry in package.infolist())
    if unpacked > MAX_UNPACKED:
        raise refusals.too_large(name, f"{unpacked // 1_000_000:,} MB, the limit is {MAX_UNPACKED // 1_000_000} MB")
    if unpacked > _RATIO_MATTERS and unpacked > _MAX_RATIO * packed:
        raise refusals.too_large(name, f"{unpacked // packed:,} times its size, the limit is {_MAX_RATIO} times")


def _declaration(package: ZipFile) -> bytes:
    """The part that says what the package is: one file in Office Open XML, another in OpenDocument."""
    for part in ("[Content_Types].xml", "mimetype"):
        if part in package.namelist():
            return package.read(part)
    return b""


def _type_of(declared: bytes, name: str) -> str:
    for marker, found in _MAIN_PARTS.items():
        if marker in declared:
            return found
    for marker, (what, ending) in _OTHER_TYPES.items():
        if marker in declared:
            raise refusals.outdated(name, what, ending)
    raise refusals.unsupported(name, "a zip archive, which cannot be read as a document")
