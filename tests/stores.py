"""Stores for tests: SQLite files, or in their place databases on a real PostgreSQL.

``tests/on_postgresql`` runs some tests once more on PostgreSQL; PAIRLOOP_TEST_DATABASE=postgresql runs all of them there.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

import pipeline.store
from pipeline.records import new_id
from pipeline.store import Store
from pipeline.store.engine import Database
from pipeline.store.shared import Server
from tests.postgres import POSTGRES

SQLITE, POSTGRESQL = "sqlite", "postgresql"
DEFAULT = os.environ.get("PAIRLOOP_TEST_DATABASE", SQLITE)
assert DEFAULT in (SQLITE, POSTGRESQL), "PAIRLOOP_TEST_DATABASE takes sqlite or postgresql"
_engines = [DEFAULT]


@contextmanager
def on(engine: str) -> Iterator[None]:
    """Open the stores within the block on this engine."""
    _engines.append(engine)
    try:
        yield
    finally:
        _engines.pop()


def is_postgresql() -> bool:
    """Say which engine stores are opened on."""
    return _engines[-1] == POSTGRESQL


def url_of(file: Path) -> str:
    """Return the address of the database in the place of a file, or "" where it is the file."""
    return POSTGRES.url_of(file) if is_postgresql() else ""


def open_store(file: Path, restore: Callable[[Store], bool] = lambda store: False) -> Store:
    """Open the store of a file, wherever it is."""
    return pipeline.store.open_store(file, restore, Server(url_of(file), "") if is_postgresql() else None)


def code_to_open(file: Path) -> str:
    """Return the Python that opens the store of a file in another process."""
    server = f"Server({url_of(file)!r}, '')" if is_postgresql() else "None"
    return f"open_store(Path({str(file)!r}), server={server})"


def copy(base: Path, to: Path) -> None:
    """Copy the folder of a workspace, or the file of a store, with what is in it, wherever that is."""
    if base.is_dir():
        shutil.copytree(base, to)
    elif not is_postgresql():
        shutil.copy(base, to)
    if is_postgresql():
        POSTGRES.copy(base, to)


def copy_as_another(base: Path, to: Path) -> None:
    """Copy the file of a store, and make the copy another replica of its dataset repo."""
    copy(base, to)
    if is_postgresql():
        with psycopg.connect(url_of(to)) as connection:
            connection.execute("UPDATE local_values SET value = %s WHERE name = 'replica'", (new_id(),))
        return
    with closing(sqlite3.connect(to)) as connection:
        connection.execute("DELETE FROM local_values WHERE name = 'replica'")
        connection.commit()


def content(home: Path) -> bytes:
    """Return the bytes of everything that the store of a workspace holds."""
    if is_postgresql():
        return b"".join(POSTGRES.rows_of(home).values())
    return b"".join(file.read_bytes() for file in home.glob("pairloop.db*"))


@contextmanager
def refusing(database: Database, change: str, when: str = "true", full: bool = False) -> Iterator[None]:
    """Let the database refuse a change, as "INSERT ON votes", within the block, where the new row meets a condition.

    It says that the row is not allowed or, with ``full``, that it has no room.
    """
    code = "disk_full" if full else "integrity_constraint_violation"
    begin = (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {when} THEN RAISE EXCEPTION 'refused' USING ERRCODE = '{code}'; END IF; RETURN NEW; END $$",
        f"CREATE TRIGGER refusing BEFORE {change} FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    end = ("DROP FUNCTION refuse CASCADE",)
    if not database.shared:
        # To write into a table that is not there fails as to write where there is no room.
        refuse = "INSERT INTO nowhere VALUES (1)" if full else "SELECT RAISE(ABORT, 'refused')"
        begin = (f"CREATE TRIGGER refusing BEFORE {change} WHEN {when} BEGIN {refuse}; END",)
        end = ("DROP TRIGGER refusing",)
    _run(database, begin)
    try:
        yield
    finally:
        _run(database, end)


def _run(database: Database, statements: Sequence[str]) -> None:
    with database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
