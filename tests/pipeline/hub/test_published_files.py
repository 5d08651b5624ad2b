"""The files of the published tables: the same bytes for the same rows, small groups, and nobody named."""

from __future__ import annotations

import hashlib
import io
import re

import pyarrow.parquet
import pytest

from pipeline.hub.publish import annotators, published_files, published_rows
from pipeline.hub.tables import TABLES, parquet
from pipeline.store.members import AUTOMATIC
from tests.published import ODD, PEOPLE, REPO, SALT

BY_NAME = {table.name: table for table in TABLES}


def test_the_same_workspace_gives_the_same_bytes_whatever_the_order_of_its_rows(workspace, files):
    assert published_files(workspace.services.store, REPO, salt=SALT) == files
    rows = published_rows(workspace.services.store, SALT)
    assert all(parquet(table, rows[table.name][::-1]) == files[table.path] for table in TABLES)


def test_a_row_that_lacks_a_column_is_refused():
    with pytest.raises(KeyError, match="text"):
        parquet(BY_NAME["documents"], [{"id": "d", "name": "n", "media_type": "m", "sha256": "s"}])


def test_big_rows_are_in_small_groups():
    rows = [
        {
            "id": f"{n:05}",
            "query": "x" * 100,
            "split": "train",
            "query_set_id": "s",
            "query_set": "s",
            "asked_in": "list",
        }
        | {"position": n, "metadata": []}
        for n in range(2500)
    ]
    read = pyarrow.parquet.ParquetFile(io.BytesIO(parquet(BY_NAME["queries"], rows))).metadata
    assert (read.num_rows, read.num_row_groups) == (2500, 3)
    large = [{**row, "query": "x" * 1_000_000} for row in rows[:100]]
    read = pyarrow.parquet.ParquetFile(io.BytesIO(parquet(BY_NAME["queries"], large))).metadata
    assert max(read.row_group(n).num_rows for n in range(read.num_row_groups)) < 40


def everything(files):
    """Return what stands in the files, as bytes and as read."""
    tables = [pyarrow.parquet.read_table(io.BytesIO(files[table.path])) for table in TABLES]
    return b"".join(files.values()) + repr([table.to_pylist() for table in tables]).encode()


def test_nobody_is_named_and_nothing_leads_to_a_person(workspace, files):
    text = everything(files)
    assert ODD.encode()[:20] in text
    for name, member_id in zip(PEOPLE, workspace.people, strict=True):
        for told in (name, name.split()[0], repr(name), member_id, hashlib.sha256(name.encode()).hexdigest()):
            assert told.encode() not in text
    assert SALT.encode() not in text and b"A draft." not in text and b"Another draft." not in text


def test_pseudonyms_stay_for_a_salt_and_change_with_it(workspace):
    store, (ada, bo) = workspace.services.store, workspace.people
    names = annotators(store, SALT)
    assert re.fullmatch(r"annotator-[0-9a-f]{10}", names[ada]) and names[ada] != names[bo]
    assert names == annotators(store, SALT) and names[ada] != annotators(store, "another")[ada]
    assert names[AUTOMATIC] == "automatic"


def test_names_are_published_where_the_workspace_says_so(workspace):
    shown = published_files(workspace.services.store, REPO, salt=SALT, show_names=True)
    text = everything(shown)
    assert PEOPLE[0].encode() in text and workspace.people[0].encode() not in text
    assert b"under the names that they gave themselves" in shown["README.md"]


def test_two_people_of_one_name_stay_two_and_nobody_is_taken_for_automatic(services):
    people = [services.store.members.by_token(token) for token in "abc"]
    for member_id, name in zip(people, ("Ada", "Ada", AUTOMATIC), strict=True):
        services.store.members.rename(member_id, name)
    names = annotators(services.store, SALT, show_names=True)
    assert len(set(names.values())) == 4
    assert names[people[0]].startswith("Ada (annotator-") and names[AUTOMATIC] == AUTOMATIC
