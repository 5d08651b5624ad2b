"""Files to text: finds out what a file is, has it read, and refuses in one plain sentence what has no text to give."""

from __future__ import annotations

from pathlib import Path

from pipeline.documents import refusals
from pipeline.documents.building import ReadText as ReadText
from pipeline.documents.html import read_html
from pipeline.documents.kinds import Kind, kind_of
from pipeline.documents.markdown import read_markdown
from pipeline.documents.pdf import read_pdf
from pipeline.documents.plain import read_csv, read_plain
from pipeline.documents.sheets import read_xlsx
from pipeline.documents.slides import read_pptx
from pipeline.documents.word import read_docx

_READERS = {
    Kind.PDF: read_pdf,
    Kind.DOCX: read_docx,
    Kind.PPTX: read_pptx,
    Kind.XLSX: read_xlsx,
    Kind.HTML: read_html,
    Kind.MARKDOWN: read_markdown,
    Kind.TEXT: read_plain,
    Kind.CSV: read_csv,
}
_TEXT_FILES = (Kind.MARKDOWN, Kind.TEXT, Kind.CSV)


def read_file(path: Path, name: str | None = None) -> ReadText:
    """Return the text of a file, with its pages, slides, sheets or headings as sections.

    ``name`` is what the file is called in messages, and where its ending is taken from; the name of ``path`` if it is
    not given. The content decides what the file is: a DOCX named ``.pdf`` is read as a DOCX.

    Raises:
        DocumentError: the file cannot be opened, is empty, has no text, needs a password, is damaged, would unpack
            into too much, or is of no supported type. The message names the file and says what to do.
    """
    name = name or path.name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise refusals.cannot_open(name, error.strerror or "unreadable") from error
    if not data:
        raise refusals.empty(name)
    kind = kind_of(data, name)
    result = _READERS[kind](data, name)
    if not result.text.strip():
        raise refusals.blank(name) if kind in _TEXT_FILES else refusals.no_text(name)
    return result
