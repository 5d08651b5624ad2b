"""Stores for tests: SQLite files, or in their place databases on a real PostgreSQL.

``tests/on_postgresql`` runs some tests once more on PostgreSQL; PAIRLOOP_TEST_DATABASE=postgresql runs all of them there.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

import pipeline.store
from pipeline.records import new_id
from pipeline.store import Store
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
