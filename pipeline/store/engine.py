"""Connections of the store: SQLite in WAL mode, one writer at a time, migrated to the newest schema when it is opened."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError, OperationalError

from pipeline import ulid
from pipeline.errors import SettingsError, StoreError
from pipeline.records import new_id
from pipeline.store.local_schema import changes, local_values, parked_changes

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(slots=True)
class Writer:
    """Who writes: this replica with its stamps. ``noted`` are the tables of whose rows the open transaction has changed some."""

    replica: str
    stamps: ulid.Stamps
    noted: set[str] = field(default_factory=set)


class Database:
    """The engine and its transactions. ``write()`` commits when its block ends and rolls back when it raises."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # SQLite lets writers wait with a growing sleep (up to a second measured); queueing them here is fair and quick.
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._versions: Counter[str] = Counter()
        self.writer = Writer(*_identity(engine))

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open the one write transaction of this process.

        Raises:
            StoreError: it cannot be written; nothing of the block was.
        """
        options = {"pairloop_write": True, "pairloop_writer": self.writer}
        with self._lock:
            self.writer.noted = set()
            try:
                with self.engine.execution_options(**options).begin() as connection:
                    yield connection
            except OperationalError as error:
                raise StoreError(f"This could not be saved ({error.orig}). Nothing of it was.") from error
            noted = self.writer.noted
            self._versions.update(noted)
        if noted:
            for tell in self._listeners:
                tell()

    def version(self, *tables: Table) -> tuple[int, ...]:
        """Return numbers that differ from earlier ones when a row of these tables was committed since.

        What was read after asking for them is no older than they say. This process is the only one that writes to its store.
        """
        return tuple(self._versions[table.name] for table in tables)

    def when_changed(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` after every commit that changed a row that travels; it must return at once."""
        self._listeners.append(tell)

    def local(self, name: str) -> str:
        """Return a value of this store alone, or ""."""
        with self.read() as connection:
            return connection.scalar(select(local_values.c.value).where(local_values.c.name == name)) or ""

    def set_local(self, name: str, value: str) -> None:
        """Keep a value of this store alone."""
        with self.write() as connection:
            _put_local(connection, name, value)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection that sees one consistent state."""
        with self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_database(file: Path) -> Database:
    """Open the SQLite store in ``file``, made and migrated as needed.

    Raises:
        SettingsError: the folder cannot be used, or the file is no store that this version can read.
    """
    from alembic.util import CommandError

    engine = create_engine(URL.create("sqlite", database=str(file)), connect_args={"timeout": 30})
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        migrate(engine)
    except OSError as error:
        raise SettingsError(
            f"{file.parent} cannot be used ({error.strerror}): set PAIRLOOP_HOME to another folder."
        ) from error
    except (DatabaseError, CommandError) as error:
        reason = str(getattr(error, "orig", error)).rstrip(".")
        raise SettingsError(
            f"{file} cannot be opened ({reason}): set PAIRLOOP_HOME to another folder, or use the version that made it."
        ) from error
    return Database(engine)


def writer_of(connection: Connection) -> Writer:
    """Return who writes on the connection of a write transaction."""
    return connection.get_execution_options()["pairloop_writer"]


def _identity(engine: Engine) -> tuple[str, ulid.Stamps]:
    """Return the replica id of this store, made at first sight, and its stamps, which go on after the newest one."""
    with engine.execution_options(pairloop_write=True).begin() as connection:
        replica = connection.scalar(select(local_values.c.value).where(local_values.c.name == "replica"))
        if replica is None:
            replica = new_id()
            _put_local(connection, "replica", replica)
        newest = [connection.scalar(select(func.max(table.c.stamp))) for table in (changes, parked_changes)]
    return replica, ulid.Stamps(max(filter(None, newest), default=None))


def _put_local(connection: Connection, name: str, value: str) -> None:
    statement = insert(local_values).values(name=name, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to ``revision``; every migration is one transaction together with its version record."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.connect() as connection:
        # SQLite changes a table by making it anew: rows that point at the old one must not stand in its way meanwhile.
        # The pragma is ignored within a transaction, and this is the connection of the migrations alone.
        connection.connection.driver_connection.execute("PRAGMA foreign_keys = OFF")
        connection = connection.execution_options(pairloop_write=True)
        with connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise DatabaseError("PRAGMA foreign_key_check", None, ValueError(f"{len(broken)} rows point nowhere"))
        connection.connection.driver_connection.execute("PRAGMA foreign_keys = ON")


def _set_pragmas(dbapi_connection, _record) -> None:
    # The driver must not begin transactions by itself: _begin decides between a read and a write transaction.
    dbapi_connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A transaction that starts by reading and then writes would fail with "database is locked" behind another process's
    # write; taking the write lock at the start makes it wait its turn instead.
    write = connection.get_execution_options().get("pairloop_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
