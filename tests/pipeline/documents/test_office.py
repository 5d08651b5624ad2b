"""Word, PowerPoint and Excel files that python-docx, python-pptx and openpyxl write."""

import csv
import datetime
import io
import zipfile

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from openpyxl.styles import PatternFill
from pptx.util import Inches

from pipeline.documents import ReadText
from pipeline.errors import DocumentError


def saved(document) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def labels(read: ReadText) -> list[tuple[str, int | None, str]]:
    return [(s.heading, s.page, read.text[s.start :].split("\n")[0]) for s in read.sections]


def test_word_headings_paragraphs_lists_and_tables_keep_their_order(read) -> None:
    document = docx.Document()
    document.add_heading("Handbook", 0)
    document.add_paragraph("Read this first.")
    document.add_heading("Accounts", 1)
    document.add_paragraph("Open one.", style="List Bullet")
    document.add_paragraph("Close one.", style="List Bullet")
    table = document.add_table(2, 2)
    for index, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell {index}"
    document.add_heading("Passwords", 2)
    document.add_paragraph("Reset\tthem.\nOften.")
    result = read("x.docx", saved(document))
    assert result.text == (
        "Handbook\n\nRead this first.\n\nAccounts\n- Open one.\n- Close one.\n\n"
        "cell 0 | cell 1\ncell 2 | cell 3\n\nPasswords\n\nReset them.\nOften."
    )
    assert labels(result) == [
        ("Handbook", None, "Handbook"),
        ("Accounts", None, "Accounts"),
        ("Accounts › Passwords", None, "Passwords"),
    ]


def test_word_heading_by_a_style_of_ones_own_is_a_heading(read) -> None:
    document = docx.Document()
    style = document.styles.add_style("House Style", 1)
    style.base_style = document.styles["Heading 2"]
    document.add_paragraph("Refunds", style=style)
    document.add_paragraph("Within 30 days.")
    assert labels(read("x.docx", saved(document))) == [("Refunds", None, "Refunds")]


def test_word_text_that_python_docx_leaves_out_is_read(read) -> None:
    document = docx.Document()
    body = document.element.body
    word = nsdecls("w")
    boxed = "<w:txbxContent><w:p><w:r><w:t>in a box</w:t></w:r></w:p></w:txbxContent>"
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    for block in (
        f"<w:sdt {word}><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent></w:sdt>",
        f"<w:p {word}><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins><w:del><w:r><w:delText>deleted</w:delText></w:r>"
        "</w:del><w:hyperlink><w:r><w:t> linked</w:t></w:r></w:hyperlink></w:p>",
        f"<w:p {word} {mc}><w:r><mc:AlternateContent><mc:Choice>{boxed}</mc:Choice><mc:Fallback>{boxed}</mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>",
        f"<w:p {word}><w:r><w:instrText>PAGEREF x</w:instrText></w:r><w:r><w:t>no field code</w:t></w:r></w:p>",
    ):
        body.insert(len(body) - 1, parse_xml(block))
    assert read("x.docx", saved(document)).text == "in a control\n\ninserted linked\n\nin a box\n\nno field code"


def test_word_table_of_contents_is_left_out(read) -> None:
    document = docx.Document()
    document.add_paragraph("Refunds\t7", style=document.styles.add_style("toc 1", 1))
    document.add_heading("Refunds", 1)
    assert read("x.docx", saved(document)).text == "Refunds"


def test_word_headers_and_footers_are_read_once_and_apart(read) -> None:
    document = docx.Document()
    document.add_heading("Contract", 1)
    document.sections[0].header.paragraphs[0].text = "Acme Ltd"
    document.sections[0].footer.paragraphs[0].text = "Confidential"
    second = document.add_section()
    second.header.is_linked_to_previous = False
    second.header.paragraphs[0].text = "Acme Ltd"
    result = read("x.docx", saved(document))
    assert result.text == "Contract\n\nAcme Ltd\nConfidential"
    assert labels(result) == [("Contract", None, "Contract"), ("", None, "Acme Ltd")]


def presentation_of(*titles: str):
    presentation = pptx.Presentation()
    for title in titles:
        presentation.slides.add_slide(presentation.slide_layouts[5]).shapes.title.text = title
    return presentation


def test_slides_are_sections_with_their_number_and_title(read) -> None:
    presentation = presentation_of("Pricing", "Support\vhours")
    slide = presentation.slides[0]
    slide.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "Three plans.\nNo set-up fee."
    table = slide.shapes.add_table(2, 2, 0, 0, Inches(2), Inches(1)).table
    for index, cell in enumerate(table.iter_cells()):
        cell.text = f"c{index}"
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "Grouped"
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    result = read("x.pptx", saved(presentation))
    assert result.text == (
        "Pricing\n\nThree plans.\nNo set-up fee.\n\nc0 | c1\nc2 | c3\n\nGrouped\n\nSay it slowly.\n\nSupport\nhours"
    )
    assert labels(result) == [("Pricing", 1, "Pricing"), ("Support hours", 2, "Support")]


def test_hidden_and_empty_slides_are_left_out_and_still_counted(read) -> None:
    presentation = presentation_of("One", "Two", "", "Four")
    presentation.slides[1].element.set("show", "0")
    assert labels(read("x.pptx", saved(presentation))) == [("One", 1, "One"), ("Four", 4, "Four")]


def test_slides_without_text_are_refused(read) -> None:
    with pytest.raises(DocumentError, match=r"x\.pptx has no text in it"):
        read("x.pptx", saved(presentation_of("", " ")))


def test_sheets_are_sections_and_rows_name_their_columns(read) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = "Plans"
    for row in [
        ["Price list 2024"],
        [],
        [None, "Plan", "Price", "Share", "From", "Active"],
        [None, "Base", 10.0, 0.125, datetime.datetime(2024, 5, 1), True],
        [None, "Large", 0.1 + 0.2, None, datetime.datetime(2024, 5, 1, 13, 30), False],
    ]:
        sheet.append(row)
    sheet["D4"].number_format = "0.0%"
    sheet["Z900"].fill = PatternFill("solid", "00FF00")  # a cell of colour and no value
    workbook.create_sheet("Empty")
    workbook.create_sheet("Lists").append(["hidden"])
    workbook["Lists"].sheet_state = "hidden"
    workbook.create_sheet("Notes").append(["Ask sales\nfor more."])
    result = read("x.xlsx", saved(workbook))
    assert result.text == (
        "Price list 2024\nPlan\tPrice\tShare\tFrom\tActive\n"
        "Plan: Base; Price: 10; Share: 12.5%; From: 2024-05-01; Active: TRUE\n"
        "Plan: Large; Price: 0.3; From: 2024-05-01 13:30:00; Active: FALSE\n\nAsk sales for more."
    )
    assert labels(result) == [("Plans", None, "Price list 2024"), ("Notes", None, "Ask sales for more.")]


def test_sheet_as_excel_writes_it_is_read(read) -> None:
    """With shared strings, formulas beside their values, and an error."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/'
        'xml"/><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{types}.worksheet+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{types}.sharedStrings+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="a" Type="{office}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="Sum" sheetId="1" r:id="b"/>'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="b" Type="{office}'
        f'/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="c" Type="{office}/sharedStrings" '
        'Target="sharedStrings.xml"/></Relationships>',
        "xl/sharedStrings.xml": f'<sst xmlns="{main}"><si><t>Item</t></si><si><r><t>To</t></r><r><t>tal</t></r></si></sst>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c>'
        '<c r="B1" t="s"><v>1</v></c></row><row r="2"><c r="A2" t="str"><f>A1</f><v>Fee</v></c><c r="B2"><f>1+1</f><v>2'
        '</v></c><c r="C2" t="e"><v>#DIV/0!</v></c></row></sheetData></worksheet>',
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert read("x.xlsx", stream.getvalue()).text == "Item\tTotal\nFee\t2\t#DIV/0!"


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"Name,Age\nAda,36\n", ["Name\tAge", "Name: Ada; Age: 36"]),
        (b"Name;Note\r\nAda;one, two\r\n", ["Name\tNote", "Name: Ada; Note: one, two"]),
        (b"Name\tAge\nAda\t36\n", ["Name\tAge", "Name: Ada; Age: 36"]),
        (b'Q,A\n"How, and\nwhy?","Said ""so"""\n', ["Q\tA", 'Q: How, and why?; A: Said "so"']),
        (b",Q1,Q2\nSales,1,2\n", ["Q1\tQ2", "Sales; Q1: 1; Q2: 2"]),
        (b"1,2\n3,4\n", ["1\t2", "3\t4"]),
        (b"Year,2023,2024\nSales,1,2\n", ["Year\t2023\t2024", "Sales\t1\t2"]),
        (b"Just one column\nAnother line\n", ["Just one column", "Another line"]),
        (b"a,b\n1,2,3\n", ["a\tb", "1\t2\t3"]),
    ],
)
def test_csv_rows_name_their_columns_where_there_is_a_header(read, data: bytes, lines: list[str]) -> None:
    assert read("x.csv", data).text.split("\n") == lines


def test_csv_that_is_no_table_is_still_text(read) -> None:
    data = b'"never closed\n' + b"line, more\n" * 20_000
    before = csv.field_size_limit(5_000_000)
    try:
        assert read("x.csv", data).text == data.decode()
        csv.field_size_limit(131_072)
        assert read("x.csv", data).text == data.decode()
    finally:
        csv.field_size_limit(before)
