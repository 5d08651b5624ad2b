"""PPTX: one section a slide."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from pipeline.documents import refusals
from pipeline.documents.building import ReadText, TextBuilder, one_line, tidy_lines
from pipeline.documents.kinds import Kind

_CELL_GAP = " | "


def read_pptx(data: bytes, name: str) -> ReadText:
    """Read a presentation: each slide with its title as heading and its number as page, then the speaker's notes.

    Hidden slides are left out, as in the show; the others keep their numbers.

    Raises:
        DocumentError: the file is damaged.
    """
    import pptx  # 0.2 s, only when a PPTX comes
    from lxml.etree import LxmlError
    from pptx.exc import PythonPptxError

    builder = TextBuilder()
    try:
        for number, slide in enumerate(pptx.Presentation(io.BytesIO(data)).slides, start=1):
            if slide.element.get("show") not in ("0", "false"):
                _add_slide(builder, slide, number)
    except (LxmlError, PythonPptxError, KeyError, ValueError, AttributeError, TypeError, IndexError) as error:
        # The last five are how python-pptx reports missing parts and elements.
        raise refusals.damaged(name, "PPTX") from error
    return builder.finish(Kind.PPTX)


def _add_slide(builder: TextBuilder, slide: Any, number: int) -> None:
    title = slide.shapes.title
    builder.section(one_line(title.text_frame.text) if title is not None else "", page=number)
    if title is not None:
        builder.add(tidy_lines(title.text_frame.text))
    for shape in _shapes(slide.shapes):
        if (title is None or shape.shape_id != title.shape_id) and not _is_margin(shape):
            builder.add(_text_of(shape))
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        builder.add(tidy_lines(slide.notes_slide.notes_text_frame.text))


def _shapes(shapes: Any) -> Iterator[Any]:
    """All shapes in their order, those of groups too."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _is_margin(shape: Any) -> bool:
    """Date, footer and number of the slide, the same on every one."""
    from pptx.enum.shapes import PP_PLACEHOLDER

    margins = (PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER)
    return shape.is_placeholder and shape.placeholder_format.type in margins


def _text_of(shape: Any) -> str:
    if getattr(shape, "has_table", False):
        rows = (_CELL_GAP.join(one_line(cell.text) for cell in row.cells) for row in shape.table.rows)
        return "\n".join(row for row in rows if row.strip(" |"))
    return tidy_lines(shape.text_frame.text) if shape.has_text_frame else ""
