"""Connections of the store: SQLite in WAL mode, one writer at a time, migrated to the newest schema when it is opened."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from pipeline.errors import SettingsError

MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """The engine and its transactions. ``write()`` commits when its block ends and rolls back when it raises."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # SQLite lets writers wait with a growing sleep (up to a second measured); queueing them here is fair and quick.
        self._writer = threading.Lock()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open the one write transaction of this process."""
        with self._writer, self.engine.execution_options(pairloop_write=True).begin() as connection:
            yield connection

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


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to ``revision``; every migration is one transaction together with its version record."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.execution_options(pairloop_write=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


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
