"""What becomes of the lines of a page."""

import io

import pypdf
import pytest

from pipeline.documents.pdf import read_pdf
from pipeline.errors import DocumentError

LINE = "The first line of a page goes to the right margin and"
# Codes of glyphs beyond ASCII in the font of the pages below.
GLYPHS = {"\ufb03": 1, "\ufb01": 2, "\ufefc": 3, "\xad": 4, "\ud835": 5, "\xb2": 6}


def pdf_of(*pages: list[str]) -> bytes:
    """A PDF of these lines, built by hand: each line is one string in Helvetica."""
    names = "/uniFB03 /uniFB01 /uniFEFC /uni00AD /uniD835 /uni00B2"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{' '.join(f'{4 + 2 * n} 0 R' for n in range(len(pages)))}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica "
        f"/Encoding << /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences [1 {names}] >> >>",
    ]
    for number, lines in enumerate(pages):
        shown = "".join(f"({''.join(chr(GLYPHS.get(c, ord(c))) for c in line)}) Tj T*\n" for line in lines)
        content = f"BT /F 12 Tf 14 TL 72 720 Td\n{shown}ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    data, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
    return data + f"{end}startxref\n{len(data)}\n%%EOF\n".encode()


def text(*lines: str) -> str:
    return read_pdf(pdf_of(list(lines)), "x.pdf").text


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"{LINE} con-", "tinues here."], f"{LINE} continues here."),
        ([f"{LINE} con\xad", "tinues here."], f"{LINE} continues here."),
        (["Use GPT-", "4 here."], "Use GPT-4 here."),
        (["The Anglo-", "Saxon one"], "The Anglo-Saxon one"),
        (["A well-known fact, a well-", "known one"], "A well-known fact, a well-known one"),
        ([f"{LINE} pre-", "and post-war"], f"{LINE} pre- and post-war"),
        ([LINE, "goes on below."], f"{LINE} goes on below."),
        ([f"{LINE}.", "goes on"], f"{LINE}.\ngoes on"),
        ([LINE, "Next line"], f"{LINE}\nNext line"),
        ([LINE, "apples", "pears", LINE], f"{LINE} apples\npears\n{LINE}"),
        (["apples", "pears"], "apples\npears"),
        (["Zu\xadsatz"], "Zusatz"),
    ],
)
def test_breaks_made_by_typesetting_are_undone_and_others_kept(lines: list[str], expected: str) -> None:
    assert text(*lines) == expected


def test_ligatures_and_letter_forms_become_letters_and_nothing_else_changes() -> None:
    assert "\ufb03" in pypdf.PdfReader(io.BytesIO(pdf_of(["e\ufb03cient"]))).pages[0].extract_text()
    assert text("e\ufb03cient \ufb01le x\xb2", "\ufefc") == "efficient file x\xb2\n\u0644\u0627"


def test_half_a_surrogate_becomes_a_mark_that_can_be_stored() -> None:
    assert text("a\ud835b").encode("utf-8").decode() == "a\ufffdb"


def test_pages_without_text_are_counted_and_have_no_section() -> None:
    read = read_pdf(pdf_of(["one"], [], ["three"]), "x.pdf")
    assert [(section.page, read.text[section.start :][:3]) for section in read.sections] == [(1, "one"), (3, "thr")]


def test_pdf_without_its_objects_is_damaged() -> None:
    data = pdf_of(["one"])
    with pytest.raises(DocumentError, match=r"x\.pdf is damaged or cut off: it cannot be read as PDF\."):
        read_pdf(data.replace(b"/Pages", b"/Sagep"), "x.pdf")
