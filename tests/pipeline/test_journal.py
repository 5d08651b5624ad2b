"""Blocks of changes: what is whole is read, what is damaged is told, and nothing that is foreign gets through."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import journal
from pipeline.records import Change, new_id

REPLICA, STAMP = "01j0000000000000000000000a", "01j0000000000000000000000b"
ODD = '"\\ \u2028 \ud83d 北 \x7f\r\n{"'
TEXTS = st.text(alphabet=st.characters(exclude_categories=()))


def changes(*texts):
    return [
        Change("responses", f"r{n}", new_id(), REPLICA, {"id": f"r{n}", "text": text}) for n, text in enumerate(texts)
    ]


def block(*texts):
    return journal.write_block(REPLICA, journal.write_lines(changes(*texts)))


def rows(reading):
    return [change.row["text"] for change in reading.changes]


@given(st.lists(TEXTS, max_size=5))
def test_what_is_written_is_read_whatever_the_text(texts):
    made = changes(*texts)
    data = journal.write_block(REPLICA, journal.write_lines(made))
    reading = journal.read_blocks(data)
    assert (list(reading.changes), reading.size, reading.problem) == (made, len(data), "")


def test_a_file_of_several_blocks_is_read_in_order():
    reading = journal.read_blocks(block("one", "two") + block() + block("three"))
    assert (rows(reading), reading.problem) == (["one", "two", "three"], "")


def test_nothing_at_all_is_an_empty_file_and_no_problem():
    assert journal.read_blocks(b"") == journal.Reading((), 0)


def test_a_file_that_is_cut_anywhere_gives_its_whole_blocks_and_says_where_it_ends():
    first, second = block("one", ODD), block("two", "three")
    data = first + second
    for length in range(len(data)):
        reading = journal.read_blocks(data[:length])
        whole = length >= len(first)
        assert rows(reading) == (["one", ODD] if whole else [])
        assert reading.size == (len(first) if whole else 0)
        assert bool(reading.problem) == (length not in (0, len(first)))


@given(st.data())
@settings(max_examples=200)
def test_a_byte_that_flips_never_changes_a_row_and_is_told(data):
    whole = block("one", "two")
    place, value = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    damaged = bytearray(whole)
    damaged[place] ^= value
    reading = journal.read_blocks(bytes(damaged))
    # The header's own words for who wrote it are the only bytes that no sum covers.
    assert reading.problem and not reading.changes or rows(reading) == ["one", "two"]


def test_what_comes_after_a_damaged_block_is_not_guessed_at():
    reading = journal.read_blocks(block("one") + b"garbage\n" + block("two"))
    assert rows(reading) == ["one"] and "from byte" in reading.problem


def header(**values):
    return (json.dumps({"pairloop": 1, "replica": REPLICA, "rows": 0, "sha256": ""} | values) + "\n").encode()


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"null\n",
        b"[]\n",
        b"7\n",
        b'{"pairloop":1}\n',
        b"\xff\xfe\n",
        b"PK\x03\x04\n",
        b"[" * 100_000 + b"\n",
        header(pairloop=2),
        header(rows="many"),
        header(rows=None),
        header(rows=10**30),
        header(rows=float("inf")),
        header(rows=float("nan")),
        header(sha256=None),
    ],
    ids=lambda data: repr(data[:30]),
)
def test_a_header_that_is_none_is_told_in_words(data):
    reading = journal.read_blocks(data)
    assert not reading.changes and "damaged or not whole" in reading.problem


LINE = {"at": STAMP, "by": REPLICA, "table": "responses", "row": {"id": "r1"}}


STRANGE = {
    "a list": [],
    "nothing": {},
    "no stamp": {**LINE, "at": "yesterday"},
    "a stamp in pieces": {**LINE, "at": list(STAMP)},
    "a number for a replica": {**LINE, "by": 5},
    "no table": {**LINE, "table": None},
    "half a character for a table": {**LINE, "table": "\ud800"},
    "a list for a row": {**LINE, "row": []},
    "no id": {**LINE, "row": {}},
    "a number for an id": {**LINE, "row": {"id": 5}},
    "half a character for an id": {**LINE, "row": {"id": "\udfff"}},
}


@pytest.mark.parametrize("line", STRANGE.values(), ids=STRANGE)
def test_a_line_that_is_no_row_is_refused_though_its_sum_fits(line):
    body = json.dumps(line).encode() + b"\n"
    data = header(rows=1, sha256=hashlib.sha256(body).hexdigest()) + body
    assert journal.read_blocks(data).problem


def test_a_file_of_a_newer_version_says_so():
    assert "newer version" in journal.read_blocks(header(pairloop=2)).problem
