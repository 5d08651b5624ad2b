"""From SQLite to PostgreSQL: every row of every table, in one transaction that ends only where both hold the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Table, insert, select

from pipeline.errors import StoreError
from pipeline.store.dialects import defer_references
from pipeline.store.engine import open_database
from pipeline.store.local_schema import local_values, metadata, replicas, table_versions
from pipeline.store.shared import Server, finite, open_shared

ROWS = 1_000
# What is about the replicas of a shared store, of which an SQLite file has none.
_LEFT_OUT = (replicas, table_versions)
TABLES = tuple(table for table in metadata.sorted_tables if table not in _LEFT_OUT)
Report = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Held:
    """How many rows a table holds, and the SHA-256 of all of them in the order of their keys."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What every table holds on both sides, by name; ``already`` says that it was there before. ``store`` is the store's id."""

    tables: Mapping[str, Held]
    already: bool
    store: str


def move(file: Path, server: Server, report: Report = lambda table, rows: None) -> Moved:
    """Copy the store in an SQLite file into an empty PostgreSQL database; ``report`` is told (table, rows) after each.

    Twice is the same as once. NUL, which PostgreSQL does not take, is left out of texts, and numbers that are none of JSON.

    Raises:
        SettingsError: one of them cannot be opened.
        StoreError: the database holds something else; or something of it was not the same afterwards, and nothing was kept.
    """
    source, target = open_database(file), open_shared(server)
    try:
        with source.read() as reading:
            there = {table.name: held(reading, table) for table in TABLES}
            with target.write() as writing:
                if not _is_empty(writing):
                    _compare(
                        there,
                        writing,
                        "The database is not empty, and holds other {}: nothing was changed. Use a new one.",
                    )
                    return Moved(there, True, source.id)
                _copy(reading, writing, report)
                _compare(there, writing, "{} did not arrive as they were: nothing was kept.")
        return Moved(there, False, source.id)
    finally:
        for database in (source, target):
            database.close()


def held(connection: Connection, table: Table) -> Held:
    """Return what a table holds, as it is read through either database."""
    count, sha256 = 0, hashlib.sha256()
    for row in _rows(connection, table):
        count += 1
        sha256.update(json.dumps(row, sort_keys=True, default=str).encode())
    return Held(count, sha256.hexdigest())


def _rows(connection: Connection, table: Table) -> Iterator[dict[str, object]]:
    query = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=ROWS)
    for row in connection.execute(query).mappings():
        yield {name: _as_both_keep_it(value) for name, value in row.items()}


def _as_both_keep_it(value: object) -> object:
    return value.replace("\x00", "") if isinstance(value, str) else finite(value)


def _copy(reading: Connection, writing: Connection, report: Report) -> None:
    defer_references(writing)
    # Who the store is among those that share a dataset repo moves with it.
    writing.execute(local_values.delete())
    for table in TABLES:
        some: list[dict[str, object]] = []
        count = 0
        for row in _rows(reading, table):
            some.append(row)
            count += 1
            if len(some) == ROWS:
                writing.execute(insert(table), some)
                some = []
        if some:
            writing.execute(insert(table), some)
        report(table.name, count)


def _is_empty(connection: Connection) -> bool:
    """Say whether nobody has written anything: a store that was only opened has its id."""
    return not any(connection.execute(select(table).limit(1)).first() for table in TABLES if table is not local_values)


def _compare(wanted: Mapping[str, Held], connection: Connection, problem: str) -> None:
    other = [table.name for table in TABLES if held(connection, table) != wanted[table.name]]
    if other:
        raise StoreError(problem.format(", ".join(name.replace("_", " ") for name in other)))
