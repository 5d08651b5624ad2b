"""Awkward files as rows, beside what pandas and the csv module make of them."""

import io
import json
import math
import zipfile

import openpyxl
import pandas
import pytest

from pipeline.annotation.settings import DatasetSettings, Field, Question, QuestionKind
from pipeline.dump import Dump, DumpRecord, DumpResponse
from pipeline.errors import RecordError
from pipeline.record_files.flat import csv_text, response_rows
from pipeline.record_files.reading import read_bytes, read_text, unpacked
from pipeline.record_files.tables import MAX_ROWS
from pipeline.records import ResponseStatus
from pipeline.spreadsheets import to_csv


def cells(source):
    return [dict(row.cells) for row in source.rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiter_and_encoding_are_told_by_the_content(delimiter, encoding):
    frame = pandas.DataFrame(
        {"text": ['Größe, "so"; sagt er', "zwei\nZeilen\tund Tab | Strich"], "label": ["gut", "schön"]}
    )
    data = frame.to_csv(index=False, sep=delimiter).encode(encoding)
    assert cells(read_bytes(data, "x.csv")) == frame.to_dict("records")


def test_a_byte_order_mark_is_no_part_of_the_first_column():
    assert read_bytes(b"\xef\xbb\xbfid,text\n1,a\n", "x.csv").columns == ["id", "text"]


def test_a_line_of_200_000_characters_comes_in_whole():
    long = "so long " * 25_000
    assert cells(read_bytes(f'text,n\n"{long}",1\n'.encode(), "x.csv")) == [{"text": long, "n": "1"}]
    assert cells(read_text(json.dumps({"text": long}) + "\n" + json.dumps({"text": "b"}), "x"))[0] == {"text": long}


def test_emoji_and_right_to_left_text_stay_as_they_are():
    text = "🙂👩‍👩‍👧 مرحبا שלום \u200f!"
    assert cells(read_bytes(f"text\n{text}\n".encode(), "x.csv")) == [{"text": text}]


def test_a_single_column_may_hold_commas():
    assert cells(read_text("text\nOne, two\nthree, four, five\n", "x.csv")) == [
        {"text": "One, two"},
        {"text": "three, four, five"},
    ]


def test_ragged_rows_are_named_and_the_others_come_in():
    source = read_text("a,b\n1,2\n1,2,3\n4\n\n5,6,,\n", "x.csv")
    assert [(row.place, bool(row.problem)) for row in source.rows] == [
        ("row 2", False),
        ("row 3", True),
        ("row 4", False),
        ("row 6", False),
    ]
    assert "more cells (3) than there are columns (2)" in source.rows[1].problem


def test_a_quotation_mark_out_of_place_is_named():
    source = read_text('a,b\n1,2\n"3" x,4\n5,6\n', "x.csv")
    assert [bool(row.problem) for row in source.rows] == [False, True]
    assert source.rows[1].place == "row 3" and "quotation mark" in source.rows[1].problem


def test_nan_is_nothing_in_json_and_parquet():
    assert cells(read_text('[{"text": "a", "score": NaN}]', "x.json")) == [{"text": "a", "score": None}]
    file = io.BytesIO()
    pandas.DataFrame({"text": ["a", None], "score": [math.nan, 0.5], "n": [1, 2]}).to_parquet(file)
    assert cells(read_bytes(file.getvalue(), "x.parquet")) == [
        {"text": "a", "score": None, "n": 1},
        {"text": None, "score": 0.5, "n": 2},
    ]


def test_a_workbook_is_refused_whatever_its_name():
    file = io.BytesIO()
    openpyxl.Workbook().save(file)
    with pytest.raises(RecordError, match="Excel workbook"):
        read_bytes(file.getvalue(), "x.csv")


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"  \n\n", b"text\n"])
def test_a_file_without_records_says_so(data):
    with pytest.raises(RecordError, match="empty|no records"):
        read_bytes(data, "x.csv")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"%PDF-1.7 abc", "PDF"),
        (bytes(range(256)) * 40, "not a text file"),
        (b"PK\x03\x04 broken", "damaged"),
        (b"PAR1 broken", "damaged Parquet"),
        (b"[1, 2", "not JSON"),
        (b"a,a\n1,2\n", "two columns named 'a'"),
        (("[" * 5000).encode(), "not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(data, said):
    with pytest.raises(RecordError, match=said):
        read_bytes(data, "x.json")


def test_a_broken_line_of_jsonl_is_named_and_the_others_come_in():
    source = read_text('{"a": 1}\n{"a": 2\n\n3\n{"a": 4}\n', "x.jsonl")
    assert [(row.place, row.problem.split(" (")[0]) for row in source.rows] == [
        ("line 1", ""),
        ("line 2", "it is not JSON"),
        ("line 4", "it is not an object"),
        ("line 5", ""),
    ]


def test_a_list_inside_an_object_is_found():
    assert cells(read_text('{"version": 2, "records": [{"text": "a"}, {"text": "b"}]}', "x.json")) == [
        {"text": "a"},
        {"text": "b"},
    ]


def test_ten_thousand_rows_are_those_of_pandas_and_too_many_are_refused():
    text = pandas.DataFrame({"text": [f"Text {n}, with a comma" for n in range(10_000)], "n": range(10_000)}).to_csv(
        index=False
    )
    expected = pandas.read_csv(io.StringIO(text), dtype=str).to_dict("records")
    assert cells(read_text(text, "x.csv")) == expected
    with pytest.raises(RecordError, match="100,000 rows"):
        read_text("a\n" + "x\n" * (MAX_ROWS + 1), "x.csv")


@pytest.mark.parametrize("text", ["-5 degrees", "=1+1", "'=1", "''@x", "'quoted'", "-3", "+1.5e3", "- a\n- b"])
def test_a_csv_that_runs_nothing_in_a_spreadsheet_is_read_as_it_was(text):
    written = csv_text([{"text": text}])
    assert not text.startswith("=") or "'=" in written
    (row,) = read_bytes(written.encode(), "x.csv").rows
    assert row.cells["text"] == text


def test_numbers_below_zero_stay_numbers_in_a_csv():
    assert to_csv(["n"], [["-3"], ["-2.5"], ["-2+3"]]).split() == ["n", "-3", "-2.5", "'-2+3"]


def test_a_field_that_is_named_as_a_column_of_the_table_keeps_a_column_of_its_own():
    settings = DatasetSettings((Field("status"), Field("id")), (Question("reason", QuestionKind.TEXT),))
    response = DumpResponse("Ada", ResponseStatus.SUBMITTED, {"reason": "Because."}, 1.0, 2.0)
    record = DumpRecord(1, {"status": "open", "id": "A7"}, {}, (), "r1", responses=(response,))
    (row,) = response_rows(Dump("d", settings, (record,)))
    assert (row["id"], row["id.field"], row["status"], row["status.field"]) == ("r1", "A7", "submitted", "open")
    assert (row["reason"], row["reason.answer"]) == (None, "Because.")


def test_a_zip_whose_packed_content_is_damaged_is_refused_in_words():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("records.json", json.dumps([{"text": f"row {n}"} for n in range(500)]))
    packed = bytearray(file.getvalue())
    packed[45:60] = bytes(15)
    with pytest.raises(RecordError, match="damaged"):
        unpacked(bytes(packed), "records.zip")
