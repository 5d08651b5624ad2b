"""What is decided before a reader is called: opening, kind and safety of a file."""

import io
import os
import random
import zipfile
from pathlib import Path

import docx
import openpyxl
import pptx
import pypdf
import pytest
from lxml import etree

from pipeline.documents import ENDINGS, SUPPORTED, read_file
from pipeline.documents.packages import MAX_UNPACKED
from pipeline.errors import DocumentError


def office_file(kind: str, text: str = "needle in a file") -> bytes:
    """A file as python-docx, python-pptx or openpyxl saves it."""
    stream = io.BytesIO()
    if kind == "docx":
        document = docx.Document()
        document.add_paragraph(text)
        document.save(stream)
    elif kind == "pptx":
        presentation = pptx.Presentation()
        presentation.slides.add_slide(presentation.slide_layouts[5]).shapes.title.text = text
        presentation.save(stream)
    else:
        workbook = openpyxl.Workbook()
        workbook.active.append([text])
        workbook.save(stream)
    return stream.getvalue()


def rewritten(package: bytes, part: str, change) -> bytes:
    """The same zip file with one part changed, or removed where ``change`` returns None."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = change(old.read(name)) if name == part else old.read(name)
            if content is not None:
                new.writestr(name, content)
    return stream.getvalue()


MAIN_PARTS = {"docx": "word/document.xml", "pptx": "ppt/slides/slide1.xml", "xlsx": "xl/worksheets/sheet1.xml"}


@pytest.mark.parametrize("kind", MAIN_PARTS)
@pytest.mark.parametrize("name", ["right", "report.pdf", "notes.txt", "no ending"])
def test_office_file_is_recognised_whatever_its_name(read, kind: str, name: str) -> None:
    result = read(f"report.{kind}" if name == "right" else name, office_file(kind))
    assert "needle in a file" in result.text
    assert result.media_type.startswith("application/vnd.openxmlformats-officedocument.")


def test_page_saved_under_the_name_of_a_pdf_is_read_as_html(read) -> None:
    result = read("invoice.pdf", b"<!-- saved --><!DOCTYPE html><title>Bill</title><p>Ten euros</p>")
    assert (result.media_type, result.text) == ("text/html", "Bill\n\nTen euros")


def test_page_in_utf16_is_recognised_before_it_is_decoded(read) -> None:
    assert read("page.txt", "<html><body><p>größer</p></body></html>".encode("utf-16")).text == "größer"


@pytest.mark.parametrize("name", ["notes.log", "LICENSE", "data.json", "report.docx"])
def test_text_with_another_ending_is_read_as_text(read, name: str) -> None:
    result = read(name, b"Support answers within a day.\n")
    assert (result.text, result.media_type) == ("Support answers within a day.\n", "text/plain")


def test_the_given_name_decides_over_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "upload.txt"
    path.write_text("# Title\n\nBody")
    assert read_file(path, "guide.md").sections[0].heading == "Title"
    assert read_file(path).sections == ()


def test_supported_names_every_kind_of_ending() -> None:
    assert {".pdf", ".docx", ".pptx", ".xlsx", ".html", ".md", ".txt", ".csv"} <= set(ENDINGS)
    assert SUPPORTED == "PDF, DOCX, PPTX, XLSX, HTML, Markdown, plain text and CSV"


def test_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^guide\.md could not be opened \(No such file or directory\)"):
        read_file(tmp_path / "gone", "guide.md")


@pytest.mark.parametrize("ending", ["txt", "md", "csv", "html", "bin", ""])
@pytest.mark.parametrize("size", [200, 5000])
def test_random_bytes_are_refused_whatever_their_name(read, ending: str, size: int) -> None:
    name = f"noise.{ending}".rstrip(".")
    for _ in range(20):
        with pytest.raises(DocumentError, match=f"^{name} is not of a type that can be read. Supported are PDF"):
            read(name, b"\x01" + os.urandom(size))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty: it has 0 bytes"),
        (b" \r\n\t \n", "holds only white space"),
        (b"\xef\xbb\xbf", "holds only white space"),
        (b"{\\rtf1\\ansi hello}", "is an RTF file, which cannot be read. Save it as .docx"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "is not of a type that can be read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is an office file of the old kind"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "needs a password to open"),
    ],
)
def test_what_cannot_be_read_is_named_for_what_it_is(read, data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        read("upload.txt", data)
    assert str(refusal.value).startswith(f"upload.txt {reason}")


@pytest.mark.parametrize("ending", ["pdf", "docx", "pptx", "xlsx"])
def test_noise_with_the_name_of_a_format_is_a_damaged_file(read, ending: str) -> None:
    with pytest.raises(DocumentError, match=f"x.{ending} is damaged or cut off: it cannot be read as {ending.upper()}"):
        read(f"x.{ending}", b"\x01" + random.Random(ending).randbytes(1000))


def test_old_office_file_is_told_which_new_kind_to_become(read) -> None:
    with pytest.raises(DocumentError, match=r"old\.xls is an office file of the old kind.*Save it as \.xlsx"):
        read("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))


def archive(**parts: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(name, content)
    return stream.getvalue()


def test_other_zip_files_are_refused_as_what_they_are(read) -> None:
    with pytest.raises(DocumentError, match=r"photos\.zip is a zip archive, which cannot be read as a document\."):
        read("photos.zip", archive(picture=b"x"))
    with pytest.raises(DocumentError, match=r"letter\.odt is an OpenDocument text.*Save it as \.docx"):
        read("letter.odt", archive(mimetype=b"application/vnd.oasis.opendocument.text", content=b"x"))


@pytest.mark.parametrize(
    ("kind", "part"), [("docx", "word/document.xml"), ("pptx", "ppt/presentation.xml"), ("xlsx", "xl/workbook.xml")]
)
def test_package_without_its_main_part_is_damaged(read, kind: str, part: str) -> None:
    data = rewritten(office_file(kind), part, lambda _: None)
    with pytest.raises(DocumentError, match=f"x.{kind} is damaged or cut off: it cannot be read as {kind.upper()}"):
        read(f"x.{kind}", data)


@pytest.mark.parametrize("kind", MAIN_PARTS)
@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_package_that_is_cut_off_is_damaged(read, kind: str, share: float) -> None:
    data = office_file(kind)
    with pytest.raises(DocumentError, match="is damaged or cut off"):
        read(f"x.{kind}", data[: int(len(data) * share)])


@pytest.mark.parametrize("kind", MAIN_PARTS)
def test_package_with_broken_xml_is_damaged(read, kind: str) -> None:
    data = rewritten(office_file(kind), MAIN_PARTS[kind], lambda xml: xml[: len(xml) // 2])
    with pytest.raises(DocumentError, match="is damaged or cut off"):
        read(f"x.{kind}", data)


def test_package_with_a_wrong_checksum_is_damaged(read) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(office_file("docx"))) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():  # stored, so that a byte can be changed without breaking the packing
            new.writestr(name, old.read(name))
    with pytest.raises(DocumentError, match="is damaged or cut off"):
        read("x.docx", stream.getvalue().replace(b"needle", b"noodle"))


def test_bomb_that_says_its_size_is_not_unpacked(read) -> None:
    data = rewritten(office_file("docx"), "word/document.xml", lambda _: bytes(MAX_UNPACKED + 1))
    assert len(data) < 400_000
    with pytest.raises(DocumentError, match=r"x\.docx is too large once unpacked \(300 MB, the limit is 300 MB\)"):
        read("x.docx", data)


def test_bomb_below_the_limit_is_known_by_its_ratio(read) -> None:
    data = rewritten(office_file("xlsx"), "xl/worksheets/sheet1.xml", lambda _: bytes(30_000_000))
    with pytest.raises(DocumentError, match=r"x\.xlsx is too large once unpacked \(\d+ times its size"):
        read("x.xlsx", data)


def test_bomb_that_lies_about_its_size_is_damaged(read) -> None:
    data = rewritten(office_file("docx"), "word/document.xml", lambda _: bytes(50_000_000))
    true, false = (50_000_000).to_bytes(4, "little"), (50_000).to_bytes(4, "little")
    assert data.count(true) == 2  # before the entry and in the table of contents
    with pytest.raises(DocumentError, match="is damaged or cut off"):
        read("x.docx", data.replace(true, false))


def test_sheet_of_a_few_cells_spread_over_millions_is_refused(read) -> None:
    rows = "".join(f'<row r="{row}"><c r="XFD{row}"><v>1</v></c></row>' for row in range(1, 1000))
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>'
    data = rewritten(office_file("xlsx"), "xl/worksheets/sheet1.xml", lambda _: sheet.encode())
    with pytest.raises(
        DocumentError, match=r"x\.xlsx is too large once unpacked \(a sheet with over 2,000,000 cells\)"
    ):
        read("x.xlsx", data)


def with_entity(xml: bytes, definition: str) -> bytes:
    """Declare the entity ``e`` and put it where the file says "needle"."""
    declaration, rest = xml.split(b"?>", 1) if xml.startswith(b"<?xml") else (b'<?xml version="1.0"', xml)
    doctype = f"?><!DOCTYPE x [{definition}]>".encode()
    return declaration + doctype + rest.replace(b"needle", b"&e;needle")


def text_or_refusal(read, name: str, data: bytes) -> str:
    try:
        return read(name, data).text
    except DocumentError as refusal:
        return str(refusal)


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx"])
def test_external_entity_of_an_office_file_brings_nothing_in(read, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the-secret")
    payload: list[bytes] = []

    def attack(xml: bytes) -> bytes:
        payload.append(with_entity(xml, f'<!ENTITY e SYSTEM "{secret.as_uri()}">'))
        return payload[0]

    assert "the-secret" not in text_or_refusal(
        read, f"x.{kind}", rewritten(office_file(kind), MAIN_PARTS[kind], attack)
    )
    careless = etree.fromstring(payload[0], etree.XMLParser(resolve_entities=True, load_dtd=True))
    assert "the-secretneedle" in "".join(careless.itertext())


def test_external_entity_of_a_page_brings_nothing_in(read, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the-secret")
    page = f'<!DOCTYPE html [<!ENTITY e SYSTEM "{secret.as_uri()}">]><html><body><p>needle &e;</p></body></html>'
    text = read("x.html", page.encode()).text
    assert "needle" in text
    assert "the-secret" not in text


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx"])
def test_entities_that_multiply_do_not(read, kind: str) -> None:
    steps = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    definition = f'<!ENTITY e0 "ha">{steps}<!ENTITY e "&e8;">'
    data = rewritten(office_file(kind), MAIN_PARTS[kind], lambda xml: with_entity(xml, definition))
    assert len(text_or_refusal(read, f"x.{kind}", data)) < 1000


def pdf_with(**changes: str) -> bytes:
    """A PDF of one page without text, encrypted where a password is given."""
    writer = pypdf.PdfWriter()
    writer.add_blank_page(200, 200)
    if changes:
        writer.encrypt(**changes, algorithm="AES-256")
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def test_pdf_with_a_password_says_so_and_one_with_none_is_opened(read) -> None:
    with pytest.raises(DocumentError, match=r"x\.pdf needs a password to open\."):
        read("x.pdf", pdf_with(user_password="secret"))
    with pytest.raises(DocumentError, match=r"x\.pdf has no text: it looks like a scan"):
        read("x.pdf", pdf_with(user_password="", owner_password="secret"))


def test_pdf_with_another_kind_of_encryption_says_what_to_do(read) -> None:
    data = pdf_with(user_password="").replace(b"/Filter /Standard", b"/Filter /Adobe.PK")
    with pytest.raises(
        DocumentError, match=r"x\.pdf uses a feature of PDF that cannot be read\. Print it to a new PDF"
    ):
        read("x.pdf", data)
