"""Which kind of file this is. The content decides; the ending only tells kinds of text from each other."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePath

from pipeline.documents import refusals
from pipeline.documents.encodings import decode
from pipeline.documents.packages import package_type

_OFFICE = "application/vnd.openxmlformats-officedocument"


class Kind(StrEnum):
    """A kind of file that can be read; the value is its media type."""

    PDF = "application/pdf"
    DOCX = f"{_OFFICE}.wordprocessingml.document"
    PPTX = f"{_OFFICE}.presentationml.presentation"
    XLSX = f"{_OFFICE}.spreadsheetml.sheet"
    HTML = "text/html"
    MARKDOWN = "text/markdown"
    TEXT = "text/plain"
    CSV = "text/csv"


_KINDS = {
    ".pdf": Kind.PDF,
    ".docx": Kind.DOCX,
    ".pptx": Kind.PPTX,
    ".xlsx": Kind.XLSX,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".xhtml": Kind.HTML,
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".txt": Kind.TEXT,
    ".csv": Kind.CSV,
    ".tsv": Kind.CSV,
}
ENDINGS = tuple(_KINDS)

_TEXT_KINDS = (Kind.HTML, Kind.MARKDOWN, Kind.TEXT, Kind.CSV)
_OLD_OFFICE = {".doc": ".docx", ".xls": ".xlsx", ".ppt": ".pptx"}
_BOMS = b"\xef\xbb\xbf\xff\xfe"
_HTML_START = re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--(?:(?!-->).)*-->\s*)*<(!doctype\s+html|html)\b", re.I | re.S)
_SNIFFED = 4096


def kind_of(data: bytes, name: str) -> Kind:
    """Return the kind of the file ``name`` with the content ``data`` (not empty).

    Raises:
        DocumentError: the content is of no kind that can be read; the sentence says what it is and what to do.
    """
    ending = PurePath(name).suffix.lower()
    if data.startswith(b"%PDF-") or (ending == ".pdf" and b"%PDF-" in data[:1024]):
        return Kind.PDF
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _package_kind(data, name, ending)
    if data.startswith(b"{\\rtf"):
        raise refusals.outdated(name, "an RTF file", ".docx")
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        raise _compound_refusal(data, name, ending)
    return _text_kind(data, name, ending)


def _package_kind(data: bytes, name: str, ending: str) -> Kind:
    kinds = {".docx": Kind.DOCX, ".pptx": Kind.PPTX, ".xlsx": Kind.XLSX}
    found = package_type(data, name, expected=ending if ending in kinds else "")
    return kinds[found]


def _compound_refusal(data: bytes, name: str, ending: str) -> Exception:
    """An OLE file: an office file before 2007, or a newer one inside an encrypted envelope."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        return refusals.needs_password(name)
    return refusals.outdated(name, "an office file of the old kind", _OLD_OFFICE.get(ending, ".docx, .xlsx or .pptx"))


def _text_kind(data: bytes, name: str, ending: str) -> Kind:
    # NUL bytes are dropped so that a page in UTF-16 is recognised before its encoding is known.
    if _HTML_START.match(data[:_SNIFFED].lstrip(_BOMS).replace(b"\0", b"")):
        return Kind.HTML
    kind = _KINDS.get(ending, Kind.TEXT)
    if decode(data) is None:
        if kind in _TEXT_KINDS:
            raise refusals.unsupported(name)
        raise refusals.damaged(name, f"{ending[1:].upper()}")
    return kind if kind in _TEXT_KINDS else Kind.TEXT
