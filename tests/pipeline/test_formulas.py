"""No cell of a table that the app writes is run by a spreadsheet, and what is brought back is what it was."""

import csv
import io
import json
import re
from pathlib import Path

import pyarrow.parquet
import pytest

from pipeline.annotation.settings import DatasetSettings, Field, Question, QuestionKind
from pipeline.dump import Dump, DumpRecord, DumpResponse
from pipeline.query_files import read_queries
from pipeline.record_files.reading import read_bytes
from pipeline.record_files.writing import Form, write
from pipeline.records import ResponseStatus
from pipeline.spreadsheets import to_csv, unescaped

ROOT = Path(__file__).resolve().parents[2]
STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠"]
RUN = [
    *(f"{start}HYPERLINK(\"http://elsewhere.invalid\")" for start in STARTS),
    "=cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "+1-1", "=1+1\",\"=2+2", "\t=1+1", "\r\n=1+1",
    "'=1+1", "''=1+1", "'@x", "=", "-", "--", "=\"\"",
]  # fmt: skip
PLAIN = ["-3", "+1.5e3", "-0.25", "5 - 3 = 2", "'quoted'", "", "a=b", "x@y.example", "O'Neil", "'", "''"]
LINES = ("\t", "\r", "\n", "\0")


def table(written):
    return list(csv.reader(io.StringIO(written, newline="")))


@pytest.mark.parametrize("text", RUN + PLAIN)
def test_a_cell_runs_nothing_and_becomes_again_what_it_was(text):
    (header, row) = table(to_csv([f"{text} of a column", "n"], [[text, "1"]]))
    for cell, before in ((row[0], text), (header[0], f"{text} of a column")):
        assert unescaped(cell) == before
        assert not cell.startswith(tuple(STARTS)) or cell in PLAIN, cell


def test_tables_are_written_in_one_place():
    files = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "components").rglob("*.py"), ROOT / "app.py"]
    writes = re.compile(r"csv\.(writer|DictWriter)\(|\.to_csv\(|\.to_excel\(|\bWorkbook\(")
    found = [file.relative_to(ROOT).as_posix() for file in files if writes.search(file.read_text(encoding="utf-8"))]
    assert found == ["pipeline/spreadsheets.py"]


def dump(texts):
    settings = DatasetSettings((Field("text"),), (Question("note", QuestionKind.TEXT),))
    records = tuple(
        DumpRecord(number, {"text": text}, {"source": text}, (), f"r{number}", responses=(
            DumpResponse("Ada", ResponseStatus.SUBMITTED, {"note": text}, 1.0, 2.0),
        ))
        for number, text in enumerate(texts, 1)
    )  # fmt: skip
    return Dump("=1+1", settings, records)


def test_records_go_out_as_a_table_and_come_back_as_they_were():
    texts = [text for text in RUN + PLAIN if text.strip() and not any(sign in text for sign in LINES)]
    name, content = write(dump(texts), Form.CSV_RECORDS)
    assert not name.startswith("=")
    for row in table(content.decode()):
        assert not [cell for cell in row if cell.startswith(("=", "@", "＝"))]
    assert [row.cells["text"] for row in read_bytes(content, "x.csv").rows] == texts


def test_queries_of_a_table_come_back_as_they_were(tmp_path):
    texts = [text for text in RUN if text.strip() == text and not any(sign in text for sign in LINES) and len(text) > 3]
    path = tmp_path / "x.csv"
    path.write_text(to_csv(["query", "=column"], [[text, text] for text in texts]), encoding="utf-8", newline="")
    found = read_queries(path, "x.csv")
    assert [query.text for query in found] == texts
    assert [query.metadata for query in found] == [{"=column": text} for text in texts]


def test_what_no_spreadsheet_opens_is_as_it_was():
    texts = [text for text in RUN if "\0" not in text]
    _, lines = write(dump(texts), Form.PAIRLOOP)
    values = [json.loads(line) for line in lines.decode().split("\n") if line]
    assert [value["fields"]["text"] for value in values if "fields" in value and "text" in value["fields"]] == texts
    _, parquet = write(dump(texts), Form.PARQUET_RECORDS)
    assert pyarrow.parquet.read_table(io.BytesIO(parquet)).column("text").to_pylist() == texts
