"""A store that several replicas share: PostgreSQL.

Writes are serialised by one advisory lock that a transaction takes first and gives back at its end. It gives what BEGIN IMMEDIATE
gives in SQLite: whoever writes sees everything that was written before, so that "is there a place left" and "how often was this
model on the left" are true until the commit. SERIALIZABLE would have to be tried again whenever two of them meet, and nearly
all writes note a change in one table; row locks do not hold for rows that are not there yet. In READ COMMITTED, which the
transactions that write have, each statement sees what was committed before it, also while the lock was waited for.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, Table, create_engine, event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DisconnectionError, NotSupportedError, ProgrammingError

from pipeline.database_url import place_of
from pipeline.errors import OutdatedError, SettingsError, StoreError
from pipeline.store.dialects import upsert
from pipeline.store.engine import UNAVAILABLE, Database, NewerSchema, newest_schema, reason_of, upgrade
from pipeline.store.local_schema import metadata, table_versions

# Advisory locks are numbers of one database: the first says that they are Pairloop's, the second what for, in which schema.
_LOCK = "715001, hashtext(current_schema() || ' {}')"
# A process that stands still in the middle of a transaction must not hold up the others for ever; nor a peer that is gone.
_SESSION = (
    "SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '120s'; "
    "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
)
# Nor may a server that is gone without a word (a host that lost its power, a network that drops what it is sent) hold us up:
# what is sent and not acknowledged within 20 s fails, and who waits for an answer sees after 30 s that none will come. libpq
# leaves this aside where the server is reached by a socket of this machine, which tells at once.
_NETWORK = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
RESTED_SECONDS = 5.0
# What a statement comes to whose tables or columns are not there any more, or are others.
_OTHER_TABLES = (ProgrammingError, NotSupportedError)
_SCHEMA = "SELECT version_num FROM alembic_version"
# PostgreSQL cuts longer names off, and says nothing.
LONGEST_SCHEMA = 63
_VERSIONS = select(table_versions.c.name, table_versions.c.version)


@dataclass(frozen=True, slots=True)
class Server:
    """Where the shared store is, and which of its replicas this process is. The address holds a password.

    ``schema`` is the ending of the name of the schema that a workspace beside the main one has for itself: what comes before it
    is the main one's, so that two servers on one database do not meet.
    """

    url: str = field(repr=False)
    replica: str
    schema: str = ""


class SharedDatabase(Database):
    """The same transactions over PostgreSQL, for several processes at once."""

    shared = True

    def __init__(self, engine: Engine, replica: str) -> None:
        super().__init__(engine, replica)
        self._reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self.at_once = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._inside = threading.local()
        # What this version knows: one that is newer may change it while this one is at work.
        self._schema = newest_schema()
        self._writing = {**self._writing, "pairloop_schema": self._schema}

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection that sees one consistent state.

        Raises:
            StoreError: the database cannot be reached, or a newer version has changed it.
        """
        try:
            with super().read() as connection:
                yield connection
        except UNAVAILABLE as error:
            raise StoreError(f"The database cannot be reached ({reason_of(error)}). Try again in a moment.") from error
        except _OTHER_TABLES:
            self.check_schema()
            raise

    def check_schema(self) -> None:
        """Look whether the tables are still those that this version knows: a newer one may have changed them since.

        Raises:
            OutdatedError: they are not. Another version that starts brings the schema up, and stops nobody who is at work.
            StoreError: the database cannot be reached.
        """
        try:
            with self.at_once.connect() as connection:
                _compare(connection.scalar(text(_SCHEMA)), self._schema)
        except UNAVAILABLE as error:
            raise StoreError(f"The database cannot be reached ({reason_of(error)}). Try again in a moment.") from error

    def version(self, *tables: Table) -> tuple[int, ...]:
        """Return numbers that differ from earlier ones when a row of these tables was committed since, by whomever."""
        known = self.versions()
        return tuple(known.get(table.name, 0) for table in tables)

    def versions(self) -> dict[str, int]:
        """Return these numbers of all tables.

        Raises:
            StoreError: the database cannot be reached.
        """
        try:
            with self.at_once.connect() as connection:
                return {row.name: row.version for row in connection.execute(_VERSIONS)}
        except UNAVAILABLE as error:
            raise StoreError(f"The database cannot be reached ({reason_of(error)}). Try again in a moment.") from error

    def _before_commit(self, connection: Connection) -> None:
        # In the transaction, so that nobody sees a new number with the old rows.
        if self.writer.noted:
            statement = upsert(connection, table_versions)
            more = {"version": table_versions.c.version + 1}
            statement = statement.on_conflict_do_update(index_elements=["name"], set_=more)
            connection.execute(statement.values([{"name": name, "version": 1} for name in sorted(self.writer.noted)]))

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Let one replica of this store at a time through the block; who is in it already may come in once more.

        Raises:
            StoreError: the database cannot be reached.
        """
        held = self._inside.__dict__.setdefault("held", set())
        if what in held:
            yield
            return
        lock = lock_of(what)
        try:
            with self.at_once.connect() as connection:
                # Another one may be restoring the whole workspace: that is waited for.
                connection.exec_driver_sql("SET lock_timeout = 0")
                connection.exec_driver_sql(f"SELECT pg_advisory_lock({lock})")
                held.add(what)
                try:
                    yield
                finally:
                    held.discard(what)
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({lock})")
                    connection.exec_driver_sql("SET lock_timeout = '30s'")
        except UNAVAILABLE as error:
            raise StoreError(f"The database cannot be reached ({reason_of(error)}). Try again in a moment.") from error


def open_shared(server: Server) -> SharedDatabase:
    """Open the store on a PostgreSQL server, made and migrated as needed; one replica at a time does that.

    Raises:
        SettingsError: the server cannot be reached or used, or a newer version of Pairloop has used it.
    """
    place = place_of(server.url)
    name = f"pairloop {server.replica}".strip()
    try:
        engine = engine_of(server.url, name, _made_schema(server) if server.schema else "")
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock_of('migrating')})")
            # Who is at work on the older schema writes before the migrations, or sees afterwards that it must not.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock_of('writing')})")
            if upgrade(connection):
                _finish_schema(connection)
        return SharedDatabase(engine, server.replica)
    except NewerSchema as error:
        raise SettingsError(
            f"{place} cannot be opened, because {error}: set DATABASE_URL to another database, or use the version that made it."
        ) from error
    except DatabaseError as error:
        raise SettingsError(
            f"{place} cannot be used ({reason_of(error)}): see to DATABASE_URL and the server."
        ) from error


def _made_schema(server: Server) -> str:
    """Return the schema of a workspace beside the main one, made as needed by one replica at a time.

    Raises:
        DatabaseError: it cannot be made.
    """
    engine = engine_of(server.url, "pairloop")
    try:
        with engine.connect() as connection, connection.begin():
            name = f"{connection.scalar(text('SELECT current_schema()'))}_{server.schema}"
            if len(name.encode()) > LONGEST_SCHEMA:
                raise SettingsError(f"The schema {name} would have too long a name for PostgreSQL: use a shorter one.")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock_of('schemas')})")
            known = connection.scalar(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": name})
            if known is None:
                connection.exec_driver_sql(f"CREATE SCHEMA {_quoted(name)}")
    finally:
        engine.dispose()
    return name


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def engine_of(url: str, name: str, schema: str = "") -> Engine:
    """Return connections to a PostgreSQL server, which shows them under a name; of a schema where one is given, and fewer.

    Raises:
        SettingsError: the address or the driver cannot be used.
    """
    try:
        parts = make_url(url).set(drivername="postgresql+psycopg")
        engine = create_engine(
            parts,
            pool_size=3 if schema else 10,
            max_overflow=12 if schema else 30,
            json_serializer=_to_json,
            hide_parameters=True,
            # What the address itself says about one of them holds.
            connect_args={
                key: value for key, value in {"application_name": name, **_NETWORK}.items() if key not in parts.query
            },
        )
    except (ArgumentError, ValueError) as error:
        raise SettingsError("DATABASE_URL is no address of a PostgreSQL database.") from error
    except ImportError as error:
        raise SettingsError('DATABASE_URL needs a driver: install it with pip install "pairloop[postgres]".') from error
    if schema:
        # Before SQLAlchemy itself looks which one is the schema of these connections.
        event.listen(engine, "connect", _within(schema), insert=True)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _see_that_it_lives)
    return engine


def lock_of(what: str) -> str:
    """Return the arguments of an advisory lock, for what this code names."""
    return _LOCK.format(what)


def _set_up(dbapi_connection, _record) -> None:
    from psycopg.types.string import StrDumper

    class WithoutNul(StrDumper):
        """PostgreSQL takes no NUL in a text; nobody means one."""

        def dump(self, obj: str):
            return super().dump(obj.replace("\x00", "") if "\x00" in obj else obj)

    dbapi_connection.adapters.register_dumper(str, WithoutNul)
    with dbapi_connection.cursor() as cursor:
        cursor.execute(_SESSION)
    dbapi_connection.commit()


def _within(schema: str) -> Callable:
    """Return what lets a connection see the tables of one schema and no others."""

    def enter(dbapi_connection, _record) -> None:
        with dbapi_connection.cursor() as cursor:
            cursor.execute(f"SET search_path TO {_quoted(schema)}")
        dbapi_connection.commit()

    return enter


def _note_use(_dbapi_connection, record) -> None:
    record.info["used"] = time.monotonic()


def _see_that_it_lives(dbapi_connection, record, _proxy) -> None:
    """Ask the server where a connection has rested: to ask each time would cost a third of a read."""
    import psycopg

    # One that is new has not been used.
    if time.monotonic() - record.info.get("used", math.inf) < RESTED_SECONDS:
        return
    try:
        dbapi_connection.execute("SELECT 1")
        dbapi_connection.rollback()
    except psycopg.Error as error:
        # The pool takes another one.
        raise DisconnectionError from error


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("pairloop_write", False):
        return
    lock = f"SELECT pg_advisory_xact_lock({lock_of('writing')})"
    if (known := options.get("pairloop_schema")) is None:
        connection.exec_driver_sql(lock)
        return
    # On one way to the server and back. The second statement sees what was committed while the first one waited.
    result = connection.exec_driver_sql(f"{lock}; {_SCHEMA}")
    result.cursor.nextset()
    (found,) = result.cursor.fetchone()
    result.close()
    _compare(found, known)


def _compare(found: str | None, known: str) -> None:
    """Raise an OutdatedError where a schema is not the one that this version knows."""
    if found != known:
        raise OutdatedError(
            f"A newer version of Pairloop has changed the database (its schema is {found}, this one knows {known}), so this copy "
            "of the app can save nothing any more. Whoever runs it stops it and starts the newer version."
        )


def _to_json(value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        # A loss that is no number: SQLite keeps Python's word for it, which is no JSON.
        return json.dumps(finite(value))


def finite(value: object) -> object:
    """Return a value of JSON with nothing in the place of numbers that are none: NaN and the infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def _finish_schema(connection: Connection) -> None:
    """Give the columns what SQLite's have: texts of any length in the order of their bytes, whole numbers of 64 bits.

    References can be looked at when a transaction ends: rows that are merged may come before those that they point at.
    """
    columns = connection.execute(
        text(
            "SELECT table_name, column_name, CASE WHEN data_type = 'integer' THEN 'BIGINT' ELSE 'TEXT COLLATE \"C\"' END "
            "FROM information_schema.columns WHERE table_schema = current_schema() AND (data_type = 'integer' "
            "OR data_type IN ('text', 'character varying') AND collation_name IS DISTINCT FROM 'C')"
        )
    ).all()
    constraints = connection.execute(
        text(
            "SELECT relname, conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid WHERE contype = 'f' "
            "AND NOT condeferrable AND connamespace = current_schema()::regnamespace"
        )
    ).all()
    todo: dict[str, list[str]] = {}
    for table, column, kind in columns:
        todo.setdefault(table, []).append(f'ALTER COLUMN "{column}" TYPE {kind}')
    for table, constraint in constraints:
        todo.setdefault(table, []).append(f'ALTER CONSTRAINT "{constraint}" DEFERRABLE INITIALLY IMMEDIATE')
    for table in todo.keys() & metadata.tables.keys():
        for step in ("ALTER COLUMN", "ALTER CONSTRAINT"):
            if actions := [action for action in todo[table] if action.startswith(step)]:
                connection.exec_driver_sql(f'ALTER TABLE "{table}" {", ".join(actions)}')
