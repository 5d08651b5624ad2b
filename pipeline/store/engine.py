"""Connections of the store: SQLite in WAL mode, one writer at a time, migrated to the newest schema when it is opened.

What PostgreSQL does otherwise is in ``shared``.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, func, inspect, select
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pipeline import ulid
from pipeline.errors import SettingsError, StoreError
from pipeline.records import new_id
from pipeline.store.dialects import upsert
from pipeline.store.local_schema import changes, local_values, metadata, parked_changes

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"
# What a database or its network does to us, which may be better in a moment: a connection that broke, a server that is stopped
# or takes no writes, no connection that is free. What we do wrong (a constraint, a statement) stays what it is.
UNAVAILABLE = (OperationalError, InterfaceError, InternalError, PoolTimeout)
# Whatever a store raises that cannot be read, also where its file is broken: for who goes on without it.
UNREADABLE_STORE = (StoreError, DatabaseError, PoolTimeout)


@dataclass(slots=True)
class Writer:
    """Who writes: this replica with its stamps. ``noted`` are the tables of whose rows the open transaction has changed some.

    ``behind`` says that others may have given out newer stamps, which the open transaction has not looked at.
    """

    replica: str
    stamps: ulid.Stamps
    behind: bool = False
    noted: set[str] = field(default_factory=set)


class Database:
    """The engine and its transactions. ``write()`` commits when its block ends and rolls back when it raises.

    ``id`` is the store's own among those that share a dataset repo.
    """

    # Whether other processes write to the same store.
    shared = False

    def __init__(self, engine: Engine, replica: str = "") -> None:
        self.engine = engine
        self._reader: Engine = engine
        # SQLite lets writers wait with a growing sleep (up to a second measured); queueing them here is fair and quick.
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._versions: Counter[str] = Counter()
        # What the transactions that write are begun with.
        self._writing: dict[str, object] = {"pairloop_write": True}
        self.id, stamps = _identity(engine)
        self.writer = Writer(replica or self.id, stamps)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open the one write transaction of this process.

        Raises:
            StoreError: it cannot be written; nothing of the block was.
        """
        options = {**self._writing, "pairloop_writer": self.writer}
        with self._lock:
            self.writer.noted, self.writer.behind = set(), self.shared
            try:
                with self.engine.execution_options(**options).begin() as connection:
                    yield connection
                    self._before_commit(connection)
            except UNAVAILABLE as error:
                raise StoreError(f"This could not be saved ({reason_of(error)}). Nothing of it was.") from error
            noted = self.writer.noted
            self._versions.update(noted)
        if noted:
            self.tell()

    def check_schema(self) -> None:
        """Nothing: no other process can make the schema another one, as long as this one has the file."""

    def _before_commit(self, connection: Connection) -> None:
        """Nothing: this process is the only one that writes to its store."""

    def tell(self) -> None:
        """Tell those who asked that rows that travel were changed."""
        for tell in self._listeners:
            tell()

    def version(self, *tables: Table) -> tuple[int, ...]:
        """Return numbers that differ from earlier ones when a row of these tables was committed since.

        What was read after asking for them is no older than they say.
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
    def alone(self, what: str) -> Iterator[None]:
        """Let one replica of this store at a time through the block; without others there is nobody to wait for."""
        yield

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection that sees one consistent state."""
        with self._reader.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_database(file: Path) -> Database:
    """Open the SQLite store in ``file``, made and migrated as needed.

    Raises:
        SettingsError: the folder cannot be used, or the file is no store that this version can read.
    """
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
    except DatabaseError as error:
        reason = str(getattr(error, "orig", error)).rstrip(".")
        raise SettingsError(
            f"{file} cannot be opened ({reason}): set PAIRLOOP_HOME to another folder, or use the version that made it."
        ) from error
    except NewerSchema as error:
        raise SettingsError(
            f"{file} cannot be opened, because {error}: set PAIRLOOP_HOME to another folder, or use the version that made it."
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
    statement = upsert(connection, local_values).values(name=name, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def reason_of(error: SQLAlchemyError) -> str:
    """Return what the database itself said, in one line; or that the wait for a connection of ours was in vain."""
    if not isinstance(error, DBAPIError):
        return "all connections to it are in use"
    return " ".join(str(error.orig).split("\n\n")[0].split()).rstrip(".")


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to ``revision``; every migration is one transaction together with its version record.

    Raises:
        NewerSchema: a newer version of Pairloop has made it what it is. Nothing was changed.
    """
    with engine.connect() as connection:
        # SQLite changes a table by making it anew: rows that point at the old one must not stand in its way meanwhile.
        # The pragma is ignored within a transaction, and this is the connection of the migrations alone.
        connection.connection.driver_connection.execute("PRAGMA foreign_keys = OFF")
        connection = connection.execution_options(pairloop_write=True)
        with connection.begin():
            upgrade(connection, revision)
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise DatabaseError("PRAGMA foreign_key_check", None, ValueError(f"{len(broken)} rows point nowhere"))
        connection.connection.driver_connection.execute("PRAGMA foreign_keys = ON")


class NewerSchema(Exception):
    """A newer version of Pairloop has made the schema what it is."""


def upgrade(connection: Connection, revision: str = "head") -> bool:
    """Run the migrations that are missing, in the transaction of this connection; return whether there were any.

    Raises:
        NewerSchema: the schema is one that this version does not know.
    """
    from alembic import command
    from alembic.migration import MigrationContext

    scripts, config = _scripts(), _config()
    config.attributes["connection"] = connection
    context = MigrationContext.configure(connection)
    current, known = context.get_current_revision(), scripts.get_current_head()
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise NewerSchema(f"a newer version of Pairloop has used it (its schema is {current}, this one knows {known})")
    if revision == "head" and not inspect(connection).get_table_names():
        # Where the migrations lead, in a tenth of their time; a test holds the one against the other.
        metadata.create_all(connection, checkfirst=False)
        context.stamp(scripts, revision)
    elif current != known:
        command.upgrade(config, revision)
    return current != known


def newest_schema() -> str:
    """Return the schema that this version knows, and brings every store to."""
    return str(_scripts().get_current_head())


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


@cache
def _scripts() -> ScriptDirectory:
    """The migrations, which are read once: that takes longer than to open a store that needs none of them."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


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
