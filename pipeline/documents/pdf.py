"""PDF: one section a page, and the lines of the page put right where typesetting broke them."""

from __future__ import annotations

import io
import re
import struct
import unicodedata
import zlib
from itertools import islice, pairwise

from pipeline.documents import refusals
from pipeline.documents.building import ReadText, TextBuilder, tidy_lines

# Ligatures (fi, ffl), and the forms that Arabic and Hebrew letters take inside words: nobody types them in a search.
_FORMS = re.compile(r"[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufb50-\ufdff\ufe70-\ufefc]+")
_FIRST_HALF = re.compile(r"([^\W_]+)[-\u2010\xad]$")
_SECOND_HALF = re.compile(r"[^\W_]+")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_PAIRING = ("and", "or", "und", "oder")  # "pre- and post-war": the hyphen stands for the rest of the word
_FULL_SHARE = 0.7  # of the length of a long line on the page: a line that goes this far was broken by the margin
_SHORT_LINES = 35  # characters; a page of such lines is a list or a form
MAX_PAGES = 10_000
# What pypdf raises, besides its own errors, on streams and objects that are broken ("broken PDF files might cause other
# exceptions", says its documentation). RecursionError: objects that contain themselves.
_BROKEN = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError),
    *(RecursionError, OverflowError, ZeroDivisionError, zlib.error, struct.error),
)


def read_pdf(data: bytes, name: str) -> ReadText:
    """Read a PDF page by page; page 1 is the first one, whatever number is printed on it.

    Raises:
        DocumentError: a password is needed, the file is damaged, or none of its pages has text.
    """
    pages = [tidy_lines(_plain_forms(text)) for text in _page_texts(data, name)]
    if not any(pages):
        raise refusals.scan(name)
    words = set(_WORD.findall("\n".join(pages)))
    builder = TextBuilder()
    for number, text in enumerate(pages, start=1):
        builder.section(page=number)
        builder.add(_mended(text, words))
    return builder.finish("application/pdf")


def _page_texts(data: bytes, name: str) -> list[str]:
    from pypdf import PdfReader  # 0.1 s, only when a PDF comes
    from pypdf.errors import FileNotDecryptedError, PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise refusals.needs_password(name)
        pages = list(islice(reader.pages, MAX_PAGES + 1))
        if len(pages) > MAX_PAGES:
            raise refusals.too_many_pages(name, MAX_PAGES)
        return [page.extract_text() for page in pages]
    except FileNotDecryptedError as error:
        raise refusals.needs_password(name) from error
    except (PyPdfError, *_BROKEN) as error:
        raise refusals.damaged(name, "PDF") from error
    except NotImplementedError as error:  # another kind of encryption or compression
        raise refusals.unknown_feature(name, "PDF") from error


def _plain_forms(text: str) -> str:
    return _FORMS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)


def _mended(text: str, words: set[str]) -> str:
    """Undo the line breaks that typesetting made, inside words and inside sentences; keep all others."""
    lines = text.split("\n")
    lengths = sorted(len(line) for line in lines)
    usual = lengths[len(lengths) * 3 // 4]
    full = _FULL_SHARE * usual if usual >= _SHORT_LINES else float("inf")
    mended = lines[0]
    parts = []
    for before, line in pairwise(lines):
        mended, joint = _joined(mended, before, line, words, full)
        parts += [mended, joint]
        mended = line
    return "".join([*parts, mended]).replace("\xad", "")


def _joined(mended: str, before: str, line: str, words: set[str], full: float) -> tuple[str, str]:
    """The line ``before`` without a hyphen that is not part of its last word, and what goes between it and ``line``."""
    first, second = _FIRST_HALF.search(before), _SECOND_HALF.match(line)
    if first and second and second[0] not in _PAIRING:
        return (mended if _keeps_hyphen(first[1], second[0], before[-1], words) else mended[:-1]), ""
    # A full line without an end of a sentence, and a small letter after it.
    inside = len(before) >= full and before[-1] not in ".!?:" and line[:1].islower()
    return mended, " " if inside else "\n"


def _keeps_hyphen(first: str, second: str, hyphen: str, words: set[str]) -> bool:
    """ "GPT-4" and "Anglo-Saxon" do, and so does what the document writes with a hyphen elsewhere."""
    if hyphen == "\xad" or first + second in words:
        return False
    return f"{first}-{second}" in words or not (first[-1].islower() and second[0].islower())
