"""Every file of the shared collection, against what its manifest and the plain readers of others say of it."""

import io
import json
import re
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import docx
import pypdf
import pytest

from pipeline.documents import ReadText, read_file
from pipeline.errors import DocumentError

pytestmark = pytest.mark.shared_data

REFUSED = {
    "imagemagick-CCITTFaxDecode.pdf": "has no text: it looks like a scan. Run text recognition (OCR) on it first.",
    "libreoffice-writer-password.pdf": "needs a password",
    "empty.pdf": "is empty",
    "truncated.pdf": "is damaged or cut off",
    "empty.docx": "has no text in it",
    "tbl-2x2-table.docx": "has no text in it",  # its four cells are blank
    "empty.txt": "is empty",
    "fake-text-all-whitespace.txt": "holds only white space",
    "random.bin": "is not of a type that can be read. Supported are PDF, DOCX, PPTX, XLSX, HTML, Markdown",
    "fake-doc.rtf": "is an RTF file, which cannot be read. Save it as .docx",
}


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "documents"


@pytest.fixture(scope="module")
def manifest(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def texts(folder: Path, manifest: list[dict[str, Any]]) -> dict[str, ReadText]:
    return {row["file"]: read_file(folder / row["file"]) for row in manifest if row["file"] not in REFUSED}


def section_texts(read: ReadText) -> list[str]:
    starts = [section.start for section in read.sections]
    return [read.text[start:end].strip() for start, end in pairwise([*starts, len(read.text)])]


def page_texts(read: ReadText) -> dict[int | None, str]:
    return dict(zip((section.page for section in read.sections), section_texts(read), strict=True))


def letters(text: str) -> str:
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text))


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(("file", "reason"), REFUSED.items())
def test_file_without_text_is_refused_in_a_sentence_that_names_it(folder: Path, file: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=re.escape(f"{file} {reason}")) as refusal:
        read_file(folder / file)
    assert str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)


def test_what_the_manifest_says_must_come_out_comes_out(manifest, texts) -> None:
    expected = {row["file"]: row["contains"] for row in manifest if row.get("contains")}
    assert len(expected) >= 4
    assert {file: text for file, text in expected.items() if text not in texts[file].text} == {}


def test_text_begins_as_the_manifest_says(manifest, texts) -> None:
    # The beginning of docx-tables.docx was recorded without its tables: its paragraphs are compared below.
    for row in manifest:
        if row.get("starts_with") and row["file"] in texts and row["file"] != "docx-tables.docx":
            assert words(texts[row["file"]].text).startswith(words(row["starts_with"])), row["file"]


def test_pdf_has_the_letters_that_pypdf_reads_on_the_same_pages(folder, manifest, texts) -> None:
    compared = 0
    for row in manifest:
        if not row.get("pages") or row["file"] not in texts:
            continue
        pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO((folder / row["file"]).read_bytes())).pages]
        assert len(pages) == row["pages"]
        assert {number: letters(text) for number, text in page_texts(texts[row["file"]]).items()} == {
            number: letters(text) for number, text in enumerate(pages, start=1) if letters(text)
        }
        compared += 1
    assert compared >= 9


def test_pdf_pages_carry_the_number_that_is_printed_on_them(texts) -> None:
    pages = page_texts(texts["pdflatex-4-pages.pdf"])
    assert {page: text.splitlines()[-1] for page, text in pages.items()} == {1: "1", 2: "2", 3: "3", 4: "4"}


def test_pdf_lines_and_words_are_joined_again(texts) -> None:
    assert "filled with Lorem Ipsum text.\nLorem ipsum dolor sit amet" in texts["multicolumn.pdf"].text
    assert "consectetuer adipiscing elit" in texts["multicolumn.pdf"].text
    assert "Czech Republic 10.7 78,866 Prague Czech\nDenmark 5.8" in texts["multicolumn.pdf"].text
    assert "no sea takimata sanctus" in texts["minimal-document.pdf"].text


def test_pdf_in_arabic_keeps_its_order(texts) -> None:
    assert texts["habibi.pdf"].text == "حَبيبي habibi حَبيبي"


def test_docx_has_the_paragraphs_and_cells_that_python_docx_reads_in_order(folder, manifest, texts) -> None:
    for row in manifest:
        if not row["file"].endswith(".docx") or row["file"] not in texts:
            continue
        document = docx.Document(str(folder / row["file"]))
        paragraphs = [words(p.text) for p in document.paragraphs if p.text.strip()]
        assert (len(paragraphs), len(document.tables)) == (row["paragraphs_with_text"], row["tables"])
        text, place = words(texts[row["file"]].text), 0
        for paragraph in paragraphs:
            place = text.index(paragraph, place) + len(paragraph)
        cells = [words(cell.text) for table in document.tables for line in table.rows for cell in line.cells]
        assert all(cell in text for cell in cells)


def test_docx_headings_are_those_that_python_docx_finds_by_style(folder, texts) -> None:
    document = docx.Document(str(folder / "test.docx"))
    styled = [words(p.text) for p in document.paragraphs if p.style and p.style.name.startswith(("Heading", "Title"))]
    assert len(styled) >= 3
    assert [s.heading.split(" › ")[-1] for s in texts["test.docx"].sections] == styled


def test_docx_tables_merged_and_nested_become_rows(texts) -> None:
    lines = texts["docx-tables.docx"].text.splitlines()
    assert "Header Col 1 | Header Col 2" in lines
    assert "d | e | f; g&t | h | i" in lines
    assert lines[-3:] == ["a | b", "a | c | d", "e | d"]


def test_docx_footnotes_headers_and_footers_are_read(texts) -> None:
    assert "Ouch.\n* A tachyon walks into a bar." in texts["footnotes.docx"].text
    assert texts["hdr-header-footer.docx"].text.endswith("Header for section-1\nFooter for section 1")


def test_docx_with_a_pdf_name_is_read_as_what_it_is(texts) -> None:
    assert texts["docx_named.pdf"] == texts["fake.docx"]
    assert texts["docx_named.pdf"].media_type.endswith("wordprocessingml.document")


def test_encodings_come_out_as_the_same_text_in_unicode(texts) -> None:
    assert texts["umlauts-non-utf8.md"].text.split() == texts["umlauts-utf8.md"].text.split()
    assert texts["stanley-cups-utf-16.csv"].text == texts["stanley-cups.csv"].text
    plain = texts["fake-text-utf-16.txt"].text
    assert plain.startswith("This is a test document to use for unit tests.")
    assert texts["fake-text-utf-16-le.txt"].text == plain == texts["fake-text-utf-32.txt"].text
    assert texts["fake-text-utf-16-be.txt"].text.startswith("This is a test document to use for unit tests.")
    assert "髙橋淳; 年齢: 35; 住所: 名古屋" in texts["test_mskanji.csv"].text


def test_html_without_a_declared_encoding_is_read_as_windows_1252(texts) -> None:
    text = texts["fake-html-cp1252.html"].text
    assert "El niño comió paella con ñoquis" in text
    assert "15,50 €" in text
    assert texts["fake-html-cp1252.html"].sections[0].heading == "My First Heading"


def test_html_leaves_navigation_scripts_and_pictures_out(texts) -> None:
    assert texts["fake-html-with-base64-image.html"].text == "Test page"
    blog = texts["test_blog.html"]
    assert blog.text.startswith("Does Model and Inference Parameter Matter in LLM Applications?")
    assert "Large language models (LLMs) are powerful tools that can generate natural language texts" in blog.text
    assert not re.search(r"Skip to main content|document\.|function\(|Copyright|Recent posts|Older Post", blog.text)
    assert [section.heading.split(" › ")[-1] for section in blog.sections[1:]] == [
        *("Experiment Setup", "Experiment Results", "Analysis and Discussion", "For Further Reading")
    ]


def test_html_of_a_filing_is_plain_text_with_its_tables_as_rows(texts) -> None:
    text = texts["example-10k-1p.html"].text
    assert "Common stock | | GLXZ | | OTCQB marketplace" in text
    assert "Galaxy Gaming, Inc." in text
    assert "<" not in text
    assert "font-" not in text


def test_markdown_is_kept_as_it_is_and_code_is_no_heading(folder, texts) -> None:
    assert texts["codeblock.md"].text == (folder / "codeblock.md").read_text("utf-8")
    assert [section.heading for section in texts["codeblock.md"].sections] == ["HTML Example", "XML Example"]
    assert texts["simple-table.md"].text == (folder / "simple-table.md").read_text("utf-8")


def test_text_files_are_read_whole(folder, texts) -> None:
    for file in ("xquad_zh_article.txt", "xquad_ar_article.txt", "UDHR_first_article_all.txt", "single_line_200k.txt"):
        assert texts[file].text == (folder / file).read_text("utf-8"), file


def test_sections_are_in_order_and_none_is_empty(texts) -> None:
    for file, read in texts.items():
        starts = [section.start for section in read.sections]
        assert starts == sorted(set(starts)), file
        assert all(section_texts(read)), file
