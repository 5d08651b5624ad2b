"""DOCX: paragraphs and tables in the order of the page, headings as sections.

python-docx opens the package and its parts; the text is collected from the XML itself, since its own walk leaves out
content controls, text boxes, tracked insertions and footnotes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeline.documents import refusals
from pipeline.documents.building import ReadText, TextBuilder, one_line, tidy_lines
from pipeline.documents.kinds import Kind

if TYPE_CHECKING:
    from docx.document import Document

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_RELATED = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_WRAPPERS = frozenset(f"{_W}{tag}" for tag in ("sdt", "sdtContent", "customXml", "ins", "moveTo"))
# Properties, what was deleted, readings above Chinese characters, and text boxes, whose text follows the paragraph.
_SKIPPED = frozenset(f"{_W}{tag}" for tag in ("pPr", "rPr", "del", "moveFrom", "rt", "txbxContent")) | {_MC_FALLBACK}
_MARKS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-", f"{_W}ptab": "\t"}
_NOTES = {f"{_W}footnoteReference": "footnotes", f"{_W}endnoteReference": "endnotes"}
_HEADING_STYLE = re.compile(r"heading ([1-9])")
_BODY_LEVEL = 9  # w:outlineLvl counts from 0, and 9 says that a paragraph is no heading
_CELL_GAP = " | "


def read_docx(data: bytes, name: str) -> ReadText:
    """Read a DOCX: the body with footnotes below their paragraph, then what its pages have in headers and footers.

    Deleted text, comments and the table of contents are left out.

    Raises:
        DocumentError: the file is damaged.
    """
    import docx  # 0.1 s, only when a DOCX comes
    from docx.exceptions import PythonDocxError
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError

    try:
        return _WordReader(docx.Document(io.BytesIO(data))).read()
    except (LxmlError, OpcError, PythonDocxError, KeyError, ValueError, AttributeError, TypeError) as error:
        # The last four are how python-docx reports missing parts and elements.
        raise refusals.damaged(name, "DOCX") from error


class _WordReader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._body = document.element.body
        self._styles = _styles(document)
        self._notes = {kind: _notes(document, kind) for kind in ("footnotes", "endnotes")}
        self._builder = TextBuilder()

    def read(self) -> ReadText:
        for block in _blocks(self._body):
            self._add_block(block)
        self._builder.section()
        self._builder.add("\n".join(self._margins()))
        return self._builder.finish(Kind.DOCX)

    def _add_block(self, block: Any) -> None:
        if block.tag == f"{_W}tbl":
            self._builder.add("\n".join(_rows(block)))
        else:
            self._add_paragraph(block)
        for note in self._notes_in(block):
            self._builder.add(f"* {note}", "\n")

    def _add_paragraph(self, paragraph: Any) -> None:
        level, is_list, is_contents = self._manner(paragraph)
        text = tidy_lines(_inline_text(paragraph))
        if text and level is not None:
            self._builder.heading(level, text)
        elif text and not is_contents:
            self._builder.add(f"- {text}" if is_list else text, "\n" if is_list else "\n\n")
        for box in _boxes(paragraph):
            self._builder.add("\n".join(_lines(box)))

    def _manner(self, paragraph: Any) -> tuple[int | None, bool, bool]:
        """Level of a heading or None; whether it is an item of a list; whether it belongs to the table of contents."""
        properties = paragraph.find(f"{_W}pPr")
        style = _value(properties, "pStyle")
        names = self._styles.get(style or "", ("", None))
        level = _outline_level(properties)
        is_list = properties is not None and properties.find(f"{_W}numPr") is not None
        is_list = is_list or names[0].startswith("list ")
        return (names[1] if level is None else level) or None, is_list, names[0].startswith("toc ")

    def _notes_in(self, block: Any) -> list[str]:
        found = (self._notes[_NOTES[mark.tag]].get(mark.get(f"{_W}id")) for mark in block.iter(*_NOTES))
        return [note for note in dict.fromkeys(found) if note]

    def _margins(self) -> list[str]:
        """Lines of the headers and footers in use, each once."""
        parts = self._document.part.related_parts
        ids = [element.get(_RELATED) for element in self._body.iter(f"{_W}headerReference", f"{_W}footerReference")]
        lines = (line for related in ids if related in parts for line in _lines(parts[related].element))
        return list(dict.fromkeys(lines))


def _styles(document: Document) -> dict[str, tuple[str, int | None]]:
    """Name in lower case and level as a heading of every paragraph style, by its id."""
    elements = {style.get(f"{_W}styleId"): style for style in document.styles.element.iter(f"{_W}style")}
    return {style_id: (_style_name(style), _style_level(style, elements)) for style_id, style in elements.items()}


def _style_name(style: Any) -> str:
    return (_value(style, "name") or "").lower()


def _style_level(style: Any, styles: dict[str, Any]) -> int | None:
    seen: list[Any] = []  # a style may be based on itself, in a broken file
    while style is not None and style not in seen:
        seen.append(style)
        level = _outline_level(style.find(f"{_W}pPr"))
        named = _HEADING_STYLE.fullmatch(_style_name(style))
        if level is None and named:
            level = int(named[1])
        if level is None and _style_name(style) == "title":
            level = 1
        if level is not None:
            return level
        style = styles.get(_value(style, "basedOn") or "")
    return None


def _outline_level(properties: Any) -> int | None:
    """1 for the outermost heading, 0 for what is said to be no heading, None if nothing is said."""
    value = _value(properties, "outlineLvl")
    if value is None or not value.isdigit():
        return None
    return 0 if int(value) >= _BODY_LEVEL else int(value) + 1


def _value(parent: Any, tag: str) -> str | None:
    found = parent.find(f"{_W}{tag}") if parent is not None else None
    return found.get(f"{_W}val") if found is not None else None


def _notes(document: Document, kind: str) -> dict[str, str]:
    """Text of every footnote or endnote by its id."""
    from docx.oxml.parser import parse_xml  # resolves no entities

    for relation in document.part.rels.values():
        if not relation.is_external and relation.reltype.endswith(f"/{kind}"):
            root = parse_xml(relation.target_part.blob)
            return {note.get(f"{_W}id"): " ".join(_lines(note)) for note in root if note.get(f"{_W}type") is None}
    return {}


def _blocks(container: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, also those inside content controls and tracked insertions."""
    for child in container:
        if child.tag in (f"{_W}p", f"{_W}tbl"):
            yield child
        elif child.tag in _WRAPPERS:
            yield from _blocks(child)


def _lines(container: Any) -> list[str]:
    """Text of paragraphs and rows without sections: of a cell, a header, a note or a text box."""
    lines: list[str] = []
    for block in _blocks(container):
        if block.tag == f"{_W}tbl":
            lines += _rows(block)
        else:
            lines += [one_line(_inline_text(block)), *(line for box in _boxes(block) for line in _lines(box))]
    return [line for line in lines if line]


def _boxes(paragraph: Any) -> Iterator[Any]:
    """The text boxes that are anchored in a paragraph, without the copies for old programs."""
    for box in paragraph.iter(f"{_W}txbxContent"):
        if not any(parent.tag == _MC_FALLBACK for parent in box.iterancestors()):
            yield box


def _rows(table: Any) -> list[str]:
    """One line a row. A cell merged over rows is said in each of them; a table in a cell becomes part of the cell."""
    above: dict[int, str] = {}  # text of the last cell of every column of the grid
    lines: list[str] = []
    for row in table.iter(f"{_W}tr"):
        if next(row.iterancestors(f"{_W}tbl")) is table:
            lines.append(_CELL_GAP.join(_cells(row, above)))
    return [line for line in lines if line.strip(" |")]


def _cells(row: Any, above: dict[int, str]) -> Iterator[str]:
    column = 0
    for cell in row.iter(f"{_W}tc"):
        if next(cell.iterancestors(f"{_W}tr")) is not row:
            continue
        properties = cell.find(f"{_W}tcPr")
        merged = properties.find(f"{_W}vMerge") if properties is not None else None
        # Without a value, or with "continue", the cell goes on with the one above.
        if merged is None or merged.get(f"{_W}val") == "restart":
            above[column] = "; ".join(_lines(cell))
        yield above.get(column, "")
        span = _value(properties, "gridSpan")
        column += int(span) if span and span.isdigit() else 1


def _inline_text(paragraph: Any) -> str:
    from lxml.etree import iterwalk

    parts: list[str] = []
    walk = iterwalk(paragraph, events=("start",))
    for _, element in walk:
        if element.tag in _SKIPPED:
            walk.skip_subtree()
        elif element.tag in (f"{_W}t", _MATH_TEXT):
            parts.append(element.text or "")
        elif element.tag in _MARKS:
            parts.append(_MARKS[element.tag])
    return "".join(parts)
